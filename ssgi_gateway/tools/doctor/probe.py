"""The application that the doctor puts behind the web server while it examines it.

It shows what arrived, and does what a probe requests. Only the doctor is answered: its secret is in the environment and
in a header field of each of its requests. All other clients get 503 for as long as the examination takes.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from ssgi_gateway.observe import reading
from ssgi_gateway.observe import table as layout
from ssgi_gateway.tools.doctor.secret import HEADER, SECRET

if TYPE_CHECKING:
    from ssgi_gateway.ssgi import GetHeader

aborted: dict[str, bool] = {}
"""For each key of a ``hang`` probe, whether its client was seen to disconnect."""


def app(
    type: str,
    server_address: str,
    remote_address: str,
    method: str,
    path: str,
    query_string: str,
    get_header: GetHeader,
    res: Any,
) -> object:
    """An SSGI application; the query's ``do`` chooses the probe."""
    secret = os.environ.get(SECRET, "")
    if not secret or not hmac.compare_digest(get_header(HEADER) or "", secret):
        return _refuse(type, res)
    if type == "websocket":
        res.on_receive(lambda ws, message: ws.send(message))
        return res.accept()
    query = {name: values[-1] for name, values in parse_qs(query_string).items()}
    return PROBES.get(query.get("do", ""), _echo)(query, get_header, res)


def _refuse(type: str, res: Any) -> object:
    text = "This site is being examined by ssgi-gateway doctor. Please try again in a minute.\n"
    if type == "websocket":
        return res.reject(503, text)
    res.send_status(503)
    res.send_headers([("content-type", "text/plain"), ("retry-after", "30")])
    return res.send(text)


def _json(res: Any, value: object, status: int = 200) -> None:
    res.send_status(status)
    res.send_headers([("content-type", "application/json"), ("cache-control", "no-store")])
    res.send(json.dumps(value))


def _echo(query: dict[str, str], get_header: GetHeader, res: Any) -> None:
    """What arrived."""
    extensions = res.extensions
    names = ("protocol", "scheme", "http_version", "root_path", "raw_path")
    _json(
        res,
        {
            "environ": dict(extensions["environ"]),
            "headers": {name.decode("latin-1"): value.decode("latin-1") for name, value in extensions["headers"]},
            **{name: extensions.get(name) for name in names},
        },
    )


async def _body(query: dict[str, str], get_header: GetHeader, res: Any) -> None:
    """How many bytes of a body arrived, and their digest."""
    data = await res.get_data()
    content = b"" if data is None else data.read()
    _json(res, {"length": len(content), "sha256": hashlib.sha256(content).hexdigest()})


def _status(query: dict[str, str], get_header: GetHeader, res: Any) -> None:
    """A body of its own with a status of an error."""
    res.send_status(int(query["status"]))
    res.send_headers([("content-type", "text/plain")])
    res.send("the application's own words\n")


def _head(query: dict[str, str], get_header: GetHeader, res: Any) -> None:
    """A large head."""
    size = int(query["size"])
    fields = [(f"x-probe-{index}", "x" * min(4000, size - index * 4000)) for index in range(-(-size // 4000))]
    res.send_headers([*fields, ("content-type", "text/plain")])
    res.send("ok\n")


def _plain(query: dict[str, str], get_header: GetHeader, res: Any) -> None:
    """Exactly 1,000 bytes, and their length."""
    res.send_headers([("content-type", "text/plain"), ("content-length", "1000")])
    res.send("x" * 1000)


async def _events(query: dict[str, str], get_header: GetHeader, res: Any) -> None:
    """Two events, a second apart."""
    res.send_headers([("content-type", "text/event-stream")])
    await res.send("data: first\n\n", has_more=True)
    await asyncio.sleep(1)
    await res.send("data: second\n\n")


async def _hang(query: dict[str, str], get_header: GetHeader, res: Any) -> None:
    """No answer; remembers whether the client's disconnection was seen."""
    key = query["key"]
    gone = asyncio.Event()
    res.on_aborted(gone.set)
    aborted[key] = False
    await gone.wait()
    aborted[key] = True


def _gone(query: dict[str, str], get_header: GetHeader, res: Any) -> None:
    """What ``hang`` saw."""
    _json(res, {"begun": query["key"] in aborted, "aborted": aborted.get(query["key"], False)})


def _accepted(query: dict[str, str], get_header: GetHeader, res: Any) -> None:
    """How many connections were accepted since the start, of the protocol by which this came."""
    protocol = str(res.extensions["protocol"])
    with reading.opened(reading.table_of(os.getpid())) as table:
        count = table.snapshot().total[layout.ACCEPTED + layout.PROTOCOLS.index(protocol)]
    _json(res, {"accepted": count})


PROBES: Final = {
    "accepted": _accepted,
    "body": _body,
    "status": _status,
    "head": _head,
    "plain": _plain,
    "events": _events,
    "hang": _hang,
    "gone": _gone,
}
