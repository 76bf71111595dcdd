"""``serve``: a server is a function of listeners, an application and a signal to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import os
import platform
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ssgi_gateway.adapters.application import Application
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.server.control import Control
from ssgi_gateway.server.listeners import Address, Listener
from ssgi_gateway.server.serve import loop_factory, run, serve
from ssgi_gateway.settings import Deadlines, Settings
from tests.loops import settle, until
from tests.unit.server.peer import Peer, request
from tests.unit.server.requests import HELLO, fastcgi, fastcgi_answer, stdout
from tests.unit.server.test_websocket import closing, frames_of, upgrade
from tests.unit.wire.websocket_frames import close


def hello(*args):
    args[-1].send("hello")


class Server:
    """A running ``serve`` with a listener for each protocol."""

    def __init__(self, app: Any, settings: Settings) -> None:
        self.control = Control()
        self.listeners = {name: self._listener(name) for name in ("scgi", "fastcgi", "websocket")}
        self.peers: list[Peer] = []
        application = app if isinstance(app, Application) else Application(app, app)
        self.task = asyncio.ensure_future(serve(list(self.listeners.values()), application, settings, self.control))

    def _listener(self, protocol: str) -> Listener:
        sock = socket.create_server(("127.0.0.1", 0), backlog=100)
        sock.setblocking(False)
        host, port = sock.getsockname()
        return Listener(sock, Address("tcp", host=host, port=port), protocol)

    async def connect(self, protocol: str = "scgi", data: bytes = b"") -> Peer:
        address = self.listeners[protocol].address
        end = socket.socket()
        end.setblocking(False)
        self.peers.append(Peer(end))
        await asyncio.get_running_loop().sock_connect(end, (address.host, address.port))
        await self.peers[-1].send_all(data)
        return self.peers[-1]

    async def stop(self) -> None:
        self.control.stop()
        await self.task


@contextlib.asynccontextmanager
async def serving(app: Any = hello, **deadlines: float) -> AsyncIterator[Server]:
    server = Server(app, Settings(deadlines=Deadlines(**deadlines)))
    try:
        yield server
    finally:
        server.task.cancel()
        await asyncio.wait([server.task])
        for listener in server.listeners.values():
            listener.close()
        for peer in server.peers:
            peer.close()


async def test_every_listener_speaks_its_protocol():
    async with serving() as server:
        assert await (await server.connect("scgi", request())).read_all() == HELLO
        assert await fastcgi_answer(await server.connect("fastcgi", fastcgi())) == HELLO
        answer = await (await server.connect("websocket", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).read_all()
        assert answer.startswith(b"HTTP/1.1 426 ")


async def test_it_ends_when_it_is_stopped_and_leaves_nothing():
    before = asyncio.all_tasks()
    async with serving() as server:
        peer = await server.connect("fastcgi", fastcgi())
        await fastcgi_answer(peer)
        await server.stop()
        assert await peer.read_all() == b""
        with pytest.raises(OSError, match=r"refused|[Cc]onnect"):
            await server.connect()
    await settle()
    assert asyncio.all_tasks() <= before


def tables() -> int:
    """How many descriptors of servers' tables this process has."""
    gc.collect()
    found = 0
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that listed them
            found += os.readlink(f"/proc/self/fd/{number}").startswith("/memfd:ssgi-gateway ")
    return found


async def test_servers_one_after_another_leave_no_tables():
    after = []
    for _ in range(4):
        async with serving() as server:
            assert await (await server.connect("scgi", request())).read_all()
            assert tables(), "top finds it here"
            await server.stop()
        await settle()
        after.append(tables())
    assert after[-1] == after[0], after


