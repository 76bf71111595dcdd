"""Heads of answers that encode to bytes of a test's choice: a codec frames what a head says, whatever it is."""

from __future__ import annotations

from ssgi_gateway.wire.response_head import ResponseHead


class Block(ResponseHead):
    """A head whose CGI block is ``data``."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data

    def encode_cgi(self) -> bytes:
        return self.data
