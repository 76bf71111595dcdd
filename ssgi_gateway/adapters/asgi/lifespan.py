"""ASGI's lifespan (2.0): one conversation with the application, around everything that is served.

==========================================  =======================================================================
the application                             outcome
==========================================  =======================================================================
``startup.complete``                        served; what it put into ``state`` is copied into every scope
``startup.failed``, with a message          ``ConfigurationError`` with that message: the server does not start
raises or returns before either             served without lifespan, as the specification has it: an application that
                                            does not know the scope cannot report it. It is in the log; with a traceback
                                            if it had taken ``lifespan.startup``, and so does know it
raises later, or ends early                 an error in the log; it gets no more events
``shutdown.failed``                         an error in the log, with its message
``shutdown.complete``, and it goes on       cancelled: it has reported that it is done
an answer that is not due, or no answer     ``RuntimeError`` in the application
==========================================  =======================================================================
"""

from __future__ import annotations

import asyncio
import logging
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger("ssgi_gateway.app")

SPEC_VERSION: Final = "2.0"


class Lifespan:
    """The conversation: ``startup`` once, and then ``shutdown`` once."""

    __slots__ = ("_answer", "_app", "_due", "_events", "_failure", "_task")

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app
        self._events: asyncio.Queue[str] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None  # the application, while it takes part
        self._due = ""  # what it has to answer to: startup, shutdown or nothing
        self._answer: asyncio.Future[None] | None = None
        self._failure: str | None = None

    async def startup(self, state: dict[str, Any]) -> None:
        """Have the application start, and wait until it has.

        Args:
            state: what it may fill for its requests.

        Raises:
            ConfigurationError: it answered that it cannot.
        """
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": SPEC_VERSION}, "state": state}
        self._task = asyncio.get_running_loop().create_task(self._run(scope), context=copy_context())
        if not await self._ask("startup"):
            self._explain_silence()
        elif self._failure is not None:
            await self._dismiss()
            raise ConfigurationError(f"the application failed to start: {self._failure or 'it gave no reason'}")

    async def shutdown(self) -> None:
        """Have the application stop, and wait until it has."""
        if self._task is None:
            return
        if self._task.done():
            self._log_end()
            return
        if not await self._ask("shutdown"):
            self._log_end()
            return
        if self._failure is not None:
            logger.error("the application failed to shut down: %s", self._failure or "it gave no reason")
        await self._dismiss()

    # -- inside --------------------------------------------------------------------------------------------------

    async def _run(self, scope: dict[str, Any]) -> None:
        await self._app(scope, self._receive, self._send)

    async def _ask(self, event: str) -> bool:
        """Send an event and wait for the answer; returns whether there was one before the application ended."""
        assert self._task is not None
        self._due = event
        self._answer = asyncio.get_running_loop().create_future()
        self._events.put_nowait(f"lifespan.{event}")
        try:
            await asyncio.wait((self._task, self._answer), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._dismiss()
            raise
        return self._answer.done()

    async def _receive(self) -> dict[str, Any]:
        return {"type": await self._events.get()}

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if self._answer is None or self._answer.done() or kind not in self._answers():
            due = " or ".join(map(repr, self._answers())) or "nothing"
            raise RuntimeError(f"ASGI: {kind!r} was sent where {due} is due")
        if kind.endswith(".failed"):
            self._failure = message.get("message", "")
        self._answer.set_result(None)
        self._due = ""

    def _answers(self) -> tuple[str, ...]:
        return (f"lifespan.{self._due}.complete", f"lifespan.{self._due}.failed") if self._due else ()

    async def _dismiss(self) -> None:
        """End the application's part; what it still raises was reported already, by its ``failed``."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))
            if not task.cancelled():
                task.exception()

    def _explain_silence(self) -> None:
        """The application ended without an answer to the startup."""
        task, self._task = self._task, None
        assert task is not None
        error = None if task.cancelled() else task.exception()
        if error is not None and self._events.empty():
            logger.error("the application raised in its startup; it is served without lifespan", exc_info=error)
        else:
            logger.info("the application has no lifespan (%s)", "it returned" if error is None else repr(error))

    def _log_end(self) -> None:
        """The application's part ended before its time."""
        task, self._task = self._task, None
        assert task is not None
        error = None if task.cancelled() else task.exception()
        logger.error("the application's lifespan ended without an answer to the shutdown", exc_info=error)
