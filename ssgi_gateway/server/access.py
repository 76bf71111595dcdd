"""From an exchange to its line in the access log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ssgi_gateway.observe.access_log import AccessLog

    from ..core.exchange import Exchange

CLIENT_GONE = 499
"""nginx's code for a client that left before there was an answer."""


def log_exchange(log: AccessLog, exchange: Exchange, status: int, seconds: float) -> None:
    """Log one exchange.

    Args:
        log: where to.
        exchange: it is over.
        status: what was answered for the application; 0 where it answered itself.
        seconds: how long it took.
    """
    request = exchange._request
    variables = request.variables
    answered, size = exchange.outcome()
    query = f"?{request.query_string}" if request.query_string else ""
    log.add(
        request.remote_address,
        f"{request.method} {request.raw_path}{query} {variables.get('SERVER_PROTOCOL', '')}",
        status or answered or CLIENT_GONE,
        size,
        variables.header("referer") or "",
        variables.header("user-agent") or "",
        seconds,
    )
