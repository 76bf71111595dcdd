"""Who takes part: this project in its builds and interfaces, its peers, and C programs that show the limit.

Every server is one worker, unless its title says more, with its defaults, except that access logs are off and that a
setting is named in ``title`` where one was needed. The words of a command may hold

``{python}``, ``{bin}``      this environment's interpreter, and the folder of its programs
``{native}``                 the folder of the compiled C programs
``{module}``, ``{function}`` the application, from ``apps``
``{socket}``, ``{port}``     where to listen: a unix socket behind nginx, a port of 127.0.0.1 for direct works
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .works import Work

GATEWAY, PEER, LIMIT = "gateway", "peer", "limit"


@dataclass(frozen=True, slots=True)
class Server:
    """One server in one configuration.

    Args:
        name: its key, for ``--only`` and in the raw data.
        title: how readers know it.
        kind: ``GATEWAY``, ``PEER`` or ``LIMIT``.
        works: the names of the works it takes part in.
        route: how nginx speaks to it: ``scgi``, ``fastcgi``, ``uwsgi`` or ``http`` (kept alive).
        command: the words that start it, without where to listen.
        unix: the words that let it listen on ``{socket}``.
        tcp: the words that let it listen on ``{port}``.
        module: the application's module.
        packages: the distributions it needs; a missing one is the reason it is not measured.
    """

    name: str
    title: str
    kind: str
    works: tuple[str, ...]
    route: str
    command: tuple[str, ...]
    unix: tuple[str, ...] = ()
    tcp: tuple[str, ...] = ()
    module: str = ""
    packages: tuple[str, ...] = ()

    def words(self, work: Work, places: Mapping[str, str]) -> list[str]:
        """The command for a work."""
        values = {**places, "module": self.module, "function": work.function}
        return [word.format_map(values) for word in (*self.command, *(self.tcp if work.direct else self.unix))]


HTTP = ("hello", "upload", "download")
STREAMED = ("hello", "json", "upload", "download", "start")
DIRECT = ("websocket-32", "websocket-16k", "idle")
SOCKETS = (*DIRECT, "websocket-nginx")


def gateway(
    name: str, title: str, works: tuple[str, ...], route: str, module: str, *options: str, listener: str = ""
) -> Server:
    """This project; the route says which listener it gets, unless it is named."""
    command = ("{bin}/ssgi-gateway", "serve", "{module}:{function}", "--workers", "0", *options)
    listener = listener or ("--websocket" if route == "http" else f"--{route}")
    unix, tcp = (listener, "unix:{socket}"), (listener, "127.0.0.1:{port}")
    return Server(name, title, GATEWAY, works, route, command, unix, tcp, module, ("ssgi-gateway",))


COMPILED = ("--codec", "compiled")
PORTABLE = ("--codec", "portable")
ASGI, RSGI, WSGI = (("--interface", name, *COMPILED) for name in ("asgi", "rsgi", "wsgi"))

OURS = (
    gateway("gateway-scgi", "ssgi-gateway, SCGI", (*HTTP, "websocket-nginx", "start"), "scgi", "on_ssgi", *COMPILED),
    gateway("gateway-fastcgi", "ssgi-gateway, FastCGI", (*HTTP, "start"), "fastcgi", "on_ssgi", *COMPILED),
    gateway("gateway-uwsgi", "ssgi-gateway, uwsgi", HTTP, "uwsgi", "on_ssgi", *COMPILED),
    gateway("gateway-direct", "ssgi-gateway, WebSocket port", SOCKETS, "http", "on_ssgi", *COMPILED),
    gateway("portable-scgi", "ssgi-gateway portable, SCGI", (*HTTP, "start"), "scgi", "on_ssgi", *PORTABLE),
    gateway("portable-fastcgi", "ssgi-gateway portable, FastCGI", HTTP, "fastcgi", "on_ssgi", *PORTABLE),
    gateway("portable-direct", "ssgi-gateway portable, WebSocket port", SOCKETS, "http", "on_ssgi", *PORTABLE),
    # What this project's own access log costs; the other rows are without it, as those of all peers.
    gateway("gateway-scgi-log", "ssgi-gateway, SCGI, access log on", ("hello",), "scgi", "on_ssgi", *COMPILED,
            "--access-log", "{socket}.log"),
    gateway("gateway-scgi-json", "ssgi-gateway, SCGI, access log in JSON", ("hello",), "scgi", "on_ssgi", *COMPILED,
            "--access-log", "{socket}.log", "--access-log-format", "json"),
    gateway("gateway-scgi-unseen", "ssgi-gateway, SCGI, no metrics", ("hello",), "scgi", "on_ssgi", *COMPILED,
            "--no-metrics"),
    gateway("gateway-scgi-hooks", "ssgi-gateway, SCGI, hooks that are about no request", ("hello",), "scgi", "on_ssgi",
            *COMPILED, "--hooks", "{module}:Deaf"),
    gateway("gateway-http-asgi", "ssgi-gateway, ASGI over HTTP", HTTP, "http", "on_asgi", *ASGI, listener="--http"),
    gateway("gateway-http-rsgi", "ssgi-gateway, RSGI over HTTP", HTTP, "http", "on_rsgi", *RSGI, listener="--http"),
    gateway("gateway-asgi", "ssgi-gateway, ASGI over FastCGI", ("hello", "upload", "download"), "fastcgi", "on_asgi",
            *ASGI),
    gateway("gateway-starlette", "ssgi-gateway, ASGI over FastCGI", ("json",), "fastcgi", "on_starlette", *ASGI),
    gateway("gateway-asgi-direct", "ssgi-gateway, ASGI, WebSocket port", SOCKETS, "http", "on_asgi", *ASGI),
    gateway("gateway-rsgi", "ssgi-gateway, RSGI over FastCGI", HTTP, "fastcgi", "on_rsgi", *RSGI),
    gateway("gateway-rsgi-direct", "ssgi-gateway, RSGI, WebSocket port", SOCKETS, "http", "on_rsgi", *RSGI),
    gateway("gateway-wsgi-inline", "ssgi-gateway, WSGI over SCGI, inline", ("hello",), "scgi", "on_wsgi", *WSGI,
            "--threads", "0"),
    gateway("gateway-wsgi-threads", "ssgi-gateway, WSGI over FastCGI, 8 threads", HTTP, "fastcgi", "on_wsgi", *WSGI,
            "--threads", "8"),
)  # fmt: skip

CGI = (
    Server("gateway-cgi", "ssgi-gateway, WSGI over CGI", GATEWAY, ("cgi",), "cgi",
           ("{bin}/ssgi-gateway", "serve", "{module}:{function}"), module="on_wsgi", packages=("ssgi-gateway",)),
    Server("wsgiref-cgi", "wsgiref's CGIHandler", PEER, ("cgi",), "cgi", ("{python}", "serve_cgi.py")),
)  # fmt: skip
"""Programs for one request; nothing listens."""


LIMITS = (
    Server("limit-scgi", "C, SCGI, parses nothing", LIMIT, ("hello",), "scgi", ("{native}/limit_scgi",), ("{socket}",)),
    Server("limit-fastcgi", "C, FastCGI, parses nothing", LIMIT, ("hello",), "fastcgi", ("{native}/limit_fastcgi",),
           ("{socket}",)),
    Server("limit-websocket", "C, unmasks and nothing else", LIMIT, ("websocket-32", "websocket-16k"), "http",
           ("{native}/limit_websocket",), tcp=("{port}",)),
)  # fmt: skip


def uwsgi(name: str, title: str, works: tuple[str, ...], route: str, option: str, *options: str) -> Server:
    """UWSGI; without --die-on-term a SIGTERM would make it start anew."""
    command = ("{bin}/uwsgi", "--module", "{module}:{function}", "--disable-logging", "--die-on-term", *options)
    unix = (option, "{socket}", "--chmod-socket=666")
    return Server(name, title, PEER, works, route, command, unix, (), "on_wsgi", ("uWSGI",))


def gunicorn(name: str, title: str, *options: str, works: tuple[str, ...] = (*HTTP, "start")) -> Server:
    """Gunicorn; its access log is off by default."""
    command = ("{bin}/gunicorn", "--no-control-socket", *options, "{module}:{function}")
    return Server(name, title, PEER, works, "http", command, ("--bind", "unix:{socket}"), (), "on_wsgi", ("gunicorn",))


def uvicorn(name: str, title: str, works: tuple[str, ...], module: str, *options: str) -> Server:
    """Uvicorn with what its ``standard`` extra installs, which its defaults then use: uvloop, httptools, websockets."""
    command = ("{bin}/uvicorn", "--no-access-log", *options, "{module}:{function}")
    return Server(name, title, PEER, works, "http", command, ("--uds", "{socket}"), ("--port", "{port}"), module,
                  ("uvicorn",))  # fmt: skip


def granian(name: str, title: str, works: tuple[str, ...], interface: str, module: str, *options: str) -> Server:
    """Granian; its access log is off by default. Its backlog bounds the connections it has at once."""
    command = ("{bin}/granian", "--interface", interface, *options, "{module}:{function}")
    return Server(name, title, PEER, works, "http", command, ("--uds", "{socket}"), ("--port", "{port}"), module,
                  ("granian",))  # fmt: skip


def hypercorn(name: str, works: tuple[str, ...], module: str) -> Server:
    """Hypercorn on uvloop; its access log is off by default."""
    command = ("{bin}/hypercorn", "-k", "uvloop", "{module}:{function}")
    return Server(name, "Hypercorn, uvloop", PEER, works, "http", command, ("--bind", "unix:{socket}"),
                  ("--bind", "127.0.0.1:{port}"), module, ("hypercorn", "uvloop"))  # fmt: skip


def own(name: str, title: str, works: tuple[str, ...], program: str, *packages: str) -> Server:
    """A peer that is a library: its server is a program of ours in ``apps``."""
    return Server(name, title, PEER, works, "http", ("{python}", program), (), ("{port}",), "", packages)


FLEET = ("steady", "fleet", "fleet-start")
FLEETS = (
    gateway("gateway-scgi-w1", "ssgi-gateway, SCGI, 1 worker", ("steady",), "scgi", "on_ssgi", *COMPILED,
            "--workers", "1"),
    gateway("gateway-scgi-w8", "ssgi-gateway, SCGI, 8 workers", FLEET, "scgi", "on_ssgi", *COMPILED, "--workers", "8"),
    gateway("gateway-scgi-w4", "ssgi-gateway, SCGI, 4 workers", ("shares",), "scgi", "on_ssgi", *COMPILED,
            "--workers", "4"),
    gateway("gateway-fastcgi-w4", "ssgi-gateway, FastCGI, 4 workers", ("shares",), "fastcgi", "on_ssgi", *COMPILED,
            "--workers", "4"),
    uwsgi("uwsgi-scgi-w8", "uWSGI, SCGI, 8 workers", FLEET, "scgi", "--scgi-socket", "--master", "--processes", "8"),
    uwsgi("uwsgi-scgi-w4", "uWSGI, SCGI, 4 workers", ("shares",), "scgi", "--scgi-socket", "--master", "--processes",
          "4"),
    gunicorn("gunicorn-w8", "Gunicorn, sync, 8 workers", "--workers", "8", works=FLEET),
    gunicorn("gunicorn-w4", "Gunicorn, sync, 4 workers", "--workers", "4", works=("shares",)),
    uvicorn("uvicorn-w8", "Uvicorn, 8 workers", FLEET, "on_asgi", "--workers", "8"),
    uvicorn("uvicorn-w4", "Uvicorn, 4 workers", ("shares",), "on_asgi", "--workers", "4"),
    granian("granian-rsgi-w8", "Granian, RSGI, 8 workers", FLEET, "rsgi", "on_rsgi", "--workers", "8"),
    granian("granian-rsgi-w4", "Granian, RSGI, 4 workers", ("shares",), "rsgi", "on_rsgi", "--workers", "4"),
)  # fmt: skip
"""Several workers."""

ECHO = tuple(work for work in SOCKETS if work != "idle")
ROOMY = ("--backlog", "16384", "--backpressure", "16384")

PEERS = (
    uwsgi("uwsgi-scgi", "uWSGI, SCGI", (*HTTP, "start"), "scgi", "--scgi-socket"),
    uwsgi("uwsgi-fastcgi", "uWSGI, FastCGI", HTTP, "fastcgi", "--fastcgi-socket"),
    uwsgi("uwsgi", "uWSGI, uwsgi", HTTP, "uwsgi", "--uwsgi-socket"),
    gunicorn("gunicorn-sync", "Gunicorn, sync"),
    gunicorn("gunicorn-gthread", "Gunicorn, gthread, 8 threads", "--worker-class", "gthread", "--threads", "8"),
    uvicorn("uvicorn", "Uvicorn", (*HTTP, "start", *SOCKETS), "on_asgi"),
    uvicorn("uvicorn-wsproto", "Uvicorn, wsproto", SOCKETS, "on_asgi", "--ws", "wsproto"),
    uvicorn("uvicorn-starlette", "Uvicorn", ("json",), "on_starlette"),
    granian("granian-rsgi", "Granian, RSGI", (*HTTP, "start", *ECHO), "rsgi", "on_rsgi"),
    granian("granian-asgi", "Granian, ASGI", (*HTTP, "start", *ECHO), "asgi", "on_asgi"),
    granian("granian-starlette", "Granian, ASGI", ("json",), "asgi", "on_starlette"),
    granian("granian-idle", "Granian, RSGI, backlog 16384", ("idle",), "rsgi", "on_rsgi", *ROOMY),
    granian("granian-wsgi", "Granian, WSGI", HTTP, "wsgi", "on_wsgi"),
    granian("granian-wsgi-threads", "Granian, WSGI, 8 threads", HTTP, "wsgi", "on_wsgi", "--blocking-threads", "8"),
    hypercorn("hypercorn", (*HTTP, "start", *SOCKETS), "on_asgi"),
    hypercorn("hypercorn-starlette", ("json",), "on_starlette"),
    Server("aioscgi", "aioscgi, SCGI", PEER, ("hello", "start"), "scgi",
           ("{bin}/aioscgi", "--base-uri", "/", "{module}:{function}"), ("--unix-socket", "{socket}"), (), "on_asgi",
           ("aioscgi",)),
    Server("flup-scgi", "flup, SCGI", PEER, ("hello",), "scgi", ("{python}", "serve_flup.py", "scgi"), ("{socket}",),
           packages=("flup",)),
    Server("flup-fastcgi", "flup, FastCGI", PEER, ("hello",), "fastcgi", ("{python}", "serve_flup.py", "fastcgi"),
           ("{socket}",), packages=("flup",)),
    Server("socketify", "socketify", PEER, ("hello", *ECHO, "idle"), "http", ("{python}", "serve_socketify.py"),
           ("unix:{socket}",), ("{port}",), packages=("socketify",)),
    own("picows", "picows", DIRECT, "serve_picows.py", "picows", "uvloop"),
    own("websockets", "websockets, uvloop", DIRECT, "serve_websockets.py", "websockets", "uvloop"),
)  # fmt: skip

SERVERS = (*OURS, *FLEETS, *CGI, *LIMITS, *PEERS)
BY_NAME = {server.name: server for server in SERVERS}

REQUIREMENTS = (
    "uWSGI", "gunicorn", "uvicorn[standard]", "uvloop", "granian", "hypercorn", "aioscgi", "flup", "picows",
    "websockets", "wsproto", "socketify", "starlette", "msgspec", "python-socketio", "connectrpc", "grpcio", "protobuf",
    "aiohttp-rpc", "aiohttp", "httpx", "h2", "hpack", "httptools", "jh2", "niquests",
)  # fmt: skip
"""What is installed from PyPI; one that cannot be is missing, and no reason for the others to be."""
