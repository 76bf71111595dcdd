"""Answers with what a WSGI application is told of a body's length, and how long it is."""

from __future__ import annotations


def app(environ, start_response):
    told = environ.get("CONTENT_LENGTH", "")
    # As Django does: what is declared is read, and nothing beyond.
    read = len(environ["wsgi.input"].read(int(told or 0)))
    start_response("200 OK", [])
    return [f"{told} {read}".encode()]
