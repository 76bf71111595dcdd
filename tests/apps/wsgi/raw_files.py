"""The file that ``?file=`` names, by ``wsgi.file_wrapper``: without a framework, and by Flask's ``send_file``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """No framework."""
    path = Path(parse_qs(environ["QUERY_STRING"])["file"][0])
    headers = [("Content-Type", "application/x-test"), ("Content-Length", str(path.stat().st_size))]
    start_response("200 OK", headers)
    wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](path.open("rb"))
    return wrapped


with contextlib.suppress(ImportError):
    from flask import Flask, Response, request, send_file

    flask = Flask(__name__)

    @flask.get("/")
    def page() -> Response:
        """Flask sees to ranges and conditions."""
        return send_file(request.args["file"], mimetype="application/x-test", conditional=True)
