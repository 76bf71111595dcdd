"""A server like the original: 500 to the name ``swill.1``, 404 to hello, and nothing of the extensions."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from ssgi_gateway import rpc as swill

inner = swill.Swill(__name__)
offers: list[str | None] = []
metadata: list[Any] = []


@inner.on("before_request")
def hear(request: swill.Request[Any], response: swill.Response, frame: Any) -> None:
    metadata.append(frame.metadata)


@inner.handle()
async def add(request: swill.Request[tuple[int, int]]) -> int:
    return request.data[0] + request.data[1]


@inner.handle()
async def count(request: swill.Request[int]) -> AsyncIterator[int]:
    for number in range(request.data):
        yield number


@inner.handle()
async def leave(request: swill.Request[Any]) -> None:
    raise swill.CloseConnection(code=1012)


@inner.handle()
async def heard(request: swill.Request[Any]) -> str:
    return json.dumps([offers, metadata])


def app(type, server_address, remote_address, method, path, query_string, get_header, res):
    offers.append(get_header("sec-websocket-protocol"))
    if offers[-1] != "swill/1":
        return res.reject(500, "Internal Server Error")
    answered = inner(type, server_address, remote_address, method, path, query_string, get_header, res)
    inner.procedures.pop("swill.hello", None)
    return answered


# -- the same, with types that it describes by swill.introspect alone


class User(msgspec.Struct):
    name: str
    age: int


types = swill.Swill(__name__)


@types.handle("user.older")
async def older(request: swill.Request[User]) -> User:
    return request.data


def described(type, server_address, remote_address, method, path, query_string, get_header, res):
    answered = types(type, server_address, remote_address, method, path, query_string, get_header, res)
    types.procedures.pop("swill.hello", None)
    types.procedures.pop("swill.schema", None)
    return answered
