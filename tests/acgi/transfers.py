"""In a process of its own: one large transfer, and by how much the process grew. Prints JSON."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

from ssgi_gateway import client

PIECE = bytes(262144)


def rss():
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def forget_the_peak():
    Path("/proc/self/clear_refs").write_text("5")


def peak():
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def pieces(size):
    while size:
        part = min(size, len(PIECE))
        size -= part
        yield PIECE[:part]


async def main(direction, url, size, options):
    if "ca" in options:
        options["tls"] = client.TLS(ca=options.pop("ca"))
    async with client.Client(**options) as c:
        await (await c.request("GET", f"{url}?size=1000000")).read()  # what the first exchange takes is no leak
        before = rss()
        forget_the_peak()
        if direction == "down":
            async with c.stream("GET", f"{url}?size={size}") as response:
                got = sum([len(piece) async for piece in response])
        else:
            headers = {"content-length": str(size)}
            response = await c.request("POST", url, body=pieces(size), headers=headers)
            got = int(await response.read())
        print(json.dumps({"moved": got, "grew": max(0, peak() - before)}))


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4])))
