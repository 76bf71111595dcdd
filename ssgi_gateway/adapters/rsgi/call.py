"""One call of an RSGI application: how it is run, and what its end means.

Its coroutine is run by the exchange, with nothing in between: one that answers without waiting costs no
coroutine but its own, and no task.
"""

from __future__ import annotations

import logging
from asyncio import CancelledError
from typing import TYPE_CHECKING, Any

from ssgi_gateway.adapters.rsgi.errors import RSGIProtocolClosed

from ...core.response import Watcher

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable

    from ...core.exchange import Exchange

__all__ = ["RsgiCall"]

logger = logging.getLogger("ssgi_gateway.app")


class RsgiCall(Watcher):
    """What the ``protocol`` of a request and that of a WebSocket have in common."""

    __slots__ = ("_exchange", "_grace", "_over", "_timer")

    def _init_base(self, exchange: Exchange, grace: float) -> None:
        """Begin; called by the two ``__init__``."""
        self._exchange = exchange
        self._grace = grace
        self._over = False
        self._timer: asyncio.TimerHandle | None = None

    def run(self, running: Awaitable[Any]) -> None:
        """Run what the application returned."""
        if self._exchange.supervise(running, self):
            self.started()

    def conclude(self, error: BaseException | None) -> None:
        """The application has returned, or raised ``error``.

        Raises:
            BaseException: what has to be reported to the exchange.
        """
        self.over()
        if error is None:
            self.complete()
        elif isinstance(error, CancelledError):
            pass  # the client disconnected, or the server stops: no answer is waited for
        elif isinstance(error, RSGIProtocolClosed) and self.gone():
            # Not caught by the application, and no mistake of it: this is how it learns that its client disconnected.
            logger.debug("RSGI: %s", error)
        else:
            raise error

    def over(self) -> None:
        """The application will do nothing more."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def started(self) -> None:
        """The application has to wait for something."""

    def gone(self) -> bool:
        """Whether the client has disconnected."""
        raise NotImplementedError

    def complete(self) -> None:
        """The application has returned: bring its answer to an end."""
        raise NotImplementedError
