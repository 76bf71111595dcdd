"""Swill beside its limit: CPU of the server a call, with eight connections of one call each.

    python -m benchmarks.swill [SECONDS]

``limit`` is the gateway with msgspec and a dictionary, which checks nothing; ``picows`` the same on picows, where it is
installed. All are one process, over TCP and without a web server; figures are of one run, and only ratios mean
something.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CALL = bytes.fromhex("9301920102a3616464")
ANSWER = bytes.fromhex("95010300c0c0")
STREAM = bytes.fromhex("9301cd03e8a5636f756e74")  # count(1000)
CONNECTIONS = 8

APP = """
import msgspec
from collections.abc import AsyncIterator
from ssgi_gateway import rpc as swill

app = swill.Swill(__name__, threads=1)

@app.handle(inline=True)
def add(request: swill.Request[tuple[int, int]]) -> int:
    return request.data[0] + request.data[1]

@app.handle()
async def aadd(request: swill.Request[tuple[int, int]]) -> int:
    return request.data[0] + request.data[1]

@app.handle()
async def count(request: swill.Request[int]) -> AsyncIterator[int]:
    for number in range(request.data):
        yield number

decode, encode = msgspec.msgpack.Decoder().decode, msgspec.msgpack.Encoder().encode
PROCEDURES = {"add": lambda data: data[0] + data[1]}

def limit(type, server_address, remote_address, method, path, query_string, get_header, res):
    res.on_receive(receive)
    res.accept("swill.1")

def receive(ws, message):
    seq, data, rpc = decode(message)
    ws.send(encode((seq, PROCEDURES[rpc](data), 0, None, None)))
"""

PICOWS = """
import asyncio, sys, msgspec, uvloop
from picows import WSListener, WSMsgType, ws_create_server, WSUpgradeResponseWithListener, WSUpgradeResponse
decode, encode = msgspec.msgpack.Decoder().decode, msgspec.msgpack.Encoder().encode
PROCEDURES = {"add": lambda data: data[0] + data[1]}

class Listener(WSListener):
    def on_ws_frame(self, transport, frame):
        if frame.msg_type == WSMsgType.BINARY:
            seq, data, rpc = decode(frame.get_payload_as_bytes())
            transport.send(WSMsgType.BINARY, encode((seq, PROCEDURES[rpc](data), 0, None, None)))
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

async def main():
    answer = lambda r: WSUpgradeResponseWithListener(
        WSUpgradeResponse.create_101_response(extra_headers={"Sec-WebSocket-Protocol": "swill.1"}), Listener())
    server = await ws_create_server(answer, "127.0.0.1", 0)
    print("listens on 127.0.0.1:%d" % server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

uvloop.run(main())
"""


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Protocol: swill.1\r\n\r\n"
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in head, head
    return reader, writer


def masked(payload: bytes) -> bytes:
    return bytes([0x82, 0x80 | len(payload)]) + b"\0\0\0\0" + payload


async def call_for(port: int, seconds: float, call: bytes, answer: bytes) -> int:
    """One call after the other; returns how many."""
    reader, writer = await connect(port)
    frame, size = masked(call), len(answer) + 2
    loop = asyncio.get_running_loop()
    end, calls = loop.time() + seconds, 0
    while loop.time() < end:
        writer.write(frame)
        got = await reader.readexactly(size)
        assert got[2:] == answer, got
        calls += 1
    writer.close()
    return calls


async def stream_for(port: int, seconds: float) -> int:
    """Streams of 1,000 items; returns how many items."""
    reader, writer = await connect(port)
    loop = asyncio.get_running_loop()
    end, items = loop.time() + seconds, 0
    while loop.time() < end:
        writer.write(masked(STREAM))
        kind = 0
        while kind != 1:
            _, size = await reader.readexactly(2)
            payload = await reader.readexactly(size)
            kind = payload[-3]
        items += 1000
    writer.close()
    return items


async def measure(port: int, pid: int, seconds: float, work: str) -> float:
    """Microseconds of CPU of the server for one call or item."""
    call = CALL if work != "aadd" else bytes.fromhex("9301920102a461616464")
    await call_for(port, 0.3, call, ANSWER)
    before = cpu(pid)
    if work == "count":
        done = await asyncio.gather(*(stream_for(port, seconds) for _ in range(CONNECTIONS)))
    else:
        done = await asyncio.gather(*(call_for(port, seconds, call, ANSWER) for _ in range(CONNECTIONS)))
    return (cpu(pid) - before) / sum(done) * 1e6


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 5.0
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "swill_app.py").write_text(APP)
        Path(folder, "swill_picows.py").write_text(PICOWS)
        gateway = [sys.executable, "-m", "ssgi_gateway", "serve", "--workers", "0", "--websocket", "127.0.0.1:0"]
        servers = {
            "limit": ([*gateway, "swill_app:limit"], ("add",)),
            "swill": ([*gateway, "swill_app:app"], ("add", "aadd", "count")),
            "swill, portable": ([*gateway, "--codec", "portable", "swill_app:app"], ("add",)),
            "picows": ([sys.executable, "swill_picows.py"], ("add",)),
        }
        for name, (command, works) in servers.items():
            server = subprocess.Popen(
                command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            )  # fmt: skip
            try:
                assert server.stdout is not None
                port = 0
                for line in server.stdout:
                    if "127.0.0.1:" in line:
                        port = int(line.partition("127.0.0.1:")[2].split()[0].rstrip(";"))
                        break
                if not port:
                    print(f"{name:16} not installed")
                    continue
                for work in works:
                    print(f"{name:16} {work:6} {asyncio.run(measure(port, server.pid, seconds, work)):6.2f} us")
            finally:
                server.terminate()
                server.wait()


if __name__ == "__main__":
    main()
