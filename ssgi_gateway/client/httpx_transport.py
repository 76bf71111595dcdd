"""httpx on this client: ``httpx.AsyncClient(transport=HttpxTransport())``, and the same for ``httpx.Client``.

Redirects, cookies, authentication, decompression and JSON are httpx's; connections, HTTP/2, SCGI and FastCGI are ours.
httpx is not imported here: the request shows which one it is, ``httpx`` or ``httpx2``.
"""

from __future__ import annotations

import asyncio
import importlib
import queue
import re
import threading
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Self

from ssgi_gateway import errors
from ssgi_gateway.wire.client.request import parse_url

from .client import Client
from .options import Timeouts

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import AsyncIterator, Iterator

    from .response import Response

__all__ = ["HttpxTransport"]

NAMES: Final = (
    (errors.ConnectTimeout, "ConnectTimeout"),
    (errors.ConnectError, "ConnectError"),
    (errors.PoolTimeout, "PoolTimeout"),
    (errors.WriteTimeout, "WriteTimeout"),
    (errors.ReadTimeout, "ReadTimeout"),
    (errors.ConnectionReset, "ReadError"),
    (errors.RemoteProtocolError, "RemoteProtocolError"),
    (errors.ClientError, "RemoteProtocolError"),
    (errors.LocalProtocolError, "LocalProtocolError"),
)
"""Our errors, and httpx's of the same meaning; the first that fits."""
TARGET: Final = re.compile(rb"[\x21-\x7e]+")
LEFT: Final[list[Any]] = []
"""What a fork left in a child and the child must not touch."""


