"""Applications that fork, and that do not end: what the tests of forks and of the end of a process serve."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

children: list[int] = []


def app(kind: str, server: str, remote: str, method: str, path: str, query: str, get_header: Any, res: Any) -> object:
    """An SSGI application: ``/NAME`` is the function ``NAME`` below."""
    if kind == "websocket":
        res.on_receive(lambda ws, message: ws.send(message))
        res.accept()
        return None
    behaviour: Any = globals()[path.removeprefix("/").replace("-", "_")]
    return behaviour(res, query)


def hello(res: Any, query: str) -> None:
    """An answer."""
    res.send("hello")


# Forks


def fork(res: Any, query: str) -> None:
    """Forks a child, and answers with its number; ``query`` is what becomes of it."""
    child = os.fork()
    if child == 0:
        if query == "lives":
            time.sleep(120)
        elif query == "exits":
            sys.exit(0)
        elif query == "raises":
            raise ValueError("in the child")
        elif query == "answers":
            res.send("from the child")
            return
        os._exit(0)
    children.append(child)
    res.send(str(child))


def child_sockets(res: Any, query: str) -> None:
    """Forks a child that tells by its status how many sockets it has, and answers with that."""
    child = os.fork()
    if child == 0:
        found = 0
        for fd in os.listdir("/proc/self/fd"):
            try:
                found += os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
            except OSError:
                pass
        os._exit(found)
    _, status = os.waitpid(child, 0)
    res.send(str(os.waitstatus_to_exitcode(status)))


async def terminate(res: Any, query: str) -> None:
    """Starts a process by multiprocessing, ends it as everybody does, and answers with its exit code."""
    job = multiprocessing.get_context("fork").Process(target=time.sleep, args=(120,), daemon=True)
    job.start()
    job.terminate()
    await asyncio.to_thread(job.join, 60)
    res.send(str(job.exitcode))


def fork_sleeper() -> None:
    """Forks a child that stays."""
    child = os.fork()
    if child == 0:
        time.sleep(120)
        os._exit(0)
    children.append(child)


async def stream(res: Any, query: str) -> None:
    """An answer without a length, which over SCGI ends with its connection; a child is forked before its end."""
    res.send("begin ", has_more=True)
    fork_sleeper()
    await asyncio.sleep(0)
    res.send("end")


def end_children(res: Any, query: str) -> None:
    """Ends them."""
    while children:
        child = children.pop()
        os.kill(child, 9)
        os.waitpid(child, 0)
    res.send("ended")


# What does not end


async def ignore(res: Any, query: str) -> None:
    """Takes no notice of its cancellation."""
    res.send("begun", has_more=True)
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass


async def to_thread(res: Any, query: str) -> None:
    """Waits for a thread that does not end."""
    res.send("begun", has_more=True)
    await asyncio.to_thread(time.sleep, 3600)


def thread(res: Any, query: str) -> None:
    """Leaves a thread behind that is no daemon."""
    threading.Thread(target=time.sleep, args=(3600,)).start()
    res.send("begun")


def block(res: Any, query: str) -> None:
    """Keeps the event loop's thread."""
    res.send("begun", has_more=True)
    time.sleep(3600)


async def events(res: Any, query: str) -> None:
    """An event stream that goes on for ever."""
    res.send_headers([("content-type", "text/event-stream")])
    while True:
        res.send("data: x\n\n", has_more=True)
        await asyncio.sleep(0.05)


async def tokens(res: Any, query: str) -> None:
    """An event stream that ends: the answer of a language model, for ``query`` seconds."""
    res.send_headers([("content-type", "text/event-stream")])
    for _ in range(int(float(query) / 0.05)):
        res.send("data: x\n\n", has_more=True)
        await asyncio.sleep(0.05)
    res.send("data: [DONE]\n\n")


async def compute(res: Any, query: str) -> None:
    """Takes ``query`` seconds before it answers."""
    print("computing", file=sys.stderr, flush=True)
    await asyncio.sleep(float(query))
    res.send("computed")


async def poll(res: Any, query: str) -> None:
    """A long poll: nothing is answered until something happens, and nothing does."""
    print("polling", file=sys.stderr, flush=True)
    await asyncio.get_running_loop().create_future()


class _Hooked:
    """The same with hooks that do not end."""

    def __init__(self, start: float, end: float) -> None:
        self._start, self._end = start, end

    async def startup(self, state: dict[str, Any]) -> None:
        """Waits for a database, say."""
        print("starting", file=sys.stderr, flush=True)
        await asyncio.sleep(self._start)

    async def shutdown(self) -> None:
        """Waits for somebody who does not come."""
        await asyncio.sleep(self._end)

    def __call__(
        self, kind: str, server: str, remote: str, method: str, path: str, query: str, get_header: Any, res: Any
    ) -> object:
        return app(kind, server, remote, method, path, query, get_header, res)


never_starts = _Hooked(3600, 0)
never_ends = _Hooked(0, 3600)


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Every request keeps its thread."""
    start_response("200 OK", [])
    yield b"begun"
    time.sleep(3600)


# Exits that nobody has asked for


exits: set[asyncio.Task[None]] = set()


async def echo(res: Any, query: str) -> None:
    """Answers with the body, once it is there."""
    res.send((await res.get_data()).read())


async def leave() -> None:
    """Ends the process, as it thinks."""
    sys.exit(3)


def exit_task(res: Any, query: str) -> None:
    """A task of its own calls sys.exit()."""
    exits.add(asyncio.get_running_loop().create_task(leave()))
    res.send("hello")


def exit_soon(res: Any, query: str) -> None:
    """A callback does."""
    asyncio.get_running_loop().call_soon(sys.exit, 3)
    res.send("hello")


def exit_timer(res: Any, query: str) -> None:
    """A timer does."""
    asyncio.get_running_loop().call_later(0, sys.exit, 3)
    res.send("hello")


def stop_loop(res: Any, query: str) -> None:
    """The loop is stopped."""
    asyncio.get_running_loop().stop()
    res.send("hello")
