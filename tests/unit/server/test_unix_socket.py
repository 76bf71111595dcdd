"""Unix sockets in the file system: made with the right permissions, taken over only from the dead, removed if ours."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import tempfile
import time

import pytest

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.server import unix_socket

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away and become somebody else")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "app.sock")


@pytest.fixture
def listen(path):
    """Listens and, at the end of the test, closes and cleans up."""
    made = []

    def listen(where=path, mode=0o660, owner=""):
        opened, cleanup = unix_socket.listen(where, 16, mode, owner)
        made.append((opened, cleanup))
        return opened, cleanup

    yield listen
    for opened, cleanup in made:
        cleanup()
        opened.close()


def refused(path, mode=0o660, owner="") -> str:
    with pytest.raises(ConfigurationError) as info:
        unix_socket.listen(path, 16, mode, owner)
    return str(info.value)


def dead_socket(path) -> int:
    """What a killed server leaves behind; returns the inode."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
        left.listen()
    return os.lstat(path).st_ino


def in_child(function) -> str:
    """What ``function`` returns in a forked process, or the message of what it raises."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, function().encode())
        except BaseException as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as result:
        text = result.read()
    os.waitpid(child, 0)
    return text


def as_nobody(function) -> str:
    def drop():
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        return function()

    return in_child(drop)


# -- making ----------------------------------------------------------------------------------------------------------


def test_listens_and_is_removed(listen, path):
    opened, cleanup = listen()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    assert opened.getsockname() == path
    assert not opened.getblocking()
    assert not opened.get_inheritable()
    cleanup()
    assert not os.path.exists(path)


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666, 0o777, 0o000])
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_permissions_are_the_settings_whatever_the_umask(listen, path, mode, umask):
    before = os.umask(umask)
    try:
        listen(mode=mode)
        assert os.umask(umask) == umask, "the process' umask was put back"
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.lstat(path).st_mode) == mode


def test_permissions_are_right_from_the_first_moment(path, monkeypatch):
    """The file appears with its permissions (bind), and nobody can connect before it is finished (listen)."""
    seen = []

    class Watched(socket.socket):
        def bind(self, address):
            super().bind(address)
            seen.append(("bound", stat.S_IMODE(os.lstat(path).st_mode)))

        def listen(self, backlog):
            seen.append(("listening", stat.S_IMODE(os.lstat(path).st_mode)))
            super().listen(backlog)

    monkeypatch.setattr(unix_socket.socket, "socket", Watched)
    opened, cleanup = unix_socket.listen(path, 16, 0o640, "")
    cleanup()
    opened.close()
    assert seen == [("bound", 0o640), ("listening", 0o640)]


@as_root
@pytest.mark.parametrize(
    ("owner", "uid", "gid"),
    [
        ("nobody", NOBODY, 0),
        ("65534:65534", NOBODY, NOBODY),
        (":nogroup", 0, NOBODY),
        ("nobody:", NOBODY, 0),
    ],
)
def test_is_given_to_its_owner(listen, path, owner, uid, gid):
    listen(owner=owner)
    status = os.lstat(path)
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (uid, gid, 0o660)


def test_nothing_is_given_to_who_has_it_already(listen, path, monkeypatch):
    """systemd's units forbid chown(2), and their group is the socket's from the beginning."""

    def forbidden(*arguments):
        raise PermissionError(1, "not here")

    monkeypatch.setattr(os, "chown", forbidden)
    listen(owner=f"{os.geteuid()}:{os.getegid()}")
    assert os.path.exists(path)


def test_may_be_given_to_ones_own_group(listen, path):
    listen(owner=f":{os.getgid()}")
    assert os.lstat(path).st_gid == os.getgid()


@pytest.mark.parametrize(
    ("owner", "said"),
    [("no-such-user", "there is no user 'no-such-user'"), (":no-such-group", "there is no group 'no-such-group'")],
)
def test_an_unknown_owner_is_named_and_nothing_is_left(path, owner, said):
    assert said in refused(path, owner=owner)
    assert not os.path.exists(path)


@as_root
def test_giving_away_without_the_right_to_leaves_nothing():
    # Not tmp_path, which other users cannot enter.
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        path = f"{directory}/app.sock"
        message = as_nobody(lambda: str(unix_socket.listen(path, 16, 0o660, "root")))
        assert "this process may not give it to root" in message
        assert not os.path.exists(path)


@as_root
def test_another_users_socket_that_cannot_be_tried_is_left_alone():
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o777)
        path = f"{directory}/app.sock"
        dead_socket(path)
        os.chmod(path, 0o600)
        message = as_nobody(lambda: str(unix_socket.listen(path, 16, 0o660, "")))
        assert "already served by another user, or was; this process may not look" in message
        assert os.path.exists(path)


# -- taking over -----------------------------------------------------------------------------------------------------


def test_a_socket_of_the_dead_is_replaced(listen, path):
    dead_socket(path)
    listen()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def test_a_served_socket_is_left_alone_and_its_process_named(listen, path):
    listen()
    inode = os.lstat(path).st_ino
    assert "it is already served by this very process; stop that first" in refused(path)
    message = in_child(lambda: str(unix_socket.listen(path, 16, 0o660, "")))
    assert f"it is already served by process {os.getpid()}" in message
    assert os.lstat(path).st_ino == inode


def test_a_served_socket_with_a_full_backlog_is_not_dead(path):
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(path)
        busy.listen(0)
        waiting = []
        try:
            while True:
                client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                waiting.append(client)
                if client.connect_ex(path) == errno.EAGAIN:
                    break
            assert "it is already served (its backlog is full)" in refused(path)
        finally:
            for client in waiting:
                client.close()


def test_another_kind_of_socket_is_left_alone(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(path)
        assert "already served by another kind of socket" in refused(path)
        assert os.path.exists(path)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda path: open(path, "w").close(), "a regular file"),
        (os.mkdir, "a directory"),
        (lambda path: os.symlink("/nowhere", path), "a symbolic link"),
        (os.mkfifo, "a pipe"),
    ],
)
def test_what_is_no_socket_is_named_and_left_alone(path, make, kind):
    make(path)
    before = os.lstat(path)
    assert f"it is {kind}; it is left alone, choose another path" in refused(path)
    assert os.lstat(path).st_ino == before.st_ino


def test_of_many_that_start_at_once_one_wins(path, monkeypatch):
    """All find the dead socket; replacing it blindly would let several listen, each believing to be the one."""
    dead_socket(path)
    look = unix_socket._served

    def look_and_be_overtaken(where):
        found = look(where)
        time.sleep(0.03)  # widens the gap between the look and the replacement, in which the others would act
        return found

    monkeypatch.setattr(unix_socket, "_served", look_and_be_overtaken)
    starting, started = os.pipe()
    results, result = os.pipe()
    staying, stayed = os.pipe()
    children = []
    for _ in range(8):
        child = os.fork()
        if child == 0:
            try:
                os.close(started)
                os.close(stayed)
                os.read(starting, 1)  # ends for all at once, when the parent closes its end
                try:
                    kept = unix_socket.listen(path, 16, 0o660, "")
                    os.write(result, b"w" if kept else b"?")
                except ConfigurationError:
                    os.write(result, b"l")
                os.read(staying, 1)  # a winner stays until all have tried
            finally:
                os._exit(0)
        children.append(child)
    os.close(started)
    outcome = b""
    while len(outcome) < len(children):
        outcome += os.read(results, 64)
    os.close(stayed)
    for child in children:
        os.waitpid(child, 0)
    for descriptor in (starting, results, result, staying):
        os.close(descriptor)
    assert sorted(outcome) == sorted(b"w" + b"l" * 7)


def test_a_lock_that_is_never_released_is_an_error_in_the_end(path, tmp_path, monkeypatch):
    monkeypatch.setattr(unix_socket, "LOCK_PATIENCE", 0.05)
    holder = os.open(tmp_path / ".app.sock.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        assert f"another process has held the lock {tmp_path}/.app.sock.lock" in refused(path)
    finally:
        os.close(holder)
    assert not os.path.exists(path)


def test_a_lock_leaves_nothing_behind(listen, path, tmp_path):
    _, cleanup = listen()
    assert os.listdir(tmp_path) == ["app.sock"]
    cleanup()
    assert os.listdir(tmp_path) == []


def test_what_another_server_has_left_of_its_lock_is_taken(listen, path, tmp_path):
    (tmp_path / ".app.sock.lock").touch(0o600)
    listen()
    assert os.listdir(tmp_path) == ["app.sock"]


@as_root
@pytest.mark.parametrize("where", ["the directory", "a file in the place of ours"])
def test_no_other_user_can_hold_a_lock_against_us(listen, path, tmp_path, where):
    tmp_path.chmod(0o777)
    for parent in (*tmp_path.parents,)[:3]:
        parent.chmod(parent.stat().st_mode | 0o011)
    held = str(tmp_path) if where == "the directory" else f"{tmp_path}/.app.sock.lock"
    ready, holding = os.pipe()
    staying, stayed = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(stayed)
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            flags = os.O_RDONLY if where == "the directory" else os.O_RDWR | os.O_CREAT
            fcntl.flock(os.open(held, flags, 0o666), fcntl.LOCK_EX)
            os.write(holding, b".")
            os.read(staying, 1)
        finally:
            os._exit(0)
    try:
        assert os.read(ready, 1) == b"."
        _, cleanup = listen()
        began = time.monotonic()
        cleanup()
        assert time.monotonic() - began < unix_socket.LOCK_PATIENCE / 2, "it was waited for"
        assert not os.path.exists(path)
    finally:
        os.close(stayed)
        os.waitpid(child, 0)
        for descriptor in (ready, holding, staying):
            os.close(descriptor)


def test_at_the_end_no_lock_is_waited_for(listen, path, tmp_path):
    _, cleanup = listen()
    holder = os.open(tmp_path / ".app.sock.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        began = time.monotonic()
        cleanup()
        assert time.monotonic() - began < unix_socket.LOCK_PATIENCE / 2
        assert os.path.exists(path), "a stale file is left, which the next start replaces"
    finally:
        os.close(holder)


@pytest.mark.parametrize("kind", ["a link", "another socket"])
def test_a_name_that_is_replaced_while_it_is_made_harms_no_other_file(path, tmp_path, monkeypatch, kind):
    """As root in a directory of somebody else: neither mode nor owner of what they put there is changed."""
    victim = tmp_path / "victim"
    with socket.socket(socket.AF_UNIX) as other:
        if kind == "a link":
            victim.touch(0o600)
        else:
            other.bind(str(victim))
            victim.chmod(0o600)

        class Replaced(socket.socket):
            def bind(self, address):
                super().bind(address)
                os.rename(path, tmp_path / "moved")
                (os.symlink if kind == "a link" else os.link)(victim, path)

        monkeypatch.setattr(unix_socket.socket, "socket", Replaced)
        assert "it was replaced while it was being made" in refused(path, mode=0o666)
        assert stat.S_IMODE(os.lstat(victim).st_mode) == 0o600


# -- removing --------------------------------------------------------------------------------------------------------


def test_a_file_that_is_not_ours_any_more_is_left(listen, path):
    _, cleanup = listen()
    os.unlink(path)
    inode = dead_socket(path)
    cleanup()
    assert os.lstat(path).st_ino == inode


def test_a_file_with_our_inode_and_another_time_is_left(listen, path):
    """Inode numbers are used again: here the same file stands for one."""
    _, cleanup = listen()
    os.utime(path, (1, 1))
    cleanup()
    assert os.path.exists(path)


def test_changed_permissions_do_not_make_it_anothers(listen, path):
    _, cleanup = listen()
    os.chmod(path, 0o666)
    cleanup()
    assert not os.path.exists(path)


def test_removing_what_is_gone_is_fine(listen, path, tmp_path):
    _, cleanup = listen()
    os.unlink(path)
    cleanup()
    tmp_path.joinpath("x").mkdir()


def test_a_forked_worker_does_not_remove_its_parents_file(listen, path):
    _, cleanup = listen()
    assert in_child(lambda: str(cleanup())) == "None"
    assert os.path.exists(path)


# -- what the system refuses -----------------------------------------------------------------------------------------


def test_a_missing_directory(tmp_path):
    assert f"there is no directory {tmp_path}/absent; create it first" in refused(f"{tmp_path}/absent/app.sock")


def test_a_file_where_the_directory_should_be(tmp_path):
    (tmp_path / "file").touch()
    assert f"{tmp_path}/file is not a directory" in refused(f"{tmp_path}/file/app.sock")


@as_root
def test_permission_denied(tmp_path):
    directory = tmp_path / "closed"
    directory.mkdir(mode=0o700)
    message = as_nobody(lambda: str(unix_socket.listen(f"{directory}/app.sock", 16, 0o660, "")))
    assert f"permission denied; this process (uid {NOBODY}) must be able to read and write {directory}" in message


def test_no_descriptor_is_left_after_a_refusal(path):
    open(path, "w").close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        refused(path)
    assert len(os.listdir("/proc/self/fd")) == before
