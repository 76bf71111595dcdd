"""The ASGI frameworks people use, unmodified, behind nginx on every route: one application in each of them.

They run on the build of the codecs that an installation chooses for itself, or SSGI_CODEC; what the builds have in
common is shown elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from tests.apps.behaviour import pattern
from tests.behaviour.asgi_site import app_site
from tests.harness import Endpoint, Site, wait_until

pytestmark = pytest.mark.nginx

APPS = ("raw", "starlette", "fastapi", "django", "quart", "litestar", "falcon", "blacksheep")

NO_WEBSOCKETS = {"django"}
NO_LATER = {"django", "blacksheep"}
"""Those with nothing of their own to run after the response."""
LEFT_OPEN = {"django"}
"""Those that leave the source of a stream to the garbage collector."""


@pytest.fixture(scope="module", params=APPS)
def framework(request: pytest.FixtureRequest) -> str:
    """The name of a framework."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def site(framework: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Its application behind nginx."""
    with app_site(framework, request.config, tmp_path_factory) as running:
        yield running


# -- requests --------------------------------------------------------------------------------------------------------


def test_a_path_a_query_and_the_state(http: Endpoint) -> None:
    answer = http.get("/hello/J%C3%BCrgen%20%26%20co?n=5")
    assert answer.status == 200, answer
    assert answer.json() == {"hello": "Jürgen & co", "n": 5, "state": "ready"}
    assert (answer.header("content-type") or "").startswith("application/json")


def test_what_the_framework_makes_of_the_request(http: Endpoint) -> None:
    host, port = http.address
    facts = http.get("/facts", [("X-Custom", "value"), ("Accept", "text/html"), ("Accept", "text/plain")]).json()
    assert facts["method"] == "GET"
    assert facts["path"] == "/facts"
    assert facts["client"] == "127.0.0.1"
    assert facts["headers"]["x-custom"] == "value"
    assert facts["headers"]["accept"] in ("text/html, text/plain", "text/html,text/plain")
    assert "content-length" not in facts["headers"]
    if not http.route.stock:
        assert facts["url"] == f"http://{host}:{port}/facts"


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_a_body_comes_back(http: Endpoint, size: int) -> None:
    body = pattern(size)
    answer = http.request("POST", "/echo", [("Content-Type", "application/x-test")], body)
    assert answer.status == 201, answer
    assert answer.header("x-length") == str(size)
    assert (answer.header("content-type") or "").startswith("application/x-test")
    assert answer.body == body


def test_a_chunked_body_comes_back(http: Endpoint) -> None:
    parts = [pattern(5000), pattern(60000), b"end"]
    answer = http.request("POST", "/echo", [("Content-Type", "application/x-test")], parts, chunked=True)
    assert answer.body == b"".join(parts)


def test_a_form_is_uploaded(http: Endpoint) -> None:
    data = pattern(1_000_000)
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
    answer = http.get("/stream?size=1000000")
    assert answer.status == 200
    assert answer.body == pattern(1_000_000)


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
    assert answer.status in (200, 404, 405)  # Falcon, FastAPI, Litestar and BlackSheep want to be told of HEAD
    assert answer.body == b""


def test_many_requests_on_one_connection(http: Endpoint) -> None:
    with http.connection() as connection:
        for n in range(20):
            connection.send_head("GET", f"/hello/again?n={n}")
            assert connection.read_response().json()["n"] == n


def test_a_client_that_disconnects_ends_a_stream(http: Endpoint, framework: str, key: str) -> None:
    if framework in LEFT_OPEN:
        pytest.skip(f"{framework} leaves it to the garbage collector")
    with http.connection() as connection:
        connection.send_head("GET", f"/forever?key={key}")
        connection.read_head()
        assert connection.read_some()
        left = http.now()
    assert http.wait_for_record(key, "left")[0] - left < 5


def test_dropped_clients_leave_nothing_behind(http: Endpoint, framework: str, key: str) -> None:
    def drop(count: int) -> None:
        for _ in range(count):
            with http.connection() as connection:
                connection.send_head("GET", f"/forever?key={key}")
                connection.read_head()
                connection.abort()

    def look() -> dict[str, int]:
        told: dict[str, int] = http.get("/do/process").json()
        return told

    tasks = look()["tasks"]
    drop(5)  # what is made once is made now, such as the threads of a pool
    wait_until(lambda: look()["tasks"] <= tasks, "the first tasks to be gone")
    before = look()
    before["descriptors"] += 8  # the connections that nginx may keep
    drop(40)

    def settled() -> bool:
        now = look()
        return all(now[what] <= before[what] for what in now)

    wait_until(settled, f"no more than before, {before}")


def test_work_after_the_response(http: Endpoint, framework: str, key: str) -> None:
    if framework in NO_LATER:
        pytest.skip(f"{framework} has no work after the response")
    assert http.get(f"/late?key={key}").status == 200
    http.wait_for_record(key, "later")


# -- WebSockets ------------------------------------------------------------------------------------------------------


@pytest.fixture
def talking(ws: Endpoint, framework: str) -> Endpoint:
    """A route to a framework that has WebSockets."""
    if framework in NO_WEBSOCKETS:
        pytest.skip(f"{framework} has no WebSockets")
    return ws


@pytest.mark.parametrize("message", ["grüße", b"\x00\xff" * 500, "x" * 100_000], ids=["text", "bytes", "long"])
def test_a_websocket_echoes(talking: Endpoint, message: str | bytes) -> None:
    kind = "bytes" if isinstance(message, bytes) else "text"
    with talking.websocket(f"/ws?kind={kind}", subprotocols=["other", "chat"], deflate=True) as client:
        assert client.subprotocol == "chat"
        for _ in range(3):
            client.send(message)
            assert client.receive() == message
        assert client.close(1000, "done")[0] == 1000


def test_a_websocket_pushes_and_closes(talking: Endpoint) -> None:
    with talking.websocket("/ws/push") as client:
        assert [client.receive() for _ in range(3)] == ["tick 0", "tick 1", "tick 2"]
        assert client.receive_close() == (4000, "done")


def test_a_websocket_that_is_dropped_leaves_the_others_alone(talking: Endpoint) -> None:
    with talking.websocket("/ws?kind=text") as staying:
        leaving = talking.websocket("/ws?kind=text")
        leaving.send("hello")
        leaving.abort()
        staying.send("still here")
        assert staying.receive() == "still here"


# -- afterwards ------------------------------------------------------------------------------------------------------


def test_no_framework_was_found_at_fault(site: Site) -> None:
    """Runs last for each: what they do in ordinary life, dropped clients included, is nothing to complain about."""
    log = "\n".join(site.gateway.log())
    assert "returned without answering" not in log
    assert "never retrieved" not in log
    assert "ASGI:" not in log
