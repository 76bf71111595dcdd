"""Scripts for shared hosts: everything that makes a web server refuse one, and nothing about a good one."""

from __future__ import annotations

import json
import os
import sys

import pytest

from ssgi_gateway.tools.doctor import trial
from ssgi_gateway.tools.doctor.command import main

APPLICATION = """
def app(environ, start_response):
    start_response("200 OK", [])
    return [b"hello"]

def error(environ, start_response):
    raise ValueError("of the application")
"""
SERVE = f"exec {sys.executable} -m ssgi_gateway serve shown"
"""The command of a script that is beside ``shown.py``."""


@pytest.mark.parametrize(
    ("text", "mode", "kinds"),
    [
        (b"#!/bin/sh\nSERVE:app\n", 0o755, []),
        (b"#!/usr/bin/env sh\nSERVE:app\n", 0o755, []),
        (b"#!/bin/sh\nexec true\n", 0o755, ["script-ends"]),
        (b"#!/bin/sh\nkill $$\n", 0o755, ["script-ends"]),
        (b"#!/bin/sh\ncd /no/such/folder || exit 1\nSERVE:app\n", 0o755, ["script-ends"]),
        (b"#!/bin/sh\nexec /no/such/venv/bin/ssgi-gateway serve a:b\n", 0o755, ["script-ends"]),
        (b"#!/bin/sh\nSERVE:nothing\n", 0o755, ["script-ends"]),
        (b"#!/bin/sh\nSERVE:error\n", 0o755, ["script-error"]),
        (b"#!/bin/sh\n", 0o644, ["script-not-executable"]),
        (b"#!/bin/sh\n", 0o775, ["script-writable"]),
        (b"#!/bin/sh\r\nexec true\r\n", 0o755, ["script-line-ends"]),
        (b"\xef\xbb\xbf#!/bin/sh\n", 0o755, ["script-bom"]),
        (b"exec true\n", 0o755, ["script-interpreter"]),
        (b"#!python\n", 0o755, ["script-interpreter"]),
        (b"#!/no/such/python\n", 0o755, ["script-interpreter"]),
        (b"#!/usr/bin/env no-such-python\n", 0o755, ["script-interpreter"]),
    ],
)
def test_what_is_wrong_with_a_script(tmp_path, capsys, text, mode, kinds):
    script = tmp_path / "app.fcgi"
    (tmp_path / "shown.py").write_text(APPLICATION)
    script.write_bytes(text.replace(b"SERVE", SERVE.encode()))
    script.chmod(mode)
    status = main(["--script", str(script), "--json"])
    assert [finding["kind"] for finding in json.loads(capsys.readouterr().out)] == kinds
    assert status == (1 if kinds else 0)


def script_of(folder, *lines):
    (folder / "shown.py").write_text(APPLICATION)
    path = folder / "app.fcgi"
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return path


def test_what_a_script_prints_is_shown(tmp_path):
    """On a shared host it stands in a log that its owner may not read."""
    [found] = trial.examine(script_of(tmp_path, f"{SERVE}:nothing"))
    assert "ends with status 2:\n      ssgi-gateway: " in found.seen
    assert "has no attribute 'nothing'; it has app, error" in found.seen
    [found] = trial.examine(script_of(tmp_path, f"{SERVE}:error"))
    assert "it answers GET / with 500" in found.seen
    assert found.seen.endswith("ValueError: of the application"), "as people read a traceback, and not as JSON"


def test_a_script_that_serves_something_else_is_named(tmp_path):
    [found] = trial.examine(script_of(tmp_path, "exec sleep 60"), patience=0.2)
    assert found.kind == "script-silent"
    answering = (
        "import socket; c = socket.socket(fileno=0).accept()[0]; c.recv(9); c.sendall(b'HTTP/1.1 200 OK\\r\\n'); "
    )
    loop = tmp_path / "loop.py"
    loop.write_text(answering + "c.close(); import time; time.sleep(60)")
    [found] = trial.examine(script_of(tmp_path, f"exec {sys.executable} {loop}"))
    assert found.kind == "script-answer"


def test_nothing_is_left_running(tmp_path):
    note = tmp_path / "pid"
    assert trial.examine(script_of(tmp_path, f"echo $$ >{note}", f"{SERVE}:app")) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)
