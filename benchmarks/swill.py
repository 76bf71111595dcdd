"""Swill beside its peers: CPU of the server a call, a streamed item, a delivered message; memory of what is idle.

``make bench`` runs it after the servers, ``make bench-swill`` alone; ``results/swill.md`` is written. Every server is
one process over TCP without a web server, and has its turn in each round; a ratio is taken within a round, and the
median of the rounds' ratios counts. The load is eight connections with one call each at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import selectors
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import front, install
from .machine import BenchmarkError, Process, allow_descriptors, describe, keep_to_one_cpu

HERE = Path(__file__).resolve().parent
CONNECTIONS = 8
SUBSCRIBERS = 1000
PUBLICATIONS = 100
PAYLOAD = bytes(100)
SENT = bytes(131)
"""As long as the frame that carries ``PAYLOAD`` to a subscriber."""

ADD, AADD = bytes.fromhex("9301920102a3616464"), bytes.fromhex("9301920102a461616464")
ANSWER = bytes.fromhex("95010300c0c0")
COUNT = bytes.fromhex("9301cd03e8a5636f756e74")  # count(1000)
SUBSCRIBE = b"\x93\x01\x81\xa5topic\xa4news\xafswill.subscribe"
PUBLISH = b"\x93\x01\xc4" + bytes([len(PAYLOAD)]) + PAYLOAD + b"\xa7publish"


@dataclass(frozen=True, slots=True)
class Row:
    """A work of ours against one of another server, at most so much."""

    title: str
    ours: tuple[str, str]
    other: tuple[str, str]
    at_most: float
    difference: bool = False


ROWS = (
    Row("add / python-socketio with acknowledgement", ("swill", "add"), ("python-socketio", "socketio"), 0.2),
    Row("add / connectrpc under Uvicorn", ("swill", "add"), ("connectrpc", "connect"), 0.2),
    Row("add / grpc.aio", ("swill", "add"), ("grpc.aio", "grpc"), 0.1),
    Row("add / aiohttp-rpc", ("swill", "add"), ("aiohttp-rpc", "jsonrpc"), 0.35),
    Row("add / picows with msgspec, which checks nothing", ("swill", "add"), ("picows", "add"), 1.6),
    Row("add / the gateway with msgspec, which checks nothing", ("swill", "add"), ("limit", "add"), 1.6),
    Row("an item of a stream / a call", ("swill", "item"), ("swill", "aadd"), 0.7),
    Row("publishing to 1,000 subscribers / 1,000 sends", ("swill", "publish"), ("broadcast", "sends"), 1.0),
    Row("an idle connection, bytes beyond an idle WebSocket", ("swill", "idle"), ("limit", "idle"), 2048, True),
)

PYTHON = ("{python}",)
GATEWAY = (
    "{python}",
    "-m",
    "ssgi_gateway",
    "serve",
    "--workers",
    "0",
    "--websocket",
    "127.0.0.1:{port}",
    "--max-connections",
    "20000",
)
UVICORN = ("{python}", "-m", "uvicorn", "--log-level", "warning", "--port", "{port}")
SERVERS = {
    "swill": ((*GATEWAY, "on_swill:app"), ("add", "aadd", "item", "publish", "idle")),
    "limit": ((*GATEWAY, "on_swill:limit"), ("add", "idle")),
    "broadcast": ((*GATEWAY, "on_swill:broadcast"), ("sends",)),
    "picows": ((*PYTHON, "serve_picows_rpc.py", "{port}"), ("add",)),
    "aiohttp-rpc": ((*PYTHON, "serve_aiohttp_rpc.py", "{port}"), ("jsonrpc",)),
    "python-socketio": ((*UVICORN, "on_socketio:app"), ("socketio",)),
    "connectrpc": ((*UVICORN, "on_connect:app"), ("connect",)),
    "grpc.aio": ((*PYTHON, "serve_grpc.py", "{port}"), ("grpc",)),
}


@dataclass(slots=True)
class Turn:
    """One server at one work."""

    server: Process
    port: int
    seconds: float
    idle: int


# -- calls -------------------------------------------------------------------------------------------------------------

Caller = Callable[[], Awaitable[None]]


async def calls(turn: Turn, connect: Callable[[int], Awaitable[Caller]], counts: int = 1) -> float:
    """Microseconds of CPU of the server for each call (or for each of ``counts`` things that a call makes)."""
    callers = [await connect(turn.port) for _ in range(CONNECTIONS)]
    loop = asyncio.get_running_loop()

    async def for_seconds(call: Caller, seconds: float) -> int:
        end, made = loop.time() + seconds, 0
        while loop.time() < end:
            await call()
            made += 1
        return made

    await asyncio.gather(*(for_seconds(call, turn.seconds / 4) for call in callers))
    before = turn.server.cpu()
    made = sum(await asyncio.gather(*(for_seconds(call, turn.seconds) for call in callers)))
    return (turn.server.cpu() - before) / (made * counts) * 1e6


async def upgraded(port: int, path: str = "/ws", protocol: str = "swill.1") -> Any:
    """A WebSocket's reader and writer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(upgrade(path, protocol))
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 101 " not in head:
        raise BenchmarkError(head.decode(errors="replace"))
    return reader, writer


