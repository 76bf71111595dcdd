"""Files on their way to an answer: what is opened, which bytes are meant, and who closes the descriptor."""

from __future__ import annotations

import os

import pytest

from ssgi_gateway.core.files import MAX_SMALL, OpenFile

CONTENT = b"0123456789"


class Front:
    """A channel, of which only one thing is asked: whether the web server sends the file itself."""

    def __init__(self, header=None):
        self.header = header

    def offload_file(self, fd):
        return self.header


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("start", "end", "meant"),
    [(0, None, CONTENT), (3, None, CONTENT[3:]), (3, 5, CONTENT[3:5]), (3, 99, CONTENT[3:]), (12, None, b"")],
)
def test_a_path_and_a_range(path, start, end, meant):
    file = OpenFile.from_path(path, start, end)
    assert (file.offset, file.size) == (start, len(meant))
    assert file.read_small(Front()) == meant
    assert file.fd == -1, "what was read is closed"


@pytest.mark.parametrize("kind", ["path", "bytes", "descriptor", "object"])
def test_whatever_names_a_file(path, kind):
    with path.open("rb") as opened:
        given = {"path": path, "bytes": os.fsencode(path), "descriptor": opened.fileno(), "object": opened}[kind]
        file = OpenFile.from_object(given)
        assert file.fd != opened.fileno(), "a descriptor of our own"
    assert file.size == len(CONTENT)
    assert os.read(file.fd, 99) == CONTENT
    file.close()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_only_regular_files_and_no_wait_for_a_writer(tmp_path, make):
    make(tmp_path / "other")
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match=r"only regular files.*other"):
        OpenFile.from_path(tmp_path / "other")
    assert set(os.listdir("/proc/self/fd")) == before


def test_what_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        OpenFile.from_path(tmp_path / "nothing")


def test_the_descriptor_goes_with_the_last_slice(path):
    file = OpenFile.from_path(path)
    fd, piece = file.fd, file.slice(2, 3)
    del file
    assert is_open(fd)
    assert (piece.offset, piece.size, piece.file.fd) == (2, 3, fd)
    del piece
    assert not is_open(fd)


def test_close_is_once(path):
    file = OpenFile.from_path(path)
    fd = file.fd
    file.close()
    other = os.dup(0)  # which may have the number now
    file.close()
    del file
    assert is_open(other)
    os.close(other)
    assert fd >= 0


def test_a_large_file_and_one_of_the_web_servers_are_not_read(path):
    file = OpenFile.from_path(path)
    assert file.read_small(Front(("X-Accel-Redirect", "/file"))) is None
    os.truncate(path, MAX_SMALL + 1)
    large = OpenFile.from_path(path)
    assert large.read_small(Front()) is None
    assert is_open(file.fd)
    assert is_open(large.fd)
