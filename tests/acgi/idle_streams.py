"""Opens HTTP/2 streams on one connection whose answers begin and do not end; prints by how much the process grew.

Usage: idle_streams.py URL COUNT
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from ssgi_gateway import client


def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def main(url, count):
    options = client.Limits(max_connections=1, max_per_origin=1)
    async with client.Client(http2="prior-knowledge", limits=options) as c:
        held = [await c.request("GET", url) for _ in range(10)]
        before = resident()
        while len(held) < count:
            held += await asyncio.gather(*(c.request("GET", url) for _ in range(100)))
        grew = resident() - before
        assert all(response.status == 200 for response in held)
        print(json.dumps({"open": len(held), "grew": grew}))
        for response in held:
            await response.aclose()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
