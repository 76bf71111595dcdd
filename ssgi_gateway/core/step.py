"""Running code of the application in a context: a call, and one step of a coroutine without a task."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Final


class Ended:
    """That a coroutine has ended, and with what."""

    __slots__ = ("result",)

    def __init__(self, result: Any) -> None:
        self.result = result


NOTHING: Final = Ended(None)


def copy_of(context: Context) -> Context:
    """A context with the same variables."""
    return context.copy()


def call_app(
    context: Context,
    app: Callable[..., Any],
    kind: str,
    server: str,
    remote: str,
    method: str,
    path: str,
    query: str,
    get_header: Any,
    res: Any,
) -> Any:
    """Make an SSGI call in a context that is not entered."""
    return context.run(app, kind, server, remote, method, path, query, get_header, res)


def call(context: Context, function: Callable[[], Any]) -> Any:
    """Call ``function`` in a context that is not entered."""
    return context.run(function)


def call_with(context: Context, function: Callable[[Any], Any], argument: Any) -> Any:
    """Call ``function(argument)`` in a context that is not entered."""
    return context.run(function, argument)


def call_receiver(context: Context, receiver: Callable[..., Any], websocket: Any, message: Any, args: Any) -> Any:
    """Give a WebSocket's message to its handler, in a context that is not entered."""
    return context.run(receiver, websocket, message, *args)


def step(context: Context, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Let a coroutine run until it waits or ends.

    Returns:
        What it waits for, as a task gets it; an ``Ended`` if it has ended.

    Raises:
        BaseException: the coroutine's.
    """
    try:
        return context.run(coroutine.send, None)
    except StopIteration as end:
        return NOTHING if end.value is None else Ended(end.value)
