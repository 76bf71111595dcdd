"""``adapt``, its hooks, and the twelve defects that the existing SCGI server for ASGI has: none of them is here."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ssgi_gateway.adapters.asgi.adapter import AsgiApplication, adapt
from ssgi_gateway.adapters.negotiation import resolve
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.settings import Settings
from tests.unit.adapters.serving import in_loop, serving

ROOT = Path(__file__).resolve().parents[4]

START = {"type": "http.response.start", "status": 200, "headers": []}
BODY = {"type": "http.response.body", "body": b"body"}


async def hello(scope, receive, send):
    await send(START)
    await send(BODY)


class Framework:
    async def __call__(self, scope, receive, send):
        await hello(scope, receive, send)

    async def method(self, scope, receive, send):
        await hello(scope, receive, send)


async def configured(option, scope, receive, send):
    await hello(scope, receive, send)


# -- adapt ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "app",
    [hello, Framework(), Framework().method, functools.partial(configured, "option"), lambda *args: hello(*args)],
    ids=["function", "object", "method", "partial", "lambda"],
)
@in_loop
async def test_every_kind_of_callable_is_served(app):
    async with serving(adapt(app)) as served:
        assert (await served.request()).body == b"body"


def test_what_cannot_be_called_is_refused_at_the_start():
    with pytest.raises(ConfigurationError, match=r"cannot be called as ASGI 3, with scope, receive and send"):
        adapt(lambda environ, start_response: [])


def test_asgi_2_is_named():
    class Old:
        def __init__(self, scope): ...

    with pytest.raises(ConfigurationError, match="looks like ASGI 2"):
        adapt(Old)


@pytest.mark.parametrize("interface", ["auto", "asgi"])
def test_the_registry_has_it(interface):
    application = resolve(hello, interface)
    assert type(application.http).__name__ == AsgiApplication.__name__  # of either build
    assert application.websocket is application.http


def test_a_framework_is_offered_it():
    class Mixed:
        def get_supported(self, supported_interfaces):
            assert supported_interfaces["asgi"] == "2.5"
            return {"http": ("asgi", hello), "websockets": None}

    assert type(resolve(Mixed()).http).__name__ == AsgiApplication.__name__


# -- its hooks -----------------------------------------------------------------------------------------------------


@in_loop
async def test_the_lifespan_is_run_once_for_both_protocols():
    events = []

    async def app(scope, receive, send):
        while scope["type"] == "lifespan":
            events.append((await receive())["type"])
            await send({"type": events[-1] + ".complete"})

    application = resolve(app)
    await application.startup({})
    await application.shutdown()
    assert events == ["lifespan.startup", "lifespan.shutdown"]


@in_loop
async def test_what_had_started_is_shut_down_when_another_fails():
    events = []

    class Mixed:
        async def startup(self, state):
            events.append("framework started")

        async def shutdown(self):
            events.append("framework stopped")

        def get_supported(self, supported_interfaces):
            return {"http": ("asgi", fails), "websockets": ("asgi", hello)}

    async def fails(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(ConfigurationError, match="no database"):
        await resolve(Mixed()).startup({})
    assert events == ["framework started", "framework stopped"]


# -- the twelve defects --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [Settings(), Settings(development=True)])
@in_loop
async def test_defect_01_an_exception_gives_a_500_not_zero_bytes(settings, caplog):
    async def app(scope, receive, send):
        raise LookupError("what went wrong")

    async with serving(adapt(app), settings) as served:
        answer = await served.request()
    assert answer.status == 500
    assert answer.complete
    assert (b"LookupError" in answer.body) == settings.development
    assert "LookupError: what went wrong" in caplog.text


@in_loop
async def test_defect_02_stock_scgi_params_work():
    # Debian's /etc/nginx/scgi_params: no SCRIPT_NAME, no PATH_INFO, no SERVER_ADDR; these are all of its lines.
    scopes = []

    async def app(scope, receive, send):
        scopes.append(scope)
        await hello(scope, receive, send)

    variables = [
        ("DOCUMENT_ROOT", "/usr/share/nginx/html"),
        ("HTTPS", ""),
        ("QUERY_STRING", "x=1"),
        ("CONTENT_TYPE", ""),
    ]
    async with serving(adapt(app)) as served:
        assert (await served.request("GET", "/a/b?x=1", variables=variables)).body == b"body"
    (scope,) = scopes
    assert (scope["path"], scope["root_path"], scope["query_string"]) == ("/a/b", "", b"x=1")
    assert scope["server"] == ("example.org", 8080)
    assert scope["client"] == ("192.0.2.7", 50007)


@pytest.mark.parametrize(
    ("target", "path"),
    [("/a%2520b", "/a%20b"), ("/a%3Fb?c", "/a?b"), ("/a+b", "/a+b"), ("/%C3%A9", "/é"), ("//a//b/", "//a//b/")],
)
@in_loop
async def test_defect_03_the_path_is_decoded_once_and_without_the_query(target, path):
    async def app(scope, receive, send):
        await send(START)
        await send({**BODY, "body": scope["path"].encode()})

    async with serving(adapt(app)) as served:
        # What nginx sends as DOCUMENT_URI is decoded already, and normalised: not what is to be used.
        answer = await served.request("GET", target, variables=[("DOCUMENT_URI", "/wrong")])
    assert answer.body == path.encode()


@pytest.mark.parametrize(
    "start",
    [
        {**START, "headers": ((b"x-a", b"1"),)},
        {**START, "headers": [[b"x-a", b"1"]]},
        {"type": "http.response.start", "status": 200},
        {**START, "headers": [(b"connection", b"close"), (b"transfer-encoding", b"chunked")]},
    ],
    ids=["tuples", "lists", "missing", "connection: close"],
)
@in_loop
async def test_defect_04_headers_as_tuples_missing_or_with_connection_close(start):
    async def app(scope, receive, send):
        await send(start)
        await send(BODY)

    async with serving(adapt(app)) as served:
        answer = await served.request()
    assert answer.status == 200
    assert answer.body == b"body"
    assert answer.complete
    assert answer.header("connection") is None
    assert answer.header("transfer-encoding") is None


@pytest.mark.parametrize(
    "header",
    [(b"x-a", b"1\r\nset-cookie: b=2"), (b"x-a: 1\r\nx-b", b"2"), (b"x-a", b"1\nx-b: 2"), (b"location", b"\r")],
)
@in_loop
async def test_defect_05_no_crlf_of_an_application_is_on_the_wire(header):
    async def app(scope, receive, send):
        await send({**START, "headers": [header]})
        await send(BODY)

    async with serving(adapt(app)) as served:
        answer = await served.request()
    assert answer.status == 500
    assert b"x-b" not in answer.raw
    assert b"set-cookie" not in answer.raw


@in_loop
async def test_defect_06_receive_after_a_complete_response_is_a_disconnect():
    events = []

    async def app(scope, receive, send):
        await receive()
        await hello(scope, receive, send)
        events.append(await receive())
        events.append(await receive())

    async with serving(adapt(app)) as served:
        assert (await served.request("POST", body=b"data")).body == b"body"
    assert events == [{"type": "http.disconnect"}, {"type": "http.disconnect"}]


@in_loop
async def test_defect_07_an_early_413_with_an_unread_body_arrives():
    async def app(scope, receive, send):
        await send({**START, "status": 413})
        await send({**BODY, "body": b"too large"})

    size = 4 << 20
    async with serving(adapt(app)) as served:
        client = await served.open("POST", length=size)
        # A web server writes all of it before it looks at the answer.
        client.write(bytes(size))
        await client.writer.drain()
        answer = await client.answer()
        await client.leave()
    assert (answer.status, answer.body) == (413, b"too large")


@pytest.mark.parametrize(
    ("target", "variables"),
    [
        ("/", [("HTTP_COOKIE", "x" * 70000)]),
        ("/", [("SERVER_PORT", ""), ("REMOTE_PORT", "")]),
        ("/%ff%fe", []),
        ("/\xff", []),
        ("/", [("HTTP_X_NAME", "\xe9")]),
    ],
    ids=["70000 bytes", "no ports", "no UTF-8", "a raw byte", "a latin-1 header"],
)
@in_loop
async def test_defect_08_large_environments_empty_ports_and_odd_paths_are_answered(target, variables):
    async with serving(adapt(hello)) as served:
        assert (await served.request("GET", target, variables=variables)).body == b"body"


FAILING = """
async def app(scope, receive, send):
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the database is not there"})
"""


def test_defect_09_startup_failed_exits_non_zero(tmp_path):
    (tmp_path / "failing.py").write_text(FAILING)
    ended = subprocess.run(
        [sys.executable, "-m", "ssgi_gateway", "serve", "failing:app", "--scgi", "127.0.0.1:0"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode not in (0, 1), ended.stderr  # 1 is Python's own, for a traceback
    assert "the application failed to start: the database is not there" in ended.stderr
    assert "Traceback" not in ended.stderr


@in_loop
async def test_defect_10_state_is_copied_for_each_request():
    states = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            scope["state"].update(count=0, shared=[])
            for _ in range(2):
                await send({"type": (await receive())["type"] + ".complete"})
            return
        scope["state"]["count"] += 1
        scope["state"]["shared"].append(1)
        states.append(scope["state"])
        await hello(scope, receive, send)

    async with serving(adapt(app), state={}) as served:
        for _ in range(3):
            await served.request()
    assert [state["count"] for state in states] == [1, 1, 1]
    assert states[0] is not states[1]
    assert states[0]["shared"] is states[1]["shared"]  # a shallow copy
    assert len(states[0]["shared"]) == 3


@in_loop
async def test_defect_11_upgrade_requests_are_websockets():
    async def app(scope, receive, send):
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": (await receive())["text"]})

    async with serving(adapt(app)) as served:
        ws = await served.websocket()
        ws.send("hello")
        assert await ws.receive() == "hello"
        await ws.client.leave()


@in_loop
async def test_defect_11_an_upgrade_to_something_else_is_a_request():
    async with serving(adapt(hello)) as served:
        answer = await served.request("GET", "/", [("upgrade", "h2c"), ("connection", "Upgrade")])
    assert answer.body == b"body"


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@in_loop
async def test_defect_12_no_content_length_of_0_on_a_get(method):
    headers = []

    async def app(scope, receive, send):
        headers.extend(name for name, _ in scope["headers"])
        await hello(scope, receive, send)

    async with serving(adapt(app)) as served:
        await served.request(method)
    assert b"content-length" not in headers
    assert b"content-type" not in headers