@pytest.mark.parametrize(("hooks", "said"), [("Deaf", ["start", "stop"]), ("Listening", ["start", "200", "stop"])])
async def test_where_nobody_listens_there_is_no_observer(hooks, said):
    """What a request pays for being watched is one comparison with None then."""
    heard = importlib.import_module("tests.apps.hooked").SAID
    heard.clear()
    server = Server(hello, Settings(metrics=False, hooks=f"tests.apps.hooked:{hooks}"))
    assert await (await server.connect("scgi", request())).read_all() == HELLO
    assert (server.control.gateway.observer is None) == (hooks == "Deaf")
    await server.stop()
    for peer in server.peers:
        peer.close()
    assert heard == said


async def test_hooks_run_before_the_first_request_and_after_the_last():
    told = []

    class App:
        async def startup(self, state):
            await asyncio.sleep(0)
            state["pool"] = "ready"
            told.append("startup")

        async def shutdown(self):
            told.append("shutdown")

        def __call__(self, *args):
            told.append(args[-1].extensions["state"]["pool"])
            args[-1].send("hello")

    app = App()
    async with serving(Application(app, app)) as server:
        assert await (await server.connect("scgi", request())).read_all() == HELLO
        assert told == ["startup", "ready"]
        await server.stop()
        assert told == ["startup", "ready", "shutdown"]


async def test_an_application_that_cannot_start_is_not_served():
    class App:
        async def startup(self, state):
            raise ConfigurationError("no database")

        def __call__(self, *args):
            raise AssertionError("it was called")

    app = App()
    async with serving(Application(app, app)) as server:
        with pytest.raises(ConfigurationError, match="no database"):
            await server.task


# -- the drain -----------------------------------------------------------------------------------------------------


async def test_what_is_in_progress_ends_and_is_answered():
    gate = asyncio.Event()
    began = []

    async def app(*args):
        began.append(True)
        await gate.wait()
        args[-1].send("hello")

    async with serving(app) as server:
        peer = await server.connect("scgi", request())
        await until(lambda: began)
        server.control.stop()
        await settle()
        assert not server.task.done()
        gate.set()
        assert await peer.read_all() == HELLO
        await server.task


async def test_what_the_kernel_had_accepted_is_served():
    async with serving() as server:
        await settle()
        peers = [await server.connect("scgi") for _ in range(20)]
        server.control.stop()
        for peer in peers:
            await peer.send_all(request())
        assert {await peer.read_all() for peer in peers} == {HELLO}
        await server.task


@pytest.mark.parametrize("protocol", ["scgi", "fastcgi"])
async def test_a_connection_whose_request_is_still_on_its_way_is_waited_for(protocol):
    async with serving() as server:
        peer = await server.connect(protocol)
        await settle()
        server.control.stop()
        await settle()
        assert not server.task.done()
        await peer.send_all(request() if protocol == "scgi" else fastcgi())
        answer = await peer.read_all()
        assert (answer if protocol == "scgi" else stdout(answer)) == HELLO
        await server.task


async def test_a_silent_connection_is_not_waited_for_long():
    async with serving() as server:
        peer = await server.connect("scgi")
        await settle()
        server.control.stop()
        assert await peer.read_all() == b""
        await server.task


async def test_a_task_behind_its_answer_may_end_too():
    gate = asyncio.Event()
    ended = []

    async def later():
        await gate.wait()
        ended.append(True)

    def app(*args):
        args[-1].run_async(later)
        args[-1].send("hello")

    async with serving(app) as server:
        assert await (await server.connect("scgi", request())).read_all() == HELLO
        server.control.stop()
        await settle()
        assert not server.task.done()
        gate.set()
        await server.task
        assert ended == [True]


async def test_websockets_are_closed_with_1012():
    told = []

    def app(*args):
        args[-1].on_close(lambda ws, code, reason: told.append(code))
        args[-1].accept()

    async with serving(app) as server:
        peer = await server.connect("websocket", upgrade("websocket"))
        await peer.read_until(b"\r\n\r\n")
        server.control.stop()
        assert frames_of(await peer.read(4)) == [closing(1012, "the server is restarting")]
        await peer.send_all(close(1012))
        await server.task
        assert told == [1012]


