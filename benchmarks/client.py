"""The client beside aiohttp, httpx and niquests: CPU of the client a request, against one nginx and this gateway.

``make clients``, or ``python -m benchmarks.client``. Each figure comes from a process of its own, in interleaved
rounds; a ratio is taken within a round, and the median of the rounds' ratios counts. ``results/client.md`` is written.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
LARGE = 100_000_000

NGINX = """
worker_processes 1; daemon off; error_log error.log; pid pid;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path temp; proxy_temp_path t2; fastcgi_temp_path t3; scgi_temp_path t4;
  uwsgi_temp_path t5; client_max_body_size 0; client_body_buffer_size 128k; keepalive_requests 1000000;
  server {{ listen 127.0.0.1:{plain}; location / {{ return 200 "hello, world\\n"; }}
            location /large {{ alias {folder}/large; }}
            location /up {{ proxy_pass http://127.0.0.1:{plain}/; }} }}
  server {{ listen 127.0.0.1:{h2} http2; location / {{ return 200 "hello, world\\n"; }}
            location /large {{ alias {folder}/large; }}
            location /up {{ proxy_pass http://127.0.0.1:{plain}/; }} }}
}}
"""

# work: (title, number of requests, at once); "down" and "up" are one transfer.
WORKS = {
    "one": ("HTTP/1.1 kept, 1 at once", 3000, 1),
    "many": ("HTTP/1.1 kept, 32 at once", 6400, 32),
    "h2": ("HTTP/2, 32 streams on one connection", 6400, 32),
    "scgi": ("SCGI, against this gateway", 3000, 1),
    "fastcgi": ("FastCGI kept, against this gateway", 3000, 1),
    "down": ("100 MB down", 1, 1),
    "up": ("100 MB up", 1, 1),
    "h2-down": ("100 MB down, HTTP/2", 1, 1),
    "h2-up": ("100 MB up, HTTP/2", 1, 1),
    "scgi-down": ("100 MB down, SCGI", 1, 1),
    "scgi-up": ("100 MB up, SCGI", 1, 1),
    "fastcgi-down": ("100 MB down, FastCGI", 1, 1),
    "fastcgi-up": ("100 MB up, FastCGI", 1, 1),
}
CLIENTS = {
    "ours": tuple(WORKS),
    "portable": ("one", "many", "h2"),
    "aiohttp": ("one", "many", "down", "up"),
    "httpx": ("one", "many", "h2"),
    "niquests": ("one", "many", "h2"),
}
GOALS = [
    ("one", "ours", "one", "aiohttp", 0.75),
    ("many", "ours", "many", "aiohttp", 0.75),
    ("one", "ours", "one", "httpx", 0.15),
    ("many", "ours", "many", "httpx", 0.15),
    ("one", "ours", "one", "niquests", 0.15),
    ("many", "ours", "many", "niquests", 0.15),
    ("h2", "ours", "h2", "httpx", 0.2),
    ("h2", "ours", "h2", "niquests", 0.35),
    ("scgi", "ours", "one", "ours", 1.3),
    ("fastcgi", "ours", "one", "ours", 1.0),
    *[(work, "ours", work.rpartition("-")[2], "aiohttp", 1.0) for work in WORKS if work.endswith(("down", "up"))],
    ("one", "portable", "one", "httpx", 0.5),
    ("many", "portable", "many", "httpx", 0.5),
    ("h2", "portable", "h2", "httpx", 0.5),
]
"""A row: a work of a client, against a work of another, at most so much."""


# -- one measurement, in a process of its own --------------------------------------------------------------------------


async def asked(one, requests, at_once):
    """CPU seconds of so many requests, after some to warm up."""

    async def some(count):
        for _ in range(count):
            await one()

    await asyncio.gather(*[some(20) for _ in range(at_once)])
    began = time.process_time()
    await asyncio.gather(*[some(requests // at_once) for _ in range(at_once)])
    return (time.process_time() - began) / requests


def upload():
    piece = bytes(262144)
    left = LARGE
    while left:
        yield piece[:left] if left < len(piece) else piece
        left -= min(left, len(piece))


async def ours(work, url, portable=False):
    from ssgi_gateway import client

    options = {"http2": "prior-knowledge"} if work.startswith("h2") else {}
    async with client.Client(**options, parser="h11" if portable else "auto") as c:
        if work.endswith("down"):
            began = time.process_time()
            async with c.stream("GET", url) as response:
                size = sum([len(piece) async for piece in response])
            assert size == LARGE
            return time.process_time() - began
        if work.endswith("up"):
            began = time.process_time()
            response = await c.request("POST", url, body=upload(), headers={"content-length": str(LARGE)})
            await response.read()
            return time.process_time() - began

        async def one():
            response = await c.request("GET", url)
            assert len(await response.read()) == 13

        return await asked(one, *WORKS[work][1:])


async def aiohttp(work, url):
    import aiohttp

    async def body():
        for piece in upload():
            yield piece

    async with aiohttp.ClientSession() as session:
        began = time.process_time()
        if work == "down":
            async with session.get(url) as response:
                size = sum([len(piece) async for piece in response.content.iter_any()])
            assert size == LARGE
            return time.process_time() - began
        if work == "up":
            async with session.post(url, data=body(), headers={"content-length": str(LARGE)}) as response:
                await response.read()
            return time.process_time() - began

        async def one():
            async with session.get(url) as response:
                assert len(await response.read()) == 13

        return await asked(one, *WORKS[work][1:])


async def httpx(work, url):
    import httpx

    async with httpx.AsyncClient(http1=work != "h2", http2=work == "h2") as session:

        async def one():
            assert len((await session.get(url)).content) == 13

        return await asked(one, WORKS[work][1] // 4, WORKS[work][2])


async def niquests(work, url):
    import niquests

    options = {"disable_http1": True} if work == "h2" else {"disable_http2": True}
    async with niquests.AsyncSession(**options) as session:

        async def one():
            assert len((await session.get(url)).content) == 13

        return await asked(one, WORKS[work][1] // 4, WORKS[work][2])


def measure(client, work, url):
    """In the child: print the CPU seconds."""
    import uvloop

    if client == "portable":
        sys.modules["jh2"] = sys.modules["jh2.hpack"] = None  # not compiled: hpack
        coroutine = ours(work, url, portable=True)
    else:
        coroutine = {"ours": ours, "aiohttp": aiohttp, "httpx": httpx, "niquests": niquests}[client](work, url)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(runner.run(coroutine))


# -- all of them -------------------------------------------------------------------------------------------------------


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def started(stack, command, folder, ready, env=None):
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.terminate)
    end = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < end, f"{command[0]} does not start"
        time.sleep(0.05)


def listens(port):
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def urls(folder, plain, h2):
    found = {}
    for work in WORKS:
        path = "/large" if work.endswith("down") else "/up" if work.endswith("up") else "/"
        if work.startswith("scgi"):
            found[work] = f"scgi://unix:{folder}/scgi.sock:{path}"
        elif work.startswith("fastcgi"):
            found[work] = f"fcgi://unix:{folder}/fastcgi.sock:{path}"
        else:
            found[work] = f"http://127.0.0.1:{h2 if work.startswith('h2') else plain}{path}"
    return found


APPLICATION = """
PIECE = bytes(262144)

async def app(type, server_address, remote_address, method, path, query_string, get_header, res):
    if path == "/large":
        left = 100_000_000
        while left:
            size = min(left, len(PIECE))
            left -= size
            await res.send(PIECE[:size], has_more=True)
        res.send()
    else:
        while method == "POST" and await res.get_chunk() is not None:
            pass
        res.send(b"hello, world\\n")
"""


def run(rounds, only, tree):
    samples = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "large").write_bytes(bytes(LARGE))
        (folder / "large").chmod(0o644)
        (folder / "served.py").write_text(APPLICATION)
        plain, h2 = free_port(), free_port()
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, plain=plain, h2=h2))
        started(
            stack, ["nginx", "-p", f"{folder}/", "-c", "nginx.conf", "-e", "error.log"], folder, lambda: listens(plain)
        )
        command = [sys.executable, "-m", "ssgi_gateway", "serve", "served:app", "--scgi", f"unix:{folder}/scgi.sock",
                   "--fastcgi", f"unix:{folder}/fastcgi.sock", "--workers", "0"]  # fmt: skip
        env = {**os.environ, **({"PYTHONPATH": str(ROOT)} if tree else {})}
        started(stack, command, folder, (folder / "fastcgi.sock").exists, env)
        where = urls(folder, plain, h2)
        for number in range(rounds):
            for work in WORKS:
                for client, works in CLIENTS.items():
                    if work not in works or (only and not {work, client} & set(only)):
                        continue
                    command = [sys.executable, "-P", __file__, "--measure", client, work, where[work]]
                    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
                    if done.returncode:
                        print(f"{client} {work}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
                        continue
                    seconds = float(done.stdout)
                    samples.setdefault(f"{client} {work}", []).append(seconds)
                    print(f"round {number + 1}: {client:9} {work:13} {seconds * 1e6:12.1f} us", flush=True)
    return samples


def report(samples):
    """The table of goals, and every figure."""
    lines = ["# The client, beside others", "", "CPU of the client, user and system; the median of the rounds.", ""]
    lines += ["| work | client | against | ratio | least, greatest | at most | |", "|---|---|---|---|---|---|---|"]
    for work, client, other_work, other, most in GOALS:
        mine, theirs = samples.get(f"{client} {work}"), samples.get(f"{other} {other_work}")
        if not mine or not theirs:
            continue
        ratios = [one / two for one, two in zip(mine, theirs, strict=False)]
        ratio = statistics.median(ratios)
        verdict = "reached" if ratio <= most else "**missed**"
        against = other if work == other_work else f"{other}, {WORKS[other_work][0]}"
        spread = f"{min(ratios):.2f}, {max(ratios):.2f}"
        lines.append(f"| {WORKS[work][0]} | {client} | {against} | {ratio:.2f} | {spread} | {most} | {verdict} |")
    lines += ["", "| work | client | CPU |", "|---|---|---|"]
    for key, values in samples.items():
        client, work = key.split()
        seconds = statistics.median(values)
        shown = f"{seconds * 1000:.0f} ms" if WORKS[work][1] == 1 else f"{seconds * 1e6:.1f} us a request"
        lines.append(f"| {WORKS[work][0]} | {client} | {shown} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="works and clients")
    parser.add_argument("--tree", action="store_true", help="measure this working tree as it is built, not a copy")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(*given.measure)
        return
    samples = run(given.rounds, given.only, given.tree)
    page = report(samples)
    print(page)
    if not given.only:
        (RESULTS / "client.md").write_text(page)
        (RESULTS / "client.json").write_text(json.dumps(samples, indent=1))


if __name__ == "__main__":
    main()
