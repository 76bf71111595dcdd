"""A small framework of the kind that SSGI was drafted for: handlers of ``(res, req)``, sync or async, as in Socketify.

The framework knows SSGI alone and says so in ``get_supported``; below it is an application as its users write them.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from tests.apps.behaviour import pattern
from tests.apps.records import record, records


class Request:
    """What a handler is told."""

    def __init__(self, method: str, path: str, query: str, get_header: Any, parameters: dict[str, str]) -> None:
        self._method = method
        self._path = path
        self._query = {name: values[0] for name, values in parse_qs(query).items()}
        self._parameters = parameters
        self.get_header = get_header

    def get_method(self) -> str:
        return self._method

    def get_url(self) -> str:
        return self._path

    def get_query(self, name: str, default: str = "") -> str:
        return self._query.get(name, default)

    def get_parameter(self, name: str) -> str:
        return self._parameters[name]


class Response:
    """What a handler answers with; every call can be chained."""

    def __init__(self, res: Any) -> None:
        self._res = res
        self.on_aborted = res.on_aborted
        self.run_async = res.run_async
        self.get_data = res.get_data
        self.get_chunk = res.get_chunk
        self.send_chunk = res.send_chunk

    @property
    def aborted(self) -> bool:
        aborted: bool = self._res.aborted
        return aborted

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self._res.extensions["state"]
        return state

    def write_status(self, status: int | str) -> Response:
        self._res.send_status(status)
        return self

    def write_header(self, name: str, value: str) -> Response:
        self._res.send_headers(iter([(name, value)]))
        return self

    def write(self, data: str | bytes) -> Response:
        self._res.send(data, True)
        return self

    def end(self, data: Any = None) -> None:
        if isinstance(data, dict | list):
            self.write_header("Content-Type", "application/json")
            data = json.dumps(data)
        self._res.send(data)


class App:
    """The framework."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Callable[[Response, Request], Any]]] = []
        self._sockets: list[tuple[re.Pattern[str], dict[str, Any]]] = []
        self._start: Callable[[], Any] | None = None
        self.offered: dict[str, str] = {}

    # -- what its users call --

    def get(self, path: str, handler: Callable[[Response, Request], Any]) -> None:
        self._routes.append(("GET", _pattern(path), handler))

    def post(self, path: str, handler: Callable[[Response, Request], Any]) -> None:
        self._routes.append(("POST", _pattern(path), handler))

    def ws(self, path: str, behaviour: dict[str, Any]) -> None:
        self._sockets.append((_pattern(path), behaviour))

    def on_start(self, handler: Callable[[], Any]) -> None:
        self._start = handler

    # -- what the server calls --

    def get_supported(self, supported_interfaces: dict[str, str]) -> dict[str, Any]:
        self.offered = supported_interfaces
        if "ssgi" not in supported_interfaces:
            raise LookupError("this framework needs SSGI")
        return {"http": ("ssgi", self._http), "websockets": ("ssgi", self._websocket)}

    async def startup(self, state: dict[str, Any]) -> None:
        if self._start is not None:
            state["started"] = await self._start()

    def _http(
        self,
        type: str,
        server_address: str,
        remote_address: str,
        method: str,
        path: str,
        query_string: str,
        get_header: Any,
        res: Any,
    ) -> None:
        for wanted, pattern_, handler in self._routes:
            if wanted == method and (match := pattern_.fullmatch(path)):
                request = Request(method, path, query_string, get_header, match.groupdict())
                result = handler(Response(res), request)
                if inspect.iscoroutine(result):
                    res.run_async(result)
                return
        res.send_status("404 Not Found")
        res.send("Not Found")

    def _websocket(
        self,
        type: str,
        server_address: str,
        remote_address: str,
        method: str,
        path: str,
        query_string: str,
        get_header: Any,
        res: Any,
    ) -> None:
        for pattern_, behaviour in self._sockets:
            if pattern_.fullmatch(path):
                res.on_receive(behaviour["message"])
                if "close" in behaviour:
                    res.on_close(behaviour["close"], parse_qs(query_string).get("key", [""])[0])
                res.accept()
                if "open" in behaviour:
                    behaviour["open"](res)
                return
        res.reject(404, "Not Found")


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r":(\w+)", r"(?P<\1>[^/]+)", path))


# -- an application -------------------------------------------------------------------------------------------------

app = App()


async def start() -> str:
    await asyncio.sleep(0)
    return "yes"


async def upload(res: Response, req: Request) -> None:
    seen = hashlib.sha256()
    while (chunk := await res.get_chunk()) is not None:
        seen.update(chunk.getbuffer())
    res.write_status(201).end(seen.hexdigest())


async def echo(res: Response, req: Request) -> None:
    body = await res.get_data()
    res.write_header("X-Method", req.get_method()).end(None if body is None else body.getvalue())


async def download(res: Response, req: Request) -> None:
    size = int(req.get_query("size"))
    sent, ended, at = True, size == 0, 0
    while sent and not ended:
        piece = pattern(min(50_000, size - at), at)
        sent, ended = await res.send_chunk(piece, size)
        at += len(piece)


async def hang(res: Response, req: Request) -> None:
    key = req.get_query("key")
    gone = asyncio.Event()
    res.on_aborted(gone.set)
    res.on_aborted(record, key, "aborted")
    record(key, "started")
    await gone.wait()
    record(key, "left", res.aborted)


def slowly(res: Response, req: Request) -> None:
    async def later() -> None:
        await asyncio.sleep(0.05)
        res.end("later")

    res.write("first, ")
    res.run_async(later())


app.on_start(start)
app.get("/", lambda res, req: res.end("Hello World socketify from Python!"))
app.get("/user/:name/:id", lambda res, req: res.end({name: req.get_parameter(name) for name in ("name", "id")}))
app.get("/agent", lambda res, req: res.end(req.get_header("user-agent") or "none"))
app.get("/state", lambda res, req: res.end({"state": res.state, "offered": app.offered}))
app.get("/slowly", slowly)
app.get("/download", download)
app.get("/hang", hang)
app.post("/upload", upload)
app.post("/echo", echo)
app.get("/do/records", lambda res, req: res.end(records(req.get_query("key"))))
app.ws(
    "/room/:name",
    {
        "open": lambda ws: ws.send("welcome"),
        "message": lambda ws, message: ws.send(message),
        "close": lambda ws, code, reason, key: record(key, "closed", [code, reason]),
    },
)
