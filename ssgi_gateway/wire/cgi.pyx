# cython: boundscheck=False, wraparound=False
"""CGI semantics: the compiled twin of ``cgi.py``, with the same rules.

What nearly every request has is read where it lies: a known method, a path without escapes, an IPv4 client. Anything
else goes to the functions of the portable module, which are written for any kind of variables.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport uint8_t
from libc.string cimport memchr, memcmp, memcpy

from ssgi_gateway.errors import RequestRejected
from ssgi_gateway.wire.cgi import (
    METHODS,
    REASONS,
    check_method,
    find_root_path,
    is_websocket,
    read_content_length,
    rebuild_path,
    split_uri,
)

from .addresses import http_version, remote_address, scheme, server_address, split_address
from .percent import quote, unquote
from .response_head import ResponseHead
from .variables cimport Entry, Variables

__all__ = [
    "REASONS",
    "RequestHead",
    "ResponseHead",
    "Variables",
    "body_length",
    "parse_head",
    "read_content_length",
]

cdef uint8_t[128] PLAIN  # what stands for itself in a path, and is no end of it


cdef object set_up():
    cdef int c
    for c in range(33, 127):
        PLAIN[c] = c not in b"%?#"


set_up()

cdef tuple known_methods = tuple(sorted(METHODS))


cdef const char *NOWHERE = b""


cdef inline const char *value_of(Variables variables, const char *name, Py_ssize_t name_size, Py_ssize_t *size):
    """Where the value of a variable lies; ``NOWHERE``, of no size, if it is not there."""
    cdef int index = variables.find(name, name_size)
    cdef Entry *entry
    if index < 0:
        size[0] = 0
        return NOWHERE
    entry = &variables._entries[index]
    size[0] = entry.value_size
    return PyBytes_AS_STRING(variables._block) + entry.value


cdef inline str text_of(const char *value, Py_ssize_t size):
    return PyUnicode_DecodeLatin1(value, size, NULL) if size else ""


@cython.final
cdef class Kept:
    """A server's address beside what it was made of: the next request mostly has the same."""

    cdef bytes key
    cdef str address


cdef Kept kept = Kept.__new__(Kept)
kept.key = b""
cdef object guard = object()  # of ``kept``, where threads share no interpreter lock


cdef str server(Variables variables):
    """``addresses.server_address``."""
    global kept
    cdef Kept last
    cdef Py_ssize_t name_size, address_size, port_size
    cdef const char *name = value_of(variables, b"SERVER_NAME", 11, &name_size)
    cdef const char *address = value_of(variables, b"SERVER_ADDR", 11, &address_size)
    cdef const char *port = value_of(variables, b"SERVER_PORT", 11, &port_size)
    cdef Py_ssize_t size = name_size + address_size + port_size + 2
    cdef const char *held
    cdef char *to
    cdef bytes key
    with cython.critical_section(guard):
        last = kept
    if PyBytes_GET_SIZE(last.key) == size:
        held = PyBytes_AS_STRING(last.key)
        if (
            not memcmp(held, name, name_size)
            and not held[name_size]
            and not memcmp(held + name_size + 1, address, address_size)
            and not held[name_size + 1 + address_size]
            and not memcmp(held + name_size + address_size + 2, port, port_size)
        ):
            return last.address
    found = server_address(variables)
    key = PyBytes_FromStringAndSize(NULL, size)
    to = PyBytes_AS_STRING(key)
    memcpy(to, name, name_size)
    to[name_size] = 0
    memcpy(to + name_size + 1, address, address_size)
    to[name_size + 1 + address_size] = 0
    memcpy(to + name_size + address_size + 2, port, port_size)
    # A NUL within one of them would make two different requests look the same.
    if key.count(b"\0") == 2:
        last = Kept.__new__(Kept)
        last.key = key
        last.address = found
        with cython.critical_section(guard):
            kept = last
    return found


cdef str client(Variables variables, int *known_port):
    """``addresses.remote_address``; the port too, where the address is IPv4 and has one."""
    cdef Py_ssize_t size, port_size, i
    cdef const char *host = value_of(variables, b"REMOTE_ADDR", 11, &size)
    cdef const char *port = value_of(variables, b"REMOTE_PORT", 11, &port_size)
    cdef char[24] text
    cdef int number = 0
    if not 0 < size <= 15 or not 0 < port_size <= 5:
        return remote_address(variables)
    for i in range(size):
        if not (c"0" <= host[i] <= c"9" or host[i] == c"."):
            return remote_address(variables)
        text[i] = host[i]
    text[size] = c":"
    for i in range(port_size):
        if not c"0" <= port[i] <= c"9":
            return remote_address(variables)
        number = number * 10 + port[i] - c"0"
        text[size + 1 + i] = port[i]
    if not 0 < number <= 65535:
        return remote_address(variables)
    known_port[0] = number
    return PyUnicode_DecodeLatin1(text, size + 1 + port_size, NULL)


