"""What values are on the wire: msgspec's rules, and none of our own."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple, TypedDict

import msgspec
import pytest

from ssgi_gateway import rpc as swill
from ssgi_gateway.rpc import Request, RpcError, SwillTestClient
from ssgi_gateway.rpc.frames import encode_request

pack = msgspec.msgpack.encode


class Point(msgspec.Struct):
    x: int
    y: int = 0


class Packed(msgspec.Struct, array_like=True):
    x: int
    y: int


@dataclass
class Person:
    name: str


class Options(TypedDict):
    loud: bool


class Pair(NamedTuple):
    left: int
    right: str


class Colour(enum.Enum):
    RED = "red"


DAY = dt.datetime(2026, 11, 27, 9, 30)
MOMENT = DAY.replace(tzinfo=dt.UTC)
ID = uuid.UUID("12345678123456781234567812345678")

VALUES: list[tuple[Any, Any, bytes]] = [
    (Point, Point(1), b"\x82\xa1x\x01\xa1y\x00"),
    (Packed, Packed(1, 2), b"\x92\x01\x02"),
    (Person, Person("a"), b"\x81\xa4name\xa1a"),
    (Options, {"loud": True}, b"\x81\xa4loud\xc3"),
    (Pair, Pair(1, "a"), b"\x92\x01\xa1a"),
    (bytes, b"ab", b"\xc4\x02ab"),
    (dt.datetime, MOMENT, b"\xd6\xff" + int(MOMENT.timestamp()).to_bytes(4, "big")),
    (dt.datetime, DAY, pack("2026-11-27T09:30:00")),
    (uuid.UUID, ID, pack(str(ID))),
    (Decimal, Decimal("0.10"), pack("0.10")),
    (Colour, Colour.RED, pack("red")),
    (set[int], {7}, b"\x91\x07"),
    (Any, msgspec.msgpack.Ext(42, b"x"), b"\xd4\x2ax"),
]  # fmt: skip
"""The declared type, a value of it, its bytes."""


@pytest.mark.parametrize(("kind", "value", "data"), VALUES, ids=[f"{kind}" for kind, _, _ in VALUES])
def test_a_value_goes_both_ways_as_these_bytes(kind: Any, value: Any, data: bytes) -> None:
    app = swill.Swill(__name__)
    seen: list[Any] = []

    async def same(request):
        seen.append(request.data)
        return request.data

    same.__annotations__ = {"request": Request[kind], "return": kind}
    app.add_handler(same, "same")

    async def use() -> None:
        async with SwillTestClient(app) as client:
            client.send(b"\x93\x01" + data + pack("same"))
            assert await client.socket.receive() == b"\x95\x01" + data + b"\x00\xc0\xc0"
        assert seen == [value]
        assert type(seen[0]) is type(value)

    asyncio.run(use())


@pytest.mark.parametrize("number", [2.0, 2.5, True, "2"])
def test_an_int_comes_from_an_int_alone(number: Any) -> None:
    app = swill.Swill(__name__)

    @app.handle()
    async def same(request: Request[int]) -> int:
        return request.data

    @app.handle()
    async def wrong(request: Request[Any]) -> int:
        return number

    async def use() -> None:
        async with SwillTestClient(app) as client:
            with pytest.raises(RpcError, match="422 Validation Error"):
                await client.call("same", number)
            if number is not True:  # which is an int in Python
                client.send(encode_request(9, None, "wrong"))
                assert (msgspec.msgpack.decode(await client.socket.receive()))[1]["code"] == 500

    asyncio.run(use())
