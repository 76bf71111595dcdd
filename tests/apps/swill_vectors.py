"""The procedures that the vectors in tests/swill/vectors call, and notes of what fires in which order.

With ``SWILL_NOTES`` in the environment every note is a line of that file. ``introspect_app`` is the one of the vector
of introspection; ``hooked`` makes an application with one hook that raises.
"""

from __future__ import annotations

import asyncio
import enum
import os
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from ssgi_gateway import rpc as swill
from ssgi_gateway.rpc import Request, Response, StreamingRequest
from ssgi_gateway.rpc.hooks import HOOKS

app = swill.Swill(__name__)
NOTES = os.environ.get("SWILL_NOTES")


def note(text: str) -> None:
    if NOTES:
        with open(NOTES, "a") as file:
            file.write(text + "\n")


def noting(name):
    def hook(*args):
        note(name)

    return hook


if NOTES:
    for hook_name in HOOKS:
        app.add_lifecycle_handler(hook_name, noting(hook_name))


class User(msgspec.Struct):
    name: str
    age: int


class Group(msgspec.Struct):
    title: str
    members: list[User]
    owner: User | None = None


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class BoomError(Exception): ...


class SubBoomError(BoomError): ...


@app.handle()
def add(request: Request[tuple[int, int]]) -> int:
    note("add called")
    return request.data[0] + request.data[1]


@app.handle()
async def aadd(request: Request[tuple[int, int]]) -> int:
    return request.data[0] + request.data[1]


@app.handle()
async def echo(request: Request[Any]):
    return request.data


@app.handle("user.older")
async def older(request: Request[User]) -> User:
    return User(name=request.data.name, age=request.data.age + 1)


@app.handle()
async def user_as_dict(request: Request[User]) -> User:
    return {"name": request.data.name, "age": request.data.age}


@app.handle()
async def nothing(request: Request[Any]) -> None:
    return None


@app.handle()
async def no_arguments() -> int:
    return 7


@app.handle()
async def fail(request: Request[Any]) -> int:
    raise ValueError("a secret of the server")


@app.handle()
async def deny(request: Request[Any]) -> int:
    raise swill.Error(code=403, message="no entry")


@app.handle()
async def abort(request: Request[Any]) -> int:
    request.abort(code=401, message="log in first")


@app.handle()
async def teapot(request: Request[Any]) -> int:
    raise swill.Error(code=418, message="")


@app.handle()
async def deny_with_data(request: Request[Any]) -> int:
    raise swill.Error(code=409, message="conflict", data={"version": 3})


@app.handle()
async def leave(request: Request[Any]) -> int:
    raise swill.CloseConnection(code=4001, reason="go away")


@app.handle()
async def bad_return(request: Request[int]) -> int:
    return "a text"


@app.handle()
async def bad_list(request: Request[int]) -> list[int]:
    return [1, "two"]


@app.handle()
async def optional_return(request: Request[int]) -> int | None:
    return request.data or None


@app.handle()
async def any_return(request: Request[int]) -> Any:
    return request.data


@app.handle()
async def float_return(request: Request[int]) -> float:
    return request.data


@app.handle()
async def subboom(request: Request[Any]) -> int:
    raise SubBoomError("boom")


# -- streaming requests


@app.handle()
async def total(request: StreamingRequest[int]) -> int:
    result = 0
    async for number in request.data:
        note(f"total got {number}")
        result += number
    note("total saw the end")
    return result


@app.handle()
async def first(request: StreamingRequest[int]) -> int:
    async for number in request.data:
        return number
    return -1


@app.handle()
async def stream_metadata(request: StreamingRequest[int]):
    numbers = [number async for number in request.data]
    return {"metadata": request.metadata, "numbers": numbers}


@app.handle()
async def patient(request: StreamingRequest[int]) -> int:
    try:
        async for number in request.data:
            note(f"patient got {number}")
    except BaseException as exc:
        note(f"patient was ended by {type(exc).__name__}")
        raise
    return 0


# -- streaming responses


@app.handle()
async def count(request: Request[int]) -> AsyncIterator[int]:
    for number in range(request.data):
        yield number


@app.handle()
async def nothing_streamed(request: Request[Any]) -> AsyncIterator[int]:
    for _ in ():
        yield 0


@app.handle()
async def ticks(request: Request[float]) -> AsyncIterator[int]:
    number = 0
    try:
        while True:
            yield number
            number += 1
            await asyncio.sleep(request.data)
    except BaseException as exc:
        note(f"ticks was ended by {type(exc).__name__}")
        raise
    finally:
        note("ticks cleaned up")


@app.handle()
async def stream_fail(request: Request[int]) -> AsyncIterator[int]:
    for number in range(request.data):
        yield number
    raise ValueError("in the middle")


@app.handle()
async def stream_error(request: Request[int]) -> AsyncIterator[int]:
    for number in range(request.data):
        yield number
    raise swill.Error(code=409, message="enough")


@app.handle()
async def stream_bad(request: Request[int]) -> AsyncIterator[int]:
    yield 1
    yield "two"
    yield 3


# -- both


@app.handle()
async def double(request: StreamingRequest[int]) -> AsyncIterator[int]:
    async for number in request.data:
        yield number * 2


# -- metadata


@app.handle()
async def meta(request: Request[Any], response: Response):
    await response.set_leading_metadata({"lead": 1}, send_immediately=False)
    response.set_trailing_metadata({"trail": 2})
    return request.metadata


