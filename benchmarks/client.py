"""The client beside aiohttp, httpx and niquests: CPU of the client a request, against one nginx and this gateway.

``bare`` is a program of ``socket`` and ``epoll`` alone, which checks nothing: what the kernel takes, and a Python that
does no more than to call it.

``make clients``, or ``python -m benchmarks.client``. Each figure comes from a process of its own, in interleaved
rounds, all on one CPU; a ratio is taken within a round, and the median of the rounds' ratios counts.
``results/client.md`` is written.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import select
import socket
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
    "scgi-tcp": ("SCGI over TCP, against this gateway", 3000, 1),
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
    "bare": ("one", "scgi", "scgi-tcp"),
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
    ("scgi", "bare", "one", "bare", None),
    ("scgi-tcp", "ours", "one", "ours", None),
    ("scgi-tcp", "bare", "one", "bare", None),
    ("fastcgi", "ours", "one", "ours", 1.0),
    *[(work, "ours", work.rpartition("-")[2], "aiohttp", 1.0) for work in WORKS if work.endswith(("down", "up"))],
    ("one", "portable", "one", "httpx", 0.5),
    ("many", "portable", "many", "httpx", 0.5),
    ("h2", "portable", "h2", "httpx", 0.5),
]
"""A row: a work of a client, against a work of another, at most so much (``None``: to compare)."""


# -- one measurement, in a process of its own --------------------------------------------------------------------------


def cpu():
    """This process's CPU seconds, user and system; the sum is exact, the parts are the scheduler's ticks."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime, used.ru_stime


def since(began, works=1):
    """CPU seconds of one of so many works."""
    return [(now - before) / works for now, before in zip(cpu(), began, strict=True)]


