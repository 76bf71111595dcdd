"""Servers for the client's tests: the gateway as users start it, raw ones that misbehave, and other people's."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import struct
import sys
from contextlib import asynccontextmanager, contextmanager

import pytest

from tests.harness.gateway import Gateway
from tests.harness.process import DEADLINE, Process

PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


def executable(name):
    """Where a program is; a test that needs one that is missing is skipped, unless ``make test`` runs it."""
    found = shutil.which(name, path=PATH)
    if found is None:
        if os.environ.get("SSGI_REQUIRE_FRONTS"):
            pytest.fail(f"{name} is not installed, and scripts/test.sh should have")
        pytest.skip(f"{name} is not installed")
    return found


@contextmanager
def gateway(app, directory, protocol, *options):
    """A gateway with ``app``; gives the address of its socket, as in ``serve``."""
    with Gateway(app, directory, options=options, **{protocol: ["unix"]}) as running:
        yield f"unix:{running.address(protocol, 'unix')}"


@contextmanager
def running(command, directory, port=None, **environment):
    """Somebody's server, until it listens on ``port``."""
    process = Process([str(word) for word in command], directory / "output.log", env=environment)
    try:
        if port is not None:
            process.wait_for(lambda: listens(port), f"{command[0]} listening")
        yield process
    finally:
        process.kill()


def listens(port):
    with socket.socket() as probe:
        probe.settimeout(DEADLINE)
        return probe.connect_ex(("127.0.0.1", port)) == 0


PYTHON = sys.executable

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"


async def handlers_ended():
    """Every handler sees that its client disconnected. One that was cancelled before it began would close nothing."""

    def is_handler(task):
        return any(word in task.get_coro().__qualname__ for word in ("handle", "_accept_connection"))

    await asyncio.sleep(0)  # what has connected is accepted
    while any(map(is_handler, asyncio.all_tasks())):  # noqa: ASYNC110 - tasks of asyncio's own
        await asyncio.sleep(0)


@asynccontextmanager
async def raw_server(behaviour):
    """A server that reads a head and misbehaves; gives its port."""

    async def handle(reader, writer):
        try:
            await reader.readuntil(b"\r\n\r\n")
            if behaviour == "reset":
                raw = writer.get_extra_info("socket")
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return
            if behaviour == "silence":
                await reader.read()  # until the client disconnects
            elif behaviour == "garbage":
                writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
                await reader.read()  # until the client disconnects
            elif behaviour == "short":
                writer.write(HEAD + b"hello")
        except (asyncio.CancelledError, ConnectionError, EOFError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    if behaviour == "refuse":
        server.close()
    try:
        yield port
    finally:
        await handlers_ended()  # asyncio's server does not like to be closed while it accepts
        server.close()
