"""The hooks of a connection's and a request's life, in the order in which they run.

They may be sync or async, several of each, and run in the order of their registration: the application's first, then
those of the modules around a procedure, from the outermost. Where a hook is called with metadata or a message, a result
other than ``None`` replaces it. A name without hooks costs the look at an empty tuple.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any, Final

__all__ = ["CONNECTION_HOOKS", "HOOKS", "REQUEST_HOOKS", "HookLists", "RequestHooks", "run", "run_replacing"]

Hook = Callable[..., Any]

CONNECTION_HOOKS: Final = ("before_connection", "before_accept", "after_accept", "after_connection")

REQUEST_HOOKS: Final = (
    "before_request",
    "before_request_metadata",
    "before_request_data",
    "before_request_message",
    "before_leading_metadata",
    "before_response_message",
    "before_trailing_metadata",
    "after_request",
)

HOOKS: Final = (*CONNECTION_HOOKS[:3], *REQUEST_HOOKS, CONNECTION_HOOKS[3])


class HookLists:
    """What was registered, by name.

    Args:
        names: what may be.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._lists: dict[str, list[Hook]] = {name: [] for name in names}

    def add(self, name: str, hook: Hook) -> None:
        """Register a hook.

        Raises:
            ValueError: there is no such name.
            TypeError: ``hook`` cannot be called.
        """
        if name not in self._lists:
            raise ValueError(f"there is no hook {name!r}; there are {', '.join(self._lists)}")
        if not callable(hook):
            raise TypeError(f"a hook is a function, not {hook!r}")
        self._lists[name].append(hook)

    def of(self, name: str) -> tuple[Hook, ...]:
        """Those of one name."""
        return tuple(self._lists.get(name, ()))


class RequestHooks:
    """All hooks of one procedure, as tuples: made once, read by every request."""

    __slots__ = (*REQUEST_HOOKS, "any", "item")

    def __init__(self, lists: Iterable[HookLists]) -> None:
        lists = tuple(lists)
        for name in REQUEST_HOOKS:
            setattr(self, name, tuple(hook for each in lists for hook in each.of(name)))
        self.any = any(getattr(self, name) for name in REQUEST_HOOKS)
        self.item: bool = bool(self.before_request_data or self.before_request_message)

    before_request: tuple[Hook, ...]
    before_request_metadata: tuple[Hook, ...]
    before_request_data: tuple[Hook, ...]
    before_request_message: tuple[Hook, ...]
    before_leading_metadata: tuple[Hook, ...]
    before_response_message: tuple[Hook, ...]
    before_trailing_metadata: tuple[Hook, ...]
    after_request: tuple[Hook, ...]


async def run(hooks: tuple[Hook, ...], *args: Any) -> None:
    """Call each, and await what is awaitable."""
    for hook in hooks:
        result = hook(*args)
        if result is not None and inspect.isawaitable(result):
            await result


async def run_replacing(hooks: tuple[Hook, ...], subject: Any, value: Any) -> Any:
    """Call each with ``(subject, value)``; a result other than ``None`` is the value from then on."""
    for hook in hooks:
        result = hook(subject, value)
        if result is not None and inspect.isawaitable(result):
            result = await result
        if result is not None:
            value = result
    return value
