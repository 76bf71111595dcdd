"""Every way a request can take to the application. The behaviour tests run on each of them.

A route is a server block of one nginx, on a port of its own, whose only location is ``/``: so a test's path is the
application's path on every route. The locations are made of the files in deploy/nginx, as users have them; the
``stock`` ones of nginx's own parameter files and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

from .client import Address
from .gateway import Gateway, to_nginx
from .nginx import stock_file

__all__ = ["HTTP_ROUTES", "ROUTES", "UWSGI", "WEBSOCKET_ROUTES", "Route"]


@dataclass(frozen=True)
class Route:
    """One way to the application.

    Args:
        name: as it appears in test ids.
        protocol: what carries the request to the gateway: ``scgi``, ``fastcgi``, ``uwsgi``, ``websocket`` (the direct
            port).
        listener: ``unix`` or ``tcp``.
        websockets: whether WebSockets pass; only these pass the direct port.
        kept: FastCGI connections are kept for further requests.
        stock: nginx's own parameter file and defaults in place of our file.
        nginx: whether nginx is in front; without it the client speaks to the gateway itself.
    """

    name: str
    protocol: str
    listener: str
    websockets: bool = False
    kept: bool = False
    stock: bool = False
    nginx: bool = True

    @property
    def http(self) -> bool:
        """Whether requests that are no WebSockets pass."""
        return self.protocol != "websocket"

    @property
    def streams_uploads(self) -> bool:
        """Whether a body reaches the gateway while the client still sends it; elsewhere nginx collects it first."""
        return self.protocol == "fastcgi" and not self.stock

    @property
    def _name(self) -> str:
        return self.name.replace("-", "_")

    def upstream(self, address: Address) -> str:
        """Its ``upstream { }``, for the ``http { }`` block."""
        keepalive = "keepalive 8;" if self.kept else ""
        return f"upstream {self._name} {{ server {to_nginx(address)}; {keepalive} }}\n"

    def location(self) -> str:
        """The body of its ``server { }``."""
        directive = "proxy_pass http://" if self.protocol == "websocket" else f"{self.protocol}_pass "
        params = stock_file(f"{self.protocol}_params") if self.stock else f"ssgi/{self.protocol}.conf"
        tuning = "" if self.stock else "include ssgi/tuning.conf; "
        return f"{tuning}location / {{ include {params}; {directive}{self._name}; }}"

    def gateway_address(self, gateway: Gateway) -> Address:
        """Where the gateway listens for it."""
        return gateway.address(self.protocol, self.listener)


ROUTES = (
    Route("scgi-unix", "scgi", "unix", websockets=True),
    Route("scgi-tcp", "scgi", "tcp", websockets=True),
    Route("scgi-stock", "scgi", "unix", websockets=True, stock=True),
    Route("fastcgi-unix-kept", "fastcgi", "unix", kept=True),
    Route("fastcgi-unix-unkept", "fastcgi", "unix", stock=True),
    Route("fastcgi-tcp-kept", "fastcgi", "tcp", kept=True),
    Route("websocket-unix", "websocket", "unix", websockets=True),
    Route("websocket-tcp", "websocket", "tcp", websockets=True),
    Route("direct", "websocket", "tcp", websockets=True, nginx=False),
)

UWSGI = Route("uwsgi-stock", "uwsgi", "unix", websockets=True, stock=True)
"""For who comes from uWSGI. The tests of this project's own interface run over it as well; the others are above it."""

HTTP_ROUTES = tuple(route for route in ROUTES if route.http)
WEBSOCKET_ROUTES = tuple(route for route in ROUTES if route.websockets)
"""In-band through nginx (the scgi ones), the direct port behind nginx, and the direct port itself."""
