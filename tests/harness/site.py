"""One gateway and one nginx with every route between them, and what a test asks of them.

``Site`` starts both; ``Endpoint`` is a site seen through one route: tests are written against it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from .client import TIMEOUT, Address, Headers, HttpConnection, Response, request
from .gateway import Gateway
from .nginx import Nginx
from .process import DEADLINE, wait_until
from .routes import ROUTES, Route
from .websocket import WebSocketClient

__all__ = ["Endpoint", "Record", "Site"]

Record = tuple[float, str, Any]
"""``(monotonic seconds, event, detail)``: what tests.apps.records.record noted."""

APP = "tests.apps.behaviour:app"


class Site:
    """A running gateway behind a running nginx; a context manager that stops both.

    Args:
        directory: an existing folder for configuration and logs.
        app: what the gateway serves.
        options: further words of the gateway's command line.
        env: environment variables of the gateway.
        routes: those to set up.
        http: further lines of nginx's ``http { }``.
        server: further lines of each of its ``server { }``.
    """

    def __init__(
        self,
        directory: Path,
        app: str = APP,
        *,
        options: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        routes: Iterable[Route] = ROUTES,
        http: str = "client_max_body_size 0;",
        server: str = "",
    ) -> None:
        self.directory = directory
        both = ("unix", "tcp")
        routes = tuple(routes)
        direct = both if any(route.protocol == "websocket" for route in routes) else ()  # opened for WebSockets only
        uwsgi = ("unix",) if any(route.protocol == "uwsgi" for route in routes) else ()
        self.gateway = Gateway(
            app, directory, scgi=both, fastcgi=both, uwsgi=uwsgi, websocket=direct, options=options, env=env
        )
        through = [route for route in routes if route.nginx]
        upstreams = "".join(route.upstream(route.gateway_address(self.gateway)) for route in through)
        try:
            servers = {it.name: f"{server}\n{it.location()}" for it in through}
            self.nginx = Nginx(directory / "nginx", servers, f"{http}\n{upstreams}")
        except BaseException:
            self.gateway.kill()
            raise

    def address(self, route: Route) -> Address:
        """Where a client connects for that route."""
        return self.nginx.address(route.name) if route.nginx else route.gateway_address(self.gateway)

    def through(self, route: Route) -> Endpoint:
        """The site seen through one route."""
        return Endpoint(self, route)

    def mark(self) -> tuple[int, int]:
        """How much was logged so far, for ``logs``."""
        return len(self.gateway.process.text()), len(self.nginx.error_log())

    def logs(self, since: tuple[int, int] = (0, 0)) -> str:
        """What the gateway and then what nginx logged after a ``mark``."""
        return self.gateway.process.text()[since[0] :] + "\n" + self.nginx.error_log()[since[1] :]

    def stop(self) -> None:
        """Stop nginx, then the gateway, and check that both ended well."""
        try:
            self.nginx.stop()
        finally:
            self.gateway.__exit__()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def records(self, key: str) -> list[Record]:
        """What the application noted under ``key`` so far (the behaviour application, ``/do/records``)."""
        answer = request(self.nginx.address("scgi-unix"), "GET", f"/do/records?key={key}")
        return [(at, event, detail) for at, event, detail in answer.json()]

    def wait_for_record(
        self, key: str, event: str, condition: Callable[[Any], bool] = lambda detail: True, timeout: float = DEADLINE
    ) -> Record:
        """Wait until the application noted ``event`` under ``key``, with a detail that meets ``condition``."""
        found: list[Record] = []

        def noted() -> bool:
            found[:] = [it for it in self.records(key) if it[1] == event and condition(it[2])]
            return bool(found)

        wait_until(noted, f"the application noting {event!r} under {key!r}", timeout, interval=0.02)
        return found[0]


class Endpoint:
    """A site as clients of one route see it."""

    def __init__(self, site: Site, route: Route) -> None:
        self.site = site
        self.route = route
        self.address = site.address(route)

    def request(
        self,
        method: str,
        target: str | bytes,
        headers: Headers = (),
        body: bytes | Iterable[bytes] | None = None,
        *,
        chunked: bool = False,
        timeout: float = TIMEOUT,
        host: str | None = "",
    ) -> Response:
        """One request on a connection of its own; see ``client.request``."""
        return request(self.address, method, target, headers, body, chunked=chunked, timeout=timeout, host=host)

    def get(self, target: str | bytes, headers: Headers = ()) -> Response:
        """A GET."""
        return self.request("GET", target, headers)

    def connection(self, timeout: float = TIMEOUT, receive_buffer: int = 0) -> HttpConnection:
        """A connection to be used step by step."""
        return HttpConnection(self.address, timeout, receive_buffer)

    def websocket(
        self,
        target: str = "/ws/echo",
        headers: Headers = (),
        *,
        subprotocols: Sequence[str] = (),
        deflate: bool = False,
        timeout: float = TIMEOUT,
        receive_buffer: int = 0,
    ) -> WebSocketClient:
        """An open WebSocket; see ``WebSocketClient``."""
        return WebSocketClient(
            self.address,
            target,
            headers,
            subprotocols=subprotocols,
            deflate=deflate,
            timeout=timeout,
            receive_buffer=receive_buffer,
        )

    def wait_for_record(
        self, key: str, event: str, condition: Callable[[Any], bool] = lambda detail: True, timeout: float = DEADLINE
    ) -> Record:
        """See ``Site.wait_for_record``."""
        return self.site.wait_for_record(key, event, condition, timeout)

    def aborted_after(self, key: str, left: float, event: str = "aborted") -> float:
        """Seconds between ``left`` (``time.monotonic()`` when the client went) and the application's note of it."""
        return self.wait_for_record(key, event)[0] - left

    @staticmethod
    def now() -> float:
        """The clock of the records."""
        return time.monotonic()
