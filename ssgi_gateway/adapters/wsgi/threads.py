# cython: freethreading_compatible=False
"""A WSGI application in a pool of threads: one call, and what runs where.

A worker thread runs the application's code, all of a request on one thread, and checks the head and the blocks;
whatever touches the response happens on the loop. The way between them is the pool's (``pool``)::

    loop --submit--> queue --> worker          requests
    worker --post--> mailbox --> loop          blocks, ends, failures, files, wishes for input

A worker goes on as soon as it has posted, and waits only while more than the high-water mark of what it gave is not
yet on its way (PEP 3333: a server "must not delay the transmission of any block"; it may "guarantee that it will
continue transmission").

When a client disconnects, reading and writing raise ConnectionAbortedError, iteration stops, ``close()`` is called.
"""

from __future__ import annotations

import threading
from collections import deque
from threading import get_ident
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.adapters.wsgi.file import FileWrapper, regular_file
from ssgi_gateway.adapters.wsgi.input import StreamingInput
from ssgi_gateway.core import forks

from ...core.awaitables import TRUE
from ...core.step import call
from ..files import send_open
from .call import WsgiCall, add_length, to_bytes, whole_input
from .environ import build_environ

if TYPE_CHECKING:
    from collections.abc import Callable

    from ssgi_gateway.core.files import OpenFile

    from ...core.response import HttpResponse
    from .pool import WorkerPool

__all__ = ["ThreadedCall"]


SAFE: Final = frozenset(("GET", "HEAD", "OPTIONS"))
"""Methods that change nothing (RFC 9110 9.2.1)."""


