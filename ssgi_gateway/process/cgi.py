"""CGI (RFC 3875): a process for one request, its variables in the environment, its body and answer on 0 and 1.

WSGI applications are called by ``wsgiref``, without an event loop: importing one is more than half of what such a
process costs. For the same reason everything else that not each request needs is imported where it is needed. Every
other application is served by the gateway itself: the request becomes an SCGI request to this very process, through a
pair of sockets, and its answer, which is a CGI answer already, is copied to standard output. So what holds for all
requests holds for these, the start and the end of the application's life around one request included.

mod_cgid sends SIGTERM when the client has disconnected; nothing is left to do then, and the process ends.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable
from typing import IO, TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import ConfigurationError, RequestRejected

if TYPE_CHECKING:
    import socket

    from ssgi_gateway.settings import Settings

__all__ = ["run"]

SPOOL: Final = 1 << 20
"""Bytes of a body of unknown length that are kept in memory; what is longer goes to a temporary file."""

CHUNK: Final = 1 << 16

Pairs = list[tuple[bytes, bytes]]


def run(settings: Settings) -> int:
    """Serve the request that this process was started for; returns the exit status.

    Raises:
        ConfigurationError: the application cannot be loaded.
    """
    from ssgi_gateway.adapters import loading, shape
    from ssgi_gateway.process.directory import enter

    answer = _take_standard_output()
    enter(settings.chdir)
    app = loading.load(settings.app, pythonpath=settings.pythonpath)
    interface = settings.interface
    if interface == "auto" and not hasattr(app, "get_supported"):
        interface = shape.recognise(app) or interface
    variables, body = _body(list(os.environb.items()))
    if interface == "wsgi":
        return _call(app, settings, variables, body, answer)
    return _serve(app, settings, variables, body, answer)


def call(app: Any, settings: Settings) -> int:
    """As ``run``, for a WSGI application that is there already."""
    answer = _take_standard_output()
    return _call(app, settings, *_body(list(os.environb.items())), answer)


def _take_standard_output() -> IO[bytes]:
    """Where the answer goes. What the application prints is for the log from here on, and not for the client."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return answer


def _body(variables: Pairs) -> tuple[Pairs, IO[bytes]]:
    """The request's body, and the variables with its length.

    The length is CONTENT_LENGTH; where a client sends chunks, mod_cgid leaves it out and the body ends with the stream.
    """
    given = dict(variables)
    length = given.get(b"CONTENT_LENGTH", b"")
    if length.isdigit():
        return variables, io.BufferedReader(_Limited(io.FileIO(0, closefd=False), int(length)), CHUNK)
    spooled = _spooled() if b"HTTP_TRANSFER_ENCODING" in given else io.BytesIO()
    size = spooled.tell()
    spooled.seek(0)
    kept = [(name, value) for name, value in variables if name != b"CONTENT_LENGTH"]
    return [*kept, (b"CONTENT_LENGTH", b"%d" % size)], spooled


def _spooled() -> IO[bytes]:
    import tempfile

    spooled: IO[bytes] = tempfile.SpooledTemporaryFile(SPOOL)  # noqa: SIM115 - it lives as long as the request
    while data := os.read(0, CHUNK):
        spooled.write(data)
    return spooled


class _Limited(io.RawIOBase):
    """The first ``left`` bytes of a stream."""

    def __init__(self, stream: io.FileIO, left: int) -> None:
        self._stream = stream
        self._left = left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        size = min(len(buffer), self._left)
        if not size:
            return 0
        count = self._stream.readinto(memoryview(buffer)[:size]) or 0
        self._left -= count
        return int(count)


# -- WSGI, without an event loop -------------------------------------------------------------------------------------


def _call(app: Any, settings: Settings, variables: Pairs, body: IO[bytes], answer: IO[bytes]) -> int:
    from wsgiref.handlers import SimpleHandler

    from ssgi_gateway.adapters.wsgi.environ import base_environ, build_environ
    from ssgi_gateway.wire.cgi import Variables, parse_head

    class Handler(SimpleHandler):
        """wsgiref's, with our ``environ``."""

        wsgi_run_once = True
        origin_server = False

        def setup_environ(self) -> None:
            self.environ = self.base_env

        def log_exception(self, exc_info: Any) -> None:
            sys.excepthook(*exc_info)

    try:
        head = parse_head(Variables(variables), settings.root_path, True)
    except RequestRejected as error:
        text = f"{error.status} {error.message}\n".encode()
        answer.write(b"Status: %d\r\nContent-Type: text/plain\r\n\r\n%b" % (error.status, text))
        answer.flush()
        return 0
    base = base_environ(False, True, sys.stderr) | {"wsgi.run_once": True}
    Handler(body, answer, sys.stderr, build_environ(head, base, body), multithread=False, multiprocess=True).run(app)
    return 0


# -- everything else, by the gateway itself ----------------------------------------------------------------------------


def _serve(app: Any, settings: Settings, variables: Pairs, body: IO[bytes], answer: IO[bytes]) -> int:
    import socket
    import threading

    from ssgi_gateway.adapters import negotiation
    from ssgi_gateway.engine import module
    from ssgi_gateway.server.control import Control

    application = negotiation.resolve(app, settings.interface, settings)
    if application.http is None:
        raise ConfigurationError("the application serves no HTTP, and CGI carries nothing else")
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    admit = module("server.acceptor", settings.codec).admit
    codec = module("wire.scgi.codec", settings.codec).ScgiCodec

    class OneRequest(Control):
        """Ends when the answer has."""

        def ready(self) -> None:
            gateway = self.gateway
            gateway.started_by_front = True
            admit(gateway, theirs.detach(), codec(settings.limits))
            loop = gateway.loop
            threading.Thread(target=_send, args=(ours, variables, body), daemon=True).start()
            threading.Thread(
                target=_receive, args=(ours, answer, lambda: loop.call_soon_threadsafe(self.stop)), daemon=True
            ).start()

    return int(module("server.serve", settings.codec).run(settings, application, [], OneRequest()))


def _send(connection: socket.socket, variables: Pairs, body: IO[bytes]) -> None:
    """The request, as SCGI has it: CONTENT_LENGTH first."""
    kept = [(name, value) for name, value in variables if name not in (b"CONTENT_LENGTH", b"SCGI")]
    first = [(b"CONTENT_LENGTH", dict(variables)[b"CONTENT_LENGTH"]), (b"SCGI", b"1")]
    block = b"".join(b"%b\0%b\0" % pair for pair in [*first, *kept])
    try:
        for data in _pieces(b"%d:%b," % (len(block), block), body):
            connection.sendall(data)
    except OSError:
        pass  # answered early


def _pieces(first: bytes, body: IO[bytes]) -> Iterable[bytes]:
    yield first
    while data := body.read(CHUNK):
        yield data


def _receive(connection: socket.socket, answer: IO[bytes], ended: Callable[[], object]) -> None:
    """The answer, as it comes."""
    try:
        while data := connection.recv(CHUNK):
            answer.write(data)
            answer.flush()
    except OSError:
        pass  # the client disconnected
    finally:
        ended()