def upgrade(path: str, protocol: str) -> bytes:
    offered = f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{offered}\r\n"
    ).encode()


def masked(payload: bytes, opcode: int = 2) -> bytes:
    """A frame of a client; its mask is nought."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + b"\0\0\0\0" + payload


async def message(reader: asyncio.StreamReader) -> bytes:
    """The payload of the next frame, which is short."""
    _, size = await reader.readexactly(2)
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2), "big")
    return await reader.readexactly(size)


def answering(call: bytes, answer: bytes) -> Callable[[int], Awaitable[Caller]]:
    """A call over Swill's wire, whose every answer is compared."""

    async def connect(port: int) -> Caller:
        reader, writer = await upgraded(port)
        frame, size = masked(call), len(answer) + 2

        async def once() -> None:
            writer.write(frame)
            got = await reader.readexactly(size)
            assert got[2:] == answer, got

        return once

    return connect


async def streaming(port: int) -> Caller:
    """A stream of 1,000 items."""
    reader, writer = await upgraded(port)
    frame = masked(COUNT)

    async def once() -> None:
        writer.write(frame)
        while (await message(reader))[-3] != 1:
            pass

    return once


async def socketio(port: int) -> Caller:
    """An event and its acknowledgement (Engine.IO 4, Socket.IO 5)."""
    reader, writer = await upgraded(port, "/socket.io/?EIO=4&transport=websocket", "")
    assert (await message(reader))[:1] == b"0"
    writer.write(masked(b"40", 1))
    assert (await message(reader))[:2] == b"40"
    frame = masked(b'421["add",1,2]', 1)

    async def once() -> None:
        writer.write(frame)
        got = await message(reader)
        while got == b"2":  # a ping
            writer.write(masked(b"3", 1))
            got = await message(reader)
        assert got == b"431[3]", got

    return once


async def jsonrpc(port: int) -> Caller:
    """JSON-RPC over a WebSocket."""
    reader, writer = await upgraded(port, "/rpc", "")
    frame = masked(b'{"jsonrpc":"2.0","id":1,"method":"add","params":[1,2]}', 1)

    async def once() -> None:
        writer.write(frame)
        got = await message(reader)
        assert b'"result": 3' in got, got

    return once


