"""The conformance suite, run as another server would run it: against this gateway, each way that HTTP can come."""

from __future__ import annotations

import pytest

from ssgi_gateway.testing.conformance import *  # noqa: F403 - the tests
from tests.acgi.servers import gateway

APP = "ssgi_gateway.testing.conformance_app:app"


@pytest.fixture(scope="module", params=["scgi", "fastcgi"])
def ssgi_url(request, tmp_path_factory):
    with gateway(APP, tmp_path_factory.mktemp("conformance"), request.param) as address:
        scheme = "scgi" if request.param == "scgi" else "fcgi"
        yield f"{scheme}://{address}:"
