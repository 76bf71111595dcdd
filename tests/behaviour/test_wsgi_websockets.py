"""WebSockets of a WSGI application (Flask-Sock) on every route that carries them, a thread each."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.harness import WEBSOCKET_ROUTES, Endpoint, Site, WebSocketRejectedError, wait_until

pytest.importorskip("flask_sock", reason="pip install ssgi-gateway[test-apps]")

pytestmark = pytest.mark.nginx

APP = "tests.apps.wsgi.sock:app"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, codec: str) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("sock"), APP, options=("--threads", "1"), env={"SSGI_CODEC": codec}) as running:
        yield running


def test_echo_and_close_by_the_client(ws: Endpoint) -> None:
    with ws.websocket("/echo") as client:
        for message in ("hello", "x" * 100_000, "grüße"):
            client.send(message)
            assert client.receive() == message
        assert client.close(1000) == (1000, "")


def test_the_library_answers_a_close_after_the_application_has_ended(ws: Endpoint) -> None:
    """simple-websocket has a thread that reads, and lets the application go on before it answers."""
    with ws.websocket("/late") as client:
        assert client.close(1000) == (1000, "")


def test_close_by_the_application(ws: Endpoint) -> None:
    with ws.websocket("/once") as client:
        client.send("hello")
        assert client.receive() == "once hello"
        assert client.receive_close() == (1000, "")


@pytest.mark.parametrize(("path", "status"), [("/", 400), ("/not/there", 404)])
def test_an_ordinary_answer_refuses_the_upgrade(ws: Endpoint, path: str, status: int) -> None:
    with pytest.raises(WebSocketRejectedError) as refusal, ws.websocket(path):
        pass
    assert refusal.value.response.status == status


def test_websockets_hold_no_thread_of_the_pool(ws: Endpoint, site: Site) -> None:
    http = site.through(WEBSOCKET_ROUTES[0])
    with ws.websocket("/echo") as one, ws.websocket("/echo") as other:
        assert http.get("/").body == b"hello"
        for client in (one, other):
            client.send("still there")
            assert client.receive() == "still there"


def test_there_is_a_bound_and_a_restart_is_reported(site_with: Callable[..., Site]) -> None:
    site = site_with("--wsgi-websockets", "2", app=APP)
    ws = site.through(WEBSOCKET_ROUTES[0])
    with ws.websocket("/echo") as one:
        with ws.websocket("/echo") as other:
            with pytest.raises(WebSocketRejectedError) as refusal, ws.websocket("/echo"):
                pass
            assert refusal.value.response.status == 503
            other.close(1000)

        def there_is_room() -> bool:
            try:
                with ws.websocket("/once") as third:
                    third.send("room")
                    return third.receive() == "once room"
            except WebSocketRejectedError:
                return False

        wait_until(there_is_room, "a thread that has become free")
        site.gateway.stop()
        assert one.receive_close() == (1012, "")


def test_without_them_a_request_to_upgrade_is_one_as_any_other(site_with: Callable[..., Site]) -> None:
    site = site_with("--wsgi-websockets", "0", app=APP, routes=WEBSOCKET_ROUTES[:1])
    with pytest.raises(WebSocketRejectedError) as refusal, site.through(WEBSOCKET_ROUTES[0]).websocket("/"):
        pass
    assert refusal.value.response.status == 400  # by Werkzeug: no route for WebSockets
