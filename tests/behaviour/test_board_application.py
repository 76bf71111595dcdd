"""The demonstration without its page: its answers, and what becomes of visitors who are slow or say strange things."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.harness import HTTP_ROUTES, WEBSOCKET_ROUTES, Endpoint, Site, WebSocketClient, WebSocketRejectedError

pytestmark = pytest.mark.nginx

APP = "examples.board.app:app"
HTTP = [route for route in HTTP_ROUTES if route.listener == "unix" and not route.stock]
IN_BAND = next(route for route in WEBSOCKET_ROUTES if route.http)
DIRECT = next(route for route in WEBSOCKET_ROUTES if not route.nginx)


class Visitor:
    """A WebSocket on the board; its frames are arrays of events."""

    def __init__(self, endpoint: Endpoint, receive_buffer: int = 0) -> None:
        self.ws: WebSocketClient = endpoint.websocket("/board", receive_buffer=receive_buffer)
        self._events: list[dict[str, Any]] = []

    def say(self, **message: Any) -> None:
        self.ws.send(json.dumps(message))

    def draw(self, stroke: int, *points: int) -> None:
        self.say(type="draw", stroke=stroke, width=7, points=points)

    def event(self, kind: str) -> dict[str, Any]:
        """The next event of that type; others are passed over."""
        while True:
            while self._events:
                event = self._events.pop(0)
                if event["type"] == kind:
                    return event
            self._events = json.loads(self.ws.receive())


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("board"), APP) as running:
        yield running


@pytest.mark.parametrize("route", HTTP, ids=lambda route: route.name)
def test_the_page_and_its_files_are_there_without_a_web_servers_help(board: Site, route: Any) -> None:
    endpoint = board.through(route)
    for mount in ("", "/scgi", "/fastcgi"):
        page = endpoint.get(f"{mount}/")
        assert page.status == 200
        assert page.header("content-type") == "text/html; charset=utf-8"
        assert "default-src 'none'" in (page.header("content-security-policy") or "")
    for name in ("board.js", "board.css", "favicon.svg"):
        assert f"/static/{name}" in page.text
        assert endpoint.get(f"/static/{name}").status == 200
    head = endpoint.request("HEAD", "/")
    assert (head.status, head.body, head.header("content-length")) == (200, b"", str(len(page.body)))


@pytest.mark.parametrize("target", ["/nothing", "/static/", "/static/nothing.js", "/static/%2e%2e/app.py", "/board.js"])
def test_nothing_else_is(board: Site, target: str) -> None:
    assert board.through(HTTP[0]).get(target).status == 404


@pytest.mark.parametrize(
    ("method", "target", "allowed"), [("DELETE", "/", "GET, HEAD"), ("GET", "/upload", "POST, PUT")]
)
def test_other_methods_are_refused(board: Site, method: str, target: str, allowed: str) -> None:
    answer = board.through(HTTP[0]).request(method, target)
    assert (answer.status, answer.header("allow")) == (405, allowed)


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("route", HTTP, ids=lambda route: route.name)
def test_an_upload_is_answered_with_its_digest(board: Site, route: Any, method: str) -> None:
    body = b"board" * 100_000
    answer = board.through(route).request(method, "/upload", body=body).json()
    assert answer["sha256"] == hashlib.sha256(body).hexdigest()
    assert (answer["size"], answer["protocol"]) == (len(body), route.protocol)


def test_visitors_hear_of_each_other_and_newcomers_of_what_was(board: Site) -> None:
    first, second = Visitor(board.through(IN_BAND)), Visitor(board.through(DIRECT))
    with first.ws, second.ws:
        me = first.event("welcome")["you"]
        second.event("snapshot")
        first.say(type="hello", name="Ada", color="violet")
        first.draw(1, 10, 20, 30, 40)
        stroke = {"id": f"{me}.1", "color": "violet", "width": 7, "points": [10, 20, 30, 40]}
        assert second.event("draw") == {"type": "draw", **stroke}
        third = Visitor(board.through(DIRECT))
        with third.ws:
            assert {"id": me, "name": "Ada", "color": "violet"} in third.event("people")["people"]
            assert stroke in third.event("snapshot")["strokes"]
            third.say(type="clear")
            first.event("clear")


@pytest.mark.parametrize("message", ["{", '{"type":"shout"}', '{"type":"draw"}', b"\x00", "x" * 9000])
def test_a_strange_message_closes_with_a_reason(board: Site, message: str | bytes) -> None:
    visitor = Visitor(board.through(DIRECT))
    with visitor.ws:
        visitor.ws.send(message)
        code, reason = visitor.ws.receive_close()
    assert code == 1008
    assert reason


def test_there_is_no_other_websocket(board: Site) -> None:
    with pytest.raises(WebSocketRejectedError, match="404"):
        board.through(DIRECT).websocket("/nothing")


def test_a_visitor_who_did_not_read_gets_the_whole_picture_and_disturbs_nobody(board: Site) -> None:
    """More is drawn than all buffers on the way to the slow one can hold; then it reads again."""
    slow = Visitor(board.through(DIRECT), receive_buffer=4096)
    painter, watcher = Visitor(board.through(DIRECT)), Visitor(board.through(DIRECT))
    with slow.ws, painter.ws, watcher.ws:
        for visitor in (slow, watcher):
            visitor.event("snapshot")
        me = painter.event("welcome")["you"]
        points = [1600, 1000] * 250
        for number in range(4000):  # about 10 MB
            painter.draw(number, *points)
            if number % 100 == 99:
                while watcher.event("draw")["id"] != f"{me}.{number}":
                    pass
        newest = f"{me}.{number}"
        strokes = slow.event("snapshot")["strokes"]
        assert strokes[-1]["id"] == newest
        assert strokes[-1]["points"] == points
