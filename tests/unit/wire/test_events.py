"""Events compare by what they are and hold."""

from __future__ import annotations

import pytest

from ssgi_gateway.wire.events import BodyReceived, HeadReceived, RequestEnded
from ssgi_gateway.wire.variables import Variables


def test_events_are_equal_when_their_kind_and_their_fields_are():
    assert BodyReceived(b"x") == BodyReceived(b"x")
    assert BodyReceived(b"x") != BodyReceived(b"y")
    assert BodyReceived(b"x") != RequestEnded()


@pytest.mark.parametrize("event", [BodyReceived(b"x"), RequestEnded(), HeadReceived(Variables([]), 0)])
def test_no_event_can_be_hashed_because_what_it_holds_may_change(event):
    with pytest.raises(TypeError, match="unhashable"):
        hash(event)