async def test_a_connection_that_ends_because_another_one_does_harms_no_drain():
    sockets = []

    def app(*args):
        ws = args[-1]
        # Whoever is left in the room is told, and one of those is gone already.
        ws.on_close(lambda *_: [other.send(bytes(100_000)) for other in sockets])
        ws.accept()
        sockets.append(ws)

    async with serving(app, drain=0.5) as server:
        peers = [await server.connect("scgi", upgrade()) for _ in range(3)]
        for peer in peers:
            await peer.read_until(b"\r\n\r\n")
        server.control.stop()
        for peer in peers:
            peer.reset()
        await server.task


@pytest.mark.parametrize(
    ("begins", "answer", "left"),
    [(True, b"\r\n\r\nbegun", 1), (False, b"\r\n\r\nThe server is restarting; try again.\n", 0)],
)
async def test_bad_inputs_97_what_is_stuck_is_cut_off_at_the_bound(caplog, begins, answer, left):
    """What can have an orderly end gets one before that."""
    cancelled = []
    aborted = []

    began = []

    async def app(*args):
        args[-1].on_aborted(aborted.append, True)
        if begins:
            args[-1].send("begun", has_more=True)
        began.append(True)
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async with serving(app, drain=0.2) as server:
        peer = await server.connect("scgi", request())
        await until(lambda: began)
        await server.stop()
        assert cancelled == [True]
        assert aborted == [True]
        assert (await peer.read_all()).endswith(answer)
        assert f"{left} connections and 1 tasks were still busy after 0.2 s; they were cut off" in caplog.text


async def test_cancelled_it_does_not_wait_and_leaves_nothing():
    began, cancelled = [], []

    async def app(*args):
        began.append(True)
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async with serving(app) as server:
        peer = await server.connect("scgi", request())
        await until(lambda: began)
        server.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await server.task
        assert cancelled == [True]
        assert await peer.read_all() == b""
        with pytest.raises(OSError, match=r"refused|[Cc]onnect"):
            await server.connect()


# -- the process ---------------------------------------------------------------------------------------------------


def test_the_loop_is_uvloop_where_it_is_installed():
    loop = loop_factory()()
    try:
        name = type(loop).__module__
    finally:
        loop.close()
    try:
        import uvloop
    except ImportError:
        assert name.startswith("asyncio")
    else:
        assert name == uvloop.__name__


RUN = """
import os, signal, socket
from ssgi_gateway.adapters.application import Application
from ssgi_gateway.server.listeners import Address, Listener
from ssgi_gateway.settings import Settings
from {module} import run

class App:
    def before_loop(self, loop):
        print("before")
        loop.call_later(0.1, os.kill, os.getpid(), signal.SIGTERM)

    async def startup(self, state):
        print("startup")

    async def shutdown(self):
        print("shutdown")

    def after_loop(self, loop):
        print("after")

    def __call__(self, *args):
        raise AssertionError("nobody asked")

app = App()
sock = socket.create_server(("127.0.0.1", 0))
sock.setblocking(False)
host, port = sock.getsockname()
print(run(Settings(), Application(app, app), [Listener(sock, Address("tcp", host=host, port=port), "scgi")]))
"""


def test_run_serves_until_a_signal_and_has_hooks_around_the_loop():
    # In a process of its own: the signal starts a clock (``Ending``), which ends the process some time after.
    script = RUN.format(module=run.__module__)
    told = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert told.split() == ["before", "startup", "shutdown", "after", "0"]


UPLOAD = """
import resource
from ssgi_gateway.server.serve import keep_heap
keep_heap()
kept = []
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for number in range(100):
    if number == 10:
        before = faults()
    kept = [*kept[-2:], b"x" * (200_000 + number % 3 * 20_000)]
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_memory_of_large_bodies_is_not_taken_anew_from_the_system():
    told = subprocess.run([sys.executable, "-c", UPLOAD], check=True, capture_output=True, text=True).stdout
    assert int(told) < 100
