"""Reserved metadata of an opening frame: what the extensions read there.

=================  ==================================================================================
``swill.timeout``  milliseconds left, a positive integer
``swill.window``   flow control: MESSAGEs each side may send, 1 to 65,536; only after hello
``swill.since``    the last id seen of a stream of ``tracked`` items, a text
=================  ==================================================================================

Anything else that begins with ``swill.`` is refused: it may mean something one day.
"""

from __future__ import annotations

from typing import Any

from .flow import MAX_WINDOW, Window
from .request import RESERVED, Request

__all__ = ["InvalidMetadata", "read_reserved"]

MAX_TIMEOUT = 2**53


class InvalidMetadata(ValueError):  # noqa: N818
    """What is wrong with it, for the client."""


def read_reserved(request: Request[Any], metadata: dict[str, Any] | None) -> None:
    """Obey reserved metadata, take it out of what the application sees, and start the clock of the deadline.

    Raises:
        InvalidMetadata: a value that is none, or a key that is not known.
    """
    timeout: float | None = None
    if metadata is not None and any(key.startswith(RESERVED) for key in metadata):
        request.metadata = {key: value for key, value in metadata.items() if not key.startswith(RESERVED)}
        for key, value in metadata.items():
            if key == "swill.timeout":
                timeout = _timeout(value)
            elif key == "swill.window":
                request.window = _window(request, value)
            elif key == "swill.since":
                request.since = _since(value)
            elif key.startswith(RESERVED):
                raise InvalidMetadata(f"metadata {key!r} is reserved")
    bounds = (timeout, request.procedure.timeout, request.app.settings.max_timeout)
    timeout = min((bound for bound in bounds if bound is not None), default=None)
    if timeout is not None:
        connection = request.connection
        request.deadline = connection.time() + timeout
        request.timer = connection.loop.call_at(request.deadline, connection.deadline_passed, request)


def _timeout(value: Any) -> float:
    if type(value) is not int or not 0 < value <= MAX_TIMEOUT:
        raise InvalidMetadata("metadata 'swill.timeout' is a positive integer, in milliseconds")
    return min(value / 1000, 10.0 * 365 * 86400)


def _window(request: Request[Any], value: Any) -> Window:
    if "credit" not in (request.connection.features or ()):
        raise InvalidMetadata("metadata 'swill.window' needs the feature 'credit' in swill.hello")
    if type(value) is not int or not 1 <= value <= MAX_WINDOW:
        raise InvalidMetadata(f"metadata 'swill.window' is an integer from 1 to {MAX_WINDOW}")
    return Window(value)


def _since(value: Any) -> str:
    if type(value) is not str:
        raise InvalidMetadata("metadata 'swill.since' is a text")
    return value
