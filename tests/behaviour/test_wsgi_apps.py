"""The WSGI frameworks people use, unmodified, behind nginx on every route, in threads and inline.

The one without a framework stands behind ``wsgiref.validate``: an offence of the server against PEP 3333 is an error.
They run on the build that an installation chooses for itself, or SSGI_CODEC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from tests.apps.behaviour import pattern
from tests.behaviour.app_site import serve_app
from tests.harness import HTTP_ROUTES, Endpoint, Site, wait_until

pytestmark = pytest.mark.nginx

APPS = ("raw", "flask", "falcon", "django")
MODES = {"inline": "0", "threads": "4"}


@pytest.fixture(scope="module", params=APPS)
def framework(request: pytest.FixtureRequest) -> str:
    """The name of a framework."""
    name: str = request.param
    return name


@pytest.fixture(scope="module", params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """How the application is run."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def site(
    framework: str, mode: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Its application behind nginx."""
    needs = "" if framework == "raw" else framework
    threads = ("--threads", MODES[mode])
    app = f"wsgi.{framework}:app"
    with serve_app(app, request.config, tmp_path_factory, *threads, routes=HTTP_ROUTES, needs=needs) as running:
        yield running


def test_a_path_and_a_query(http: Endpoint) -> None:
    answer = http.get("/hello/J%C3%BCrgen%20%26%20co?n=5")
    assert answer.status == 200, answer
    assert answer.json() == {"hello": "Jürgen & co", "n": 5}
    assert (answer.header("content-type") or "").startswith("application/json")


def test_what_the_framework_makes_of_the_request(http: Endpoint) -> None:
    host, port = http.address
    facts = http.get("/facts", [("X-Custom", "value"), ("Accept", "text/html"), ("Accept", "text/plain")]).json()
    assert facts["method"] == "GET"
    assert facts["path"] == "/facts"
    assert facts["client"] == "127.0.0.1"
    assert facts["headers"]["x-custom"] == "value"
    assert facts["headers"]["accept"] in ("text/html, text/plain", "text/html,text/plain")
    if not http.route.stock:
        assert facts["url"] == f"http://{host}:{port}/facts"


@pytest.mark.parametrize("size", [0, 1, 100_000, 3_000_000])
def test_a_body_comes_back(http: Endpoint, framework: str, size: int) -> None:
    if framework == "django" and size > 2_500_000:
        pytest.skip("Django's DATA_UPLOAD_MAX_MEMORY_SIZE")
    body = pattern(size)
    answer = http.request("POST", "/echo", [("Content-Type", "application/x-test")], body)
    assert answer.status == 201, answer
    assert answer.header("x-length") == str(size)
    assert (answer.header("content-type") or "").startswith("application/x-test")
    assert answer.body == body


def test_a_chunked_body_comes_back(http: Endpoint, framework: str) -> None:
    if framework in ("django", "falcon") and http.route.streams_uploads:
        pytest.skip(f"{framework} reads no body without a Content-Length, which an unbuffered upload does not have")
    parts = [pattern(5000), pattern(60000), b"end"]
    answer = http.request("POST", "/echo", [("Content-Type", "application/x-test")], parts, chunked=True)
    assert answer.body == b"".join(parts)


def test_a_form_is_uploaded(http: Endpoint, framework: str) -> None:
    if framework == "raw":
        pytest.skip("it knows no forms")
    data = pattern(3_000_000)
    boundary = "----test"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="field"\r\n\r\na value\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode() + data + f"\r\n--{boundary}--\r\n".encode()  # fmt: skip
    answer = http.request("POST", "/upload", [("Content-Type", f"multipart/form-data; boundary={boundary}")], body)
    assert answer.status == 200, answer
    assert answer.json() == {
        "field": "a value",
        "filename": "a.bin",
        "length": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def test_a_stream_arrives_whole(http: Endpoint) -> None:
    answer = http.get("/stream?size=5000000")
    assert answer.status == 200
    assert answer.body == pattern(5_000_000)


def test_a_file_arrives_whole(http: Endpoint) -> None:
    answer = http.get("/file")
    assert answer.status == 200
    assert b"from __future__ import annotations" in answer.body or b"from django.contrib.admin" in answer.body


def test_cookies_go_both_ways(http: Endpoint) -> None:
    answer = http.get("/cookies", [("Cookie", "who=me; other=x")])
    assert answer.json() == {"seen": "me"}
    set_cookies = [value.partition(";")[0] for name, value in answer.headers if name == "set-cookie"]
    assert set_cookies == ["one=1", "two=2"]


def test_an_exception_is_a_500(http: Endpoint) -> None:
    answer = http.get("/error")
    assert answer.status == 500
    assert b"raised by the application" not in answer.body


def test_what_is_not_there_is_a_404(http: Endpoint) -> None:
    assert http.get("/not/there").status == 404


def test_head_has_a_head_only(http: Endpoint) -> None:
    answer = http.request("HEAD", "/hello/head")
    assert answer.status in (200, 405)  # Falcon wants to be told of HEAD
    assert answer.body == b""


def test_many_requests_on_one_connection(http: Endpoint) -> None:
    with http.connection() as connection:
        for n in range(20):
            connection.send_head("GET", f"/hello/again?n={n}")
            assert connection.read_response().json()["n"] == n


def test_a_client_that_disconnects_ends_a_stream(http: Endpoint, key: str) -> None:
    with http.connection() as connection:
        connection.send_head("GET", f"/forever?key={key}")
        connection.read_head()
        assert connection.read_some()
        left = http.now()
    assert http.wait_for_record(key, "left")[0] - left < 5


def test_dropped_clients_leave_nothing_behind(http: Endpoint, key: str) -> None:
    def drop(count: int) -> None:
        for _ in range(count):
            with http.connection() as connection:
                connection.send_head("GET", f"/forever?key={key}")
                connection.read_head()
                connection.abort()

    def look() -> dict[str, int]:
        told: dict[str, int] = http.get("/do/process").json()
        return told

    drop(5)  # what is made once is made now, such as the threads of a pool
    before = look()
    before["descriptors"] += 8  # the connections that nginx may keep
    drop(40)

    def settled() -> bool:
        now = look()
        return all(now[what] <= before[what] for what in now)

    wait_until(settled, f"no more than before, {before}")


def test_flask_keeps_the_context_of_a_stream(http: Endpoint, framework: str) -> None:
    if framework != "flask":
        pytest.skip("that is Flask's")
    # Each of them is slower to read than to write, so that inline they take turns.
    connections = [http.connection() for _ in range(3)]
    for n, connection in enumerate(connections):
        connection.send_head("GET", f"/context?n={n}")
    for connection in connections:
        connection.read_head()
    for n, connection in enumerate(connections):
        assert connection.read_body().replace(b"x", b"").split() == [b"%d" % n] * 10
        connection.close()


def test_no_application_was_found_at_fault(site: Site) -> None:
    """Runs last for each: what they do in ordinary life, dropped clients included, is nothing to complain about."""
    log = "\n".join(site.gateway.log())
    for complaint in ("before it called start_response", "AssertionError", "ResourceWarning", "never retrieved"):
        assert complaint not in log
