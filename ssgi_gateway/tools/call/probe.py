"""``--probe``: the values of a FastCGI application (FastCGI 4.1)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from .failure import RECEIVE, TIME, CallFailed, failed

if TYPE_CHECKING:
    from .connecting import Clock
    from .conversation import Conversation
    from .report import Report

__all__ = ["probe"]

PROBE_TIME = 10.0
"""Seconds."""
NAMES = [b"FCGI_MAX_CONNS", b"FCGI_MAX_REQS", b"FCGI_MPXS_CONNS"]


def probe(conversation: Conversation, clock: Clock, report: Report) -> int:
    """Send the request, and print a line for each answer."""
    conversation.connect(clock)
    codec = conversation.codec
    started = False
    try:
        conversation.socket.settimeout(clock.left(PROBE_TIME))
        conversation.socket.sendall(codec.ask_values(NAMES))
        while True:
            data = conversation.socket.recv(65536)
            started = started or bool(data)
            if not data:
                raise CallFailed(RECEIVE, "the application closed the connection: it does not know FCGI_GET_VALUES")
            codec.receive(data)
            values = codec.take_values()
            if values is not None:
                break
    except CallFailed:
        raise
    except TimeoutError:
        raise CallFailed(TIME, f"no answer to FCGI_GET_VALUES within {clock.since():.1f} s") from None
    except Exception as error:
        raise failed(error, answered=False, started=started) from None
    answers = dict(values)
    for name in NAMES:
        value = answers.get(name)
        sys.stdout.write(f"{name.decode()}={'(not given)' if value is None else value.decode('latin-1')}\n")
    sys.stdout.flush()
    report.note("probed")
    return 0
