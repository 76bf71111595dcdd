"""Take the pictures in docs/images: the status page with live data, the page of a failure, each in light and in dark.

    python scripts/pictures.py [SECONDS]

A small shop is served on two workers and asked for so many seconds (300: the status page shows five minutes), by
clients that keep their connections, one that meets errors, and some WebSockets. Chromium takes the pictures.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from playwright.sync_api import ViewportSize, sync_playwright

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

SHOP = """
import random
import time


def total(cart):
    return sum(item["price"] * item["count"] for item in cart)


async def http(path, res):
    import asyncio
    if path == "/checkout":
        cart = [{"name": "apples", "price": 2, "count": 3}, {"name": "pears", "price": None, "count": 1}]
        if random.random() < 0.1:
            res.send_status(503)
            res.send("later")
        else:
            await asyncio.sleep(random.expovariate(20))
            res.send("thank you")
    elif path == "/cart":
        time.sleep(random.expovariate(800))
        res.send("three apples")
    elif path == "/report":
        time.sleep(0.05)
        res.send("much of everything")
    elif path == "/broken":
        cart = [{"name": "apples", "price": 2, "count": 3}, {"name": "pears", "price": None, "count": 1}]
        res.send(str(total(cart)))
    elif path == "/":
        res.send("welcome")
    else:
        res.send_status(404)
        res.send("there is no such thing")


def app(kind, server, remote, method, path, query_string, get_header, res):
    if kind == "http":
        return http(path, res)
    res.accept()
    res.on_receive(lambda ws, message: ws.send(message))
"""


@contextmanager
def running(folder: Path, log: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command of ssgi-gateway in ``folder``, whose output goes to ``log``, until the end of the block."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "ssgi_gateway", *words], cwd=folder, stdout=out, stderr=out,
            env={**os.environ, "SSGI_LOG_FORMAT": "json"},
        )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def said(log: Path, key: str) -> dict[str, object]:
    """The first line of a log that has this key."""
    while True:
        for line in log.read_text().splitlines():
            if line.startswith("{") and key in (found := json.loads(line)):
                return dict(found)
        time.sleep(0.1)


def shop(address: str, over: threading.Event, waves: float) -> None:
    """A client, busier at some times than at others."""
    connection = http.client.HTTPConnection(address)
    while not over.is_set():
        path = random.choices(["/", "/cart", "/checkout", "/report", "/gone"], [40, 30, 12, 2, 3])[0]
        connection.request("GET", path)
        connection.getresponse().read()
        time.sleep(random.expovariate(30 + 25 * waves * abs((time.time() / 60 * waves) % 2 - 1)))


def talk(address: str, over: threading.Event) -> None:
    """A WebSocket that says something every now and then."""
    host, _, port = address.rpartition(":")
    key = base64.b64encode(os.urandom(16)).decode()
    with socket.create_connection((host, int(port))) as peer:
        peer.sendall(
            f"GET /talk HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        while not over.is_set():
            peer.sendall(b"\x81\x85\0\0\0\0hello")
            peer.recv(65536)
            time.sleep(random.expovariate(2))


def main() -> None:
    """Take them."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 300.0
    over = threading.Event()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        (folder / "shop.py").write_text(SHOP)
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM")
            or ("/usr/bin/chromium" if os.path.exists("/usr/bin/chromium") else None),
            args=["--no-sandbox"],
        )
        size = ViewportSize(width=1200, height=1000)
        pages = {it: browser.new_context(color_scheme=it, viewport=size).new_page() for it in SCHEMES}
        words = ("serve", "shop:app", "--http", "127.0.0.1:0", "--workers", "2", "--status", "127.0.0.1:0")
        with running(folder, folder / "log", *words):
            listeners = said(folder / "log", "listeners")["listeners"]
            address = listeners[0]["address"]  # type: ignore[index]
            for page in pages.values():
                page.goto(str(said(folder / "log", "status")["status"]))
            threads = [threading.Thread(target=shop, args=(address, over, 0.5 + n / 2)) for n in range(4)]
            threads += [threading.Thread(target=talk, args=(address, over)) for _ in range(6)]
            for thread in threads:
                thread.start()
            pages["light"].wait_for_timeout(seconds * 1000)
            for scheme, page in pages.items():
                page.screenshot(path=IMAGES / f"status-{scheme}.png", full_page=True)
            over.set()
            for thread in threads:
                thread.join()
        with running(folder, folder / "dev", "dev", "shop:app", "--http", "127.0.0.1:0"):
            while "ready in" not in (folder / "dev").read_text():
                time.sleep(0.1)
            url = next(word for word in (folder / "dev").read_text().split() if word.startswith("http://"))
            for scheme, page in pages.items():
                page.goto(f"{url}broken")
                page.locator(".vars > summary").last.click()
                page.screenshot(path=IMAGES / f"failure-{scheme}.png", full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
