"""WSGI without a framework, behind ``wsgiref.validate``: an offence of the server against PEP 3333 is an error."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import h11
import pytest

from tests.apps.behaviour import pattern
from tests.behaviour.app_site import serve_app
from tests.harness import HTTP_ROUTES, Endpoint, Site

pytestmark = pytest.mark.nginx

MODES = {"inline": "0", "threads": "4"}


@pytest.fixture(params=HTTP_ROUTES, ids=lambda route: route.name)
def raw(request: pytest.FixtureRequest, raw_site: Site) -> Endpoint:
    """The application behind the validator, through each route."""
    return raw_site.through(request.param)


@pytest.fixture(scope="module", params=MODES)
def raw_site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """It, behind nginx."""
    threads = ("--threads", MODES[request.param])
    with serve_app("wsgi.raw:app", request.config, tmp_path_factory, *threads, routes=HTTP_ROUTES) as running:
        yield running


def test_environ(raw: Endpoint) -> None:
    environ = raw.get("/facts?a=%20b", [("Proxy", "evil"), ("X-One", "1")]).json()["environ"]
    expected = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/facts", "QUERY_STRING": "a=%20b"}
    assert {name: environ[name] for name in expected} == expected
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert environ["SERVER_PORT"] == str(raw.address[1])
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["HTTP_X_ONE"] == "1"
    assert environ["wsgi.url_scheme"] == "http"
    assert "HTTP_PROXY" not in environ
    assert "HTTP_CONTENT_LENGTH" not in environ


@pytest.mark.parametrize("size", [0, 10_000, 8_000_000])
def test_lines_and_sums_of_a_body(raw: Endpoint, size: int) -> None:
    body = (b"first line\n" + b"x" * 70_000 + b"\nhalf\n" + b"the rest\n" * 900_000)[:size]
    for target in ("/lines", "/sums"):
        assert raw.request("PUT", target, body=body).text == hashlib.sha256(body).hexdigest()


def test_the_write_callable(raw: Endpoint) -> None:
    assert raw.get("/written?size=2000000").body == pattern(2_000_000)


def test_a_head_that_is_replaced(raw: Endpoint) -> None:
    answer = raw.get("/replaced")
    assert (answer.status, answer.header("x-replaced"), answer.body) == (503, "yes", b"sorry")


def test_an_exception_in_the_middle_is_no_whole_page(raw: Endpoint) -> None:
    if not raw.route.kept:
        pytest.skip("without a length the connection's end is the answer's; nginx looks further where it is kept")
    with raw.connection() as connection:
        connection.send_head("GET", "/late-error")
        assert connection.read_head().status == 200
        with pytest.raises(h11.RemoteProtocolError):
            connection.read_body()


def test_a_reader_is_notified_when_its_client_disconnects(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, key: str
) -> None:
    streaming = [route for route in HTTP_ROUTES if route.streams_uploads]
    with serve_app("wsgi.raw:plain", request.config, tmp_path_factory, routes=HTTP_ROUTES) as running:
        for number, route in enumerate(streaming):
            http = running.through(route)
            with http.connection() as connection:
                connection.send_head("POST", f"/read?key={key}{number}", [("Content-Length", "1000000")])
                connection.send_body(pattern(1000))
                http.wait_for_record(f"{key}{number}", "started")
                left = http.now()
            at, _, error = http.wait_for_record(f"{key}{number}", "left")
            assert at - left < 2
            assert error == "ConnectionAbortedError"


def test_a_large_upload_is_not_kept_in_memory(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    for mode in MODES.values():
        with serve_app(
            "wsgi.raw:plain", request.config, tmp_path_factory, "--threads", mode, routes=HTTP_ROUTES
        ) as running:
            for route in HTTP_ROUTES:
                http = running.through(route)
                http.request("PUT", "/sums", body=pattern(1000))
                process = running.gateway.process
                process.reset_peak_rss()
                before = process.rss()
                parts = [pattern(1_000_000, start * 1_000_000) for start in range(64)]
                answer = http.request("PUT", "/sums", body=parts)
                assert answer.text == hashlib.sha256(b"".join(parts)).hexdigest()
                assert process.peak_rss() - before < 16_000_000
