"""Flask."""

from __future__ import annotations

import os
import sqlite3

from flask import Flask, Response, abort, g, jsonify, request, send_file, stream_with_context

from .common import digest, endless, pieces, with_records

flask = Flask(__name__)


@flask.get("/hello/<name>")
def hello(name: str) -> Response:
    return jsonify(hello=name, n=int(request.args.get("n", 0)))


@flask.get("/facts")
def facts() -> Response:
    return jsonify(
        method=request.method,
        path=request.path,
        url=request.url,
        client=request.remote_addr,
        headers={name.lower(): value for name, value in request.headers.items()},
    )


@flask.post("/echo")
def echo() -> Response:
    body = request.get_data()
    return Response(body, 201, {"X-Length": str(len(body))}, content_type=request.content_type)


@flask.post("/upload")
def upload() -> Response:
    file = request.files["file"]
    data = file.read()
    return jsonify(field=request.form["field"], filename=file.filename, length=len(data), sha256=digest(data))


@flask.get("/stream")
def stream() -> Response:
    return Response(pieces(int(request.args["size"])))


@flask.get("/context")
def context() -> Response:
    """A stream that needs the request's context at each step."""

    def generate():
        for _ in range(10):
            yield "x" * 200_000
            yield f" {request.args['n']} "

    return Response(stream_with_context(generate()))


@flask.get("/forever")
def forever() -> Response:
    return Response(endless(request.args["key"]))


@flask.get("/held")
def held() -> Response:
    """A stream during which a database is open; Flask closes it with the context."""
    g.database = sqlite3.connect(os.environ["APP_FOLDER"] + "/rows.sqlite3")
    g.database.execute("pragma user_version").fetchone()
    return Response(stream_with_context(endless(request.args["key"])))


@flask.teardown_appcontext
def close_database(error: BaseException | None) -> None:
    if "database" in g:
        g.database.close()


@flask.get("/cookies")
def cookies() -> Response:
    response = jsonify(seen=request.cookies.get("who"))
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


@flask.get("/error")
def error() -> Response:
    raise LookupError("raised by the application")


@flask.get("/file")
def file() -> Response:
    return send_file(__file__, mimetype="text/plain", conditional=True)


@flask.get("/teapot")
def teapot() -> Response:
    abort(418)


app = with_records(flask)
