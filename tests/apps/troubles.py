"""Applications that hang, leak, fork and die, each in its way: the path says how."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time

lock = threading.Lock()
lock.acquire()
kept: list[bytes] = []


def app(type, server_address, remote_address, method, path, query_string, get_header, res):
    name = path.strip("/")
    if name.startswith("async-"):
        return globals()[name.replace("-", "_")](res)
    how = globals().get(name.replace("-", "_"))
    if how is not None:
        how(res)
    if name != "answers-itself":
        res.send(f"{name} {os.getpid()}")
    return None


def loop(res):
    while True:
        pass


def stubborn(res):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass


def stubborn_parent(res):
    child = subprocess.Popen(["sleep", "1000"])
    print("child", child.pid, file=sys.stderr, flush=True)
    stubborn(res)


def catches_exceptions(res):
    while True:
        try:
            while True:
                pass
        except Exception:
            pass


def sleeps(res):
    time.sleep(3600)


def naps(res):
    print("napping", file=sys.stderr, flush=True)
    time.sleep(1)


def locked(res):
    lock.acquire()


def expression(res):
    re.match(r"(a+)+$", "a" * 40 + "b")


def leaks(res):
    kept.append(b"x" * (30 << 20))


def dies(res):
    os.kill(os.getpid(), signal.SIGKILL)


def segfaults(res):
    os.kill(os.getpid(), signal.SIGSEGV)


async def async_waits(res):
    await asyncio.sleep(3600)


async def async_loop(res):
    await asyncio.sleep(0)
    while True:
        pass


def wsgi(environ, start_response):
    name = environ["PATH_INFO"].strip("/")
    how = globals().get(name.replace("-", "_"))
    if how is not None:
        how(None)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{name} {os.getpid()}".encode()]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("only HTTP")
    name = scope["path"].strip("/")
    how = globals().get(name.replace("-", "_"))
    if how is not None:
        result = how(None)
        if result is not None:
            await result
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": f"{name} {os.getpid()}".encode()})
