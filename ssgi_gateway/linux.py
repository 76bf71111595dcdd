"""What this project uses of Linux that other systems have not, or have under other names.

Another system is another file of these names, and of those three whose whole purpose is something of Linux's:
``server/system.py`` and its twin (accept4, sendfile), ``server/exclusive.py`` (epoll), ``process/worker_count.py``
(cgroups). ``tests/unit/test_systems.py`` looks for such things elsewhere.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
from functools import cache
from typing import Final

__all__ = [
    "HALF_CLOSED", "NO_SIGNAL", "SHARED_MEMORY", "adopt_orphans", "bare_nonblocking", "become_readable", "children",
    "count_files", "count_threads", "cpu_time", "cpus", "descriptor_path", "environment_of", "exit_descriptor",
    "find_memory", "forgo_privileges", "make_memory", "merge_memory", "merges_memory", "name_process", "nonblocking",
    "oom_kills", "packet_pair", "path_of", "peer_pid", "poller", "processes", "release_zeros", "reopen",
    "resident_memory", "seal_size", "send_unpaced", "shift_oom_score", "signal_events",
]  # fmt: skip

HALF_CLOSED: Final = select.POLLRDHUP
"""The event of poll(2) for a peer that has closed its sending side while its connection is not read."""

NO_SIGNAL: Final = socket.MSG_NOSIGNAL
"""For send(2): a closed connection is an error and no SIGPIPE, whatever the application has done about that."""

SHARED_MEMORY: Final = "/dev/shm"
"""A directory whose files lie in memory (shm_overview(7))."""

_PR_SET_DUMPABLE: Final = 4  # prctl(2)
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_MEMORY_MERGE: Final = 67  # PR_SET_MEMORY_MERGE(2const)

_STREAM: Final = int(socket.SOCK_STREAM | socket.SOCK_NONBLOCK)

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


# -- sockets and descriptors ---------------------------------------------------------------------------------------


def nonblocking(family: int, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """A new socket, non-blocking, not inherited (socket(2): in one call)."""
    return socket.socket(family, kind | socket.SOCK_NONBLOCK)


def bare_nonblocking(family: int) -> socket.SocketType:
    """As ``nonblocking``, of the class below ``socket.socket``, which takes a third of the time to make."""
    return socket.SocketType(family, _STREAM)


def send_unpaced(opened: socket.SocketType) -> None:
    """Have a new TCP socket, whose peer is to be this machine, send whatever its peer has room for (tcp(7)).

    Where BBR is the system's congestion control, the kernel measures what the way carries and sends by timers. Within
    a machine there is no way to spare, only the timers, the more so where both ends take turns on one CPU: an upload
    over HTTP/2 took a third more CPU with them. Reno is in every kernel, allowed to everybody, and sets none.
    """
    if _is_paced():
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")


@cache
def _is_paced() -> bool:
    """Whether new TCP sockets begin with BBR, and may have Reno; asked once, because it costs a small request more."""
    try:
        with socket.socket() as probe:
            chosen = probe.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
            probe.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"reno")
    except OSError:  # a kernel that is only like Linux
        return False
    return chosen.startswith(b"bbr")


def poller() -> select.epoll:
    """What watches descriptors, and can be watched itself; one that is closed leaves it (epoll(7))."""
    return select.epoll()


def packet_pair() -> tuple[socket.socket, socket.socket]:
    """Two connected sockets that keep messages apart and see the other end's close (unix(7): SOCK_SEQPACKET)."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)


def peer_pid(connection: socket.socket) -> int:
    """The process at the other end of a unix socket (unix(7): SO_PEERCRED)."""
    return int(struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])


def signal_events(fd: int) -> bool:
    """Send this process SIGIO whenever something happens to a socket (fcntl(2): O_ASYNC); ``False``: not here."""
    try:
        fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
    except OSError:
        return False
    return True


def descriptor_path(fd: int) -> str:
    """A path that leads to what ``fd`` is open for, whatever has its name by now (proc(5))."""
    return f"/proc/self/fd/{fd}"


