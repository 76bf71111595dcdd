"""A procedure: its annotations, and the decoder and the check that are made of them, once.

``Request[T]`` is one item, ``StreamingRequest[T]`` any number of them; a result is ``T``, or a stream where the
annotation is ``AsyncIterator[T]`` or ``AsyncGenerator[T, ...]``. What has no annotation is ``Any``.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from .request import Request, Response, StreamingRequest

if TYPE_CHECKING:
    from .hooks import RequestHooks

__all__ = ["UNDECLARED", "Checker", "Procedure"]

UNDECLARED: Final = object()
"""The type of what has no annotation; it is treated as ``Any``, and introspection shows the difference."""

STREAMS: Final = (AsyncIterator, AsyncGenerator, AsyncIterable)
POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
SCALARS: Final = (int, str, bytes, bool, float, type(None))


class Procedure:
    """A function that clients can call.

    Args:
        name: as clients call it.
        func: sync or async; see the module.
        timeout: seconds after which it is cancelled and answered with 504; ``None`` for no bound of its own.
        inline: a ``def`` runs on the event loop's thread in place of a thread of its own; for what never waits.
        idempotent: a client may send it once more when it does not know whether it was done.
        summary: one line for people; the docstring's first one, if not given.
        names: local names in which annotations that are strings are looked up.

    Raises:
        TypeError: its signature is none of a procedure, or a type is none that msgspec knows.
    """

    hooks: RequestHooks
    """Set before the first request."""
    prepare: Callable[[Any, Any], None] | None = None
    """Called with the connection and the first item, encoded, before the next frame is looked at."""
    direct = False
    """Whether it needs nothing of what ``serving.serve`` does: it is inline, and has no hooks."""

    def __init__(
        self,
        name: str,
        func: Callable[..., Any],
        *,
        timeout: float | None = None,
        inline: bool = False,
        idempotent: bool = False,
        summary: str | None = None,
        names: Mapping[str, Any] | None = None,
    ) -> None:
        if timeout is not None and timeout <= 0:
            raise ValueError(f"{name}: timeout is a number of seconds above 0, not {timeout!r}")
        self.name = name
        self.func = func
        self.timeout = timeout
        self.idempotent = idempotent
        self.doc = inspect.getdoc(func) or ""
        self.summary = summary if summary is not None else self.doc.partition("\n")[0]
        self.is_generator = inspect.isasyncgenfunction(func)
        self.is_async = self.is_generator or inspect.iscoroutinefunction(func)
        self.inline = inline and not self.is_async
        hints = self._hints(names)
        parameters = [p for p in inspect.signature(func).parameters.values() if p.kind in POSITIONAL]
        self.request_class, self.request_type = self._request(parameters, hints)
        self.arity = self._arity(parameters, hints)
        self.streams_out, self.response_type = self._response(hints)
        self.streams_in = self.request_class is StreamingRequest
        if not self.is_async and (self.streams_in or self.streams_out):
            raise TypeError(f"{self.place}: a procedure that streams is an `async def`; this one is a `def`")
        try:
            item = Any if self.request_type is UNDECLARED else self.request_type
            self.decode = msgspec.msgpack.Decoder(item).decode
            self.check = Checker(Any if self.response_type is UNDECLARED else self.response_type)
        except TypeError as error:
            raise TypeError(f"{self.place}: msgspec cannot send or receive this type: {error}") from None

    @property
    def place(self) -> str:
        """Name, file and line, for messages."""
        code = getattr(inspect.unwrap(self.func), "__code__", None)
        where = f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""
        return f"procedure {self.name!r}{where}"

    def renamed(self, name: str) -> Procedure:
        """The same under another name, for a module that is included with a prefix."""
        copy = object.__new__(Procedure)
        copy.__dict__.update(self.__dict__)
        copy.name = name
        return copy

    def call(self, request: Any) -> Any:
        """Call the function with as many arguments as it takes."""
        if self.arity == 1:
            return self.func(request)
        return self.func() if self.arity == 0 else self.func(request, request.response)

    # -- annotations ---------------------------------------------------------------------------------------------

    def _hints(self, names: Mapping[str, Any] | None) -> dict[str, Any]:
        func = inspect.unwrap(self.func)
        if not hasattr(func, "__annotations__"):
            func = getattr(func, "__call__", func)  # noqa: B004 - an object that is called like a function
        known = {"Request": Request, "StreamingRequest": StreamingRequest, "Response": Response, **(names or {})}
        try:
            return typing.get_type_hints(func, localns=known, include_extras=True)
        except NameError as error:
            raise TypeError(
                f"{self.place}: an annotation names {error.name!r}, which is not defined where the procedure is"
            ) from None

    def _request(self, parameters: list[inspect.Parameter], hints: dict[str, Any]) -> tuple[type[Request[Any]], Any]:
        hint = hints.get(parameters[0].name, UNDECLARED) if parameters else UNDECLARED
        origin = typing.get_origin(hint) or hint
        if origin is UNDECLARED:
            return Request, UNDECLARED
        if not (isinstance(origin, type) and issubclass(origin, Request)):
            raise TypeError(
                f"{self.place}: the first parameter is a Request[T] or a StreamingRequest[T], not {hint!r}; write "
                f"`{parameters[0].name}: Request[{getattr(hint, '__name__', 'T')}]`"
            )
        arguments = typing.get_args(hint)
        kind: type[Request[Any]] = StreamingRequest if issubclass(origin, StreamingRequest) else Request
        return kind, arguments[0] if arguments else UNDECLARED

    def _arity(self, parameters: list[inspect.Parameter], hints: dict[str, Any]) -> int:
        wanted = [p for p in parameters[:1] if p.default is p.empty or p.name in hints]
        if len(parameters) > 1:
            second = parameters[1]
            is_response = hints.get(second.name, Response) is Response
            if is_response and second.default is second.empty:
                wanted.append(second)
            elif second.default is second.empty:
                raise TypeError(f"{self.place}: the second parameter is a Response, not {hints[second.name]!r}")
        if any(p.default is p.empty for p in parameters[2:]):
            raise TypeError(f"{self.place}: a procedure has at most two parameters, Request and Response")
        return len(wanted)

    def _response(self, hints: dict[str, Any]) -> tuple[bool, Any]:
        hint = hints.get("return", UNDECLARED)
        if hint in STREAMS:
            return True, UNDECLARED
        if typing.get_origin(hint) in STREAMS:
            return True, typing.get_args(hint)[0]
        if self.is_generator:
            if hint is not UNDECLARED:
                raise TypeError(f"{self.place}: it yields, so its result is AsyncIterator[T], not {hint!r}")
            return True, UNDECLARED
        return False, hint


class Checker:
    """Whether a result is what was declared: an instance of the class, or what ``msgspec.convert`` makes of it.

    A dict becomes a Struct, an int a float (PEP 484). Most results are exactly of the class, and that is all that is
    looked at then.

    Args:
        type_: what was declared.
        strict: look into instances, too, as a client that decodes them would: for development.
    """

    __slots__ = ("_decode", "exact", "strict", "type")

    def __init__(self, type_: Any, strict: bool = False) -> None:
        self.type = type_
        self.strict = strict
        self.exact = exact_class(type_)
        self._decode = msgspec.msgpack.Decoder(type_).decode

    def __call__(self, value: Any) -> Any:
        """The value to send.

        Raises:
            TypeError: it is not what was declared.
        """
        if self.strict and self.type is not Any:
            return self._look_into(value)
        if type(value) is self.exact or self.type is Any:
            return value
        try:
            return msgspec.convert(value, self.type)
        except msgspec.ValidationError as error:
            raise TypeError(f"the result is not what is declared, {shown(self.type)}: {error}") from None

    def _look_into(self, value: Any) -> Any:
        try:
            value = msgspec.convert(value, self.type)
            self._decode(msgspec.msgpack.encode(value))
        except msgspec.MsgspecError as error:
            raise TypeError(f"the result is not what is declared, {shown(self.type)}: {error}") from None
        return value


def exact_class(type_: Any) -> type | None:
    """The class whose instances need no further look, if there is one."""
    if isinstance(type_, type) and typing.get_origin(type_) is None:
        if type_ in SCALARS or issubclass(type_, msgspec.Struct):
            return type_
        if hasattr(type_, "__dataclass_fields__"):
            return type_
    return None


def shown(type_: Any) -> str:
    """A type as its author wrote it."""
    return getattr(type_, "__name__", None) or repr(type_)
