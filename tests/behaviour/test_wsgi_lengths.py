"""A WSGI application knows how long a body is, whoever has collected it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.apps.behaviour import pattern
from tests.harness import HTTP_ROUTES, Endpoint, Site

pytestmark = pytest.mark.nginx


@pytest.fixture(scope="module", params=["8", "0"], ids=["threads", "inline"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, codec: str) -> Iterator[Site]:
    options = ("--threads", request.param)
    folder = tmp_path_factory.mktemp("lengths")
    app = "tests.apps.wsgi.lengths:app"
    with Site(folder, app, options=options, routes=HTTP_ROUTES, env={"SSGI_CODEC": codec}) as running:
        yield running


@pytest.mark.parametrize("size", [5, 70_000, 3_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_length_is_there(http: Endpoint, size: int, chunked: bool) -> None:
    body = pattern(size)
    answer = http.request("POST", "/", body=[body[:3], body[3:]] if chunked else body, chunked=chunked)
    assert answer.body.decode() == f"{size} {size}"
