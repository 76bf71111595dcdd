"""Files that the web server sends: which are named to it, and by which header."""

from __future__ import annotations

import os

import pytest

from ssgi_gateway.server.offload import FileOffload
from ssgi_gateway.settings import Settings
from ssgi_gateway.wire.percent import quote


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a b.txt").write_text("inside")
    (tmp_path / "outside.txt").write_text("outside")
    (tmp_path / "files" / "link").symlink_to(tmp_path / "outside.txt")
    (tmp_path / "files-too").mkdir()
    (tmp_path / "files-too" / "c").write_text("a neighbour")
    return tmp_path


def header_for(path, **settings):
    fd = os.open(path, os.O_RDONLY)
    try:
        return FileOffload(Settings(**settings)).header_for(fd)
    finally:
        os.close(fd)


def test_a_file_within_a_root_is_named_to_the_web_server(folder):
    root = f"{folder}/files=/protected/"
    path = folder / "files" / "a b.txt"
    accel = header_for(path, file_header="X-Accel-Redirect", file_root=(root,))
    assert accel == ("X-Accel-Redirect", "/protected/a%20b.txt")
    assert header_for(path, file_header="X-Sendfile", file_root=(root,)) == ("X-Sendfile", quote(str(path)))


@pytest.mark.parametrize("name", ["outside.txt", "files/link", "files-too/c", "files/../outside.txt"])
def test_a_file_outside_of_the_roots_never_is(folder, name):
    settings = {"file_header": "X-Accel-Redirect", "file_root": (f"{folder}/files=/protected",)}
    assert header_for(folder / name, **settings) is None


def test_without_the_setting_no_file_is(folder):
    assert header_for(folder / "files" / "a b.txt") is None
