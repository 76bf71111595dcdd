"""The kinds of log lines about peers: each is limited by itself (``Reactor.log_peer_error``), so none hides another."""

from __future__ import annotations

from typing import Final

PROTOCOL_ERROR: Final = "protocol error"
REFUSED_REQUEST: Final = "refused request"
SLOW_REQUEST: Final = "slow request"
SLOW_BODY: Final = "slow body"
SLOW_READER: Final = "slow reader"
LARGE_HEAD: Final = "large head"
OVERLOADED: Final = "overloaded"
WEBSOCKET_ERROR: Final = "WebSocket error"
SILENT_WEBSOCKET: Final = "silent WebSocket"
ACCEPT: Final = "accept"
ADOPTION: Final = "adoption"
