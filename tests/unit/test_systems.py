"""What only Linux has stands in few places, so that another system is another file and not a hunt."""

from __future__ import annotations

import ctypes
import io
import mmap
import os
import re
import select
import socket
import subprocess
import tokenize
from pathlib import Path

import pytest

from ssgi_gateway import linux

ROOT = Path(__file__).parents[2] / "ssgi_gateway"

ROOMS = frozenset(
    ("linux.py", "server/system.py", "server/system.pyx", "server/exclusive.py", "process/worker_count.py")
)
"""Where it may stand; each says in its head what of Linux it is about."""

NAMES = re.compile(
    r"""
    epoll | inotify | memfd | pidfd | signalfd | eventfd | timerfd | prctl | PR_SET_ | MFD_ | F_ADD_SEALS
    | accept4 | sendfile\( | splice | TCP_CORK | MSG_NOSIGNAL | MSG_MORE | POLLRDHUP | EPOLL
    | SO_PEERCRED | SCM_CREDENTIALS | SOCK_NONBLOCK | SOCK_CLOEXEC | SOCK_SEQPACKET
    | sched_[gs]etaffinity | /proc/ | /sys/fs | /dev/shm
    """,
    re.VERBOSE | re.IGNORECASE,
)


def spoken(path: Path) -> dict[int, str]:
    """The code of a module by line, without comments and without texts that stand alone (docstrings)."""
    lines: dict[int, str] = {}
    alone = True
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and alone):
            continue
        if token.type not in (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT):
            lines[token.start[0]] = lines.get(token.start[0], "") + token.string
        alone = token.type in (tokenize.NEWLINE, tokenize.NL, tokenize.INDENT, tokenize.DEDENT)
    return lines


MODULES = sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py") if "_compiled" not in path.parts)
ELSEWHERE = {
    "tools/importers/uwsgi.py": "names of another server's options, and their reasons",
    "tools/importers/servers.py": "likewise",
    "process/watch.py": "words about the kernel's bound, for people; the watching itself is watchfiles'",
}


def test_the_rooms_are_there_and_hold_something_of_it():
    for name in ROOMS:
        assert NAMES.search((ROOT / name).read_text()), name
    for name in ELSEWHERE:
        assert any(map(NAMES.search, spoken(ROOT / name).values())), name


@pytest.mark.parametrize("module", [name for name in MODULES if name not in ROOMS and name not in ELSEWHERE])
def test_nothing_of_linux_stands_elsewhere(module):
    found = {number: line for number, line in spoken(ROOT / module).items() if NAMES.search(line)}
    assert not found, "ssgi_gateway/linux.py is the place for it"


# -- the room itself -----------------------------------------------------------------------------------------------


def test_memory_is_found_by_its_name_and_by_nothing_like_it():
    fd = linux.make_memory("ssgi-gateway-test-systems")
    try:
        path = linux.find_memory(os.getpid(), "ssgi-gateway-test-systems")
        assert os.path.samestat(os.stat(path), os.fstat(fd))
        assert not linux.find_memory(os.getpid(), "ssgi-gateway-test")
        assert not os.get_inheritable(fd)
    finally:
        os.close(fd)
    assert not linux.find_memory(os.getpid(), "ssgi-gateway-test-systems")


def test_sealed_memory_keeps_its_size():
    fd = linux.make_memory("ssgi-gateway-test-systems", sealable=True)
    try:
        os.ftruncate(fd, 4096)
        linux.seal_size(fd)
        for size in (0, 8192):
            with pytest.raises(PermissionError):
                os.ftruncate(fd, size)
    finally:
        os.close(fd)


def test_no_process_is_an_error():
    with pytest.raises(FileNotFoundError):
        linux.find_memory(1 << 22, "ssgi-gateway-test-systems")


def test_what_a_process_is():
    assert os.getpid() in linux.processes()
    assert linux.resident_memory() > 1_000_000
    assert linux.resident_memory(os.getpid()) > 1_000_000
    assert linux.cpu_time(os.getpid()) > 0
    assert linux.count_files() > 2
    assert linux.count_files(os.getpid()) > 2
    assert linux.count_threads() >= 1
    assert linux.cpus() >= 1
    assert any(it.startswith(b"PATH=") for it in linux.environment_of(os.getpid()))


def test_a_child_and_its_end():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        assert child.pid in linux.children()
        ended = linux.exit_descriptor(child.pid)
        try:
            assert select.select([ended], [], [], 0)[0] == []
            child.kill()
            assert select.select([ended], [], [], 60)[0] == [ended]
        finally:
            os.close(ended)
    assert child.pid not in linux.children()


def test_packets_keep_apart_and_end():
    one, other = linux.packet_pair()
    with other:
        with one:
            one.send(b"first")
            one.send(b"second")
            assert [other.recv(99), other.recv(99)] == [b"first", b"second"]
            with pytest.raises(BlockingIOError):
                other.recv(99)
            assert linux.peer_pid(other) == os.getpid()
        assert other.recv(99) == b""


def test_a_path_leads_to_what_is_open(tmp_path):
    path = tmp_path / "file"
    path.write_text("here")
    with path.open() as file:
        assert linux.path_of(file.fileno()) == str(path)
        path.unlink()
        assert Path(linux.descriptor_path(file.fileno())).read_text() == "here"


def test_sockets_do_not_block():
    with linux.nonblocking(socket.AF_UNIX) as made:
        assert not made.getblocking()
        assert not made.get_inheritable()


def test_zeros_are_given_back_and_nothing_else():
    """As in uvloop's loop, which has a buffer of 250 KiB: the memory is what it was, and takes no room."""
    page = os.sysconf("SC_PAGE_SIZE")
    with mmap.mmap(-1, 8 * page, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory.write(bytes(8 * page))
        memory[3 * page] = 7
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        assert linux.release_zeros(address + 1, 8 * page - 1) == 6, "not the first, of which a part is outside"
        assert memory[:] == bytes(3 * page) + b"\x07" + bytes(5 * page - 1)