async def connect(port: int) -> Caller:
    """Connect's unary protocol: a POST on a kept connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b"\x08\x01\x10\x02"
    request = (
        b"POST /sums.Sums/Add HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/proto\r\n"
        b"Connect-Protocol-Version: 1\r\nContent-Length: 4\r\n\r\n" + body
    )

    async def once() -> None:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head, head
        assert await reader.readuntil(b"0\r\n\r\n") == b"2\r\n\x08\x03\r\n0\r\n\r\n"

    return once


async def grpc(port: int) -> Caller:
    """gRPC by its own client, each on a connection of its own."""
    import grpc

    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)])
    add = channel.unary_unary("/sums.Sums/Add")

    async def once() -> None:
        assert await add(b"\x08\x01\x10\x02") == b"\x08\x03"

    return once


# -- many connections --------------------------------------------------------------------------------------------------


def opened(port: int) -> socket.socket:
    """A WebSocket on a plain socket."""
    one = socket.create_connection(("127.0.0.1", port), 30)
    one.sendall(upgrade("/ws", "swill.1"))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        received = one.recv(1)
        if not received:
            raise BenchmarkError("the server closed a connection instead of opening a WebSocket")
        head += received
    if b" 101 " not in head:
        raise BenchmarkError(head.decode(errors="replace"))
    return one


def spreading(turn: Turn, begin: bytes, send: bytes) -> float:
    """Microseconds of CPU for each message that arrives, of ``PUBLICATIONS`` to ``SUBSCRIBERS``."""
    sockets = [opened(turn.port) for _ in range(SUBSCRIBERS)]
    publisher = opened(turn.port)
    with selectors.EpollSelector() as selector:
        for one in sockets:
            if begin:
                one.sendall(masked(begin))
                assert one.recv(65536)
            one.setblocking(False)
            selector.register(one, selectors.EVENT_READ)

        def publish(times: int) -> None:
            for _ in range(times):
                publisher.sendall(masked(send))
                assert publisher.recv(4096)
                left = SUBSCRIBERS
                while left:
                    ready = selector.select(10)
                    assert ready, f"{left} subscribers got nothing"
                    for key, _ in ready:
                        left -= messages(key.fileobj.recv(65536))  # type: ignore[union-attr]

        publish(PUBLICATIONS // 10)
        before = turn.server.cpu()
        publish(PUBLICATIONS)
        used = turn.server.cpu() - before
    for one in (*sockets, publisher):
        one.close()
    return used / (PUBLICATIONS * SUBSCRIBERS) * 1e6


def messages(data: bytes) -> int:
    """How many messages these frames are, which are whole; a ping is none."""
    found = at = 0
    while at < len(data):
        kind, size, head = data[at], data[at + 1], 2
        if size == 126:
            size, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
        at += head + size
        found += kind == 0x82
    assert at == len(data), "half a frame"
    return found


def idle(turn: Turn) -> float:
    """Bytes of memory for each connection that says nothing."""
    warm = [opened(turn.port) for _ in range(10)]
    before = turn.server.memory()["pss"]
    sockets = [opened(turn.port) for _ in range(turn.idle)]
    time.sleep(1)
    grown = (turn.server.memory()["pss"] - before) / turn.idle
    for one in (*warm, *sockets):
        one.close()
    return grown


WORKS: dict[str, Callable[[Turn], float]] = {
    "add": lambda turn: asyncio.run(calls(turn, answering(ADD, ANSWER))),
    "aadd": lambda turn: asyncio.run(calls(turn, answering(AADD, ANSWER))),
    "item": lambda turn: asyncio.run(calls(turn, streaming, 1001)),
    "socketio": lambda turn: asyncio.run(calls(turn, socketio)),
    "jsonrpc": lambda turn: asyncio.run(calls(turn, jsonrpc)),
    "connect": lambda turn: asyncio.run(calls(turn, connect)),
    "grpc": lambda turn: asyncio.run(calls(turn, grpc)),
    "publish": lambda turn: spreading(turn, SUBSCRIBE, PUBLISH),
    "sends": lambda turn: spreading(turn, b"", SENT),
    "idle": idle,
}


# -- all of them -------------------------------------------------------------------------------------------------------


def turns(given: argparse.Namespace, only: set[str], folder: Path) -> Iterator[tuple[str, str, float]]:
    """One round: server, work, figure."""
    path = f"{HERE.parent}:{HERE / 'apps'}" if given.tree else str(HERE / "apps")
    for name, (command, works) in SERVERS.items():
        for work in works:
            if only and not {name, work} & only:
                continue
            port = front.free_port()
            words = [word.format(python=sys.executable, port=port) for word in command]
            env = {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
            with Process(words, folder / "output", env=env, cwd=HERE / "apps") as server:
                try:
                    wait_for(server, port)
                    figure = WORKS[work](Turn(server, port, given.seconds, given.idle))
                    server.check()
                except (BenchmarkError, OSError, AssertionError, asyncio.IncompleteReadError, ImportError) as error:
                    print(f"  {name} {work}: missing: {error!r}: {server.complaint()}", file=sys.stderr)
                    continue
                yield name, work, figure


def wait_for(server: Process, port: int) -> None:
    """Until it listens."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        server.check()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise BenchmarkError("it does not listen")


