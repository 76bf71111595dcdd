"""flup's FastCGI client, written long ago by people who never saw this project, on a wire made of two bytearrays.

flup 1.0.3 looks for ``types.StringTypes``, which Python 3 has not, hence the line before its import.
"""

from __future__ import annotations

import sys
import types

types.StringTypes = (str, bytes)

from flup.client import fcgi_app  # noqa: E402

fcgi_app.sys = sys  # used there without an import, when a STDERR record arrives

FCGIApp = fcgi_app.FCGIApp
Record = fcgi_app.Record
decode_pair = fcgi_app.decode_pair
encode_pair = fcgi_app.encode_pair


class FakeSocket:
    """One end of a wire; ``peer`` is called with each thing sent and returns what comes back."""

    def __init__(self, received=b"", peer=None):
        self.incoming = bytearray(received)
        self.sent = bytearray()
        self.closed = False
        self._peer = peer

    def fileno(self):
        return -1

    def send(self, data):
        self.sent += data
        if self._peer is not None:
            self.incoming += self._peer(bytes(data))
        return len(data)

    def recv(self, size):
        taken = bytes(self.incoming[:size])
        del self.incoming[:size]
        return taken

    def close(self):
        self.closed = True


def flup_record(kind, request_id, content=b""):
    """A record as flup writes it, padded to eight bytes."""
    wire = FakeSocket()
    record = Record(kind, request_id)
    record.contentData = content
    record.contentLength = len(content)
    record.write(wire)
    return bytes(wire.sent)


def flup_records(data):
    """Records as flup reads them: (type, request id, content); what is left over is an error."""
    wire = FakeSocket(data)
    records = []
    while wire.incoming:
        record = Record()
        record.read(wire)
        records.append((record.type, record.requestId, record.contentData))
    return records


def flup_pairs(data):
    """Name-value pairs as flup reads them."""
    position, pairs = 0, []
    while position < len(data):
        position, pair = decode_pair(data, position)
        pairs.append(pair)
    return pairs
