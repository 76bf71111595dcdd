"""FastAPI's own: validation, dependencies with a clean-up, the generated documentation."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.behaviour.asgi_site import app_site
from tests.harness import Endpoint, Site

pytestmark = pytest.mark.nginx


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The FastAPI application behind nginx."""
    with app_site("fastapi", request.config, tmp_path_factory) as running:
        yield running


def test_a_body_is_validated(http: Endpoint) -> None:
    headers = [("Content-Type", "application/json")]
    good = http.request("PUT", "/items/7", headers, json.dumps({"name": "tea", "price": 2.5}).encode())
    assert (good.status, good.json()) == (200, {"number": 7, "name": "tea", "price": 2.5})
    bad = http.request("PUT", "/items/7", headers, b'{"name": "tea"}')
    assert bad.status == 422
    assert bad.json()["detail"][0]["loc"] == ["body", "price"]
    assert http.request("PUT", "/items/seven", headers, b"{}").status == 422


def test_a_dependency_is_closed(http: Endpoint, key: str) -> None:
    assert http.get(f"/resource?key={key}").json() == {"it": "resource"}
    http.wait_for_record(key, "closed")


def test_the_documentation(http: Endpoint) -> None:
    assert "/items/{number}" in http.get("/openapi.json").json()["paths"]
    assert b"swagger-ui" in http.get("/docs").body
