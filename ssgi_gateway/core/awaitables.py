"""Awaitables an application may ignore at no cost.

``send`` is called once for most requests and its result is thrown away by nearly all of them: so what it returns
is a constant, and the future behind "when the peer can take more" is made only when it is awaited.
"""

from __future__ import annotations

from types import CoroutineType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Generator

    from .exchange import Exchange
    from .response import HttpResponse


class Ready:
    """An awaitable that is done. Immutable, so one object serves all, any number of times."""

    __slots__ = ("value",)

    def __init__(self, value: object) -> None:
        self.value = value

    def __await__(self) -> Generator[Any, None, Any]:
        return self.value
        yield  # only a generator can end with a value and without an exception, which costs four times as much


def is_pending(result: object) -> bool:
    """Whether what an application returned has to be awaited.

    ``lambda ws, message: ws.send(message)`` returns what ``send`` does, which mostly is done already.
    """
    kind = type(result)
    return kind is CoroutineType or (result is not None and kind is not Ready and hasattr(result, "__await__"))


TRUE: Final = Ready(True)
FALSE: Final = Ready(False)


class WhenWritable:
    """Resolves to ``True`` when the peer can take more, ``False`` after an abort.

    The connection may live on after an abort (FastCGI), so its state is not enough.
    """

    __slots__ = ("exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def __await__(self) -> Generator[Any, None, bool]:
        writable = yield from self.exchange.channel.when_writable().__await__()
        return bool(writable) and not self.exchange.gone()


class WhenFlushed:
    """Resolves to ``(sent, ended)`` when what was written has left the process' buffers."""

    __slots__ = ("ended", "exchange")

    def __init__(self, exchange: HttpResponse, ended: bool) -> None:
        self.exchange = exchange
        self.ended = ended

    def __await__(self) -> Generator[Any, None, tuple[bool, bool]]:
        sent = yield from self.exchange.channel.when_flushed().__await__()
        return (True, self.ended) if sent and not self.exchange.gone() else (False, True)
