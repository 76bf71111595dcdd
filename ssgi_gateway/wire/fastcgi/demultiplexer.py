"""FastCGI with several requests in progress on one connection (3.3): whose bytes are whose.

Knows records and no requests: what arrives is cut into runs of records of one id, and every id has a ``FastcgiCodec``
of its own, which reads them as if it had the connection for itself. What belongs to no request (management records,
the rest of one that was answered, strays) goes by the id 0, to a codec that has none.
"""

from __future__ import annotations

from typing import Final

from ssgi_gateway.errors import RemoteProtocolError
from ssgi_gateway.wire.fastcgi.records import BEGIN_REQUEST, HEADER_SIZE, VERSION

__all__ = ["NOBODY", "Demultiplexer"]

NOBODY: Final = 0


class Demultiplexer:
    """The records of one connection.

    Attributes:
        requests: the ids that have a codec; kept by the owner.
    """

    __slots__ = ("_data", "_left", "_owner", "_position", "requests")

    def __init__(self, data: bytes = b"") -> None:
        self.requests: set[int] = set()
        self._data = data
        self._position = 0
        self._owner = NOBODY  # of the record of which _left bytes are still to come
        self._left = 0

    def receive(self, data: bytes) -> None:
        """Take what was read from the connection."""
        self._data = self._data[self._position :] + data
        self._position = 0

    def next_run(self) -> tuple[int, bytes] | None:
        """The id of a request and what is here of its records, as far as no other's is between; ``None`` for no more.

        A run of an id that is not in ``requests`` begins with BEGIN_REQUEST; the owner makes a codec for it, and adds
        it, or not. A record may end in the next run of the same id.

        Raises:
            RemoteProtocolError: no FastCGI.
        """
        if self._left and self._owner and self._owner not in self.requests:
            self._skip()  # the rest of a record whose request has ended meanwhile
        data, start = self._data, self._position
        size = len(data)
        owner = self._owner if self._left else -1
        end = start
        while True:
            step = min(self._left, size - end)
            end += step
            self._left -= step
            if self._left or size - end < HEADER_SIZE:
                break
            following = self._owner_of(end, owner)
            if owner not in (-1, following):
                break
            self._owner = owner = following
            self._left = HEADER_SIZE + (data[end + 4] << 8 | data[end + 5]) + data[end + 6]
        self._position = end
        return (owner, data[start:end]) if end > start else None

    def _skip(self) -> None:
        step = min(self._left, len(self._data) - self._position)
        self._position += step
        self._left -= step

    def incomplete(self) -> bool:
        """Whether a record has begun and is not complete."""
        return self._left > 0 or self._position < len(self._data)

    def _owner_of(self, at: int, current: int) -> int:
        """Whose the record is that begins at ``at``, behind one of ``current``."""
        data = self._data
        if data[at] != VERSION:
            raise RemoteProtocolError(f"a record header has FastCGI version {data[at]}, not {VERSION}")
        request_id = data[at + 2] << 8 | data[at + 3]
        if request_id == current or request_id in self.requests or data[at + 1] == BEGIN_REQUEST:
            return request_id
        return NOBODY
