"""Close frames (RFC 6455 5.5.1, 7.4): which codes may be sent, and how code and reason make a payload.

Shared by both builds of the WebSocket codec.
"""

from __future__ import annotations

from typing import Final

from ssgi_gateway.errors import WebSocketError

__all__ = [
    "BROKEN", "INTERNAL_ERROR", "MAX_CONTROL_PAYLOAD", "NO_STATUS", "SERVICE_RESTART", "encode_close_payload",
    "is_close_code", "parse_close",
]  # fmt: skip

MAX_CONTROL_PAYLOAD: Final = 125
"""RFC 6455 5.5: "All control frames MUST have a payload length of 125 bytes or less"."""

NO_STATUS: Final = 1005
"""RFC 6455 7.4.1: the code of a Close without one; never on the wire."""

BROKEN: Final = 1006
"""RFC 6455 7.4.1: there was no Close; never on the wire."""

INTERNAL_ERROR: Final = 1011
"""RFC 6455 7.4.1: a server that cannot go on."""

SERVICE_RESTART: Final = 1012
"""IANA's registry: the server goes, and another one comes."""

DEFINED_CODES: Final = frozenset((1000, 1001, 1002, 1003, *range(1007, 1015)))


def is_close_code(code: int) -> bool:
    """Whether a Close frame may carry this code.

    RFC 6455 7.4.1 reserves 1004 and forbids 1005, 1006 and 1015 on the wire; 1012 to 1014 are in IANA's registry;
    3000 to 4999 belong to libraries and applications (7.4.2).
    """
    return code in DEFINED_CODES or 3000 <= code <= 4999


def parse_close(payload: bytes) -> tuple[int, str]:
    """The code and the reason of a Close frame (RFC 6455 5.5.1, 7.1.5).

    Raises:
        WebSocketError: 1002 for half a code or one that may not be sent, 1007 for a reason that is not UTF-8.
    """
    if not payload:
        return NO_STATUS, ""
    if len(payload) == 1:
        raise WebSocketError(1002, "a Close frame with half a close code")
    code = int.from_bytes(payload[:2], "big")
    if not is_close_code(code):
        raise WebSocketError(1002, f"a Close frame with the invalid code {code}")
    try:
        reason = payload[2:].decode()
    except UnicodeDecodeError:
        raise WebSocketError(1007, "invalid UTF-8 in a close reason") from None
    return code, reason


def encode_close_payload(code: int | None, reason: str) -> bytes:
    """The payload of a Close frame; ``ValueError`` as in ``WebSocketCodec.encode_close``."""
    if code is None:
        if reason:
            raise ValueError("a close reason needs a close code")
        return b""
    if not is_close_code(code):
        raise ValueError(f"{code} is no close code that may be sent (1000-1003, 1007-1014, 3000-4999)")
    text = reason.encode()
    if len(text) > MAX_CONTROL_PAYLOAD - 2:
        raise ValueError(f"a close reason has at most {MAX_CONTROL_PAYLOAD - 2} bytes of UTF-8, not {len(text)}")
    return code.to_bytes(2, "big") + text
