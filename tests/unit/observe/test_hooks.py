"""Hooks: an object of callables, each of which may be missing; what they raise hurts nobody."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from ssgi_gateway.observe.hooks import HookObserver
from tests.unit.server.peer import bench, request
from tests.unit.server.test_observing import UPGRADE


def hello(*args):
    args[-1].send("hello")


async def test_hooks_hear_of_a_request():
    seen = []
    hooks = SimpleNamespace(
        start=lambda: seen.append("start"),
        stop=lambda: seen.append("stop"),
        request_started=lambda it: seen.append((it.method, it.path, it.query, it.protocol, it.header("X-a"))),
        request_ended=lambda it, status, seconds: seen.append((it.received, it.sent, status, seconds >= 0)),
    )
    observer = HookObserver(hooks)
    observer.start()
    with bench(hello, observer=observer) as b:
        _, peer = b.connect("scgi", request("POST", "/a%20?b", b"four", HTTP_X_A="1"))
        await peer.read_all()
    assert seen == ["start", ("POST", "/a%20", "b", "scgi", "1"), (4, 5, 200, True), "stop"]


async def test_a_websocket_is_one_request_to_its_end():
    seen = []
    hooks = SimpleNamespace(
        request_started=lambda it: it.data.update(mark=1),
        request_ended=lambda it, status, _: seen.append((status, it.data["mark"])),
        message_received=lambda it, message: seen.append((message, it.data["mark"])),
        message_sent=lambda it: seen.append("sent"),
        websocket_closed=lambda it, code: seen.append((code, it.data["mark"])),
    )

    def app(*args):
        args[-1].accept()
        args[-1].on_receive(lambda ws, message: ws.send(message))

    with bench(None, app, observer=HookObserver(hooks)) as b:
        _, peer = b.connect("websocket", UPGRADE)
        await peer.read_until(b"\r\n\r\n")
        peer.send(b"\x82\x82\0\0\0\0ab")
        await peer.read(4)
        peer.send(b"\x88\x82\0\0\0\0\x03\xe8")
        await peer.read_all()
    assert seen == [(101, 1), (b"ab", 1), "sent", (1000, 1)]


@pytest.mark.parametrize("name", ["request_started", "request_ended"])
async def test_what_a_hook_raises_hurts_nobody(name, caplog):
    def fail(*args):
        raise RuntimeError("oh")

    with bench(hello, observer=HookObserver(SimpleNamespace(**{name: fail}))) as b:
        _, peer = b.connect("scgi", request())
        assert (await peer.read_all()).endswith(b"hello")
    assert f"the hook {name} raised" in caplog.text


async def test_what_stands_around_the_application():
    def around(app):
        return lambda *args: args[-1].send("around")

    observer = HookObserver(SimpleNamespace(around=around))
    assert HookObserver(SimpleNamespace()).around(hello) is hello
    assert observer.around(None) is None
    with bench(observer.around(hello), observer=observer) as b:
        _, peer = b.connect("scgi", request())
        assert (await peer.read_all()).endswith(b"around")


def nothing(*args):
    pass


@pytest.mark.parametrize("name", ["start", "stop", "around", "another_name"])
def test_hooks_that_are_not_about_requests_watch_none(name):
    assert not HookObserver(SimpleNamespace(**{name: nothing})).watches
    assert not HookObserver(SimpleNamespace(request_ended=None)).watches


@pytest.mark.parametrize(
    "name", ["request_started", "request_ended", "websocket_closed", "message_received", "message_sent"]
)
def test_any_that_is_does(name):
    assert HookObserver(SimpleNamespace(**{name: nothing})).watches