@app.handle()
async def meta_now(request: Request[Any], response: Response) -> int:
    await response.set_leading_metadata({"lead": 1})
    response.set_trailing_metadata({"trail": 2})
    return 5


@app.handle()
async def meta_twice(request: Request[Any], response: Response) -> int:
    await response.set_leading_metadata({"lead": 1})
    await response.set_leading_metadata({"lead": 2})
    return 5


@app.handle()
async def meta_fail(request: Request[Any], response: Response) -> int:
    await response.set_leading_metadata({"lead": 1}, send_immediately=False)
    response.set_trailing_metadata({"trail": 2})
    raise swill.Error(code=400, message="after metadata")


@app.handle()
async def meta_stream(request: Request[int], response: Response) -> AsyncIterator[int]:
    await response.set_leading_metadata({"lead": 1}, send_immediately=False)
    response.set_trailing_metadata({"trail": 2})
    for number in range(request.data):
        yield number


@app.handle()
async def meta_stream_now(request: Request[int], response: Response) -> AsyncIterator[int]:
    await response.set_leading_metadata({"lead": 1})
    response.set_trailing_metadata({"trail": 2})
    for number in range(request.data):
        yield number


@app.handle()
async def meta_late(request: Request[int], response: Response) -> AsyncIterator[int]:
    yield 0
    await response.set_leading_metadata({"lead": "late"}, send_immediately=False)
    yield 1


# -- time


@app.handle()
async def slow(request: Request[float]) -> str:
    try:
        await asyncio.sleep(request.data)
    except BaseException as exc:
        note(f"slow was ended by {type(exc).__name__}")
        raise
    note("slow finished")
    return "done"


@app.handle()
async def ctx(request: Request[Any]):
    out = {}
    for name, var in (
        ("connection", swill.current_connection),
        ("request", swill.current_request),
        ("response", swill.current_response),
        ("app", swill.current_app),
    ):
        out[name] = var.get(None) is not None
    return out


# -- types, for introspection


@app.handle("types.group")
async def types_group(request: Request[Group]) -> list[User]:
    """Everyone in a group."""
    return request.data.members


@app.handle("types.union")
async def types_union(request: Request[int | str]) -> dict[str, list[int]]:
    return {}


@app.handle("types.color")
async def types_color(request: Request[Color]) -> bytes:
    return b""


@app.error_handler(BoomError)
async def boom(error: BoomError, request: Request[Any]) -> swill.Error:
    return swill.Error(code=410, message=str(error))


# -- for the vector introspect_typed

introspect_app = swill.Swill(__name__)


@introspect_app.handle("add")
def introspect_add(request: Request[tuple[int, int]]) -> int: ...


@introspect_app.handle("user.older")
def introspect_older(request: Request[User]) -> User: ...


@introspect_app.handle("total")
async def introspect_total(request: StreamingRequest[int]) -> int: ...


@introspect_app.handle("count")
async def introspect_count(request: Request[int]) -> AsyncIterator[int]: ...


@introspect_app.handle("double")
async def introspect_double(request: StreamingRequest[float]) -> AsyncIterator[float]: ...


@introspect_app.handle("nothing")
def introspect_nothing(request: Request[None]) -> None: ...


@introspect_app.handle("untyped")
def untyped(request): ...


@introspect_app.handle("group")
def group(request: Request[Group]) -> list[User]: ...


@introspect_app.handle("maybe")
def maybe(request: Request[int | None]) -> dict[str, list[int]]: ...


@introspect_app.handle("either")
def either(request: Request[int | str]) -> bytes: ...


@introspect_app.handle("color")
def color(request: Request[Color]) -> bool: ...


@introspect_app.handle("plain_list")
def plain_list(request: Request[list]) -> dict: ...


# -- applications with one hook that raises

RAISED = {
    "close_in_before_connection_http": ("before_connection", swill.CloseConnection(code=401, reason="log in")),
    "close_in_before_connection": ("before_connection", swill.CloseConnection(code=4001, reason="log in")),
    "close_in_before_request": ("before_request", swill.CloseConnection(code=4002, reason="log in")),
    "close_in_after_accept": ("after_accept", swill.CloseConnection(code=4001, reason="log in")),
    "close_in_after_accept_http": ("after_accept", swill.CloseConnection(code=401, reason="log in")),
    "error_in_before_request": ("before_request", swill.Error(code=401, message="who are you")),
    "error_in_before_request_message": ("before_request_message", swill.Error(code=403, message="not this")),
    "exception_in_before_connection": ("before_connection", ValueError("secret")),
    "exception_in_after_accept": ("after_accept", ValueError("secret")),
    "exception_in_before_request": ("before_request", ValueError("secret")),
    "exception_in_after_request": ("after_request", ValueError("secret")),
}


def hooked() -> swill.Swill:
    """An application with the one hook that raises which ``SWILL_RAISED`` names."""
    made = swill.Swill(__name__)
    where, error = RAISED[os.environ["SWILL_RAISED"]]

    def hook(*args):
        raise error

    made.add_lifecycle_handler(where, hook)
    for each in HOOKS:
        if NOTES:
            made.add_lifecycle_handler(each, noting(each))

    @made.handle()
    async def add(request: Request[tuple[int, int]]) -> int:
        return request.data[0] + request.data[1]

    return made
