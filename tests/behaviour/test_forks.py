"""Applications that fork: whatever a child holds or does, other clients' answers and the server go on."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.behaviour.raw import Answer, Peer, exchange, scgi
from tests.harness import Gateway, WebSocketClient, wait_until
from tests.harness.gateway import ROOT

APP = "tests.apps.stubborn:app"


def ask(gateway: Gateway, path: str, query: str = "") -> str:
    """The body of an answer over SCGI and a unix socket."""
    answer = Answer(exchange(gateway.address("scgi", "unix"), scgi({"REQUEST_URI": path, "QUERY_STRING": query})))
    assert answer.status == 200
    return answer.body.decode()


@pytest.fixture(params=["uvloop", "asyncio"])
def forking(request: pytest.FixtureRequest, codec: str, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway on either event loop whose children are ended with it."""
    env = {"SSGI_CODEC": codec}
    if request.param == "asyncio":
        (tmp_path / "uvloop.py").write_text("raise ImportError('hidden by the test')\n")
        env["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{ROOT}"
    both = ("unix", "tcp")
    with Gateway(APP, tmp_path, scgi=both, fastcgi=both, websocket=both, env=env) as gateway:
        yield gateway
        if gateway.process.returncode is None:
            ask(gateway, "/end-children")


def test_an_answer_that_ends_with_its_connection_ends_though_a_child_lives(forking: Gateway) -> None:
    assert ask(forking, "/stream") == "begin end"


def test_a_websocket_ends_though_a_child_lives(forking: Gateway) -> None:
    with WebSocketClient(forking.address("websocket", "tcp"), "/") as client:
        ask(forking, "/fork", "lives")
        client.send("hello")
        assert client.receive() == "hello"
        assert client.close(1000)[0] == 1000
        assert client.socket.recv(1) == b""


def test_a_child_has_no_socket_of_the_server(forking: Gateway) -> None:
    with (
        Peer(forking.address("fastcgi", "unix")) as _,
        WebSocketClient(forking.address("websocket", "tcp"), "/") as client,
    ):
        client.send("hello")
        client.receive()
        # asyncio's pair to wake itself with is two; uvloop has an eventfd.
        assert int(ask(forking, "/child-sockets")) <= 2


def test_a_signal_to_a_child_ends_the_child_and_not_the_server(forking: Gateway) -> None:
    assert ask(forking, "/terminate") == "-15"
    assert ask(forking, "/hello") == "hello"
    assert "draining" not in "\n".join(forking.log())


@pytest.mark.parametrize("end", ["exits", "raises", "answers"])
def test_a_child_that_comes_back_to_the_server_ends_there_and_harms_nobody(forking: Gateway, end: str) -> None:
    child = int(ask(forking, "/fork", end))
    wait_until(lambda: Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z", "the child's end")
    for protocol in ("scgi", "fastcgi", "websocket"):
        assert os.path.exists(str(forking.address(protocol, "unix")))
    for _ in range(5):
        assert ask(forking, "/hello") == "hello"
    with WebSocketClient(forking.address("websocket", "tcp"), "/") as client:
        client.send("hello")
        assert client.receive() == "hello"


def test_a_start_after_a_crash_is_not_refused_because_a_child_lives(start: Callable[..., Gateway]) -> None:
    with tempfile.TemporaryDirectory(prefix="gw-") as folder:
        path = f"unix:{folder}/scgi.sock"
        gateway = start(app=APP, scgi=(path, "tcp"), fastcgi=(), websocket=())
        host, port = gateway.address("scgi", "tcp")
        child = int(ask(gateway, "/fork", "lives"))
        try:
            gateway.kill()
            again = start(app=APP, scgi=(path, f"{host}:{port}"), fastcgi=(), websocket=())
            assert ask(again, "/hello") == "hello"
            again.stop()
        finally:
            os.kill(child, 9)
