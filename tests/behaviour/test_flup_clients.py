"""flup's clients, which nobody here wrote, get right answers: FastCGI and SCGI as others understand them.

They are WSGI applications that pass their request on: ``environ`` goes in, status and headers go to ``start_response``.
flup 1.0.3 still asks ``types.StringTypes``, which Python 3 has not.
"""

from __future__ import annotations

import hashlib
import io
import json
import types
from typing import Any

import pytest

from tests.apps.behaviour import HELLO, pattern
from tests.harness import Address, Site

types.StringTypes = (str, bytes)  # type: ignore[attr-defined]

pytestmark = pytest.mark.nginx  # it is part of the site, though nothing here passes it

CLIENTS = ["fastcgi-unix", "fastcgi-tcp", "scgi-unix", "scgi-tcp"]


class Front:
    """A server that hands each of its requests to flup's client."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def ask(self, method: str, path: str, query: str = "", body: bytes = b"", **more: str) -> tuple[str, bytes]:
        """Status and body of the answer; the headers are in ``self.headers``."""
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(len(body)),
            "SERVER_NAME": "example.org",
            "SERVER_PORT": "8080",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "192.0.2.7",
            "HTTP_HOST": "example.org:8080",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            **more,
        }
        self.status = ""
        [answer] = self.client(environ, self._start_response)
        assert not environ["wsgi.errors"].getvalue()
        return self.status, answer

    def _start_response(self, status: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = status.decode()
        self.headers = {name.decode(): value.decode() for name, value in headers}


@pytest.fixture(params=CLIENTS)
def front(request: pytest.FixtureRequest, site: Site) -> Front:
    from flup.client import fcgi_app, scgi_app

    protocol, _, kind = request.param.partition("-")
    address: Address = site.gateway.address(protocol, kind)
    return Front((fcgi_app.FCGIApp if protocol == "fastcgi" else scgi_app.SCGIApp)(connect=address))


def test_a_get_is_answered_with_its_status_headers_and_body(front: Front) -> None:
    assert front.ask("GET", "/do/hello") == ("200 OK", HELLO)
    assert front.headers == {"content-type": "text/plain", "content-length": str(len(HELLO))}
    status, body = front.ask("GET", "/do/answer", "status=404%20Not%20Here&h=X-Why:%20gone&body=none")
    assert (status, body, front.headers["x-why"]) == ("404 Not Here", b"none", "gone")


def test_path_query_and_headers_reach_the_application(front: Front) -> None:
    status, body = front.ask("GET", "/gr\xc3\xbc\xc3\x9fe a", "b=%20c&d", HTTP_COOKIE="k=v", HTTP_X_LONG="x" * 300)
    facts = json.loads(body)
    assert status == "200 OK"
    assert (facts["method"], facts["path"], facts["query_string"]) == ("GET", "/grüße a", "b=%20c&d")
    assert facts["server_address"] == "example.org:8080"
    assert facts["remote_address"].startswith("192.0.2.7")
    assert facts["headers"]["cookie"] == ["k=v"]
    assert facts["headers"]["x-long"] == ["x" * 300]
    assert "content-length" not in facts["headers"]


@pytest.mark.parametrize("size", [1, 4096, 1_000_001])
def test_a_posted_body_arrives_whole(front: Front, size: int) -> None:
    body = pattern(size)
    status, answer = front.ask("POST", "/do/body", body=body, CONTENT_TYPE="application/octet-stream")
    told = json.loads(answer)
    assert (status, told["length"], told["sha256"]) == ("200 OK", size, hashlib.sha256(body).hexdigest())


def test_a_post_without_a_body_has_none(front: Front) -> None:
    status, answer = front.ask("POST", "/do/body")
    assert (status, json.loads(answer)["length"]) == ("200 OK", 0)


@pytest.mark.parametrize("how", ["stream", "flood", "chunks"])
def test_a_large_answer_arrives_whole(front: Front, how: str) -> None:
    status, body = front.ask("GET", f"/do/{how}", "size=5000001&chunk=70000")
    assert status == "200 OK"
    assert body == pattern(5_000_001)