def reopen(fd: int) -> int:
    """What ``fd`` is open for, opened once more, to be written to without waiting.

    O_NONBLOCK on ``fd`` itself would apply to every process that has it.

    Raises:
        OSError: it cannot be: a socket, a terminal that is another user's, no /proc.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
    return os.open(descriptor_path(fd), flags)


def path_of(fd: int) -> str:
    """Where an open file lies, links resolved (proc(5)).

    Raises:
        OSError: the kernel does not know.
    """
    return os.readlink(descriptor_path(fd))


# -- memory that has a name and no file ----------------------------------------------------------------------------


def make_memory(name: str, sealable: bool = False) -> int:
    """A descriptor of memory that other processes of this user find by ``name`` (memfd_create(2)).

    Raises:
        OSError: the kernel has none.
    """
    return os.memfd_create(name, os.MFD_CLOEXEC | (os.MFD_ALLOW_SEALING if sealable else 0))


def seal_size(fd: int) -> None:
    """Have the size of such memory fixed (fcntl(2)): a map of it is good for ever."""
    fcntl.fcntl(fd, 1033, 0x0002 | 0x0004 | 0x0001)  # F_ADD_SEALS: F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL


def find_memory(pid: int, name: str) -> str:
    """The path of such memory in another process, ``""`` where it has none; only its user and root may read it.

    Raises:
        OSError: there is no such process, or it is another user's.
    """
    folder = f"/proc/{pid}/fd"
    for number in os.listdir(folder):
        path = f"{folder}/{number}"
        try:
            if os.readlink(path) == f"/memfd:{name} (deleted)":
                return path
        except OSError:
            continue  # closed meanwhile
    return ""


def release_zeros(address: int, size: int) -> int:
    """Give back memory of this process that was set to zero and nothing else; it is still there, and still zero.

    Args:
        address: where a piece of anonymous private memory begins, as ``malloc`` gives it.
        size: of it, in bytes.

    Returns:
        How many pages (madvise(2): MADV_DONTNEED) the kernel was advised to drop.
    """
    import ctypes  # only workers need it, and have it

    libc = ctypes.CDLL(None)
    zeros = bytes(_PAGE)
    first = -(-address // _PAGE) * _PAGE
    released = 0
    for page in range(first, address + size - _PAGE + 1, _PAGE):
        if ctypes.string_at(page, _PAGE) == zeros:
            released += not libc.madvise(ctypes.c_void_p(page), ctypes.c_size_t(_PAGE), 4)
    return released


# -- processes -----------------------------------------------------------------------------------------------------


def processes() -> list[int]:
    """The ids of all processes."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def children() -> list[int]:
    """The processes whose parent this one is."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(word) for word in file.read().split()]


def count_threads() -> int:
    """How many threads this process has, those of libraries in C included."""
    return len(os.listdir("/proc/self/task"))


def count_files(pid: int | str = "self") -> int:
    """How many descriptors a process has.

    Raises:
        OSError: it may not be asked.
    """
    folder = f"/proc/{pid}/fd"
    return os.stat(folder).st_size or len(os.listdir(folder))  # Linux 6.2 counts them


def resident_memory(pid: int | str = "self") -> int:
    """Bytes of a process that are in memory (proc(5), ``statm``).

    Raises:
        OSError: it may not be asked.
    """
    with open(f"/proc/{pid}/statm", "rb", buffering=0) as file:
        return int(file.read().split()[1]) * _PAGE


def cpu_time(pid: int) -> float:
    """Seconds that a process has computed, user and system (proc(5), ``stat``).

    Raises:
        OSError: it may not be asked.
    """
    with open(f"/proc/{pid}/stat", "rb") as file:
        # The name, in brackets, may hold anything.
        fields = file.read().rpartition(b")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def environment_of(pid: int) -> list[bytes]:
    """The environment that a process was started with, as ``NAME=value``.

    Raises:
        OSError: it may not be asked.
    """
    with open(f"/proc/{pid}/environ", "rb") as file:
        return file.read().split(b"\0")


def exit_descriptor(pid: int) -> int:
    """A descriptor that is readable when the process ``pid`` has ended (pidfd_open(2)).

    Raises:
        OSError: there is no such process.
    """
    return os.pidfd_open(pid)


def cpus() -> int:
    """How many CPUs this process may run on (sched_getaffinity(2))."""
    return len(os.sched_getaffinity(0))


def name_process(name: str) -> None:
    """Call this process something in ps(1) and top(1), 15 bytes at most (proc(5), ``comm``).

    Raises:
        OSError: it may not.
    """
    fd = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)  # a file object would touch many pages of memory
    try:
        os.write(fd, name.encode())
    finally:
        os.close(fd)


def shift_oom_score(by: int) -> None:
    """Be nearer to the OOM killer than before (proc(5), ``oom_score_adj``).

    Raises:
        OSError: it may not.
    """
    with open("/proc/self/oom_score_adj", "r+") as file:
        score = min(1000, int(file.read()) + by)
        file.seek(0)
        file.write(str(score))


def oom_kills(root: str = "/sys/fs/cgroup", membership: str = "/proc/self/cgroup") -> int:
    """How many processes of this one's cgroup the kernel has killed because memory was short; 0 if not known.

    Args:
        root: where cgroups are mounted.
        membership: the file that lists which ones this process is in (cgroups(7)).
    """
    try:
        with open(membership) as file:
            lines = file.read().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            folder, name = root, "memory.events"
        elif "memory" in controllers.split(","):
            folder, name = f"{root}/memory", "memory.oom_control"
        else:
            continue
        # In a container with a namespace of its own the path may lead nowhere, and the root is its own.
        for place in (f"{folder}{path.rstrip('/')}/{name}", f"{folder}/{name}"):
            try:
                with open(place) as file:
                    words = file.read().split()
                return int(words[words.index("oom_kill") + 1])
            except (OSError, ValueError, IndexError):
                continue
    return 0


def adopt_orphans() -> str:
    """Be the parent of the children of children that end (prctl(2)); process 1 is that already.

    Returns:
        Why that failed, or ``""``.
    """
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def become_readable() -> None:
    """After a change of the user: let this process read what ``/proc/self`` holds."""
    _prctl(_PR_SET_DUMPABLE, 1)


def forgo_privileges() -> None:
    """No program that this process starts gets more rights than it has itself."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def merge_memory() -> str:
    """Let the kernel keep pages of this process once that others have as well; who is forked asks for the same.

    Returns:
        Why that failed, or ``""``: Linux 6.4 and later can, where they are built with KSM.
    """
    return _prctl(_PR_SET_MEMORY_MERGE, 1)


def merges_memory() -> bool:
    """Whether the kernel looks for pages that are equal (its Documentation/admin-guide/mm/ksm.rst)."""
    try:
        with open("/sys/kernel/mm/ksm/run") as file:
            return file.read().strip() == "1"
    except OSError:
        return False


def _prctl(option: int, value: int) -> str:
    import ctypes  # only supervisors and templates need it

    libc = ctypes.CDLL(None, use_errno=True)
    return os.strerror(ctypes.get_errno()) if libc.prctl(option, value, 0, 0, 0) else ""
