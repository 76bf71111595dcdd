"""Where a schema comes from: a running server, by its URL, or an application, by its import name."""

from __future__ import annotations

import asyncio
from typing import Any

from ssgi_gateway.errors import ConfigurationError

from ..errors import DisconnectedError, ErrorCode, RpcError
from .model import from_introspection

__all__ = ["fetch", "of_application"]

PATIENCE = 10.0


def fetch(url: str) -> dict[str, Any]:
    """The schema of a server; an original one by ``swill.introspect``.

    Raises:
        ConfigurationError: it cannot be reached, or does not describe itself.
    """
    return asyncio.run(_fetch(url))


async def _fetch(url: str) -> dict[str, Any]:
    from ..client import Client

    try:
        async with Client(url, connect_timeout=PATIENCE, reconnect=False) as client:
            try:
                schema: dict[str, Any] = await client.call("swill.schema", timeout=PATIENCE)
            except RpcError as error:
                if error.code != ErrorCode.NOT_FOUND:
                    raise
                async with client.stream("swill.introspect", None, timeout=PATIENCE) as definitions:
                    schema = from_introspection([definition async for definition in definitions])
    except DisconnectedError as error:
        raise ConfigurationError(f"{url}: {error}") from error
    except RpcError as error:
        raise ConfigurationError(f"{url} does not describe its procedures: {error}") from error
    return schema


def of_application(app: Any, name: str) -> dict[str, Any]:
    """The schema of an application.

    Raises:
        ConfigurationError: it is none of Swill.
    """
    from ..app import Swill
    from ..schema import schema_of

    if not isinstance(app, Swill):
        raise ConfigurationError(f"{name} is no Swill application, but {type(app).__name__}")
    return schema_of(app)
