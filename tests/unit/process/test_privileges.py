"""Rights that are given up, for good; the pid file."""

from __future__ import annotations

import os

import pytest

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.process import privileges
from ssgi_gateway.settings import Settings

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def in_a_child(function) -> str:
    """What ``function`` returns, called in a process of its own."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(writing, str(function()).encode())
        except BaseException as error:
            os.write(writing, repr(error).encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with open(reading) as file:
        return file.read()


@root
def test_all_ids_change_and_there_is_no_way_back():
    def drop():
        privileges.drop(Settings(user="nobody", umask=0o27))
        with open("/proc/self/status") as file:
            lines = [line.split()[1:] for line in file if line.startswith(("Uid:", "Gid:", "Groups:"))]
        try:
            os.setuid(0)
        except PermissionError:
            return *lines, oct(os.umask(0))
        return "root again"

    import pwd

    entry = pwd.getpwnam("nobody")
    groups = sorted(os.getgrouplist("nobody", entry.pw_gid))
    expected = ([str(entry.pw_uid)] * 4, [str(entry.pw_gid)] * 4, [str(it) for it in groups], "0o27")
    assert in_a_child(drop) == str(expected)


@root
def test_a_group_alone_leaves_no_other():
    def drop():
        privileges.drop(Settings(group="12345"))
        return os.getresgid(), os.getgroups(), os.getuid()

    assert in_a_child(drop) == "((12345, 12345, 12345), [12345], 0)"


def test_without_settings_nothing_changes():
    before = os.getresuid(), os.getresgid(), os.getgroups()
    privileges.drop(Settings())
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == before


@pytest.mark.parametrize(("name", "value"), [("user", "nobody-at-all"), ("group", "no-group-at-all")])
def test_who_is_not_there(name, value):
    with pytest.raises(ConfigurationError, match=f"--{name}: there is no {name} '{value}'"):
        privileges.check(Settings(**{name: value}))


@root
def test_only_root_may():
    def ask():
        os.setuid(65534)
        privileges.check(Settings(user="root"))

    assert "only root may change the user" in in_a_child(ask)


def test_the_kernel_prefers_a_worker():
    def raised():
        with open("/proc/self/oom_score_adj") as file:
            before = int(file.read())
        privileges.raise_oom_score()
        with open("/proc/self/oom_score_adj") as file:
            return int(file.read()) - before

    assert in_a_child(raised) in ("100", "0")


def test_the_pid_file_is_removed_by_whom_it_names(tmp_path):
    path = tmp_path / "pid"
    held = privileges.PidFile(str(path))
    assert int(path.read_text()) == os.getpid()
    path.write_text("1")
    held.remove()
    assert path.exists()
    privileges.PidFile(str(path)).remove()
    assert not path.exists()
    privileges.PidFile("").remove()
    with pytest.raises(ConfigurationError, match="--pid-file: /none/pid"):
        privileges.PidFile("/none/pid")
