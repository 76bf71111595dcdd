"""What there is to ask of each pair of codecs, and how the server asks it."""

from __future__ import annotations

from typing import Any, Final

from fuzz.compare import BUILDS, Each, Pair, agree, both, outcome
from ssgi_gateway.settings import WebSocketSettings, WireLimits
from ssgi_gateway.wire.websocket.deflate import DeflateParams

__all__ = [
    "CodecPair",
    "FastcgiPair",
    "RequestPair",
    "ResponsePair",
    "ScgiPair",
    "UpgradePair",
    "UwsgiPair",
    "WebSocketPair",
    "compare_variables",
]

HEADERS: Final = (
    "host", "Host", "COOKIE", "content-length", "Content-Type", "upgrade", "x", "x_y", "x-y", "\xe9", "\u212a", "",
)  # fmt: skip
"""Names that every request's variables are asked for, beside those they have."""

VARIABLES: Final = ("REQUEST_METHOD", "NONE", "", "\xe9", "\u20ac")

HEAD: Final = (
    "method", "path", "raw_path", "query_string", "server_address", "remote_address", "is_upgrade",
)  # fmt: skip

MAX_EVENTS: Final = 100_000


def see_variables(variables: Any) -> tuple[Any, ...]:
    """Everything that ``Variables`` tell."""
    items = list(variables.items())
    names = [name for name, _ in items]
    headers = variables.headers()
    headings = [*HEADERS, *(name for name, _ in headers), *(name[5:].replace("_", "-").title() for name in names)]
    return (
        items,
        headers,
        [(name, variables.header(name)) for name in headings],
        [(name, variables.get(name), variables.get(name, "none"), name in variables) for name in (*names, *VARIABLES)],
        [variables[name] for name in names],
        (len(variables), list(variables), repr(variables)),
    )


def see_head(build: str, variables: Any) -> tuple[Any, ...]:
    """The request that variables make, at the web server's root path and at one that is set."""
    parse = both("wire.cgi", "parse_head")[BUILDS.index(build)]

    def see(root_path: str | None) -> list[Any]:
        head = parse(variables, root_path)
        values = [getattr(head, name) for name in HEAD]
        return [*values, head.root_path(), head.scheme(), head.http_version(), head.client()]

    return outcome(see, None), outcome(see, "/app/")


def see_event(build: str, event: Any) -> Any:
    """Everything that an event tells."""
    if event is None:
        return None
    name, fields = type(event).__name__, event.fields()
    if name != "HeadReceived":
        return (name, fields)
    return (name, fields[1], see_variables(event.variables), see_head(build, event.variables))


def see_pieces(build: str, pieces: list[Any]) -> bytes:
    """What goes out, however it is cut into buffers. An empty one would cost a system call."""
    assert all(len(piece) for piece in pieces)
    return b"".join(pieces)


def compare_variables(pairs: list[tuple[bytes, bytes]]) -> None:
    """Make ``Variables`` of both builds of the same pairs.

    Raises:
        Disagreement: they are not the same.
    """

    def see(build: str) -> tuple[Any, ...]:
        index = BUILDS.index(build)
        variables = both("wire.variables", "Variables")[index](pairs)
        length = outcome(both("wire.cgi", "body_length")[index], variables)
        return see_variables(variables), see_head(build, variables), length

    agree([outcome(see, build) for build in BUILDS], [repr(pairs)])


class CodecPair(Pair):
    """What all codecs have in common."""

    STATE: tuple[str, ...] = ("protocol",)

    def receive(self, data: bytes) -> None:
        """Both get bytes; ``b""`` for their end."""
        self.ask("receive", data)
        self.state()

    def next_event(self) -> Any:
        """One event in the form ``see_event`` gives it; ``None`` for none, or the error's outcome as a list."""
        kind, *rest = self.ask("next_event", seen=see_event)
        self.state()
        return rest[0] if kind == "returned" else [kind, *rest]

    def events(self) -> list[Any]:
        """All there are, up to and with an error."""
        told: list[Any] = []
        while (event := self.next_event()) is not None:
            told.append(event)
            assert len(told) < MAX_EVENTS, "events without end"
            if isinstance(event, list):
                break
        return told

    def take_output(self) -> bytes:
        """The automatic answers."""
        output: bytes = self.ask("take_output")[1]
        self.state()
        return output

    def state(self) -> None:
        """Compare what can be seen from outside."""
        self.look(*self.STATE)