async def asked(one, requests, at_once):
    """CPU seconds of a request, after some to warm up."""

    async def some(count):
        for _ in range(count):
            await one()

    await asyncio.gather(*[some(20) for _ in range(at_once)])
    began = cpu()
    await asyncio.gather(*[some(requests // at_once) for _ in range(at_once)])
    return since(began, requests // at_once * at_once)


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
            began = cpu()
            async with c.stream("GET", url) as response:
                size = sum([len(piece) async for piece in response])
            assert size == LARGE
            return since(began)
        if work.endswith("up"):
            began = cpu()
            response = await c.request("POST", url, body=upload(), headers={"content-length": str(LARGE)})
            await response.read()
            return since(began)

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
        began = cpu()
        if work == "down":
            async with session.get(url) as response:
                size = sum([len(piece) async for piece in response.content.iter_any()])
            assert size == LARGE
            return since(began)
        if work == "up":
            async with session.post(url, data=body(), headers={"content-length": str(LARGE)}) as response:
                await response.read()
            return since(began)

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


def bare(work, url):
    """The same requests by hand: one way to ask, one kind of answer, and no look at what comes."""
    where = url.partition("://")[2].removeprefix("unix:").rstrip(":/")
    if where.startswith("/"):
        family, address = socket.AF_UNIX, where
    else:
        host, _, port = where.partition(":")
        family, address = socket.AF_INET, (host, int(port))
    poller = select.epoll()

    def connect():
        opened = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        opened.connect_ex(address)  # to this machine it is there at once, whatever it says
        return opened

    kept = connect() if work == "one" else None
    if kept is not None:
        poller.register(kept, select.EPOLLIN)
        asking = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
    else:
        variables = {
            "CONTENT_LENGTH": "0", "SCGI": "1", "REQUEST_METHOD": "GET", "REQUEST_URI": "/", "QUERY_STRING": "",
            "SCRIPT_NAME": "", "PATH_INFO": "/", "SERVER_PROTOCOL": "HTTP/1.1", "GATEWAY_INTERFACE": "CGI/1.1",
            "REQUEST_SCHEME": "http", "REMOTE_ADDR": "127.0.0.1", "REMOTE_PORT": "0", "SERVER_NAME": "localhost",
            "SERVER_PORT": "80", "HTTP_HOST": "localhost",
        }  # fmt: skip
        block = "".join(f"{name}\0{value}\0" for name, value in variables.items())
        asking = f"{len(block)}:{block},".encode()

    def over_kept():
        kept.send(asking)
        poller.poll()
        assert kept.recv(65536).endswith(b"hello, world\n")

    def over_new():
        opened = connect()
        opened.send(asking)
        poller.register(opened, select.EPOLLIN)
        answer = b""
        while True:
            poller.poll()
            try:
                while data := opened.recv(65536):
                    answer += data
                break
            except BlockingIOError:
                pass
        opened.close()
        assert answer.endswith(b"hello, world\n")

    one = over_kept if kept is not None else over_new
    for _ in range(100):
        one()
    began = cpu()
    for _ in range(WORKS[work][1]):
        one()
    return since(began, WORKS[work][1])


def measure(client, work, url):
    """In the child: print the CPU seconds, user and system."""
    if client == "bare":
        print(*bare(work, url))
        return
    import uvloop

    if client == "portable":
        sys.modules["jh2"] = sys.modules["jh2.hpack"] = None  # not compiled: hpack
        coroutine = ours(work, url, portable=True)
    else:
        coroutine = {"ours": ours, "aiohttp": aiohttp, "httpx": httpx, "niquests": niquests}[client](work, url)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(*runner.run(coroutine))


# -- all of them -------------------------------------------------------------------------------------------------------


def free_port():
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
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def urls(folder, plain, h2, tcp):
    found = {}
    for work in WORKS:
        path = "/large" if work.endswith("down") else "/up" if work.endswith("up") else "/"
        if work == "scgi-tcp":
            found[work] = f"scgi://127.0.0.1:{tcp}/"
        elif work.startswith("scgi"):
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
        plain, h2, tcp = free_port(), free_port(), free_port()
        (folder / "nginx.conf").write_text(NGINX.format(folder=folder, plain=plain, h2=h2))
        started(
            stack, ["nginx", "-p", f"{folder}/", "-c", "nginx.conf", "-e", "error.log"], folder, lambda: listens(plain)
        )
        command = [sys.executable, "-m", "ssgi_gateway", "serve", "served:app", "--scgi", f"unix:{folder}/scgi.sock",
                   "--scgi", f"127.0.0.1:{tcp}", "--fastcgi", f"unix:{folder}/fastcgi.sock",
                   "--workers", "0"]  # fmt: skip
        env = {**os.environ, **({"PYTHONPATH": str(ROOT)} if tree else {})}
        started(stack, command, folder, (folder / "fastcgi.sock").exists, env)
        where = urls(folder, plain, h2, tcp)
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
                    parts = [float(part) for part in done.stdout.split()]
                    samples.setdefault(f"{client} {work}", []).append(parts)
                    print(f"round {number + 1}: {client:9} {work:13} {sum(parts) * 1e6:12.1f} us", flush=True)
    return samples


def report(samples):
    """The table of goals, and every figure."""
    lines = ["# The client, beside others", "", "CPU of the client, user and system; the median of the rounds.", ""]
    with socket.socket() as probe:
        control = probe.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()
    lines += [f"This machine's congestion control is {control}; where it is BBR, ours uses Reno over the loopback.", ""]
    lines += ["| work | client | against | ratio | least, greatest | at most | |", "|---|---|---|---|---|---|---|"]
    for work, client, other_work, other, most in GOALS:
        mine, theirs = samples.get(f"{client} {work}"), samples.get(f"{other} {other_work}")
        if not mine or not theirs:
            continue
        ratios = [sum(one) / sum(two) for one, two in zip(mine, theirs, strict=False)]
        ratio = statistics.median(ratios)
        verdict = "" if most is None else "reached" if ratio <= most else "**missed**"
        against = other if work == other_work else f"{other}, {WORKS[other_work][0]}"
        spread = f"{min(ratios):.2f}, {max(ratios):.2f}"
        lines.append(f"| {WORKS[work][0]} | {client} | {against} | {ratio:.2f} | {spread} | {most or ''} | {verdict} |")
    lines += ["", "| work | client | CPU | user, system |", "|---|---|---|---|"]
    for key, values in samples.items():
        client, work = key.split()
        whole, unit = (1e3, "ms") if WORKS[work][1] == 1 else (1e6, "us a request")
        user, system = (statistics.median(part) * whole for part in zip(*values, strict=True))
        seconds = statistics.median(map(sum, values)) * whole
        lines.append(f"| {WORKS[work][0]} | {client} | {seconds:.1f} {unit} | {user:.1f}, {system:.1f} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="works and clients")
    parser.add_argument("--tree", action="store_true", help="measure this working tree as it is built, not a copy")
    parser.add_argument(
        "--pinned",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="keep everything to one CPU: from one to another a byte costs up to three times the work, now and then",
    )
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(*given.measure)
        return
    if given.pinned:
        from .machine import keep_to_one_cpu  # a measurement in a process of its own is no module of a package

        keep_to_one_cpu()
    samples = run(given.rounds, given.only, given.tree)
    page = report(samples)
    print(page)
    if not given.only:
        (RESULTS / "client.md").write_text(page)
        (RESULTS / "client.json").write_text(json.dumps(samples, indent=1))


if __name__ == "__main__":
    main()
