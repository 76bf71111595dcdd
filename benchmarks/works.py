"""What is measured: each work, its main figure, and how a sample is shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Work:
    """One thing that servers do under load.

    Args:
        name: its key, for ``--only`` and in the raw data.
        title: the heading of its table.
        kind: how it is measured; a function of ``measure`` bears the name.
        function: the application's function in the modules of ``apps``.
        figure: which figure of a sample counts; less is better for all of them.
        unit: what the figure is in, in words for a reader.
        about: what a reader has to know.
        direct: the load goes to the server itself, over TCP, and not through nginx.
        size: bytes of a message.
        workers: processes that serve.
    """

    name: str
    title: str
    kind: str
    function: str
    figure: str
    unit: str
    about: str
    direct: bool = False
    size: int = 0
    workers: int = 1


WORKS = (
    Work("hello", "A small answer through nginx", "requests", "hello", "cpu", "µs of CPU a request",
         "Thirteen bytes and their `Content-Length`; one nginx in front of all, each server by its own protocol."),
    Work("json", "Starlette, a small JSON answer through nginx", "requests", "json", "cpu", "µs of CPU a request",
         "The same application, so most of the time is the framework's."),
    Work("websocket-32", "WebSocket echo, 32 bytes, direct", "messages", "echo", "cpu", "µs of CPU a message",
         "Binary messages over TCP, without nginx; every echo is compared with what was sent.", direct=True, size=32),
    Work("websocket-16k", "WebSocket echo, 16 KiB, direct", "messages", "echo", "cpu", "µs of CPU a message",
         "The same with longer messages.", direct=True, size=16384),
    Work("websocket-nginx", "WebSocket echo, 32 bytes, through nginx", "messages", "echo", "cpu", "µs of CPU a message",
         "Through nginx: in-band on SCGI, or proxied.", size=32),
    Work("upload", "Upload to a handler that counts", "upload", "upload", "cpu", "ms of CPU a GB",
         "Through nginx, which passes the body on as it comes; over SCGI it keeps it first, as SCGI needs the length."),
    Work("download", "Download in pieces of 64 KiB", "download", "download", "cpu", "ms of CPU a GB",
         "Through nginx; the application waits for each send and announces the length."),
    Work("idle", "Idle WebSockets", "idle", "echo", "bytes", "bytes of memory a connection",
         "Growth of the proportional set size (PSS) of all the server's processes.", direct=True),
    Work("start", "From start to the first answer", "start", "hello", "time", "ms",
         "From starting the command until nginx hands out its answer, with warm file caches."),
    Work("cgi", "CGI: a process for each request", "programs", "hello", "cpu", "ms of CPU a request",
         "The whole process, from its start to its end, without a web server; the smallest WSGI application."),
    Work("steady", "300 requests a second, one or eight workers", "steady", "hello", "cpu", "µs of CPU a request",
         "A worker sleeps before each request: what counts is how many wake up for it."),
    Work("shares", "Four workers, as many requests as can be", "shares", "hello", "spread", "busiest / laziest worker",
         "CPU of the worker that did most, by that of the one that did least.", workers=4),
    Work("fleet", "Eight workers", "fleet", "hello", "bytes", "bytes of memory",
         "Proportional set size (PSS) of all processes after the start and one request.", workers=8),
    Work("fleet-start", "The start of eight workers", "fleet", "hello", "cpu", "ms of CPU",
         "CPU of all processes until the start is over.", workers=8),
)  # fmt: skip

BY_NAME = {work.name: work for work in WORKS}
