"""What the server calls, and its life: the hooks before the event loop, at the start, at the end, after the loop."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from ssgi_gateway.adapters import shape
from ssgi_gateway.adapters.loading import failure
from ssgi_gateway.errors import ConfigurationError

if TYPE_CHECKING:
    import asyncio

__all__ = ["Application", "SSGICallable"]

logger = logging.getLogger("ssgi_gateway.app")

SSGICallable: TypeAlias = Callable[..., Any]
"""Called with SSGI's eight arguments."""


class Application:
    """What the server calls; ``None`` for what the application does not serve.

    A framework and an SSGI callable may have hooks, ``async def startup(state)`` and ``async def shutdown()``; the
    adapters have them for interfaces with a life cycle.

    Args:
        http: for requests.
        websocket: for WebSockets.
        framework: who made these two.
    """

    __slots__ = ("_parts", "http", "websocket")

    def __init__(self, http: SSGICallable | None, websocket: SSGICallable | None, framework: Any = None) -> None:
        self.http = http
        self.websocket = websocket
        self._parts = list({id(part): part for part in (framework, http, websocket)}.values())

    def before_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Before the event loop runs: every ``before_loop(loop)``, for interfaces whose life begins so early (RSGI).

        Raises:
            ConfigurationError: an application cannot start.
        """
        for part in self._parts:
            try:
                _call_hook(part, "before_loop", loop)
            except Exception as error:
                raise _not_started(error) from error

    def after_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """After it has run: every ``after_loop(loop)``; one that raises is logged and keeps no other from its end."""
        for part in reversed(self._parts):
            try:
                _call_hook(part, "after_loop", loop)
            except Exception:
                logger.exception("after_loop() of %s raised", shape.shown(part))

    def tell_workers(self, count: int) -> None:
        """How many processes serve: every ``workers_known(count)``, for what must not be kept in one of several.

        Raises:
            ConfigurationError: an application cannot run in so many.
        """
        for part in self._parts:
            _call_hook(part, "workers_known", count)

    def thread_load(self) -> Callable[[], tuple[int, int, int]] | None:
        """What reports how busy the application's threads are: waiting requests, threads at work, threads."""
        return next((load for part in self._parts if (load := getattr(part, "thread_load", None))), None)

    @property
    def starts(self) -> bool:
        """Whether ``startup`` has anything to do."""
        return any(getattr(part, "startup", None) is not None for part in self._parts)

    async def startup(self, state: dict[str, Any]) -> None:
        """Before the first request: run every ``startup(state)`` there is.

        Args:
            state: the worker's; what is put there is in ``res.extensions["state"]``.

        Raises:
            ConfigurationError: an application cannot start; those that had started were shut down again.
        """
        for index, part in enumerate(self._parts):
            try:
                await _run_hook(part, "startup", state)
            except BaseException as error:
                await self._shut_down(self._parts[:index])
                if isinstance(error, Exception):
                    raise _not_started(error) from error
                raise

    async def shutdown(self) -> None:
        """After the last one: every ``shutdown()``; one that raises is logged and keeps no other from its end."""
        await self._shut_down(self._parts)

    async def _shut_down(self, parts: list[Any]) -> None:
        for part in reversed(parts):
            try:
                await _run_hook(part, "shutdown")
            except Exception:
                logger.exception("shutdown() of %s raised", shape.shown(part))

    def __repr__(self) -> str:
        return f"Application(http={self.http!r}, websocket={self.websocket!r})"


async def _run_hook(part: Any, name: str, *args: Any) -> None:
    """Run a hook, if there is one: a coroutine function of that name."""
    hook: Any = getattr(part, name, None)
    if shape.is_async(hook):
        await hook(*args)
    elif callable(hook):
        logger.warning("%s() of %s is not async, so it is no hook of SSGI and is not called", name, shape.shown(part))


def _call_hook(part: Any, name: str, *args: Any) -> None:
    """Call a hook, if there is one: an ordinary function of that name."""
    hook: Any = getattr(part, name, None)
    if callable(hook) and not shape.is_async(hook):
        hook(*args)


def _not_started(error: Exception) -> ConfigurationError:
    """Why an application did not start: its own words, or its traceback."""
    if isinstance(error, ConfigurationError):
        return error
    return ConfigurationError(failure("the application failed to start", error))
