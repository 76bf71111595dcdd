# cython: boundscheck=False, wraparound=False
"""The head of an HTTP/1.1 request: the compiled twin of ``head.py``, with the same rules; it needs no h11.

What nearly every request has is read in one pass and written down as the variables that it is. Whatever is unusual,
and every error, goes to ``interpret`` of the portable module, so the rules stand once.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport uint8_t
from libc.string cimport memcmp, memcpy

from ssgi_gateway.wire.http.head import interpret, netstring

from ..variables cimport Variables, known_host

DEF ROOM = 65536
"""Bytes for the variables of a head that is read here; larger ones are rare."""

DEF CHUNKED_ = -1
CHUNKED = CHUNKED_
__all__ = ["CHUNKED", "RequestHead1", "interpret", "netstring", "read_head"]

cdef extern from *:
    """
    static _Thread_local char room[65536];
    """
    char *room  # where the variables of a head are written down, each thread's own

cdef uint8_t[256] NAME  # what a character of a field's name is in the variable's, 0 where no token has it
cdef uint8_t[256] VALUE  # what a field's value may hold
cdef uint8_t[256] TARGET  # likewise a target


cdef object set_up():
    cdef int c
    for c in b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz":
        NAME[c] = ord("_") if c == ord("-") else c - 32 if ord("a") <= c <= ord("z") else c
    for c in range(256):
        VALUE[c] = c == 9 or (c >= 32 and c != 127)
        TARGET[c] = 33 <= c < 127


set_up()


cdef class RequestHead1:
    """What a head holds; see the portable class."""

    def __init__(self, Variables variables, Py_ssize_t length, int minor, bint keep, bint expects, bint is_head):
        self.variables = variables
        self.length = length
        self.minor = minor
        self.keep = keep
        self.expects = expects
        self.is_head = is_head


cpdef RequestHead1 read_head(bytes block, Py_ssize_t start, Py_ssize_t end, bytes around, Py_ssize_t most):
    """Read a head; see the portable function."""
    cdef RequestHead1 head = RequestHead1.__new__(RequestHead1)
    if not read_usual(head, block, start, end, around, most):
        pairs, head.length, head.minor, head.keep, head.expects, head.is_head = interpret(
            block[start:end], around, most
        )
        head.variables = Variables(pairs)
    return head


cdef inline char *put(char *to, const char *text, Py_ssize_t size) noexcept:
    memcpy(to, text, size)
    return to + size


cdef bint read_usual(
    RequestHead1 head, bytes block, Py_ssize_t start, Py_ssize_t end, bytes around, Py_ssize_t most
) except -1:
    """Read a head that has nothing unusual; returns whether this was one."""
    cdef const uint8_t *at = <const uint8_t *>PyBytes_AS_STRING(block) + start
    cdef const uint8_t *stop = <const uint8_t *>PyBytes_AS_STRING(block) + end
    cdef const uint8_t *word
    cdef const uint8_t *query
    cdef char *to = room
    cdef char *name
    cdef Py_ssize_t size, count = 0
    cdef bint dropped, has_host = False, has_length = False, is_chunked = False, close = False, keep_alive = False
    cdef uint8_t c
    # A field of n bytes takes at most 2n (HTTP_, two NULs), the target comes twice, and the rest is known.
    if (end - start) * 3 + PyBytes_GET_SIZE(around) + 256 > ROOM:
        return False
    head.length = 0
    head.expects = False

    word = at
    while NAME[at[0]]:
        at += 1
    size = at - word
    if not size or at[0] != c" " or (size == 7 and not memcmp(word, b"CONNECT", 7)):
        return False
    head.is_head = size == 4 and not memcmp(word, b"HEAD", 4)
    to = put(put(to, b"REQUEST_METHOD\0", 15), <const char *>word, size)
    at += 1
    word = at
    query = NULL
    if at[0] != c"/":
        return False
    while TARGET[at[0]]:
        if at[0] == c"?" and query is NULL:
            query = at + 1
        at += 1
    size = at - word
    to = put(put(to, b"\0REQUEST_URI\0", 13), <const char *>word, size)
    to = put(to, b"\0QUERY_STRING\0", 14)
    if query is not NULL:
        to = put(to, <const char *>query, at - query)
    if stop - at < 11 or memcmp(at, b" HTTP/1.", 8) or memcmp(at + 9, b"\r\n", 2):
        return False
    if at[8] == c"1":
        head.minor = 1
    elif at[8] == c"0":
        head.minor = 0
    else:
        return False
    to = put(put(to, b"\0SERVER_PROTOCOL\0", 17), <const char *>at + 1, 8)
    to = put(to, b"\0", 1)
    at += 11

    while at < stop and at[0] != c"\r":
        count += 1
        if count > most:
            return False
        to = put(to, b"HTTP_", 5)
        name = to
        dropped = False
        while True:
            c = NAME[at[0]]
            if not c:
                break
            dropped |= at[0] == c"_"
            to[0] = c
            to += 1
            at += 1
        size = to - name
        if not size or at[0] != c":":
            return False
        at += 1
        while at[0] == c" " or at[0] == c"\t":
            at += 1
        word = at
        while VALUE[at[0]]:
            at += 1
        if at + 1 >= stop or at[0] != c"\r" or at[1] != c"\n":
            return False
        if dropped:
            at += 2
            to = name - 5
            continue
        end = at - word
        while end and (word[end - 1] == c" " or word[end - 1] == c"\t"):
            end -= 1
        at += 2
        if size == 4 and not memcmp(name, b"HOST", 4):
            if has_host or not known_host(<const char *>word, end):
                return False
            has_host = True
        elif size == 12 and not memcmp(name, b"CONTENT_TYPE", 12):
            memcpy(name - 5, b"CONTENT_TYPE", 12)
            to -= 5
        elif size == 14 and not memcmp(name, b"CONTENT_LENGTH", 14):
            memcpy(name - 5, b"CONTENT_LENGTH", 14)
            to -= 5
            if has_length or not number(word, end, &head.length):
                return False
            has_length = True
        elif size == 17 and not memcmp(name, b"TRANSFER_ENCODING", 17):
            if is_chunked or not equals(word, end, b"chunked", 7):
                return False
            is_chunked = True
        elif size == 10 and not memcmp(name, b"CONNECTION", 10):
            close |= has_token(word, end, b"close", 5)
            keep_alive |= has_token(word, end, b"keep-alive", 10)
        elif size == 6 and not memcmp(name, b"EXPECT", 6):
            if not equals(word, end, b"100-continue", 12):
                return False
            head.expects = head.minor == 1
        to[0] = 0
        to = put(to + 1, <const char *>word, end)
        to[0] = 0
        to += 1

    # The lines up to here were whole, and "\r\n" alone is what ends a head.
    if at + 2 != stop or at[0] != c"\r" or at[1] != c"\n":
        return False
    if head.minor == 1 and not has_host:
        return False
    if is_chunked:
        if has_length or head.minor == 0:
            return False
        head.length = CHUNKED_
    head.keep = not close if head.minor == 1 else keep_alive and not close
    to = put(to, PyBytes_AS_STRING(around), PyBytes_GET_SIZE(around))
    head.variables = Variables.__new__(Variables)
    size = to - room
    head.variables.clean(head.variables.take_netstring(PyBytes_FromStringAndSize(room, size), 0, size, size))
    return True


cdef inline bint number(const uint8_t *text, Py_ssize_t size, Py_ssize_t *found) noexcept:
    cdef Py_ssize_t i
    cdef Py_ssize_t total = 0
    if not 0 < size <= 18:
        return False
    for i in range(size):
        if not c"0" <= text[i] <= c"9":
            return False
        total = total * 10 + text[i] - c"0"
    found[0] = total
    return True


cdef inline bint equals(const uint8_t *text, Py_ssize_t size, const char *word, Py_ssize_t length) noexcept:
    """Whether ``text`` is ``word``, which is in lower case, in any case."""
    cdef Py_ssize_t i
    cdef uint8_t c
    if size != length:
        return False
    for i in range(size):
        c = text[i]
        if c"A" <= c <= c"Z":
            c += 32
        if c != <uint8_t>word[i]:
            return False
    return True


cdef bint has_token(const uint8_t *text, Py_ssize_t size, const char *word, Py_ssize_t length) noexcept:
    """Whether ``word`` is among the elements of a list (RFC 9110 5.6.1)."""
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t i, end
    for i in range(size + 1):
        if i < size and text[i] != c",":
            continue
        end = i
        while start < end and (text[start] == c" " or text[start] == c"\t"):
            start += 1
        while end > start and (text[end - 1] == c" " or text[end - 1] == c"\t"):
            end -= 1
        if equals(text + start, end - start, word, length):
            return True
        start = i + 1
    return False
