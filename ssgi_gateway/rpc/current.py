"""Where the code that runs now belongs: ``current_app``, ``current_connection``, ``current_request`` ...

They are read like context variables (``current_request.get()``) and rest on one, so that a call sets one and not four.
It is set in hooks and handlers, threads included, and inherited by the tasks they start.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from .app import Swill
    from .connection import Connection
    from .request import Request, Response

__all__ = ["INNERMOST", "current_app", "current_connection", "current_request", "current_response"]

T = TypeVar("T")

INNERMOST: Final[ContextVar[Any]] = ContextVar("ssgi_gateway.rpc")
"""The ``Request`` of a handler or a request's hook, the ``Connection`` of a connection's hook, or the application."""

_MISSING: Final = object()


class Current(Generic[T]):
    """One thing that is reached from the innermost."""

    __slots__ = ("_reach", "name")

    def __init__(self, name: str, reach: Callable[[Any], Any]) -> None:
        self.name = name
        self._reach = reach

    def get(self, default: Any = _MISSING) -> T:
        """The current one.

        Raises:
            LookupError: there is none, and no default.
        """
        found = self._reach(INNERMOST.get(None))
        if found is not None:
            return found  # type: ignore[no-any-return]
        if default is _MISSING:
            raise LookupError(f"there is no {self.name} here; it is set in hooks and handlers of a Swill application")
        return default  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<{self.name}>"


def _request(innermost: Any) -> Any:
    return innermost if hasattr(innermost, "rpc") else None


def _connection(innermost: Any) -> Any:
    return innermost.connection if hasattr(innermost, "rpc") else innermost if hasattr(innermost, "opened") else None


def _app(innermost: Any) -> Any:
    connection = _connection(innermost)
    return innermost if connection is None else connection.app


def _response(innermost: Any) -> Any:
    return innermost.response if hasattr(innermost, "rpc") else None


current_app: Final[Current[Swill]] = Current("current_app", _app)
current_connection: Final[Current[Connection]] = Current("current_connection", _connection)
current_request: Final[Current[Request[Any]]] = Current("current_request", _request)
current_response: Final[Current[Response]] = Current("current_response", _response)
