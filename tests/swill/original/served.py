"""An application for the original's server."""

import sys
import typing as t
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "server"))

from swill import Error, Request, StreamingRequest, Swill

app = Swill(__name__)


@app.handle()
def add(request: Request[tuple[int, int]]) -> int:
    return request.data[0] + request.data[1]


@app.handle()
async def count(request: Request[int]) -> t.AsyncIterator[int]:
    for number in range(request.data):
        yield number


@app.handle()
async def total(request: StreamingRequest[int]) -> int:
    result = 0
    async for number in request.data:
        result += number
    return result


@app.handle()
async def double(request: StreamingRequest[int]) -> t.AsyncIterator[int]:
    async for number in request.data:
        yield number * 2


@app.handle()
async def conflict(request: Request[t.Any]) -> int:
    raise Error(code=409, message="conflict")


@app.handle()
async def said(request: Request[t.Any]) -> dict[str, t.Any]:
    return request.metadata
