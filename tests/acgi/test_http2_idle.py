"""Ten thousand HTTP/2 streams at once on one connection, whose answers have begun and say nothing more."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading

import hyperframe.frame as hf
import pytest

from tests.harness.gateway import ROOT

STREAMS = 10_010
GROWTH = 16 << 20
"""Bytes, of streams with their exchanges and responses: what an idle one takes is some 1,500."""


def serve(listener):
    """Answers each stream with its head, and nothing behind it."""
    connection, _ = listener.accept()
    with connection, connection.makefile("rb") as incoming:
        assert incoming.read(24) == b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        connection.sendall(hf.SettingsFrame(0, settings={3: 2 * STREAMS}).serialize())
        while head := incoming.read(9):
            frame, length = hf.Frame.parse_frame_header(memoryview(head))
            frame.parse_body(memoryview(incoming.read(length)))
            if isinstance(frame, hf.HeadersFrame):
                answer = hf.HeadersFrame(frame.stream_id, data=b"\x88", flags=["END_HEADERS"])
                connection.sendall(answer.serialize())
            elif isinstance(frame, hf.SettingsFrame) and "ACK" not in frame.flags:
                connection.sendall(hf.SettingsFrame(0, flags=["ACK"]).serialize())


@pytest.mark.slow
def test_ten_thousand_idle_streams():
    with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
        server = threading.Thread(target=serve, args=(listener,), daemon=True)
        server.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        command = [sys.executable, "-m", "tests.acgi.idle_streams", url, str(STREAMS)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr.decode()
        said = json.loads(done.stdout)
        assert said["open"] == STREAMS
        assert said["grew"] < GROWTH, said
        server.join(30)