class ThreadedCall(WsgiCall):
    """One call of the application in a thread.

    ``_given`` is written by the worker and ``_taken`` by the loop; their difference is what the worker may have to
    wait for. It holds the response until it has answered, and is cancelled when the client disconnects.
    """

    __slots__ = (
        "_aborted",
        "_app",
        "_base",
        "_blocks",
        "_complete",
        "_error",
        "_file",
        "_gate",
        "_given",
        "_held",
        "_input",
        "_pool",
        "_posted",
        "_returned",
        "_spool",
        "_taken",
        "_whole",
        "thread",
    )

    def __init__(self, pool: WorkerPool, res: HttpResponse, app: Callable[..., Any], base: dict[str, Any]) -> None:
        self.init(pool, res, app, base)

    def init(self, pool: WorkerPool, res: HttpResponse, app: Callable[..., Any], base: dict[str, Any]) -> None:
        """What ``__init__`` does: see "Plain classes" in ARCHITECTURE.md."""
        self._init_base(res)
        self._pool = pool
        self._app = app
        self._base = base
        self._whole: bytes | None = None  # a body that is one block
        self._blocks: deque[bytes] | None = None  # the blocks of any other
        self._complete = False  # no block will follow
        self._error: BaseException | None = None
        self._file: OpenFile | None = None
        self._input: StreamingInput | None = None
        self._aborted = False
        self._posted = False
        self._returned = False  # nothing of the application is left to run
        self._given = 0
        self._taken = 0
        self._held = 0  # bytes given to a response whose peer takes no more at the moment
        self._gate: threading.Condition | None = None
        self.thread = 0  # the identifier of the thread that runs the application; 0 before and after

    def submit(self, spool: Any) -> None:
        """Queue it, with its body if that was collected in a file; on the loop."""
        self._spool = spool
        self._res.hold(self)
        self._pool.submit(self)

    def cancel(self) -> None:
        """The client has disconnected; on the loop."""
        self._aborted = True
        self._over()

    # -- in the worker -------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve the request; never raises."""
        if self._aborted and self._is_in_vain():
            return
        self.thread = get_ident()
        try:
            call(self._res.channel.scope.loop.fresh(), self._serve)
        except BaseException as error:  # a thread of the pool does not end, not for sys.exit() either
            forks.fail_child(error)
            self._error = error
            self._post()
        finally:
            self.thread = 0
        if self._spool is not None:
            self._spool.close()

    def _is_in_vain(self) -> bool:
        """Whether nothing is lost by not serving a request whose client disconnected before a thread was free.

        A client that posts something and does not wait for the answer has it done, as with every other interface; a
        page that is not waited for is not worth a thread.
        """
        body = self._res.body
        return self._res.request.method in SAFE or (body is not None and not body.ended)

    def _serve(self) -> None:
        res = self._res
        body = res.body
        stream: Any
        if self._spool is not None:
            stream = self._spool
        elif body is None or body.ended:
            stream = whole_input(body)
        else:
            stream = self._input = StreamingInput(self._pool, res, body)
        environ = build_environ(res.request, self._base, stream)
        if body is not None:
            add_length(environ, body)
        result = self._app(environ, self.start_response)
        if type(result) is list or type(result) is tuple:
            self._returned = True
            self.put_all(result)
            return
        try:
            file = regular_file(result) if type(result) is FileWrapper and not self._committed else None
            if file is not None:
                self.put_file(file)
                return
            for block in result:
                if type(block) is not bytes:
                    block = to_bytes(block)
                if block and self.put(block):
                    break
            self.end()
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()

    def _emit(self, data: bytes | None, last: bool) -> None:
        if self._aborted:
            raise ConnectionAbortedError("the client disconnected before the answer was complete")
        if data is not None:
            self._given += len(data)
            blocks = self._blocks
            if last and blocks is None:
                self._whole = data
            else:
                if blocks is None:
                    blocks = self._blocks = deque()
                blocks.append(data)
        if last:
            self._complete = True
        self._post()
        if not last and self._given - self._taken > self._pool.high_water:
            self._wait()

    def _emit_file(self, file: OpenFile) -> None:
        self._file = file
        self._post()

    def _wait(self) -> None:
        gate = self._gate
        if gate is None:
            gate = self._gate = threading.Condition(threading.Lock())
        with gate:
            while self._given - self._taken > self._pool.high_water and not self._aborted:
                gate.wait()

    def _post(self) -> None:
        if not self._posted:
            self._posted = True
            if self._returned:
                self._pool.post_deferred(self)
            else:
                self._pool.post(self)

    # -- on the loop ---------------------------------------------------------------------------------------------

    def deliver(self) -> None:
        """Take what the worker has posted to the response."""
        self._posted = False  # before anything is taken: what comes later is posted again
        if self._held:
            return  # `_writable` comes back here
        res = self._res
        try:
            if not res.finished():
                self._take()
        except Exception as error:
            if self._error is None:
                self._error = error
        if self._error is not None or res.finished():
            self._over()

    def _take(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            self._send_file(file)
            return
        complete = self._complete  # read first: then every block is here
        data = self._whole
        blocks = self._blocks
        if blocks:
            pieces = []
            while blocks:
                pieces.append(blocks.popleft())
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        elif data is None and not complete:
            return
        waiting = self._send(data, complete)
        if complete or data is None:
            return
        if waiting is TRUE:
            self._taken += len(data)
            self._wake()
        elif not self._res.aborted:
            self._held = len(data)
            channel = self._res.channel
            channel.scope.loop.when_done(channel.when_writable(), self._writable)

    def _send_file(self, file: OpenFile) -> None:
        res = self._res
        res.set_head(self._head)
        res.run_async(send_open(res, file))
        self._res.release(self)

    def _writable(self, _: object) -> None:
        """The peer takes more, or has disconnected."""
        self._taken += self._held
        self._held = 0
        self._wake()
        self.deliver()

    def _wake(self) -> None:
        gate = self._gate
        if gate is not None:
            with gate:
                gate.notify()

    def _over(self) -> None:
        """Nothing more can come of this call but its end; an error is reported."""
        error, self._error = self._error, None
        self._file = self._whole = None
        if self._blocks is not None:
            self._blocks.clear()
        self._res.release(self)
        if not self._complete:
            self._aborted = True  # whatever the worker still writes
        self._wake()
        if self._input is not None:
            self._input.stop()
        if error is not None:
            self._res.fail(error)
