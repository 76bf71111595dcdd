"""Swill's applications, and what the gateway does without it: the same bytes, and nothing checked."""

from collections.abc import AsyncIterator

import msgspec

from ssgi_gateway import rpc as swill

app = swill.Swill(__name__, pubsub=swill.MemoryPubSub())


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


@app.topic("news", type=bytes)
def everybody(connection: swill.Connection) -> bool:
    return True


@app.handle()
async def publish(request: swill.Request[bytes]) -> None:
    await app.publish("news", request.data)


DECODE, ENCODE = msgspec.msgpack.Decoder().decode, msgspec.msgpack.Encoder().encode
PROCEDURES = {"add": lambda data: data[0] + data[1]}
CONNECTED = {}


def limit(type, server_address, remote_address, method, path, query_string, get_header, res):
    res.on_receive(answer)
    res.accept("swill.1")


def answer(ws, message):
    seq, data, rpc = DECODE(message)
    ws.send(ENCODE((seq, PROCEDURES[rpc](data), 0, None, None)))


def broadcast(type, server_address, remote_address, method, path, query_string, get_header, res):
    """A message goes to all connections as it is: what publishing is held against."""
    res.on_receive(spread)
    res.on_close(lambda ws, *_: CONNECTED.pop(ws, None))
    res.accept("swill.1")
    CONNECTED[res] = None


def spread(ws, message):
    for each in tuple(CONNECTED):
        if each is not ws:
            each.send(message)
    ws.send(b"done")