def head_of(size: int, status: int = 200) -> Each:
    """The head of an answer with a line of ``size`` bytes, of either build."""
    heads = Each(*(head() for head in both("wire.response_head", "ResponseHead")))
    for head in heads:
        if status == 101:
            head.switch_protocols([("Upgrade", "websocket")])
        else:
            head.set_status(status)
        if size:
            head.add([("X", "y" * size)])
    return heads


class RequestPair(CodecPair):
    """Codecs of requests."""

    STATE = ("protocol", "serves_http", "supports_upgrade", "busy", "closing")

    def state(self) -> None:
        """Compare what can be seen from outside."""
        super().state()
        self.ask("incomplete")
        self.ask("trailing_data")
        del self._said[-2:]

    def encode(self, head: int | None, data: Any, end: bool, status: int = 200) -> None:
        """A piece of the answer.

        Args:
            head: ``None`` for none, otherwise how long one of its header lines is.
            data: a payload, or ``None``.
            end: whether it is the last piece.
            status: of the head.
        """
        self.ask("encode", None if head is None else head_of(head, status), data, end, seen=see_pieces)
        self.look("head_size")
        self.state()

    def finish(self) -> tuple[Any, ...]:
        """The answer is complete, or is said to be."""
        answer = self.ask("finish")
        self.state()
        return answer


class ScgiPair(RequestPair):
    """The SCGI codecs."""

    def __init__(self, limits: WireLimits) -> None:
        super().__init__(*(codec(limits) for codec in both("wire.scgi.codec", "ScgiCodec")))


class UwsgiPair(RequestPair):
    """The uwsgi codecs."""

    def __init__(self, limits: WireLimits) -> None:
        super().__init__(*(codec(limits) for codec in both("wire.uwsgi.codec", "UwsgiCodec")))


class FastcgiPair(RequestPair):
    """The FastCGI codecs."""

    def __init__(self, limits: WireLimits) -> None:
        super().__init__(*(codec(limits, 77) for codec in both("wire.fastcgi.codec", "FastcgiCodec")))


class UpgradePair(RequestPair):
    """The codecs of the direct port."""

    def __init__(self, limits: WireLimits, client: Any = ("127.0.0.1", 5)) -> None:
        codecs = both("wire.http1", "UpgradeCodec")
        super().__init__(*(codec(limits, ("127.0.0.1", 80), client, ("127.0.0.1",)) for codec in codecs))


class WebSocketPair(CodecPair):
    """The WebSocket codecs."""

    STATE = ("protocol", "state", "has_output")

    def __init__(self, limits: WebSocketSettings, deflate: DeflateParams | None) -> None:
        super().__init__(*(codec(limits, deflate) for codec in both("wire.websocket.codec", "WebSocketCodec")))

    def encode_message(self, message: Any) -> None:
        """A message of ours."""
        self.ask("encode_message", message, seen=see_pieces)
        self.state()

    def encode_ping(self, payload: bytes) -> None:
        """A ping of ours."""
        self.ask("encode_ping", payload)
        self.state()

    def encode_close(self, code: int | None, reason: str) -> None:
        """Our Close frame."""
        self.ask("encode_close", code, reason)
        self.state()


class ResponsePair(Pair):
    """The heads of an answer."""

    def __init__(self, front_files: bool = True) -> None:
        super().__init__(*(head(front_files) for head in both("wire.response_head", "ResponseHead")))

    def say(self, method: str, *arguments: Any) -> None:
        """Call a method, and compare the head it makes."""
        self.ask(method, *arguments)
        self.look("status", "reason", "content_length")
        for block in ("encode_cgi", "encode_http", "encode_fields", "pairs"):
            self.ask(block)
            self._said.pop()
