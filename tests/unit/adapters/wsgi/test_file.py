"""WSGI: ``wsgi.file_wrapper``."""

from __future__ import annotations

import gzip
import io
import os
import tempfile

import pytest

from tests.unit.adapters.wsgi_serving import BIG, ask


def sends(file, headers=()):
    def app(environ, start_response):
        start_response("200 OK", list(headers))
        return environ["wsgi.file_wrapper"](file, 4096)

    return app


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, len(BIG)])
def test_a_file(settings, tmp_path, size):
    (tmp_path / "file").write_bytes(BIG[:size])
    file = (tmp_path / "file").open("rb")
    answer = ask(sends(file), settings)
    assert answer.body == BIG[:size]
    assert answer.complete
    assert file.closed


@pytest.mark.parametrize("size", [1000, len(BIG)])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file_from_its_position_up_to_the_declared_length(settings, tmp_path, method, size):
    (tmp_path / "file").write_bytes(BIG)
    file = (tmp_path / "file").open("rb")
    file.seek(7)
    length = size - 20
    answer = ask(sends(file, [("Content-Length", str(length))]), settings, method)
    assert answer.header("content-length") == str(length)
    assert answer.body == (BIG[7 : 7 + length] if method == "GET" else b"")


def test_a_file_shorter_than_declared(settings, tmp_path, caplog):
    (tmp_path / "file").write_bytes(BIG)
    answer = ask(sends((tmp_path / "file").open("rb"), [("Content-Length", str(len(BIG) + 1))]), settings)
    assert BIG.startswith(answer.body)
    assert not answer.complete
    assert "1 bytes fewer than its Content-Length" in caplog.text


def test_a_file_like_object_that_is_no_file(settings):
    body = io.BytesIO(BIG)
    answer = ask(sends(body), settings)
    assert answer.body == BIG
    assert body.closed


def test_a_file_with_a_descriptor_but_other_bytes(settings, tmp_path):
    with gzip.open(tmp_path / "file.gz", "wb") as file:
        file.write(BIG)
    assert ask(sends(gzip.GzipFile(tmp_path / "file.gz")), settings).body == BIG
    assert ask(sends(io.BufferedReader(gzip.GzipFile(tmp_path / "file.gz"))), settings).body == BIG


def test_a_temporary_file_with_output_not_flushed(settings):
    file = tempfile.NamedTemporaryFile()  # noqa: SIM115 - the server closes it
    file.write(BIG)
    file.seek(100)
    file.write(b"changed")
    file.file.seek(50)
    expected = bytearray(BIG)
    expected[100:107] = b"changed"
    answer = ask(sends(file), settings)
    assert answer.body == bytes(expected[50:])
    assert file.closed


def test_a_pipe(settings):
    reader, writer = os.pipe()
    os.write(writer, b"through a pipe")
    os.close(writer)
    assert ask(sends(os.fdopen(reader, "rb")), settings).body == b"through a pipe"


def test_what_has_no_close_and_a_text_file(settings, tmp_path):
    class Reader:
        left = [b"one", b"two", b""]

        def read(self, size):
            return self.left.pop(0)

    assert ask(sends(Reader()), settings).body == b"onetwo"
    (tmp_path / "file").write_text("text")
    with (tmp_path / "file").open() as file:
        assert ask(sends(file), settings).status == 500


def test_a_file_without_a_head_is_closed(settings, tmp_path):
    (tmp_path / "file").write_bytes(BIG)
    file = (tmp_path / "file").open("rb")

    def descriptors():
        numbers = os.listdir("/proc/self/fd")
        return sum(os.path.realpath(f"/proc/self/fd/{it}") == os.path.realpath(tmp_path / "file") for it in numbers)

    assert descriptors() == 1
    answer = ask(lambda environ, start_response: environ["wsgi.file_wrapper"](file), settings)
    assert answer.status == 500
    assert file.closed
    assert descriptors() == 0
