"""Credit: how many MESSAGEs each side of one request may still send. Pure.

The client sends ``swill.window: n`` on the opening frame, and n holds for both directions. A CREDIT frame gives more;
the receiver sends one when half of the window has been used up. So one slow stream stops no other on its connection.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MAX_CREDIT", "MAX_WINDOW", "Window"]

MAX_WINDOW: Final = 65536
MAX_CREDIT: Final = 2**31 - 1


class Window:
    """The credit of one request, seen from one side.

    Args:
        size: the window, 1 to ``MAX_WINDOW``.
    """

    __slots__ = ("_taken", "incoming", "outgoing", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.incoming = size
        """What the peer may still send."""
        self.outgoing = size
        """What may be sent."""
        self._taken = 0

    def received(self) -> bool:
        """A MESSAGE came; returns whether the peer had credit for it."""
        self.incoming -= 1
        return self.incoming >= 0

    def taken(self) -> int:
        """An item was taken by its reader; returns the credit to give now, mostly 0."""
        self._taken += 1
        if self._taken * 2 < self.size:
            return 0
        grant, self._taken = self._taken, 0
        self.incoming += grant
        return grant

    def spend(self) -> bool:
        """One MESSAGE is to be sent; returns whether it may."""
        if self.outgoing <= 0:
            return False
        self.outgoing -= 1
        return True

    def granted(self, credit: object) -> bool:
        """The peer gave credit; returns whether that was a number it may give."""
        if type(credit) is not int or credit < 1 or self.outgoing + credit > MAX_CREDIT:
            return False
        self.outgoing += credit
        return True
