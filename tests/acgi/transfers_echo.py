"""An upload that is read back while it is sent, and by how much the process grew. Prints JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ssgi_gateway import client

PIECE = bytes(262144)


def status(name):
    return int(re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def forget_the_peak():
    Path("/proc/self/clear_refs").write_text("5")


def pieces(size):
    while size:
        part = min(size, len(PIECE))
        size -= part
        yield PIECE[:part]


async def main(url, ca, size):
    async with client.Client(tls=client.TLS(ca=ca)) as c:
        await (await c.request("POST", url, body=pieces(1_000_000))).read()
        before = status("VmRSS")
        forget_the_peak()
        async with c.stream("POST", url, body=pieces(int(size))) as response:
            got = sum([len(piece) async for piece in response])
        print(json.dumps({"moved": got, "grew": max(0, status("VmHWM") - before)}))
