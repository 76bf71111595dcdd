"""The smallest applications do what the README says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import HTTP_ROUTES, Site

pytestmark = pytest.mark.nginx

ROUTES = [route for route in HTTP_ROUTES if route.listener == "unix" and not route.stock]


def test_hello_answers_at_once(tmp_path: Path) -> None:
    with Site(tmp_path, "examples.hello:app") as site:
        for route in ROUTES:
            answer = site.through(route).get("/a%20page?x=1")
            assert (answer.status, answer.header("content-type")) == (200, "text/plain; charset=utf-8")
            assert answer.text.startswith("Hello, 127.0.0.1:")
            assert answer.text.endswith("You asked for /a page\n")


def test_hello_async_waits_for_the_body(tmp_path: Path) -> None:
    with Site(tmp_path, "examples.hello_async:app") as site:
        for route in ROUTES:
            endpoint = site.through(route)
            assert endpoint.get("/").text == "Hello. You sent 0 bytes to /\n"
            assert (
                endpoint.request("POST", "/form", body=b"x" * 70_000).text == "Hello. You sent 70000 bytes to /form\n"
            )
