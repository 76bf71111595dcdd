"""The client: what an application holds. It decides which connection by the url, and keeps what can be kept."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from ssgi_gateway.errors import ClientError, ConfigurationError, LocalProtocolError
from ssgi_gateway.wire.client.events import AnswerReceived, InformationalReceived
from ssgi_gateway.wire.client.http1_parsers import parser_factory
from ssgi_gateway.wire.client.http2_compression import is_available, load
from ssgi_gateway.wire.client.request import Request, Url
from ssgi_gateway.wire.client.scgi import check_target

from .channel import Channel
from .exchange import Connected, Exchange, Failed
from .options import TLS, Limits, Timeouts
from .origin import Origin, gateway_origin, parse_proxy, proxy_of_environment
from .place import Place
from .pool import Pool
from .reactor import ClientReactor
from .response import Response
from .upload import send_pieces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

__all__ = ["Call", "Client"]


@dataclass(slots=True)
class Call:
    """A request on its way through middleware, which may change it."""

    method: str
    url: str
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: Any = b""
    extensions: dict[str, Any] | None = None
    timeouts: Timeouts | None = None


class Client:
    """Sends requests to web servers and gateways: HTTP/1.1, HTTP/2, SCGI, FastCGI.

    Args:
        timeouts, limits, tls: see their classes.
        http2: True offers it by ALPN, False does not, ``"prior-knowledge"`` speaks it without TLS, too.
        retries: how often an exchange is begun again where that is safe.
        proxy: ``"http://user:pass@host:port"``.
        trust_env: take the proxy from ``http_proxy``, ``https_proxy`` and ``no_proxy``.
        scgi, fastcgi: the address of a gateway that all requests go to, whatever host their url names.
        app: an SSGI, ASGI, RSGI or WSGI application in this process, which all requests go to.
        middleware: ``async f(call, call_next)`` around ``request``, the first one outermost.
        parser: ``"auto"``, ``"httptools"`` or ``"h11"``, for HTTP/1.1.
    """

    def __init__(
        self,
        *,
        timeouts: Timeouts | None = None,
        limits: Limits | None = None,
        tls: TLS | None = None,
        http2: bool | str = True,
        retries: int = 1,
        proxy: str | None = None,
        trust_env: bool = False,
        scgi: str | None = None,
        fastcgi: str | None = None,
        app: Any = None,
        middleware: Sequence[Callable[[Call, Any], Awaitable[Response]]] = (),
        parser: str = "auto",
    ) -> None:
        for name, value, kind in (("timeouts", timeouts, Timeouts), ("limits", limits, Limits), ("tls", tls, TLS)):
            if value is not None and not isinstance(value, kind):
                raise ConfigurationError(f"{name}={value!r}: write {name}={kind.__name__}(...)")
        self.timeouts = timeouts or Timeouts()
        self.limits = limits or Limits()
        self.tls = tls or TLS()
        if http2 not in (True, False, "prior-knowledge"):
            raise ConfigurationError(f"http2={http2!r}: write True, False or 'prior-knowledge'")
        parser_factory(parser)  # refuses one that is not there
        if http2 and not is_available():
            if http2 == "prior-knowledge":
                raise ConfigurationError("HTTP/2 needs header compression: pip install 'ssgi-gateway[client]'")
            http2 = False
        if http2 == "prior-knowledge":
            load()  # it will be needed, and no request waits yet
        self._http2 = http2
        self._retries = retries
        self._proxy = parse_proxy(proxy) if proxy else None
        self._trust_env = trust_env
        given = [name for name, value in (("scgi", scgi), ("fastcgi", fastcgi), ("app", app)) if value is not None]
        if len(given) > 1:
            raise ConfigurationError(f"{' and '.join(given)}: all requests of a client go to one of them")
        self._gateway = gateway_origin(scgi, fastcgi, app)
        self._app = app
        self._parser = parser
        self._pool: Pool | None = None
        self._closed = False
        self._uploads: set[asyncio.Task[None]] = set()
        self._send = self._request
        for layer in reversed(middleware):
            self._send = _wrap(layer, self._send)

    # -- life ------------------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._app is not None:
            await self._start_application()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections. What still waits fails with a ClientError."""
        if not self._closed:
            self._closed = True
            if self._pool is not None:
                await self._pool.aclose()
            uploads = tuple(self._uploads)
            for upload in uploads:
                upload.cancel()
            if uploads:
                await asyncio.wait(uploads)
            if self._app is not None and self._local is not None:
                await self._local.aclose()

    _local: Any = None

    async def _start_application(self) -> None:
        if self._local is None:
            from ..server.in_process import InProcessServer  # a client of other servers loads none

            app = self._app
            self._local = local = app if isinstance(app, InProcessServer) else InProcessServer(app)
            await local.start()
            self.pool.opener = local.open

    @property
    def pool(self) -> Pool:
        """The connections; made at the first request, in the loop that makes it.

        Raises:
            RuntimeError: the client was closed, or belongs to another loop or process.
        """
        pool = self._pool
        if self._closed:
            raise RuntimeError("this client was closed; make another one")
        if pool is None:
            reactor = ClientReactor(asyncio.get_running_loop())
            pool = Pool(reactor, self.limits, self.timeouts, self.tls, self._parser, self._http2)
            self._pool = pool
        elif pool.reactor.forked:
            raise RuntimeError("this client was made before a fork; make one in each process")
        elif pool.reactor.loop.asyncio is not asyncio.get_running_loop():
            raise RuntimeError("this client belongs to another event loop; make one for each loop")
        return pool

    @property
    def loop(self) -> Any:
        """The loop of the client's connections."""
        return self.pool.reactor.loop.asyncio

    # -- messages --------------------------------------------------------------------------------------------------

    async def run(self, app: Callable[..., Awaitable[Any]]) -> Any:
        """Run an ACGI application, ``await app(receive, send)``; gives what it returns."""
        async with self.exchange() as (receive, send):
            return await app(receive, send)

    @asynccontextmanager
    async def exchange(self) -> AsyncIterator[tuple[Any, Any]]:
        """``(receive, send)`` for one request after the other; the pool decides which connection carries each."""
        channel = Channel(self)
        try:
            yield channel.receive, channel.send
        finally:
            channel.close()

    @asynccontextmanager
    async def connection(self, url: str) -> AsyncIterator[tuple[Any, Any]]:
        """``(receive, send)`` over one connection to where the url points, for many requests, by ``stream_id``.

        Where a protocol carries one at a time, ``send`` of the next request waits for the end of the one before.
        """
        pool = self.pool
        place = Place(self._origin(Request("GET", url).url), 1)
        channel = Channel(self, place)
        try:
            yield channel.receive, channel.send
        finally:
            channel.close()
            pool.close_place(place)

    def exchange_of(self, request: Request, place: Place | None = None) -> Exchange:
        """An exchange that is ready to begin."""
        pool = self.pool
        timeouts = request.timeout if isinstance(request.timeout, Timeouts) else self.timeouts
        retries = 0
        if place is None:
            place = pool.place_of(self._origin(request.url, request.upgrade))
            retries = self._retries
        if place.origin.kind == "scgi":
            check_target(request.target)
        return Exchange(pool, place, request, timeouts, retries)

    def _origin(self, url: Url, upgrade: bool = False) -> Origin:
        if self._gateway is not None:
            # In this process HTTP goes by FastCGI, which streams, and WebSockets by SCGI, which has them in-band.
            return self._gateway._replace(kind="scgi") if upgrade and self._app is not None else self._gateway
        secure = url.scheme == "https"
        if url.scheme in ("scgi", "fcgi"):
            return Origin(url.scheme, url.host, url.port, url.path)
        proxy = self._proxy
        if proxy is None and self._trust_env:
            proxy = proxy_of_environment(url)
        if proxy is not None and not url.path:
            # One connection to the proxy carries what goes to any host, but for TLS.
            return Origin("http", url.host if secure else "", url.port if secure else 0, "", secure, proxy)
        return Origin("http", url.host, url.port, url.path, secure)

    # -- the convenient face ---------------------------------------------------------------------------------------

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Iterable[tuple[bytes | str, bytes | str]] | dict[str, str] | None = None,
        body: Any = b"",
        extensions: dict[str, Any] | None = None,
        timeouts: Timeouts | None = None,
    ) -> Response:
        """Send a request, and return when the head of the answer has arrived.

        Args:
            method: GET, POST ...
            url: http, https, scgi, fcgi; ``scheme://unix:/run/app.sock:/path`` for unix sockets.
            headers: pairs, or a dict.
            body: bytes, or an iterable, or an asynchronous iterable of bytes.
            extensions: ``{"cgi": {name: value}}`` and others of ``http.request``.
            timeouts: in place of the client's.

        Raises:
            ClientError: there was no answer.
            LocalProtocolError: the request is none.
        """
        call = Call(method, url, _pairs(headers), body, extensions, timeouts)
        return await self._send(call)

    @asynccontextmanager
    async def stream(self, method: str, url: str, **arguments: Any) -> AsyncIterator[Response]:
        """As ``request``; what was not read by the end of the block is given up."""
        response = await self.request(method, url, **arguments)
        try:
            yield response
        finally:
            await response.aclose()

    def _start_upload(self, exchange: Exchange, body: Any) -> asyncio.Task[None]:
        """Send an iterable beside the answer: who reads only when all is sent may wait for ever, and so may we."""
        task: asyncio.Task[None] = self.loop.create_task(send_pieces(exchange, body))
        self._uploads.add(task)
        self.pool.reactor.loop.when_done(task, self._uploads.discard)
        return task

    async def _request(self, call: Call) -> Response:
        if self._app is not None and self._local is None:
            await self._start_application()
        body = b"" if call.body is None else call.body
        plain = isinstance(body, bytes | bytearray | memoryview)
        if not plain and (
            isinstance(body, str | dict) or not (hasattr(body, "__iter__") or hasattr(body, "__aiter__"))
        ):
            raise LocalProtocolError(f"a body is bytes, or an iterable of bytes, not {type(body).__name__}: encode it")
        request = Request(call.method, call.url, call.headers, body if plain else b"", not plain, call.extensions)
        if call.timeouts is not None:
            request.timeout = call.timeouts
        exchange = self.exchange_of(request)
        exchange.begin()
        upload = None if plain else self._start_upload(exchange, body)
        connection: Connected | None = None
        informational: list[Any] = []
        try:
            while True:
                event = await exchange.next()
                kind = type(event)
                if kind is AnswerReceived:
                    if upload is not None and exchange.over:
                        upload.cancel()  # the rest is not wanted
                    return Response(exchange, event, connection, informational, upload)
                if kind is Connected:
                    connection = event
                elif kind is InformationalReceived:
                    informational.append((event.status, event.headers))
                elif kind is Failed:
                    raise event.error or ClientError("the connection was closed")
        except BaseException:
            if upload is not None:
                upload.cancel()
            exchange.abandon()
            raise


def _wrap(layer: Any, call_next: Any) -> Any:
    async def send(call: Call) -> Response:
        response: Response = await layer(call, call_next)
        return response

    return send


def _pairs(headers: Any) -> list[tuple[bytes, bytes]]:
    if not headers:
        return []
    pairs = headers.items() if isinstance(headers, dict) else headers
    try:
        return [
            (
                name if type(name) is bytes else name.encode("latin-1"),
                value if type(value) is bytes else value.encode("latin-1"),
            )
            for name, value in pairs
        ]
    except (AttributeError, UnicodeEncodeError, TypeError, ValueError) as error:
        raise LocalProtocolError(f"headers are pairs of str (latin-1) or bytes: {error}") from None
