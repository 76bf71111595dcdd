"""What gunicorn's tests call invalid is no request here, in any cut; a body that breaks off is none either."""

from __future__ import annotations

import pytest

from ssgi_gateway.wire.events import RequestAborted, RequestEnded
from tests.unit.wire.http.gunicorn_requests import INVALID, TRAILERS
from tests.unit.wire.http.test_codec import make
from tests.unit.wire.transcript import EOF, Refused, play


@pytest.mark.parametrize("cut", ["whole", "byte by byte"])
@pytest.mark.parametrize("name", INVALID)
def test_invalid_requests(name, cut):
    data = INVALID[name]
    pieces = [data] if cut == "whole" else [data[at : at + 1] for at in range(len(data))]
    told = play(make(), [*pieces, EOF]).told
    assert isinstance(told[-1], (Refused, RequestAborted)), told
    assert not any(isinstance(it, RequestEnded) for it in told), "it was never a whole request"


@pytest.mark.parametrize("name", TRAILERS)
def test_trailers_change_nothing_about_the_request(name):
    told = play(make(), [TRAILERS[name]]).told
    assert told[-1] == RequestEnded()
    variables = told[0].variables
    assert (variables["HTTP_HOST"], variables.get("CONTENT_LENGTH")) == ("example.com", None)
