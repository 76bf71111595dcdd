"""The threads of WebSockets: what fails before there is one takes no place."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
from contextlib import suppress
from typing import Any

import pytest

from ssgi_gateway.adapters.wsgi.websocket import WebSocketThreads
from ssgi_gateway.core.server_loop import ServerLoop


class Carrier:
    """What of a WebSocket is used before its thread runs, and at its end."""

    def __init__(self, failure: OSError | None) -> None:
        self.failure = failure
        self.rejected: list[int] = []
        self.failed: list[Any] = []
        self.holders: list[Any] = []
        self.given = -1
        self.released = asyncio.Event()

    def duplicate(self) -> int:
        if self.failure is not None:
            raise self.failure
        one, other = socket.socketpair()
        with one, other:
            self.given = os.dup(one.fileno())
        return self.given

    def reject(self, status: int, *_: Any) -> None:
        self.rejected.append(status)

    def hold(self, holder: Any) -> None:
        self.holders.append(holder)

    def release(self, holder: Any) -> None:
        self.holders.remove(holder)
        self.released.set()

    def fail(self, error: BaseException) -> None:
        self.failed.append(error)

    def finished(self) -> bool:
        return bool(self.failed)


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    raise RuntimeError("it was called")


async def serve(threads: WebSocketThreads, failure: OSError | None = None) -> Carrier:
    carrier = Carrier(failure)
    threads.serve(carrier, ServerLoop(asyncio.get_running_loop()), lambda body: {})  # type: ignore[arg-type]
    await carrier.released.wait()
    for thread in threading.enumerate():
        if thread.name == "wsgi-websocket":
            thread.join()
    return carrier


def test_a_connection_that_cannot_be_duplicated_takes_no_place() -> None:
    async def run() -> None:
        threads = WebSocketThreads(app, 1)
        for _ in range(3):
            with pytest.raises(OSError, match="too many"):
                await serve(threads, OSError(errno.EMFILE, "too many files"))
        carrier = await serve(threads)
        assert (carrier.rejected, [str(error) for error in carrier.failed]) == ([], ["it was called"])

    asyncio.run(run())


def test_a_thread_that_cannot_be_started_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        threads = WebSocketThreads(app, 1)
        carrier = Carrier(None)
        with monkeypatch.context() as patch, suppress(RuntimeError):
            patch.setattr(threading.Thread, "start", fail)
            threads.serve(carrier, ServerLoop(asyncio.get_running_loop()), lambda body: {})  # type: ignore[arg-type]
        assert carrier.holders == []
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(carrier.given)
        assert (await serve(threads)).rejected == []

    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    asyncio.run(run())
