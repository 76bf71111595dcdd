"""What this project wants to reach: ratios within one run, each with the greatest it may be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One ratio.

    Args:
        title: what is compared.
        work: at which work.
        ours: the server of this project.
        other: the one it is compared with.
        figure: which figure of the samples.
        at_most: the goal; ``None`` where the ratio is only shown.
    """

    title: str
    work: str
    ours: str
    other: str
    at_most: float | None
    figure: str = "cpu"


CORE = (
    Row("SCGI, CPU a request / uWSGI over SCGI", "hello", "gateway-scgi", "uwsgi-scgi", 0.65),
    Row("SCGI, CPU a request / C that parses nothing", "hello", "gateway-scgi", "limit-scgi", 1.7),
    Row("uwsgi, CPU a request / uWSGI over uwsgi", "hello", "gateway-uwsgi", "uwsgi", 0.7),
    Row("FastCGI kept, CPU a request / uWSGI over FastCGI", "hello", "gateway-fastcgi", "uwsgi-fastcgi", 0.35),
    Row("FastCGI kept, CPU a request / Granian RSGI over HTTP kept", "hello", "gateway-fastcgi", "granian-rsgi", 0.35),
    Row("WebSocket echo 32 B direct, CPU a message / picows", "websocket-32", "gateway-direct", "picows", 0.55),
    Row("WebSocket echo 16 KiB direct, CPU a message / picows", "websocket-16k", "gateway-direct", "picows", 0.55),
    Row("WebSocket echo in-band through nginx, CPU a message / Granian RSGI through nginx", "websocket-nginx",
        "gateway-scgi", "granian-rsgi", 0.4),
    Row("upload over FastCGI, CPU a GB / Uvicorn", "upload", "gateway-fastcgi", "uvicorn", 0.5),
    Row("download over FastCGI, CPU a GB / Uvicorn", "download", "gateway-fastcgi", "uvicorn", 0.5),
    Row("download over SCGI, CPU a GB / Uvicorn", "download", "gateway-scgi", "uvicorn", 0.5),
    Row("idle WebSocket, bytes a connection / Uvicorn", "idle", "gateway-direct", "uvicorn", 0.25, "bytes"),
    Row("start to first answer, time / Uvicorn", "start", "gateway-scgi", "uvicorn", 0.6, "time"),
    Row("portable build, SCGI, CPU a request / aioscgi", "hello", "portable-scgi", "aioscgi", 0.4),
    Row("metrics on, CPU a request / off", "hello", "gateway-scgi", "gateway-scgi-unseen", 1.02),
    Row("hooks that are about no request, CPU a request / none", "hello", "gateway-scgi-hooks", "gateway-scgi", 1.02),
    Row("access log on, CPU a request / off", "hello", "gateway-scgi-log", "gateway-scgi", 1.12),
    Row("access log in JSON, CPU a request / off", "hello", "gateway-scgi-json", "gateway-scgi", 1.12),
)  # fmt: skip

INTERFACES = (
    Row("raw ASGI hello over FastCGI kept / Uvicorn over HTTP kept", "hello", "gateway-asgi", "uvicorn", 0.42),
    Row("raw ASGI hello over FastCGI kept / Granian ASGI", "hello", "gateway-asgi", "granian-asgi", 0.65),
    Row("raw ASGI hello over HTTP kept / Uvicorn", "hello", "gateway-http-asgi", "uvicorn", 0.6),
    Row("raw ASGI hello over HTTP kept / Granian ASGI", "hello", "gateway-http-asgi", "granian-asgi", 0.8),
    Row("raw RSGI hello over FastCGI kept / Granian RSGI", "hello", "gateway-rsgi", "granian-rsgi", 0.5),
    Row("raw WSGI hello over SCGI, inline / uWSGI over SCGI", "hello", "gateway-wsgi-inline", "uwsgi-scgi", 0.95),
    Row("raw WSGI hello, 8 threads / Granian WSGI, 8 threads", "hello", "gateway-wsgi-threads", "granian-wsgi-threads",
        0.7),
    Row("raw WSGI hello, 8 threads / Gunicorn gthread, 8 threads", "hello", "gateway-wsgi-threads", "gunicorn-gthread",
        0.2),
    Row("WSGI hello over CGI, the whole process / wsgiref's CGIHandler", "cgi", "gateway-cgi", "wsgiref-cgi", 1.5),
    Row("Starlette JSON over FastCGI kept / Uvicorn", "json", "gateway-starlette", "uvicorn-starlette", 0.65),
    Row("ASGI WebSocket echo 32 B direct / Granian ASGI", "websocket-32", "gateway-asgi-direct", "granian-asgi", 0.5),
)  # fmt: skip

FLEETS = (
    Row("8 workers at 300 requests a second, CPU a request / one worker", "steady", "gateway-scgi-w8",
        "gateway-scgi-w1", 1.3),
    Row("8 workers at 300 requests a second, CPU a request / uWSGI", "steady", "gateway-scgi-w8", "uwsgi-scgi-w8",
        None),
    Row("8 workers, memory of all / Uvicorn", "fleet", "gateway-scgi-w8", "uvicorn-w8", None, "bytes"),
    Row("8 workers, memory of all / uWSGI", "fleet", "gateway-scgi-w8", "uwsgi-scgi-w8", None, "bytes"),
    Row("8 workers, CPU of the start / Uvicorn", "fleet-start", "gateway-scgi-w8", "uvicorn-w8", None),
    Row("4 workers over SCGI, busiest by laziest / uWSGI", "shares", "gateway-scgi-w4", "uwsgi-scgi-w4", None,
        "spread"),
    Row("4 workers over FastCGI kept, busiest by laziest / Gunicorn", "shares", "gateway-fastcgi-w4", "gunicorn-w4",
        None, "spread"),
)  # fmt: skip

GROUPS = {
    "The core, one worker, the same small answer": CORE,
    "Other interfaces, CPU of the server a request or message": INTERFACES,
    "Several workers": FLEETS,
}