class HttpxTransport:
    """A transport for ``httpx.AsyncClient`` and ``httpx.Client``.

    Args:
        options: those of ``Client``: ``scgi="unix:/run/app.sock"``, ``fastcgi=``, ``app=``, ``proxy=``, ``tls=`` ...
    """

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._client: Client | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    # -- for coroutines --------------------------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._options.get("app") is not None:
            await self._opened().__aenter__()  # its startup hooks, before the first request
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def handle_async_request(self, request: Any) -> Any:
        """What ``httpx.AsyncClient`` calls."""
        httpx = _module_of(request)
        body = _content(httpx, request)
        try:
            response = await self._ask(request, request.stream if body is None else body)
        except errors.GatewayError as error:
            raise _translated(httpx, error, request) from error
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_streams(httpx)[0](response, request),
            extensions=_extensions(response),
        )

    async def _ask(self, request: Any, body: Any) -> Response:
        client = self._opened()
        url = request.url
        if url.userinfo:
            url = url.copy_with(userinfo=b"")  # httpx has made a header of them already
        return await client.request(
            request.method,
            _with_target(str(url), request.extensions.get("target")),
            headers=request.headers.raw,
            body=body,
            extensions={key: value for key, value in request.extensions.items() if key == "cgi"},
            timeouts=_timeouts(request, client.timeouts),
        )

    def _opened(self) -> Client:
        if self._client is None:
            if not _has_loop():
                raise RuntimeError("HttpxTransport runs on asyncio, and this is another event loop (trio?)")
            self._client = Client(**self._options)
        return self._client

    # -- for threads -----------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        if self._options.get("app") is not None:
            try:
                self.wait(self.__aenter__())
            except BaseException:
                self.close()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, and the loop that they lived in."""
        self._leave_parent()
        loop, thread, self._loop = self._loop, self._thread, None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self.aclose(), loop).result()
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def handle_request(self, request: Any) -> Any:
        """What ``httpx.Client`` calls."""
        httpx = _module_of(request)
        body = _content(httpx, request)
        pieces = _Pieces(request.stream) if body is None else None
        try:
            response = self.wait(self._ask(request, body if pieces is None else pieces.taken()), pieces)
        except errors.GatewayError as error:
            raise _translated(httpx, error, request) from error
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_streams(httpx)[1](response, request, self, pieces),
            extensions=_extensions(response),
        )

    def wait(self, coroutine: Any, pieces: _Pieces | None = None) -> Any:
        """Run a coroutine in the transport's own loop, which lives in a thread.

        Meanwhile this thread hands out the ``pieces`` of the request's body, as httpx has it: what gives them may be
        bound to its thread, and may take its time without keeping others from theirs.
        """
        with self._lock:
            self._leave_parent()
            if self._loop is None:
                self._loop = loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=loop.run_forever, name="HttpxTransport", daemon=True)
                self._thread.start()
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            if pieces is not None:
                pieces.hand_out(future)
            return future.result()
        finally:
            future.cancel()  # of a KeyboardInterrupt the coroutine knows nothing; one that is over is not changed

    def _leave_parent(self) -> None:
        """A forked child has all that its parent had, but not the thread: begin anew, on connections of its own."""
        if self._loop is None or self._thread is None or self._thread.is_alive():
            return
        # Never freed: to close the loop would take the parent's descriptors out of an epoll that both share.
        LEFT.append((self._loop, self._client))
        self._loop = self._client = None


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _module_of(request: Any) -> Any:
    return importlib.import_module(type(request).__module__.partition(".")[0])


def _content(httpx: Any, request: Any) -> bytes | None:
    """The body, if it is in memory; a request after a redirect has it as a stream only."""
    if isinstance(request.stream, httpx.ByteStream):
        return b"".join(request.stream)
    try:
        content: bytes = request.content
    except RuntimeError:  # httpx.RequestNotRead
        return None
    return content


def _with_target(url: str, target: bytes | None) -> Any:
    """With the target that httpx's extension gives in place of the url's: for ``OPTIONS *``, or what is not encoded."""
    if target is None:
        return url
    if not TARGET.fullmatch(target):
        raise errors.LocalProtocolError(f"{target!r} is no target of a request line")
    return parse_url(url)._replace(target=target.decode("ascii"))


def _timeouts(request: Any, usual: Timeouts) -> Timeouts:
    given = request.extensions.get("timeout")
    if given is None:
        return usual
    return Timeouts(
        connect=given.get("connect"),
        tls=given.get("connect"),
        pool=given.get("pool"),
        write=given.get("write"),
        read=given.get("read"),
        total=usual.total,
    )


def _extensions(response: Response) -> dict[str, Any]:
    version = {"1.0": b"HTTP/1.0", "1.1": b"HTTP/1.1", "2": b"HTTP/2"}[response.http_version]
    extensions: dict[str, Any] = {"http_version": version}
    if response.connection is not None and response.connection.stream_id is not None:
        extensions["stream_id"] = response.connection.stream_id
    return extensions


def _translated(httpx: Any, error: errors.GatewayError, request: Any) -> Exception:
    name = next(name for kind, name in (*NAMES, (errors.GatewayError, "TransportError")) if isinstance(error, kind))
    if isinstance(error, errors.LocalProtocolError) and "is no url for this client" in str(error):
        name = "UnsupportedProtocol"
    elif isinstance(error, errors.LocalProtocolError) and "Port out of range" in str(error):
        name = "ConnectError"  # as httpx has it
    made: Exception = getattr(httpx, name)(str(error), request=request)
    return made


class _Pieces:
    """A body whose blocking iterator stays in the thread that sends the request; the loop asks for each piece."""

    def __init__(self, stream: Any) -> None:
        self._iterator = iter(stream)
        self._wanted: queue.SimpleQueue[asyncio.Future[bytes | None] | None] = queue.SimpleQueue()

    async def taken(self) -> AsyncIterator[bytes]:
        """The pieces, for the loop."""
        loop = asyncio.get_running_loop()
        while True:
            wanted: asyncio.Future[bytes | None] = loop.create_future()
            self._wanted.put(wanted)
            piece = await wanted
            if piece is None:
                return
            yield piece

    def hand_out(self, until: concurrent.futures.Future[Any]) -> None:
        """Give what is wanted until the future is done; what is wanted then waits for the next call."""
        until.add_done_callback(lambda _: self._wanted.put(None))
        while not until.done():
            wanted = self._wanted.get()
            if wanted is None:
                continue
            if until.done():
                self._wanted.put(wanted)
                return
            loop = wanted.get_loop()
            try:
                piece = next(self._iterator, None)
            except Exception as error:
                loop.call_soon_threadsafe(_settle, wanted, None, error)
            else:
                loop.call_soon_threadsafe(_settle, wanted, piece, None)


def _settle(wanted: asyncio.Future[bytes | None], piece: bytes | None, error: Exception | None) -> None:
    if wanted.done():
        return  # the upload was given up meanwhile
    if error is None:
        wanted.set_result(piece)
    else:
        wanted.set_exception(error)


@lru_cache(maxsize=4)
def _streams(httpx: Any) -> tuple[Any, Any]:
    """The two classes for bodies: httpx wants instances of its own."""

    class AsyncBody(httpx.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, response: Response, request: Any) -> None:
            self._response = response
            self._request = request

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                async for piece in self._response:
                    yield piece
            except errors.GatewayError as error:
                raise _translated(httpx, error, self._request) from error

        async def aclose(self) -> None:
            await self._response.aclose()

    class SyncBody(httpx.SyncByteStream):  # type: ignore[misc]
        def __init__(self, response: Response, request: Any, owner: HttpxTransport, pieces: _Pieces | None) -> None:
            self._response = response
            self._request = request
            self._owner = owner
            self._pieces = pieces  # the upload may go on beside the answer

        def __iter__(self) -> Iterator[bytes]:
            try:
                while (piece := self._owner.wait(self._response.piece(), self._pieces)) is not None:
                    yield piece
            except errors.GatewayError as error:
                raise _translated(httpx, error, self._request) from error

        def close(self) -> None:
            self._owner.wait(self._response.aclose())

    return AsyncBody, SyncBody
