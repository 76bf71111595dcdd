"""The event loop goes on when a task or a callback of the application calls ``sys.exit()``, on both loops."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from ssgi_gateway.server.control import Control
from ssgi_gateway.server.exits import run_on
from tests.loops import LOOPS


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    made = LOOPS[request.param]()
    yield made
    made.close()


def interrupt() -> None:
    raise KeyboardInterrupt


async def leave() -> None:
    sys.exit(3)


async def leave_late() -> None:
    await asyncio.sleep(0)
    sys.exit(3)


def by_a_reader() -> None:
    loop = asyncio.get_running_loop()
    inner, outer = os.pipe()
    os.write(outer, b"x")

    def read() -> None:
        loop.remove_reader(inner)
        os.close(inner)
        os.close(outer)
        sys.exit(3)

    loop.add_reader(inner, read)


kept: set[asyncio.Task[None]] = set()

WAYS: dict[str, Callable[[], object]] = {
    "a task": lambda: kept.add(asyncio.create_task(leave())),
    "a task that has waited": lambda: kept.add(asyncio.create_task(leave_late())),
    "call_soon": lambda: asyncio.get_running_loop().call_soon(sys.exit),
    "call_soon_threadsafe": lambda: asyncio.get_running_loop().call_soon_threadsafe(sys.exit, 3),
    "a timer": lambda: asyncio.get_running_loop().call_later(0, sys.exit, "no"),
    "a reader": by_a_reader,
    "KeyboardInterrupt": lambda: asyncio.get_running_loop().call_soon(interrupt),
    "loop.stop()": lambda: asyncio.get_running_loop().stop(),
}


@pytest.fixture
def _handler() -> Iterator[None]:
    """Ctrl-C is somebody's, as in a process that serves."""
    before = signal.signal(signal.SIGINT, lambda number, frame: None)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def _retrieved() -> Iterator[None]:
    """No task tells the garbage collector what it has raised."""
    yield
    for task in kept:
        task.exception()
    kept.clear()


@pytest.mark.usefixtures("_handler")
@pytest.mark.parametrize("way", WAYS)
def test_whatever_ends_the_process_the_loop_goes_on(
    loop: asyncio.AbstractEventLoop, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        control.serving = True
        for _ in range(3):
            WAYS[way]()
            loop.call_soon(ran.append, way)
            await asyncio.sleep(0.01)
        ran.append("the end")

    ran: list[str] = []
    control = Control()
    run_on(loop, main(), control)
    assert ran == [way] * 3 + ["the end"]
    assert "it goes on" in caplog.text
    assert not control.stopping


@pytest.mark.parametrize("error", [SystemExit(3), RuntimeError("no"), KeyboardInterrupt()])
def test_what_the_server_itself_raises_is_raised(loop: asyncio.AbstractEventLoop, error: BaseException) -> None:
    async def main() -> None:
        control.serving = True
        raise error

    control = Control()
    with pytest.raises(type(error)):
        run_on(loop, main(), control)


def test_an_exit_while_the_application_starts_ends_the_process(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        kept.add(asyncio.create_task(leave()))
        await asyncio.wait(kept)
        raise AssertionError("not reached")

    with pytest.raises(SystemExit) as raised:
        run_on(loop, main(), Control())
    assert raised.value.code == 3
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))


class Handlers:
    def method(self, number: int, frame: object) -> None:
        sys.exit(0)


def function(number: int, frame: object) -> None:
    sys.exit(0)


@pytest.mark.parametrize(
    "handler",
    [function, Handlers().method, partial(function), signal.default_int_handler],
    ids=["function", "method", "partial", "default"],
)
def test_an_exit_in_a_signals_handler_begins_the_drain(loop: asyncio.AbstractEventLoop, handler: object) -> None:
    async def main() -> None:
        control.serving = True
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0)

    async def server() -> None:
        task = asyncio.create_task(main())
        await control.stopped()
        await asyncio.wait((task,))
        task.exception()

    control = Control()
    before = signal.signal(signal.SIGINT, handler)  # type: ignore[arg-type]
    try:
        run_on(loop, server(), control)
    finally:
        signal.signal(signal.SIGINT, before)
    assert control.stopping
