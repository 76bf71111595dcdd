"""``Module``: procedures, hooks and error handlers that belong together, to be included under a prefix.

An application is one itself. Modules nest, and one may be included more than once; its hooks and error handlers apply
to its own procedures. Nothing is kept on classes, so two applications never share anything.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

from .hooks import CONNECTION_HOOKS, HOOKS, HookLists
from .procedures import Procedure
from .request import RESERVED

__all__ = ["Module"]

F = TypeVar("F", bound=Callable[..., Any])


class Module:
    """A group of procedures.

    Args:
        name: for messages.
    """

    HOOK_NAMES: tuple[str, ...] = tuple(name for name in HOOKS if name not in CONNECTION_HOOKS)

    def __init__(self, name: str) -> None:
        self.import_name = name
        self.own: dict[str, Procedure] = {}
        self.chains: dict[str, tuple[Module, ...]] = {}
        """Which modules a procedure is in, from the outermost."""
        self.topics: list[Any] = []
        self.hook_lists = HookLists(self.HOOK_NAMES)
        self.error_handlers: dict[type[BaseException], Callable[..., Any]] = {}
        self._includers: list[tuple[Module, str]] = []

    # -- procedures ----------------------------------------------------------------------------------------------

    def handle(
        self,
        name: str | None = None,
        *,
        timeout: float | None = None,
        inline: bool = False,
        idempotent: bool = False,
        summary: str | None = None,
    ) -> Callable[[F], F]:
        """Make a function a procedure: ``@app.handle()``.

        Args:
            name: as clients call it; the function's own, if not given.
            timeout: seconds after which it is cancelled and answered with 504.
            inline: run a ``def`` on the event loop's thread; only for what never waits.
            idempotent: clients may send it once more when they do not know whether it was done.
            summary: one line for people; the docstring's first one, if not given.

        Raises:
            TypeError: the signature is none of a procedure.
            ValueError: there is a procedure of that name, or it begins with ``swill.``.
        """
        if callable(name):
            raise TypeError("write @app.handle(), with parentheses")
        local_names = sys._getframe(1).f_locals

        def register(func: F) -> F:
            self.add_handler(
                func, name, timeout=timeout, inline=inline, idempotent=idempotent, summary=summary, names=local_names
            )
            return func

        return register

    def add_handler(self, func: Callable[..., Any], name: str | None = None, **options: Any) -> None:
        """The same without a decorator; see ``handle``."""
        chosen: str = getattr(func, "__name__", "") if name is None else name
        if not isinstance(chosen, str) or not chosen:
            raise ValueError(f"a procedure has a name; give one to {func!r}")
        if chosen.startswith(RESERVED):
            raise ValueError(f"{chosen!r}: names that begin with {RESERVED!r} are reserved")
        self.add_procedure(Procedure(chosen, func, **options), (self,))

    def add_procedure(self, procedure: Procedure, chain: tuple[Module, ...]) -> None:
        """Add one that is made, here and wherever this module is included."""
        known = self.own.get(procedure.name)
        if known is not None:
            raise ValueError(f"two procedures of one name: {known.place} and {procedure.place}")
        self.own[procedure.name] = procedure
        self.chains[procedure.name] = chain
        self.changed()
        for includer, prefix in self._includers:
            includer.add_procedure(procedure.renamed(prefix + procedure.name), (includer, *chain))

    def include(self, module: Module, prefix: str = "") -> None:
        """Add all of a module's procedures and topics, present and future.

        Args:
            module: any but an application.
            prefix: put in front of each name, such as ``"chat."``.

        Raises:
            ValueError: two procedures of one name, or a module within itself.
        """
        if module is self or self in module.included_in():
            raise ValueError(f"the module {module.import_name!r} cannot be included in itself")
        if prefix.startswith(RESERVED):
            raise ValueError(f"{prefix!r}: names that begin with {RESERVED!r} are reserved")
        for name, procedure in module.own.items():
            self.add_procedure(procedure.renamed(prefix + name), (self, *module.chains[name]))
        for topic in module.topics:
            self.add_topic(topic)
        module._includers.append((self, prefix))

    def included_in(self) -> set[Module]:
        """Every module that this one includes, and theirs."""
        found: set[Module] = set()
        for chain in self.chains.values():
            found.update(chain)
        return found - {self}

    # -- hooks and errors ----------------------------------------------------------------------------------------

    def on(self, name: str) -> Callable[[F], F]:
        """Register a hook: ``@app.on("before_request")``; their names are in ``ssgi_gateway.rpc.hooks``."""

        def register(func: F) -> F:
            self.add_lifecycle_handler(name, func)
            return func

        return register

    def add_lifecycle_handler(self, name: str, callback: Callable[..., Any]) -> None:
        """The same without a decorator.

        Raises:
            ValueError: there is no hook of that name; a module has none of the connection's.
        """
        if name in CONNECTION_HOOKS and name not in self.HOOK_NAMES:
            raise ValueError(f"{name} is a connection's hook; a connection belongs to the application: use its `on`")
        self.hook_lists.add(name, callback)
        self.changed()

    def error_handler(self, exception: type[BaseException]) -> Callable[[F], F]:
        """Register what an exception of the procedures means: ``handler(exc, request) -> Error | None``, sync or async.

        The nearest class in the exception's MRO wins. ``None`` leaves it as it is: a 500.
        """
        if not (isinstance(exception, type) and issubclass(exception, BaseException)):
            raise TypeError(f"error_handler takes an exception class, not {exception!r}")

        def register(func: F) -> F:
            self.error_handlers[exception] = func
            return func

        return register

    def topic(self, pattern: str, type: Any = Any, *, history: int = 0, ttl: float = 300) -> Callable[[F], F]:
        """Declare what may be subscribed to: decorates ``async def may_subscribe(connection, **parts) -> bool``.

        Args:
            pattern: a name in which ``{room}`` stands for a part without dots.
            type: of its messages.
            history: how many messages are kept for those who come back.
            ttl: seconds that they are kept.
        """
        from .pubsub.topics import Topic

        def register(func: F) -> F:
            self.add_topic(Topic(pattern, type, history, ttl, func))
            return func

        return register

    def add_topic(self, topic: Any) -> None:
        """Add a topic that is made."""
        if any(known.pattern == topic.pattern for known in self.topics):
            raise ValueError(f"two topics {topic.pattern!r}")
        self.topics.append(topic)
        for includer, _ in self._includers:
            includer.add_topic(topic)

    # -- inside --------------------------------------------------------------------------------------------------

    def find_error_handler(self, procedure: Procedure, error: BaseException) -> Callable[..., Any] | None:
        """Of the modules around a procedure: the nearest class, and of two the innermost module's."""
        chain = self.chains.get(procedure.name, (self,))
        for cls in type(error).__mro__:
            for module in reversed(chain):
                handler = module.error_handlers.get(cls)
                if handler is not None:
                    return handler
        return None

    def hook_chain(self, name: str) -> tuple[HookLists, ...]:
        """The lists of hooks around a procedure, from the outermost."""
        return tuple(module.hook_lists for module in self.chains.get(name, (self,)))

    def changed(self) -> None:
        """Something was registered: what was made of it is made again."""
        for includer, _ in self._includers:
            includer.changed()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.import_name}: {len(self.own)} procedures>"
