"""What a response and a WebSocket share: the application's call, its tasks, its handlers, ``extensions``.

An exchange is alive while it can still be answered: the application's own awaitable is pending, or a task it
started with ``run_async`` is. One that is not alive and not answered is answered here (SSGI 1.0, "The call").

Applications have the members of SSGI. Adapters have these besides, and need no other: ``request``, ``channel``,
``supervise``, ``hold`` and ``release``, ``fail``, ``label``; of a response ``body``, ``new_head``, ``set_head``,
``fits`` and ``watch``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from ssgi_gateway.core import forks
from ssgi_gateway.wire import buffers

from .awaitables import is_pending
from .extensions import build_extensions
from .headers import GetHeader
from .request_id import choose
from .step import call_app
from .tasks import start

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context
    from typing import Protocol

    from ..wire.cgi import RequestHead
    from .channel import Channel

    class Supervisor(Protocol):
        """What is called when an application's call has ended."""

        def conclude(self, error: BaseException | None) -> None:
            """It has ended: with ``None`` after a return, otherwise with what was raised, CancelledError included.

            Raises:
                BaseException: what is the application's failure.
            """


logger = logging.getLogger("ssgi_gateway.app")


class Exchange:
    """One call of the application and everything that came of it.

    Attributes:
        request: the parsed head. ``extensions`` has it too, but to build that mapping costs more than all the rest of
            a small request.
        channel: the connection below.
        sent: bytes of the answer's body that were written.
        protocol: which wire protocol carries it; this and ``began`` are for observers, and set where there is one.
        began: when the head had arrived, monotonic seconds.
    """

    __slots__ = (
        "__weakref__",
        "_called",
        "_deadline",
        "_extensions",
        "_handlers",
        "_holders",
        "_request_id",
        "_supervisor",
        "began",
        "channel",
        "hint",
        "protocol",
        "request",
        "sent",
    )

    def _init_base(self, channel: Channel, request: RequestHead) -> None:
        """Set what both kinds have; called by their ``__init__``."""
        self.channel = channel
        self.request = request
        self._called = False
        self._holders: set[Any] | None = None
        self._supervisor: Supervisor | None = None
        self._handlers: list[tuple[Any, tuple[Any, ...], Context | None]] | None = None
        self._extensions: dict[str, Any] | None = None
        self._request_id: str | None = None
        self.sent = 0
        self.protocol = ""
        self.began = 0.0
        self.hint = ""  # what an adapter knows of why nothing was answered
        self._deadline: asyncio.TimerHandle | None = None  # when the tasks of a client that disconnected are cancelled

    @property
    def extensions(self) -> dict[str, Any]:
        """Everything beyond the eight arguments; built when it is first read."""
        if self._extensions is None:
            self._extensions = build_extensions(
                self.request, {**self.channel.describe(), "request_id": self.request_id()}
            )
        return self._extensions

    def run_async(self, handler: Any, *args: Any) -> asyncio.Task[Any] | None:
        """Run a coroutine function with its arguments, or an awaitable, as part of this exchange.

        The task is kept alive and its failure is logged; while it runs, the exchange can still be answered.

        Returns:
            The task; ``None`` when ``handler`` was an ordinary function, which has then been called.

        Raises:
            TypeError: neither a callable nor an awaitable.
        """
        awaitable = start(handler, args)
        return None if awaitable is None else self._spawn(awaitable, self._task_done)

    def run(self, app: Callable[..., Any], kind: str, strict: bool) -> None:
        """Call the application: once, now, on this thread, in a context of its own.

        Args:
            app: the SSGI callable.
            kind: ``"http"`` or ``"websocket"``.
            strict: whether headers expire as early as the SSGI draft allows.
        """
        request = self.request
        get_header = GetHeader(request.variables)
        context = self.channel.scope.loop.fresh()
        try:
            result = call_app(
                context,
                app,
                kind,
                request.server_address,
                request.remote_address,
                request.method,
                request.path,
                request.query_string,
                get_header,
                self,
            )
            pending = is_pending(result)  # attributes of what it has returned may raise
        except BaseException as exc:
            self.fail(exc)  # sys.exit() as well: a request does not end the server
            return
        # From here on the end of a task may leave nothing that could answer.
        self._called = True
        if pending:
            self.supervise(result, None, context)
        else:
            if strict and not self._holders:
                get_header.expire()
            if not self.finished():
                self._answer_if_abandoned()

    # -- for adapters --------------------------------------------------------------------------------------------

    def supervise(
        self,
        awaitable: Any,
        supervisor: Supervisor | None = None,
        context: Context | None = None,
    ) -> bool:
        """Run what the application's call has returned; the exchange is alive until it ends.

        Args:
            awaitable: a coroutine, or anything else to wait for.
            supervisor: its ``conclude`` is called once, at the end. Without one, whatever was raised is the
                application's failure.
            context: what it runs in; ``None`` for a copy of the current one.

        Returns:
            Whether it goes on after this call, because it has to wait for something.
        """
        self._supervisor = supervisor
        try:
            task: asyncio.Task[Any] | None = self.channel.scope.run(awaitable, context)
        except BaseException as exc:
            self._supervised(exc)
            return False
        if task is None:
            self._supervised(None)
            return False
        self.hold(task)
        self.channel.scope.keep(task, self._call_done)
        return not task.done()

    def hold(self, holder: Any) -> None:
        """Keep the exchange alive until ``release(holder)``; a disconnect calls ``holder.cancel()``."""
        if self._holders is None:
            self._holders = set()
        self._holders.add(holder)

    def release(self, holder: Any) -> None:
        """Undo ``hold``; what was not held is no mistake. To answer comes first, or ``fail``."""
        if self._holders is not None:
            self._holders.discard(holder)
            if self._deadline is not None and not self._holders:
                self._deadline.cancel()
                self._deadline = None

    def fail(self, exc: BaseException | None) -> None:
        """The application has failed: log it, and answer for it if that is still possible."""
        self._log(exc)
        if not self.finished():
            self.answer_failure(exc)

    def label(self) -> str:
        """The request in one line of a log, whatever bytes it holds."""
        path: str = ascii(self.request.path)[1:-1]
        return f"{self.request.method} {path}"

    def cancel(self) -> None:
        """Cancel everything that holds this exchange."""
        for holder in tuple(self._holders or ()):
            holder.cancel()

    def cancel_later(self, seconds: float) -> None:
        """Cancel what is still running after ``seconds``; forgotten when nothing is. 0 for never."""
        if seconds and self._deadline is None:
            # Not `self.cancel` itself: Cython would make the callable of a C function with one argument too many.
            self._deadline = self.channel.scope.loop.call_later(seconds, self._deadline_passed)

    def _deadline_passed(self) -> None:
        self._deadline = None
        self.cancel()

    # -- deadlines -------------------------------------------------------------------------------------------------

    def runs(self, task: Any) -> bool:
        """Whether ``task`` is one of this exchange's."""
        return self._holders is not None and task in self._holders

    def in_thread(self) -> Any:
        """What runs its code in a thread, an object with the ``thread``'s identifier, 0 once it has ended; or None."""
        return next((task for task in self._holders or () if getattr(task, "thread", 0)), None)

    def time_out(self) -> None:
        """It has taken too long: answer for the application, and cancel what it does."""
        raise NotImplementedError

    # -- for the two kinds of exchange ---------------------------------------------------------------------------

    def finished(self) -> bool:
        """Whether it was answered to the end, or cut off."""
        raise NotImplementedError

    def committed(self) -> bool:
        """Whether a part of the answer is out, so that no other can be given."""
        raise NotImplementedError

    def answered(self) -> int:
        """The status that was answered, 0 if none."""
        raise NotImplementedError

    def request_id(self) -> str:
        """Its name in every line that is written about it."""
        if self._request_id is None:
            self._request_id = choose(self.request.variables.get("HTTP_X_REQUEST_ID"))
        return self._request_id

    def received(self) -> int:
        """Bytes of the request's body that have arrived."""
        return 0

    def gone(self) -> bool:
        """Whether nothing that is written reaches the peer any more."""
        raise NotImplementedError

    def abort(self) -> None:
        """The peer disconnected, or the answer cannot be finished."""
        raise NotImplementedError

    def hurry(self, urgency: int) -> None:
        """The server is going to stop: end what would hold it for ever, in order.

        Args:
            urgency: how much of that, ``channel.RECONNECTING`` and those below it.
        """
        raise NotImplementedError

    def answer_nothing(self) -> None:
        """Answer for an application that has not and no longer can."""
        logger.error(
            "%s: the application returned without answering, and left no awaitable and no run_async task that could%s",
            self.label(),
            self.hint,
        )
        self.channel.application_failed(self)
        self.answer_failure(None)

    def answer_failure(self, exc: BaseException | None) -> None:
        """Answer for an application that failed."""
        raise NotImplementedError

    # -- inside --------------------------------------------------------------------------------------------------

    def _spawn(
        self, awaitable: Any, done: Callable[[asyncio.Task[Any]], None], context: Context | None = None
    ) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = self.channel.scope.spawn(awaitable, done, context)
        if not task.done():
            self.hold(task)
        return task

    def _call_done(self, task: asyncio.Task[Any]) -> None:
        """What ``supervise`` runs has ended."""
        self.release(task)
        self._supervised(asyncio.CancelledError() if task.cancelled() else task.exception())

    def _supervised(self, exc: BaseException | None) -> None:
        """What ``supervise`` runs has ended, by now or at once."""
        supervisor, self._supervisor = self._supervisor, None
        try:
            if supervisor is not None:
                supervisor.conclude(exc)
            elif exc is not None and not isinstance(exc, asyncio.CancelledError):
                raise exc
        except BaseException as failure:
            self.fail(failure)
            return
        if not self.finished():
            self._answer_if_abandoned()

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        """A task of ``run_async`` or of a handler has ended."""
        self.release(task)
        if task.cancelled() or task.exception() is None:
            if not self.finished():
                self._answer_if_abandoned()
        else:
            self._log(task.exception())
            if self._called and not self._holders and not self.finished():
                self.answer_failure(task.exception())

    def _answer_if_abandoned(self) -> None:
        """Answer if nothing else can."""
        if self._called and not self._holders:
            self.answer_nothing()

    def _log(self, exc: BaseException | None) -> None:
        if exc is not None:
            forks.fail_child(exc)  # a child that the application has forked is none of ours to serve
        if self.finished() and is_departure(exc):
            # Reading from a client that disconnected: the application got the error and let it pass.
            logger.debug("%s: %s", self.label(), exc)
        else:
            logger.error(
                "%s: the application raised", self.label(), exc_info=exc, extra={"request_id": self.request_id()}
            )
            self.channel.application_failed(self)

    def notify(self, handler: Any, args: tuple[Any, ...], context: Context | None) -> None:
        """Call a handler; its failure is logged and affects nothing else.

        Args:
            handler: sync or async.
            args: its arguments.
            context: that of its registration; ``None`` for one of an adapter, which runs nothing of the application.
        """
        try:
            awaitable = start(handler, args) if context is None else context.run(start, handler, args)
        except BaseException as exc:
            self._log(exc)
            return
        if awaitable is not None:
            self._spawn(awaitable, self._task_done, context)


def flat(payload: Any) -> Any:
    """What an application writes, as single bytes one after the other: ``str`` is UTF-8, the rest a view.

    Raises:
        TypeError: neither ``str`` nor bytes-like.
    """
    if isinstance(payload, str):
        return payload.encode("utf-8", "surrogateescape")
    return buffers.flat(payload)


def is_departure(exc: BaseException | None) -> bool:
    """Whether it was the client's disconnection that an application, or a framework in its own words, let pass."""
    while exc is not None:
        if isinstance(exc, ConnectionAbortedError):
            return True
        exc = exc.__cause__ or exc.__context__
    return False
