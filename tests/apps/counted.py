"""Requests with numbers, whose executions are counted in memory that all workers share: ``$COUNTS``, a byte each.

``/N`` executes number N and answers ``N PID``; ``/slow/SECONDS/N`` waits before it answers. A WebSocket executes each
number it is sent and answers the same; ``one-way N`` executes N and answers nothing.
"""

from __future__ import annotations

import asyncio
import mmap
import os


def _mapped() -> mmap.mmap:
    with open(os.environ["COUNTS"], "r+b") as file:
        return mmap.mmap(file.fileno(), 0)


counts = _mapped()


def execute(number: int) -> None:
    counts[number] += 1


def app(type, server_address, remote_address, method, path, query_string, get_header, res):
    if type == "websocket":
        res.accept()
        res.on_receive(on_receive)
        return None
    words = path.strip("/").split("/")
    execute(int(words[-1]))
    if words[0] == "slow":
        return slow(float(words[1]), words[-1], res)
    res.send(f"{words[-1]} {os.getpid()}")
    return None


async def slow(seconds, number, res):
    await asyncio.sleep(seconds)
    res.send(f"{number} {os.getpid()}")


def on_receive(ws, message):
    word, _, number = message.rpartition(" ")
    execute(int(number))
    if word != "one-way":
        ws.send(number)
