"""One unix socket in the file system: created, given away, taken over from the dead, removed.

Rules:

* Never is a file removed that is not a socket, nor a socket that is served.
* Looking whether a socket is served and replacing it are one step: they happen under a lock (flock(2)), and the new
  socket listens before it is released. The lock is on a file beside the socket that only this user can open, so no
  other user can hold it; it is removed with the lock. At the end nothing waits for it.
* The file has its final permissions from the moment it exists (umask), and its owner before it listens. Both are set on
  the file that was made, by a descriptor: in a directory of another user the name may be another's a moment later.
* It is removed only by the process that made it, and only if the path still leads to the same file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import os
import pwd
import socket
import stat
import time
from typing import TYPE_CHECKING, Final

from ssgi_gateway import linux
from ssgi_gateway.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Cleanup", "listen"]

LOCK_PATIENCE: Final = 5.0
"""Seconds to wait for another server that is opening a socket in the same directory; it needs milliseconds."""

KINDS: Final = (
    (stat.S_ISREG, "a regular file"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISFIFO, "a pipe"),
)


def listen(path: str, backlog: int, mode: int, owner: str) -> tuple[socket.socket, Callable[[], None]]:
    """Listen on ``path``.

    Args:
        path: absolute.
        backlog: connections the kernel keeps.
        mode: permissions of the file.
        owner: ``USER``, ``USER:GROUP``, ``:GROUP``, names or numbers; empty for this process' own.

    Returns:
        The socket, and what removes the file again.

    Raises:
        ConfigurationError: the path is taken, or the system refuses.
    """
    user, group = _owner(owner)
    opened = linux.nonblocking(socket.AF_UNIX)
    try:
        with _locked(path, LOCK_PATIENCE):
            _make_way(path)
            identity = _bind(opened, path, mode, user, group)
            opened.listen(backlog)
    except OSError as error:
        opened.close()
        raise ConfigurationError(f"cannot listen on unix:{path}: {_explain(error, path, owner)}") from None
    except BaseException:
        opened.close()
        raise
    return opened, Cleanup(path, identity)


def _bind(opened: socket.socket, path: str, mode: int, user: int, group: int) -> tuple[int, ...]:
    before = os.umask(0o777 & ~mode)
    try:
        opened.bind(path)
    finally:
        os.umask(before)
    try:
        made = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return _finish(made, path, mode, user, group)
        finally:
            os.close(made)
    except BaseException:
        os.unlink(path)
        raise


def _finish(made: int, path: str, mode: int, user: int, group: int) -> tuple[int, ...]:
    """Give the file ``made`` its owner and its permissions, unless it is not what we have made."""
    status = os.fstat(made)
    if not stat.S_ISSOCK(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
        raise ConfigurationError(
            f"cannot listen on unix:{path}: it was replaced while it was being made; choose a directory in which only "
            "this user may write"
        )
    name = linux.descriptor_path(made)
    # Only what is another's: systemd can forbid a service the call (@privileged), and the group of a service is the
    # socket's from the beginning.
    if user not in (-1, status.st_uid) or group not in (-1, status.st_gid):
        os.chown(name, user, group)
    if stat.S_IMODE(os.fstat(made).st_mode) != mode:
        os.chmod(name, mode)  # a default ACL of the directory came before the umask (acl(5))
    return _identity_of(os.fstat(made))


class Cleanup:
    """Removes the file, once, if it is still the one that was made.

    Args:
        path: of the file.
        identity: which file it is.
    """

    __slots__ = ("_process", "identity", "path")

    def __init__(self, path: str, identity: tuple[int, ...]) -> None:
        self.path = path
        self.identity = identity
        self._process = os.getpid()

    def __call__(self) -> None:
        if os.getpid() != self._process:
            return  # a forked worker shares the socket; the file is its parent's
        # Under the lock no server can put another socket there between the look and the removal. Whatever fails here
        # leaves a stale file at worst, which the next start replaces.
        with contextlib.suppress(OSError, ConfigurationError), _locked(self.path, 0.0):
            if _identity(self.path) == self.identity:
                os.unlink(self.path)


def _identity(path: str) -> tuple[int, ...]:
    """Which file this is. Inode numbers are used again, so the time of its creation counts, too."""
    return _identity_of(os.lstat(path))


def _identity_of(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_mtime_ns


@contextlib.contextmanager
def _locked(path: str, patience: float) -> Iterator[None]:
    """No other server opens or removes the socket ``path`` meanwhile, if it takes this lock as well.

    Args:
        path: the socket's.
        patience: seconds to wait for another process that does.

    Raises:
        ConfigurationError: that was not enough.
        OSError: there can be no lock in this directory.
    """
    directory, name = os.path.split(path)
    lock = os.path.join(directory, f".{name}.lock")
    deadline = time.monotonic() + patience
    while (descriptor := _take(lock)) < 0:
        if time.monotonic() >= deadline:
            raise ConfigurationError(f"another process has held the lock {lock} for {patience:g} s; see with: lslocks")
        time.sleep(0.01)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.unlink(lock)
        os.close(descriptor)


def _take(lock: str) -> int:
    """The descriptor of the locked file ``lock``; -1 when it cannot be had now."""
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.ELOOP) or not os.path.lexists(lock):
            raise
        os.unlink(lock)  # another user's, who may have left it or not: his lock is none of ours
        return -1
    try:
        if os.fstat(descriptor).st_uid != os.geteuid():
            os.unlink(lock)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Who had it before has removed the file, and another may have made a new one meanwhile.
            if os.path.samestat(os.fstat(descriptor), os.lstat(lock)):
                return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return -1


def _make_way(path: str) -> None:
    """Remove a socket that is not served.

    Raises:
        ConfigurationError: it is served, or no socket.
    """
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        kind = next((name for test, name in KINDS if test(mode)), "not a socket")
        raise ConfigurationError(f"cannot listen on unix:{path}: it is {kind}; it is left alone, choose another path")
    served = _served(path)
    if served:
        raise ConfigurationError(f"cannot listen on unix:{path}: it is already served{served}; stop that first")
    os.unlink(path)


def _served(path: str) -> str:
    """Empty if ``path`` is not served; otherwise by which process, for a message."""
    with linux.nonblocking(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except BlockingIOError:
            return " (its backlog is full)"
        except OSError as error:
            if error.errno in (errno.ECONNREFUSED, errno.ENOENT):
                return ""
            if error.errno == errno.EPROTOTYPE:
                return " by another kind of socket"
            if error.errno == errno.EACCES:
                return " by another user, or was; this process may not look"
            raise
        process = linux.peer_pid(probe)
    if process == os.getpid():
        return " by this very process"
    return f" by process {process}" if process else " by a process of another namespace"


def _owner(owner: str) -> tuple[int, int]:
    """User and group as numbers, -1 for "unchanged"."""
    user, _, group = owner.partition(":")
    try:
        uid = -1 if not user else int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid
    except KeyError:
        raise ConfigurationError(f"--socket-owner: there is no user {user!r}") from None
    try:
        gid = -1 if not group else int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise ConfigurationError(f"--socket-owner: there is no group {group!r}") from None
    return uid, gid


def _explain(error: OSError, path: str, owner: str) -> str:
    directory = os.path.dirname(path)
    if error.errno == errno.ENOENT:
        return f"there is no directory {directory}; create it first"
    if error.errno == errno.ENOTDIR:
        return f"{directory} is not a directory"
    if error.errno == errno.EPERM and owner:
        return f"this process may not give it to {owner}; only root may, or a member of the group"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"permission denied; this process (uid {os.geteuid()}) must be able to read and write {directory}"
    if error.errno == errno.EROFS:
        return f"{directory} is on a read-only file system"
    return os.strerror(error.errno or 0)
