"""Scripts for shared hosts: everything that makes a web server refuse one, and nothing about a good one."""

from __future__ import annotations

import json

import pytest

from ssgi_gateway.tools.doctor.command import main


@pytest.mark.parametrize(
    ("text", "mode", "kinds"),
    [
        (b"#!/bin/sh\nexec true\n", 0o755, []),
        (b"#!/usr/bin/env sh\n", 0o755, []),
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
    script.write_bytes(text)
    script.chmod(mode)
    status = main(["--script", str(script), "--json"])
    assert [finding["kind"] for finding in json.loads(capsys.readouterr().out)] == kinds
    assert status == (1 if kinds else 0)
