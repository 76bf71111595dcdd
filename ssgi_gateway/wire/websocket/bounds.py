"""What a WebSocket message may cost beside its size. Shared by both builds of the codec."""

from __future__ import annotations

__all__ = ["max_fragments", "max_wire_size"]


def max_fragments(max_message_size: int) -> int:
    """How many fragments a message may have: 1,024, and one more for each 16 bytes of the message limit.

    Sixteen is a quarter of the smallest fragment in the Autobahn suite's large messages (cases 9.3 and 9.4), and the
    base lets any short message come one byte a frame.
    """
    return 1024 + max_message_size // 16


def max_wire_size(max_message_size: int) -> int:
    """How many bytes a compressed message may have on the wire when ``max_message_size`` may come out of it.

    Data that cannot be compressed grows a little; a quarter is above zlib's own ``deflateBound``. Without this bound
    a stream of empty deflate blocks would never end.
    """
    return max_message_size + max_message_size // 4 + 1024
