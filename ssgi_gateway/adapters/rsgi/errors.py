"""The two exceptions of RSGI, such that applications written for granian catch them.

RSGI 1.6 names no module for them. An application that has imported granian's catches those, and so what is raised
then is of both kinds.
"""

from __future__ import annotations

import functools
import sys
from typing import Any

__all__ = ["RSGIProtocolClosed", "RSGIProtocolError", "protocol_closed", "protocol_error"]


class RSGIProtocolError(RuntimeError):
    """The application called for what is not due."""


class RSGIProtocolClosed(RuntimeError):  # noqa: N818 - the specification's name
    """The client has disconnected, or the exchange is over."""


def protocol_error(message: str) -> RuntimeError:
    """An ``RSGIProtocolError``, to be raised."""
    return _of_both_kinds(RSGIProtocolError, sys.modules.get("granian._granian"))(message)


def protocol_closed(message: str) -> RuntimeError:
    """An ``RSGIProtocolClosed``, to be raised."""
    return _of_both_kinds(RSGIProtocolClosed, sys.modules.get("granian._granian"))(message)


@functools.cache
def _of_both_kinds(ours: type[RuntimeError], granian: Any) -> type[RuntimeError]:
    theirs = getattr(granian, ours.__name__, None)
    return ours if theirs is None else type(ours.__name__, (ours, theirs), {})
