"""No framework: PEP 3333 and nothing else, watched by the standard library's validator, which raises at any offence."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs
from wsgiref.validate import validator

from tests.apps.records import record

from .common import endless, pieces, with_records

Environ = dict[str, Any]
Start = Callable[..., Callable[[bytes], object]]

TEXT = [("Content-Type", "text/plain; charset=utf-8")]


def query_of(environ: Environ) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}


def path_of(environ: Environ) -> str:
    """PEP 3333: a string whose characters are bytes."""
    path: str = environ["PATH_INFO"]
    return path.encode("latin-1").decode()


def answer_json(start: Start, value: Any, *headers: tuple[str, str]) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "application/json"), *headers])
    return [json.dumps(value).encode()]


def hello(environ: Environ, start: Start) -> Iterable[bytes]:
    name = path_of(environ).removeprefix("/hello/")
    return answer_json(start, {"hello": name, "n": int(query_of(environ).get("n", "0"))})


def facts(environ: Environ, start: Start) -> Iterable[bytes]:
    plain = {name: value for name, value in environ.items() if isinstance(value, str | bool | int)}
    return answer_json(
        start,
        {
            "method": environ["REQUEST_METHOD"],
            "path": path_of(environ),
            "url": f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST')}{path_of(environ)}",
            "client": environ["REMOTE_ADDR"],
            "headers": {n[5:].lower().replace("_", "-"): v for n, v in plain.items() if n.startswith("HTTP_")},
            "environ": plain,
        },
    )


def echo(environ: Environ, start: Start) -> Iterable[bytes]:
    pieces = list(iter(lambda: environ["wsgi.input"].read(8192), b""))
    body = b"".join(pieces)
    kind = environ.get("CONTENT_TYPE") or "text/plain"
    start("201 Created", [("Content-Type", kind), ("X-Length", str(len(body)))])
    return [body]


def lines(environ: Environ, start: Start) -> Iterable[bytes]:
    """The digest of what ``readline``, ``readlines`` and iteration give together."""
    stream = environ["wsgi.input"]
    seen = hashlib.sha256(stream.readline())
    for line in stream:
        seen.update(line)
        if line.startswith(b"half"):
            break
    for line in stream.readlines():
        seen.update(line)
    start("200 OK", TEXT)
    return [seen.hexdigest().encode()]


def sums(environ: Environ, start: Start) -> Iterable[bytes]:
    """The digest of a large body, never all of it in memory."""
    seen = hashlib.sha256()
    while piece := environ["wsgi.input"].read(65536):
        seen.update(piece)
    start("200 OK", TEXT)
    return [seen.hexdigest().encode()]


def stream(environ: Environ, start: Start) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "application/octet-stream")])
    return pieces(int(query_of(environ)["size"]))


def written(environ: Environ, start: Start) -> Iterable[bytes]:
    write = start("200 OK", [("Content-Type", "application/octet-stream")])
    for piece in pieces(int(query_of(environ)["size"])):
        write(piece)
    return []


def forever(environ: Environ, start: Start) -> Iterable[bytes]:
    start("200 OK", [("Content-Type", "application/octet-stream")])
    return endless(query_of(environ)["key"])


def cookies(environ: Environ, start: Start) -> Iterable[bytes]:
    seen = dict(pair.split("=", 1) for pair in environ["HTTP_COOKIE"].split("; "))
    return answer_json(start, {"seen": seen.get("who")}, ("Set-Cookie", "one=1"), ("Set-Cookie", "two=2"))


def error(environ: Environ, start: Start) -> Iterable[bytes]:
    raise LookupError("raised by the application")


def late_error(environ: Environ, start: Start) -> Iterator[bytes]:
    start("200 OK", TEXT)
    yield b"a beginning"
    raise LookupError("raised by the application")


def replaced(environ: Environ, start: Start) -> Iterable[bytes]:
    start("200 OK", TEXT)
    try:
        raise LookupError("raised by the application")
    except LookupError:
        start("503 Service Unavailable", [*TEXT, ("X-Replaced", "yes")], sys.exc_info())
    return [b"sorry"]


def file(environ: Environ, start: Start) -> Iterable[bytes]:
    start("200 OK", TEXT)
    opened = Path(__file__).open("rb")  # noqa: SIM115 - the server closes it
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](opened, 8192)
    return wrapped


def read(environ: Environ, start: Start) -> Iterable[bytes]:
    """Reads for as long as the client sends, and notes how that ended."""
    key = query_of(environ)["key"]
    record(key, "started")
    try:
        environ["wsgi.input"].read()
    except OSError as error:
        record(key, "left", type(error).__name__)
        raise
    start("200 OK", TEXT)
    return [b"all"]


def pause(environ: Environ, start: Start) -> Iterable[bytes]:
    time.sleep(float(query_of(environ)["seconds"]))
    start("200 OK", TEXT)
    return [b"done"]


def nothing(environ: Environ, start: Start) -> Iterable[bytes]:
    start("404 Not Found", TEXT)
    return [b"not here\n"]


PAGES: dict[str, Callable[[Environ, Start], Iterable[bytes]]] = {
    "/facts": facts,
    "/echo": echo,
    "/lines": lines,
    "/sums": sums,
    "/stream": stream,
    "/written": written,
    "/forever": forever,
    "/cookies": cookies,
    "/error": error,
    "/late-error": late_error,
    "/replaced": replaced,
    "/file": file,
    "/read": read,
    "/pause": pause,
}


def pages(environ: Environ, start: Start) -> Iterable[bytes]:
    path = path_of(environ)
    page = hello if path.startswith("/hello/") else PAGES.get(path, nothing)
    return page(environ, start)


app = with_records(validator(pages))
plain = with_records(pages)
"""Without the validator, which reads of no more than what it allows."""
