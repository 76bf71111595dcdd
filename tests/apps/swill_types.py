"""Procedures with every kind of type, for the generators and for introspection."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from collections.abc import AsyncIterator
from typing import Any, Literal, NamedTuple, TypedDict

import msgspec

from ssgi_gateway import rpc as swill
from ssgi_gateway.rpc import Request, StreamingRequest

app = swill.Swill(__name__)


class Tree(msgspec.Struct):
    """A tree of names."""

    name: str
    children: list[Tree] = []
    parent: Tree | None = None


class Circle(msgspec.Struct, tag="circle"):
    radius: float


class Square(msgspec.Struct, tag="square"):
    side: float
    x_y: int = msgspec.field(name="x-y", default=0)


class Point(NamedTuple):
    x: int
    y: int


class Options(TypedDict, total=False):
    deep: bool


@dataclasses.dataclass
class Person:
    name: str
    born: dt.date | None = None


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Everything(msgspec.Struct):
    when: dt.datetime
    id: uuid.UUID
    price: decimal.Decimal
    blob: bytes
    level: Level
    kind: Literal["a", "b"]
    point: Point
    options: Options
    names: set[str]
    pairs: dict[str, list[int | None]]
    anything: Any = None


@app.handle("tree.walk", idempotent=True)
async def walk(request: Request[Tree]) -> list[str]:
    """Walk through a tree.

    Names in the order of */ the tree.
    """
    return [request.data.name]


@app.handle("tree.list")
async def list_trees(request: Request[None]) -> list[Tree]:
    return []


@app.handle("shape.area")
async def area(request: Request[Circle | Square]) -> float:
    return 1.0


@app.handle()
async def everything(request: Request[Everything]) -> Everything:
    return request.data


@app.handle()
async def person(request: Request[Person]) -> Person | None:
    return request.data


@app.handle("upload.file")
async def upload(request: StreamingRequest[bytes]) -> int:
    return sum([len(piece) async for piece in request.data])


@app.handle()
async def both(request: StreamingRequest[Point]) -> AsyncIterator[Level]:
    async for _ in request.data:
        yield Level.LOW


@app.handle()
async def counted() -> AsyncIterator[int]:
    yield 1


@app.handle("class.for")
async def awkward(request):
    return None


@app.topic("trees.{kind}.new", type=Tree)
def may_see(connection: swill.Connection, kind: str) -> bool:
    """New trees."""
    return True


@app.topic("all", type=int)
def may_see_all(connection: swill.Connection) -> bool:
    return True