def page(samples: dict[str, list[float]]) -> str:
    """What was reached, and every figure."""
    lines = ["# Swill, beside others", "", "One process over TCP. CPU of the server, user and system; the median of "
             "the rounds, and of the rounds' ratios.", ""]  # fmt: skip
    lines += ["| what | reached | least, greatest | at most | |", "|---|---|---|---|---|"]
    for row in ROWS:
        ours, other = samples.get(" ".join(row.ours)), samples.get(" ".join(row.other))
        if not ours or not other:
            lines.append(f"| {row.title} | not measured | | {row.at_most:,} | |")
            continue
        found = [one - two if row.difference else one / two for one, two in zip(ours, other, strict=False)]
        middle = statistics.median(found)
        form = ",.0f" if row.difference else ".2f"
        verdict = "reached" if middle <= row.at_most else "**missed**"
        spread = f"{min(found):{form}}, {max(found):{form}}"
        lines.append(f"| {row.title} | {middle:{form}} | {spread} | {row.at_most:,} | {verdict} |")
    lines += ["", "| server | work | figure |", "|---|---|---|"]
    for key, values in samples.items():
        server, work = key.rsplit(" ", 1)
        unit = "bytes a connection" if work == "idle" else "µs"
        lines.append(f"| {server} | {work} | {statistics.median(values):,.2f} {unit} |")
    lines += ["", *(f"* {name}: {value}" for name, value in describe().items())]
    lines += [f"* {name} {version}" for name, version in install.versions().items() if name in SHOWN]
    return "\n".join(lines) + "\n"


SHOWN = ("Python", "uvloop", "uvicorn", "picows", "msgspec", "python-socketio", "connectrpc", "grpcio", "aiohttp-rpc")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.swill", description="Measure Swill and its peers.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of load in each turn")
    parser.add_argument("--idle", type=int, default=10000, help="connections that say nothing")
    parser.add_argument("--only", default="", help="works and servers, with commas between")
    parser.add_argument("--tree", action="store_true", help="measure this working tree as it is built, not a copy")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="the folder of the results")
    given = parser.parse_args()
    allow_descriptors(given.idle + 1000)
    keep_to_one_cpu()
    samples: dict[str, list[float]] = {}
    only = {word for word in given.only.split(",") if word}
    with tempfile.TemporaryDirectory(prefix="ssgi-bench.") as folder:
        for number in range(1, given.rounds + 1):
            for server, work, figure in turns(given, only, Path(folder)):
                samples.setdefault(f"{server} {work}", []).append(figure)
                print(f"round {number}  {server:16} {work:10} {figure:12,.2f}", flush=True)
    print(page(samples))
    if not only:
        given.results.mkdir(exist_ok=True)
        (given.results / "swill.md").write_text(page(samples))
        (given.results / "swill.json").write_text(json.dumps(samples, indent=1) + "\n")


if __name__ == "__main__":
    main()