cdef inline str method_of(const char *value, Py_ssize_t size):
    if size == 3 and not memcmp(value, b"GET", 3):
        return "GET"
    if size == 4 and not memcmp(value, b"POST", 4):
        return "POST"
    return text_of(value, size)


@cython.freelist(8)
cdef class RequestHead:
    """What an SSGI call needs of a request; see the portable class."""

    def __init__(self, Variables variables, root_path=None, bint started_by_front=False):
        self.read(variables, root_path, started_by_front)

    cdef object read(self, Variables variables, object root_path, bint started_by_front):
        cdef Py_ssize_t size, end
        cdef const char *value = value_of(variables, b"REQUEST_METHOD", 14, &size)
        cdef str method = method_of(value, size)
        cdef str path, raw_path, query
        if method not in known_methods:
            check_method(method)
        value = value_of(variables, b"REQUEST_URI", 11, &size)
        end = 0
        if size and value[0] == c"/":
            while end < size and not <uint8_t>value[end] & 0x80 and PLAIN[<uint8_t>value[end]]:
                end += 1
        if end and (end == size or (value[end] == c"?" and not memchr(value + end, c"#", size - end))):
            path = raw_path = PyUnicode_DecodeLatin1(value, end, NULL)
            query = text_of(value + end + 1, size - end - 1) if end < size else ""
        else:
            if size:
                raw_path, query = split_uri(text_of(value, size))
                path = unquote(raw_path)
            else:
                path = rebuild_path(variables)
                query = ""
                raw_path = quote(path)
            if "\0" in path:
                raise RequestRejected(400, "the path has a NUL in it")
        value = value_of(variables, b"QUERY_STRING", 12, &size)
        self.method = method
        self.path = path
        self.raw_path = raw_path
        self.query_string = query if value == NOWHERE else text_of(value, size)
        self.server_address = server(variables)
        self.remote_address = client(variables, &self._client_port)
        self.is_upgrade = method == "GET" and variables.find(b"HTTP_UPGRADE", 12) >= 0 and is_websocket(variables)
        self.variables = variables
        self._root_path = root_path
        self._started_by_front = started_by_front

    cpdef tuple client(self):
        """The client's host and port; see the portable class."""
        cdef str address = self.remote_address
        cdef Py_ssize_t end = len(address) - 2
        if not self._client_port:
            return split_address(address)
        while address[end] != u":":
            end -= 1
        return (address[:end], self._client_port)

    cpdef str root_path(self):
        """Where the application is mounted, without a slash at its end."""
        cdef Py_ssize_t size
        if self._root_path is not None:
            return self._root_path.rstrip("/")
        value_of(self.variables, b"SCRIPT_NAME", 11, &size)
        if not size:
            value_of(self.variables, b"PATH_INFO", 9, &size)
        return find_root_path(self.variables, self.path, self._started_by_front) if size else ""

    cpdef str scheme(self):
        """``"http"`` or ``"https"``."""
        cdef Py_ssize_t size
        cdef const char *value
        value_of(self.variables, b"HTTPS", 5, &size)
        if not size:
            value = value_of(self.variables, b"REQUEST_SCHEME", 14, &size)
            if not size or (size == 4 and not memcmp(value, b"http", 4)):
                return "http"
        return scheme(self.variables)

    cpdef str http_version(self):
        """Of the client's request."""
        cdef Py_ssize_t size
        cdef const char *value = value_of(self.variables, b"SERVER_PROTOCOL", 15, &size)
        if size == 8 and not memcmp(value, b"HTTP/1.1", 8):
            return "1.1"
        return http_version(self.variables)

    def __repr__(self):
        return f"<RequestHead {self.method} {self.raw_path!r}>"


cpdef RequestHead parse_head(Variables variables, object root_path=None, bint started_by_front=False):
    """Read the variables of a request; see the portable function."""
    cdef RequestHead head = RequestHead.__new__(RequestHead)
    head.read(variables, root_path, started_by_front)
    return head


cpdef Py_ssize_t body_length(Variables variables) except -2:
    """The length of the body that CONTENT_LENGTH declares, in bytes; see the portable function."""
    cdef Py_ssize_t size, i
    cdef const char *value = value_of(variables, b"CONTENT_LENGTH", 14, &size)
    cdef Py_ssize_t length = 0
    if not size:
        return -1
    if size <= 18:
        for i in range(size):
            if not c"0" <= value[i] <= c"9":
                break
            length = length * 10 + value[i] - c"0"
        else:
            return length
    return read_content_length(text_of(value, size))
