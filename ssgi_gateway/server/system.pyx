# cython: boundscheck=False, wraparound=False
"""The system calls, on bare descriptors: the compiled twin of ``system.py``, straight to libc."""

import os
import socket

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.exc cimport PyErr_SetFromErrno
from libc.errno cimport EAGAIN, ECONNABORTED, EINTR, errno

cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    int c_accept4 "accept4"(int, void *, socklen_t *, int)
    ssize_t c_recv "recv"(int, void *, size_t, int)
    ssize_t c_send "send"(int, const void *, size_t, int)
    int c_shutdown "shutdown"(int, int)
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        void *msg_name
        socklen_t msg_namelen
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
        int msg_flags
    ssize_t c_sendmsg "sendmsg"(int, const msghdr *, int)
    int SOCK_NONBLOCK, SOCK_CLOEXEC, MSG_NOSIGNAL, SHUT_RDWR, SHUT_WR

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int c_poll "poll"(pollfd *, unsigned long, int)
    short POLLIN

cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    int clock_gettime(int, timespec *)

cdef extern from "<sys/ioctl.h>" nogil:
    int c_ioctl "ioctl"(int, unsigned long, ...)

cdef extern from "<linux/sockios.h>" nogil:
    unsigned long SIOCOUTQ

cdef extern from "<unistd.h>" nogil:
    int c_close "close"(int)

DEF SIZE = 262144
DEF BUFFERS = 64

RECEIVE_SIZE = SIZE
MAX_BUFFERS = BUFFERS

cdef extern from *:
    """
    static _Thread_local char incoming[262144];
    """
    char *incoming  # one buffer for all connections of a thread: only what arrived is copied out, before the next read


cpdef double clock() noexcept:
    """Seconds of the monotonic clock, now."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


def source(listener):
    """What ``accept`` takes for a listener: its descriptor."""
    return listener.fileno()


cpdef int accept(object listener) except -2:
    """The descriptor of the next connection, non-blocking; -1 when none is waiting."""
    cdef int fd = c_accept4(<int>listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
    if fd < 0:
        if errno == EAGAIN or errno == EINTR or errno == ECONNABORTED:
            return -1
        PyErr_SetFromErrno(OSError)
    return fd


cpdef bint pending(object listener) except -1:
    """Whether a connection waits to be accepted; see the portable twin."""
    cdef pollfd asked
    asked.fd = <int>listener
    asked.events = POLLIN
    asked.revents = 0
    return c_poll(&asked, 1, 0) > 0


cpdef bytes receive(int fd):
    """What has arrived; ``b""`` at the end of the stream, ``None`` when nothing is there yet."""
    cdef ssize_t size = c_recv(fd, incoming, SIZE, 0)
    if size < 0:
        if errno == EAGAIN or errno == EINTR:
            return None
        PyErr_SetFromErrno(OSError)
    return PyBytes_FromStringAndSize(incoming, size)


cpdef Py_ssize_t send(int fd, object data) except -1:
    """Write; returns how many bytes the kernel took, 0 when it takes none now."""
    cdef ssize_t sent
    cdef Py_buffer view
    if type(data) is bytes:
        sent = c_send(fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), MSG_NOSIGNAL)
    else:
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        sent = c_send(fd, view.buf, view.len, MSG_NOSIGNAL)
        PyBuffer_Release(&view)
    return outcome(sent)


cpdef Py_ssize_t send_many(int fd, list buffers) except -1:
    """Write several buffers with one call; returns how many bytes the kernel took."""
    cdef Py_buffer views[BUFFERS]
    cdef iovec vectors[BUFFERS]
    cdef msghdr message
    cdef Py_ssize_t count = min(len(buffers), BUFFERS)
    cdef Py_ssize_t ready = 0
    cdef ssize_t sent
    try:
        while ready < count:
            PyObject_GetBuffer(buffers[ready], &views[ready], PyBUF_SIMPLE)
            vectors[ready].iov_base = views[ready].buf
            vectors[ready].iov_len = views[ready].len
            ready += 1
        message.msg_name = NULL
        message.msg_namelen = 0
        message.msg_iov = vectors
        message.msg_iovlen = count
        message.msg_control = NULL
        message.msg_controllen = 0
        message.msg_flags = 0
        sent = c_sendmsg(fd, &message, MSG_NOSIGNAL)
    finally:
        while ready > 0:
            ready -= 1
            PyBuffer_Release(&views[ready])
    return outcome(sent)


def send_file(int fd, int file, offset, size):
    """Write a part of a file; how many bytes went, 0 at the file's end, -1 when the kernel takes none now."""
    try:
        return os.sendfile(fd, file, offset, size)
    except BlockingIOError:
        return -1


cdef inline Py_ssize_t outcome(ssize_t sent) except -1:
    if sent < 0:
        if errno == EAGAIN or errno == EINTR:
            return 0
        PyErr_SetFromErrno(OSError)
    return sent


def unsent(int fd):
    """Bytes that were written and that the peer has not taken yet, by the kernel's account; see the portable twin."""
    cdef int count = 0
    return count if c_ioctl(fd, SIOCOUTQ, &count) == 0 else 0


def addresses(int fd):
    """The addresses of a connection: this side's and the peer's; ``(host, port)``, or a path for unix sockets.

    A peer that has reset the connection has none any more: ``("", 0)``, and never what a unix socket has.
    """
    connection = socket.socket(fileno=fd)
    try:
        return connection.getsockname(), connection.getpeername()
    except OSError:
        return ("", "") if connection.family == socket.AF_UNIX else (("", 0), ("", 0))
    finally:
        connection.detach()


cpdef shutdown_write(int fd):
    """Half-close: nothing more will be sent, and reading goes on; a peer that has closed shows when reading."""
    c_shutdown(fd, SHUT_WR)


cdef bint shared = False


cpdef share():
    """This process has forked: from now on a child may hold copies of any descriptor."""
    global shared
    shared = True


cpdef close(int fd):
    """End the connection, and give the descriptor back; see the portable twin."""
    if shared:
        c_shutdown(fd, SHUT_RDWR)
    c_close(fd)


cpdef release(int fd):
    """Give the descriptor back; the connection goes on where another process has it."""
    c_close(fd)
