"""``--probe``: the values of a FastCGI application (FastCGI 4.1)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .failure import RECEIVE, CallFailed, failed

if TYPE_CHECKING:
    from .connecting import Clock
    from .conversation import Conversation
    from .report import Report

__all__ = ["probe"]

NAMES = [b"FCGI_MAX_CONNS", b"FCGI_MAX_REQS", b"FCGI_MPXS_CONNS"]


def probe(conversation: Conversation, clock: Clock, report: Report) -> int:
    """Send the request, and print a line for each answer."""
    conversation.connect(clock)
    codec = conversation.codec
    try:
        conversation.socket.settimeout(clock.left(10.0))
        conversation.socket.sendall(codec.ask_values(NAMES))
        while True:
            data = conversation.socket.recv(65536)
            if not data:
                raise CallFailed(RECEIVE, "the application closed the connection: it does not know FCGI_GET_VALUES")
            codec.receive(data)
            values = codec.take_values()
            if values is not None:
                break
    except CallFailed:
        raise
    except Exception as error:
        raise failed(error, answered=False, started=False) from None
    answers = dict(values)
    for name in NAMES:
        value = answers.get(name)
        sys.stdout.write(f"{name.decode()}={'(not given)' if value is None else value.decode('latin-1')}\n")
    sys.stdout.flush()
    report.note("probed")
    return 0
