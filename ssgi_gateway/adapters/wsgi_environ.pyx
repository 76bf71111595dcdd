# cython: boundscheck=False, wraparound=False
"""``environ``: the compiled twin of ``wsgi_environ.py``, with the same rules.

The dictionary is filled from the variables' own index. Their names are the same in every request, so they are kept,
with their hashes: that halves the strings that a request has to make.
"""

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.dict cimport PyDict_Copy, PyDict_SetItem
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport uint32_t
from libc.string cimport memcmp

from ssgi_gateway.adapters import wsgi_environ
from ssgi_gateway.adapters.wsgi_environ import bytes_as_unicode, complete

from ..wire.addresses import scheme

from ..wire.cgi cimport RequestHead
from ..wire.variables cimport Entry, Variables

cdef extern from "Python.h":
    dict _PyDict_NewPresized(Py_ssize_t)
    bint PyUnicode_IS_COMPACT_ASCII(object)
    bint PyUnicode_IS_ASCII(object)
    const char *PyUnicode_DATA(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)

DEF KEPT = 512
"""Names kept, one for each slot: clients choose header names, so there has to be an end."""

cdef list NAMES = [""] * KEPT
cdef list VALUES = [""] * KEPT  # the last one of each, where it is about the server and not the client

DEF LONGEST_KEPT = 64

DEF ROOM = 80
"""Variables for which a copy of the base has room, so that it does not grow while it is filled."""


def base_environ(multithread, multiprocess, errors):
    """What is the same for every request, in a dictionary whose copies have room for the rest."""
    cdef dict base = _PyDict_NewPresized(ROOM)
    base.update(wsgi_environ.base_environ(multithread, multiprocess, errors))
    return base


cdef object name_of(const char *text, Py_ssize_t size, uint32_t hashed):
    """A variable's name as a string, the one that was made before where there is one."""
    cdef object name = NAMES[hashed % KEPT]
    if PyUnicode_GET_LENGTH(name) == size and not memcmp(PyUnicode_DATA(name), text, size):
        return name
    name = PyUnicode_DecodeLatin1(text, size, NULL)
    if size <= 64 and PyUnicode_IS_COMPACT_ASCII(name):
        NAMES[hashed % KEPT] = name
    return name


cdef object value_of(const char *name, Entry *entry, const char *value):
    """A variable's value as a string: what a web server says of itself is the same in every request."""
    cdef object text
    if entry.value_size > LONGEST_KEPT or (
        entry.name_size >= 5
        and not memcmp(name, b"HTTP_", 5)
        and not (entry.name_size == 9 and not memcmp(name, b"HTTP_HOST", 9))
    ):
        return PyUnicode_DecodeLatin1(value, entry.value_size, NULL)
    text = VALUES[entry.hash % KEPT]
    if PyUnicode_GET_LENGTH(text) == entry.value_size and not memcmp(PyUnicode_DATA(text), value, entry.value_size):
        return text
    text = PyUnicode_DecodeLatin1(value, entry.value_size, NULL)
    if PyUnicode_IS_COMPACT_ASCII(text):
        VALUES[entry.hash % KEPT] = text
    return text


cpdef dict build_environ(RequestHead request, dict base, object stream):
    """The ``environ`` of one request; ``stream`` is its ``wsgi.input``."""
    cdef Variables variables = request.variables
    cdef const char *data = PyBytes_AS_STRING(variables._block)
    cdef dict environ = PyDict_Copy(base)
    cdef Entry *entry
    cdef int i
    cdef str path = request.path
    cdef str root_path = request.root_path
    cdef object said
    for i in range(variables._used):
        entry = &variables._entries[i]
        if entry.name_size and (entry.name_size < 5 or memcmp(data + entry.name, b"wsgi.", 5)):
            PyDict_SetItem(
                environ,
                name_of(data + entry.name, entry.name_size, entry.hash),
                value_of(data + entry.name, entry, data + entry.value),
            )
    if root_path and path.startswith(root_path) and path[len(root_path) : len(root_path) + 1] in ("", "/"):
        path = path[len(root_path) :]
    environ["wsgi.input"] = stream
    said = None if environ.get("HTTPS") else environ.get("REQUEST_SCHEME")
    environ["wsgi.url_scheme"] = said if said == "http" else scheme(environ)
    environ["SCRIPT_NAME"] = root_path if PyUnicode_IS_ASCII(root_path) else bytes_as_unicode(root_path)
    environ["PATH_INFO"] = path if PyUnicode_IS_ASCII(path) else bytes_as_unicode(path)
    environ["QUERY_STRING"] = request.query_string
    if not (environ.get("SERVER_NAME") and environ.get("SERVER_PORT") and environ.get("SERVER_PROTOCOL")):
        complete(environ, request)
    return environ
