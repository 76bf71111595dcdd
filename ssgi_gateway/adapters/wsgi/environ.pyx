# cython: boundscheck=False, wraparound=False, freethreading_compatible=False
"""``environ``: the compiled twin of ``environ.py``, with the same rules.

A web server sends much the same about itself and its site with every request, in the same order. So what it sent last
is kept as a model: an ``environ`` is a copy of the model's, which costs a fraction of filling one, in which what is
different this time is set, and the client's headers.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.dict cimport PyDict_Copy, PyDict_SetItem
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport uint32_t
from libc.string cimport memcmp

from sys import intern

from ssgi_gateway.adapters.wsgi.environ import base_environ, bytes_as_unicode, name_and_port

from ...wire.addresses import DEFAULT_PORTS, scheme

from ...wire.cgi cimport RequestHead
from ...wire.variables cimport Entry, Variables

__all__ = ["base_environ", "build_environ"]

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object)
    const char *PyUnicode_DATA(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)

DEF KEPT = 512
"""Names of headers kept, one for each slot: clients choose them, so there has to be an end."""

DEF MAX_KEPT_SIZE = 64

cdef list NAMES = [""] * KEPT

cdef tuple OURS = ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING")
"""Set from the request, whatever the web server calls them."""


cdef inline bint is_header(const char *name, Entry *entry) noexcept:
    return entry.name_size >= 5 and not memcmp(name, b"HTTP_", 5)


cdef inline bint is_same(object text, const char *data, Py_ssize_t size) noexcept:
    """Whether a string that was made of latin-1 is what these bytes would make."""
    return PyUnicode_GET_LENGTH(text) == size and not memcmp(PyUnicode_DATA(text), data, size)


cdef object header_name(const char *text, Entry *entry):
    """A header's name as a string, the one that was made before where there is one."""
    cdef object name = NAMES[entry.hash % KEPT]
    if is_same(name, text, entry.name_size):
        return name
    name = intern(PyUnicode_DecodeLatin1(text, entry.name_size, NULL))
    if entry.name_size <= MAX_KEPT_SIZE:
        NAMES[entry.hash % KEPT] = name
    return name


@cython.final
cdef class Model:
    """What one request had beside its client's headers. It does not change: threads may share it."""

    cdef dict base
    cdef dict environ
    cdef list names  # interned, as the names are that an application looks for
    cdef list values  # None where ``environ`` is not to have it from the web server

    cdef dict copy_for(self, Variables variables):
        """The ``environ`` of a request; ``None`` if its web server has named other variables."""
        cdef const char *data = PyBytes_AS_STRING(variables._block)
        cdef dict environ = PyDict_Copy(self.environ)
        cdef Py_ssize_t known = len(self.names)
        cdef Py_ssize_t at = 0
        cdef Entry *entry
        cdef object value
        cdef int i
        for i in range(variables._used):
            entry = &variables._entries[i]
            if is_header(data + entry.name, entry):
                value = PyUnicode_DecodeLatin1(data + entry.value, entry.value_size, NULL)
                PyDict_SetItem(environ, header_name(data + entry.name, entry), value)
            elif entry.name_size:
                if at == known or not is_same(self.names[at], data + entry.name, entry.name_size):
                    return None
                value = self.values[at]
                if value is not None and not is_same(value, data + entry.value, entry.value_size):
                    value = PyUnicode_DecodeLatin1(data + entry.value, entry.value_size, NULL)
                    PyDict_SetItem(environ, self.names[at], value)
                at += 1
        return environ if at == known else None


cdef Model learn(Variables variables, dict base):
    cdef Model model = Model.__new__(Model)
    cdef const char *data = PyBytes_AS_STRING(variables._block)
    cdef Entry *entry
    cdef object name, value
    cdef int i
    model.base = base
    model.environ = PyDict_Copy(base)
    model.names = []
    model.values = []
    for i in range(variables._used):
        entry = &variables._entries[i]
        if entry.name_size and not is_header(data + entry.name, entry):
            name = intern(PyUnicode_DecodeLatin1(data + entry.name, entry.name_size, NULL))
            value = None
            if name not in OURS and not name.startswith("wsgi."):
                # What is long is hardly the same the next time, and not to be kept.
                value = PyUnicode_DecodeLatin1(
                    data + entry.value, entry.value_size if entry.value_size <= MAX_KEPT_SIZE else 0, NULL
                )
                model.environ[name] = value
            model.names.append(name)
            model.values.append(value)
    for name in (*OURS, "wsgi.input", "wsgi.url_scheme"):
        model.environ[name] = None  # it is set in each copy, which then does not have to grow
    return model


cdef Model last = Model.__new__(Model)


cpdef dict build_environ(RequestHead request, dict base, object stream):
    """The ``environ`` of one request; ``stream`` is its ``wsgi.input``."""
    global last
    cdef Model model = last  # another thread may put another one in its place
    cdef dict environ = model.copy_for(request.variables) if model.base is base else None
    cdef str path = request.path
    cdef str root_path = request.root_path()
    cdef object given
    if environ is None:
        last = model = learn(request.variables, base)
        environ = model.copy_for(request.variables)
    if root_path and path.startswith(root_path) and path[len(root_path) : len(root_path) + 1] in ("", "/"):
        path = path[len(root_path) :]
    environ["wsgi.input"] = stream
    given = None if environ.get("HTTPS") else environ.get("REQUEST_SCHEME")
    environ["wsgi.url_scheme"] = given if given == "http" else scheme(environ)
    environ["SCRIPT_NAME"] = root_path if PyUnicode_IS_ASCII(root_path) else bytes_as_unicode(root_path)
    environ["PATH_INFO"] = path if PyUnicode_IS_ASCII(path) else bytes_as_unicode(path)
    environ["QUERY_STRING"] = request.query_string
    if not environ.get("SERVER_NAME"):
        environ["SERVER_NAME"] = name_and_port(request.server_address)[0]
    if not environ.get("SERVER_PORT"):
        environ["SERVER_PORT"] = name_and_port(request.server_address)[1] or DEFAULT_PORTS[environ["wsgi.url_scheme"]]
    if not environ.get("SERVER_PROTOCOL"):
        environ["SERVER_PROTOCOL"] = f"HTTP/{request.http_version()}"
    return environ
