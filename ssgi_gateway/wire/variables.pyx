# cython: boundscheck=False, wraparound=False, freelist=8
"""The CGI variables of one request: the compiled twin of ``variables.py``, with the same rules.

The block stays as it came. What is made of it is an index: where each name and value lies, in a hash table of 64
chains, so that an application that reads three headers of thirty pays for three strings.

Offsets are 32 bits, which is half of the index: a block of more than ``MAX_BLOCK`` bytes is refused, here and, by
bounding their limit, in the codecs.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.unicode cimport PyUnicode_DecodeLatin1
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memcpy, memset

from ssgi_gateway.errors import RequestRejected
from ssgi_gateway.wire.variables import BODILESS, merge_repeated, take_redirected

from .addresses import fallback_host, is_host

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object)
    void *PyUnicode_DATA(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)

DEF MAX_HEADER_NAME = 256
"""Longer header names are looked up the slow way; no registered one has half of it."""

DEF MAX_KEPT = 128  # header names that are remembered; a power of two
DEF MAX_KEPT_SIZE = 64

DEF REPEATED = 1
DEF FORBIDDEN_NAME = 2
DEF REDIRECT = 4
DEF INCOMPLETE = 8

DEF NEAR = 40  # variables that have their entries in the object: as many as a web server mostly sends

MAX_BLOCK = 0x7FFFFFFF

cdef bytes last_host = b"-"
cdef object guard = object()  # of what is remembered here, where threads share no interpreter lock

cdef uint8_t[256] FORBIDDEN
cdef uint8_t[256] LOWERED  # what a character of a variable's name is in the header's; 0 where no header has it
cdef uint8_t[256] RAISED  # and the way back


cdef object set_up():
    cdef int c
    token = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for c in (0, 10, 13, ord("=")):
        FORBIDDEN[c] = FORBIDDEN_NAME
    for c in token:
        if not ord("a") <= c <= ord("z") and c != ord("-"):
            LOWERED[c] = ord("-") if c == ord("_") else c + 32 if ord("A") <= c <= ord("Z") else c
        if c != ord("_"):
            RAISED[c] = ord("_") if c == ord("-") else c - 32 if ord("a") <= c <= ord("z") else c


set_up()


cdef inline uint32_t hash_of(const char *name, Py_ssize_t size) noexcept:
    """Of the length and the last eight bytes, for what differs in ``HTTP_ACCEPT_ENCODING`` is the end."""
    cdef uint64_t last = 0
    if size >= 8:
        memcpy(&last, name + size - 8, 8)
    else:
        memcpy(&last, name, size)
    last = (last ^ <uint64_t>size) * <uint64_t>0x9E3779B97F4A7C15
    return <uint32_t>(last >> 32)


cdef inline uint64_t zeros(uint64_t word) noexcept:
    """Not 0 if one of the eight bytes is 0 (Bit Twiddling Hacks, "Determine if a word has a zero byte")."""
    return (word - <uint64_t>0x0101010101010101) & ~word & <uint64_t>0x8080808080808080


cdef inline bint is_forbidden(const char *name, Py_ssize_t size) noexcept:
    """Whether there is a NUL, CR, LF or ``=`` in a name, or nothing; eight bytes at a time."""
    cdef uint64_t word
    cdef uint64_t found = 0
    cdef Py_ssize_t i = 0
    if size < 8:
        for i in range(size):
            found |= FORBIDDEN[<uint8_t>name[i]]
        return found != 0 or not size
    while True:
        memcpy(&word, name + i, 8)
        if word & <uint64_t>0xC0C0C0C0C0C0C0C0 != <uint64_t>0x4040404040404040:  # not only letters and "_": 0x40 to 0x7F
            found |= zeros(word)
            found |= zeros(word ^ <uint64_t>0x0D0D0D0D0D0D0D0D)
            found |= zeros(word ^ <uint64_t>0x0A0A0A0A0A0A0A0A)
            found |= zeros(word ^ <uint64_t>0x3D3D3D3D3D3D3D3D)
        i += 8
        if i == size:
            return found != 0
        if i > size - 8:
            i = size - 8  # the last word overlaps


cdef bint known_host(const char *value, Py_ssize_t size) except -1:
    """Whether a Host is one; the last one that was right mostly comes again."""
    global last_host
    cdef bytes last
    with cython.critical_section(guard):
        last = last_host
    if size == PyBytes_GET_SIZE(last) and not memcmp(PyBytes_AS_STRING(last), value, size):
        return True
    if not size or not is_host(PyUnicode_DecodeLatin1(value, size, NULL)):
        return False
    last = PyBytes_FromStringAndSize(value, size)
    with cython.critical_section(guard):
        last_host = last
    return True


@cython.final
cdef class HeaderName:
    """A header's name beside that of its variable: clients send the same ones again and again."""

    cdef bytes variable
    cdef bytes lowered


cdef list header_names = [HeaderName.__new__(HeaderName) for _ in range(MAX_KEPT)]
for kept in header_names:
    (<HeaderName>kept).variable = b""


cdef bytes header_name(const char *variable, Py_ssize_t size, uint32_t hashed):
    """What ``HTTP_USER_AGENT`` is called as a header, ``b"user-agent"``; ``None`` if no header can have made it."""
    cdef HeaderName known
    cdef bytes lowered
    cdef char *to
    cdef uint8_t c
    cdef Py_ssize_t i
    with cython.critical_section(guard):
        known = <HeaderName>header_names[hashed & (MAX_KEPT - 1)]
    if PyBytes_GET_SIZE(known.variable) == size and not memcmp(PyBytes_AS_STRING(known.variable), variable, size):
        return known.lowered
    lowered = PyBytes_FromStringAndSize(NULL, size - 5)
    to = PyBytes_AS_STRING(lowered)
    for i in range(5, size):
        c = LOWERED[<uint8_t>variable[i]]
        if not c:
            return None
        to[i - 5] = c
    if size <= MAX_KEPT_SIZE:
        known = HeaderName.__new__(HeaderName)
        known.variable = PyBytes_FromStringAndSize(variable, size)
        known.lowered = lowered
        with cython.critical_section(guard):
            header_names[hashed & (MAX_KEPT - 1)] = known
    return lowered


cdef str show(bytes value):
    return repr(value[:40])[1:] + ("..." if len(value) > 40 else "")


@cython.freelist(8)
cdef class Variables:
    """The variables of one request, and its headers among them; see the portable class."""

    def __cinit__(self):
        self._block = b""
        self._entries = self._near
        self._room = NEAR
        memset(self._heads, -1, sizeof(self._heads))

    def __init__(self, pairs=()):
        self.take_pairs(pairs)

    def __dealloc__(self):
        if self._entries is not self._near:
            PyMem_Free(self._entries)

    @classmethod
    def from_unique(cls, dict values):
        """Make one of names that are different already."""
        return cls([(name.encode("latin-1"), value) for name, value in values.items()])

    # Filling

    cdef object take_pairs(self, object pairs):
        """Index ``pairs``, an iterable of names and values, repeats included."""
        cdef list pieces = []
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t i
        cdef bytes name, value
        cdef int seen = 0
        for name, value in pairs:
            pieces.append(name)
            pieces.append(value)
        self.hold(b"".join(pieces))
        for i in range(0, len(pieces), 2):
            name, value = pieces[i], pieces[i + 1]
            seen |= self.add(at, PyBytes_GET_SIZE(name), at + PyBytes_GET_SIZE(name), PyBytes_GET_SIZE(value))
            at += PyBytes_GET_SIZE(name) + PyBytes_GET_SIZE(value)
        self.clean(seen)

    cdef object hold(self, bytes block):
        """Make ``block`` what the index will point into; it begins empty."""
        if PyBytes_GET_SIZE(block) > <Py_ssize_t>0x7FFFFFFF:
            raise RequestRejected(431, f"the request variables exceed {MAX_BLOCK} bytes")
        self._block = block
        if self._used:
            self._used = self._count = 0
            memset(self._heads, -1, sizeof(self._heads))

    cdef int take_netstring(self, bytes block, Py_ssize_t start, Py_ssize_t end, Py_ssize_t most) except -1:
        """Index ``name NUL value NUL ...`` between two offsets of ``block``, which ends with a NUL.

        Returns:
            what ``clean`` is to see to. With INCOMPLETE the last name has no value, or there are more than ``most``
            variables, and the rest is not indexed.
        """
        cdef const char *data = PyBytes_AS_STRING(block)
        cdef const char *stop
        cdef Py_ssize_t at = start
        cdef Py_ssize_t name_end, value_end
        cdef int seen = 0
        self.hold(block)
        self._keep_length = True
        while at < end:
            stop = <const char *>memchr(data + at, 0, end - at)
            name_end = stop - data
            stop = <const char *>memchr(data + name_end + 1, 0, end - name_end - 1)
            if stop is NULL or self._used == most:
                return seen | INCOMPLETE
            value_end = stop - data
            seen |= self.add(at, name_end - at, name_end + 1, value_end - name_end - 1)
            at = value_end + 1
        return seen

    cdef int add(self, Py_ssize_t name, Py_ssize_t name_size, Py_ssize_t value, Py_ssize_t value_size) except -1:
        """Index one variable; returns what is to be seen to: REPEATED, FORBIDDEN_NAME."""
        cdef const char *text = PyBytes_AS_STRING(self._block) + name
        cdef uint32_t hashed = hash_of(text, name_size)
        cdef int seen = FORBIDDEN_NAME if is_forbidden(text, name_size) else 0
        if name_size > 9 and text[0] == c"R" and not memcmp(text, b"REDIRECT_", 9):
            seen |= REDIRECT
        cdef Entry *entry
        cdef int index
        if self._used == self._room:
            self.grow()
        entry = &self._entries[self._used]
        entry.name = name
        entry.name_size = name_size
        entry.value = value
        entry.value_size = value_size
        entry.hash = hashed
        index = self._heads[hashed & 63]
        entry.next = index
        self._heads[hashed & 63] = self._used
        self._used += 1
        self._count += 1
        while index >= 0:
            entry = &self._entries[index]
            if entry.hash == hashed and entry.name_size == name_size and not memcmp(
                PyBytes_AS_STRING(self._block) + entry.name, text, name_size
            ):
                return seen | REPEATED
            index = entry.next
        return seen

    cdef object grow(self):
        """Make room for twice as many."""
        cdef size_t size = <size_t>self._room * sizeof(Entry)
        cdef Entry *grown
        if self._entries is self._near:
            grown = <Entry *>PyMem_Malloc(size * 2)
            if grown is not NULL:
                memcpy(grown, self._near, size)
        else:
            grown = <Entry *>PyMem_Realloc(self._entries, size * 2)
        if grown is NULL:
            raise MemoryError
        self._entries = grown
        self._room *= 2

    cdef object clean(self, int seen):
        """Merge repeats, refuse names that are none, and drop what no application may meet, in this order."""
        cdef int index
        if seen & REPEATED:
            self.take_pairs(merge_repeated(self.pairs(), self._keep_length).items())
            return
        if seen & FORBIDDEN_NAME:
            self.refuse_name()
        self.drop(self.find(b"HTTP_PROXY", 10))
        self.drop(self.find(b"HTTP_CONTENT_LENGTH", 19))
        self.drop(self.find(b"HTTP_CONTENT_TYPE", 17))
        self.drop(self.find(b"HTTP_TRANSFER_ENCODING", 22))
        if seen & REDIRECT:
            index = self.find(b"REDIRECT_HTTP_AUTHORIZATION", 27)
            if index >= 0 or self.find(b"REDIRECT_STATUS", 15) >= 0:
                before = [pair for pair in self.pairs() if pair[0]]
                after = take_redirected(before)
                if after != before:
                    self.take_pairs(after)
                    return
        index = self.find(b"HTTP_HOST", 9)
        if index >= 0:
            self.check_host(index)

    cpdef object settle_user(self, bint believed):
        """Drop REMOTE_USER, AUTH_TYPE and REMOTE_IDENT where they are empty; see the portable class."""
        self.drop_user(self.find(b"REMOTE_USER", 11), believed)
        self.drop_user(self.find(b"AUTH_TYPE", 9), believed)
        self.drop_user(self.find(b"REMOTE_IDENT", 12), believed)

    cdef object drop_user(self, int index, bint believed):
        if index >= 0 and not (believed and self._entries[index].value_size):
            self.drop(index)

    cdef object check_host(self, int index):
        """Drop a Host that is none."""
        cdef Entry *entry = &self._entries[index]
        if not known_host(PyBytes_AS_STRING(self._block) + entry.value, entry.value_size):
            self.drop(index)

    cdef list pairs(self):
        """Names and values as they came, before anything was dropped."""
        cdef const char *data = PyBytes_AS_STRING(self._block)
        cdef Entry *entry
        cdef int i
        cdef list found = []
        for i in range(self._used):
            entry = &self._entries[i]
            found.append((
                PyBytes_FromStringAndSize(data + entry.name, entry.name_size),
                PyBytes_FromStringAndSize(data + entry.value, entry.value_size),
            ))
        return found

    cdef object refuse_name(self):
        """Raise for the first name that cannot be one."""
        cdef Py_ssize_t j
        cdef uint8_t wrong
        for name, _ in self.pairs():
            wrong = not name
            for j in range(len(name)):
                wrong |= FORBIDDEN[<uint8_t>name[j]]
            if wrong:
                raise RequestRejected(400, f"a variable's name is {show(name)}")

    cdef object drop(self, int index):
        """Take a variable out; its place stays, with a name of no length, which no other has."""
        if index >= 0:
            self._entries[index].name_size = 0
            self._count -= 1

    # Reading

    cdef int find(self, const char *name, Py_ssize_t size) noexcept:
        """The index of a variable, -1 if there is none."""
        cdef uint32_t hashed = hash_of(name, size)
        cdef int index = self._heads[hashed & 63]
        cdef Entry *entry
        while index >= 0:
            entry = &self._entries[index]
            if entry.hash == hashed and entry.name_size == size and size and not memcmp(
                PyBytes_AS_STRING(self._block) + entry.name, name, size
            ):
                return index
            index = entry.next
        return -1

    cdef const char *value(self, int index) noexcept:
        """Where a value begins; a NUL is behind it in a netstring."""
        return PyBytes_AS_STRING(self._block) + self._entries[index].value

    cdef int find_text(self, object name) except -2:
        cdef bytes encoded
        if not isinstance(name, str):
            return -1
        if PyUnicode_IS_ASCII(name):
            return self.find(<const char *>PyUnicode_DATA(name), PyUnicode_GET_LENGTH(name))
        try:
            encoded = str.encode(name, "latin-1")
        except UnicodeEncodeError:
            return -1
        return self.find(PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded))

    cdef object text(self, int index):
        cdef Entry *entry = &self._entries[index]
        return PyUnicode_DecodeLatin1(PyBytes_AS_STRING(self._block) + entry.value, entry.value_size, NULL)

    cpdef object get(self, object name, object default=None):
        """The variable ``name``, such as ``REQUEST_METHOD``, as it was sent."""
        cdef int index = self.find_text(name)
        return default if index < 0 else self.text(index)

    cpdef object header(self, object name):
        """The request header ``name``, in any case; ``None`` if the client sent none of that name."""
        cdef char[MAX_HEADER_NAME + 5] variable
        cdef Py_ssize_t size
        cdef const char *given
        cdef Py_ssize_t i
        cdef uint8_t raised
        cdef int index
        cdef bytes value
        if not isinstance(name, str):
            raise TypeError(f"a header's name is a str, not {type(name).__name__}")
        size = PyUnicode_GET_LENGTH(name)
        if not size or not PyUnicode_IS_ASCII(name):
            return None  # no token; also where lower() would make it one (the Kelvin sign)
        if size > MAX_HEADER_NAME:
            return dict(self.headers()).get(str.lower(name))
        given = <const char *>PyUnicode_DATA(name)
        variable[0], variable[1], variable[2], variable[3], variable[4] = b"H", b"T", b"T", b"P", b"_"
        for i in range(size):
            raised = RAISED[<uint8_t>given[i]]
            if not raised:
                return None
            variable[5 + i] = raised
        if (size == 12 and not memcmp(variable + 5, b"CONTENT_TYPE", 12)) or (
            size == 14 and not memcmp(variable + 5, b"CONTENT_LENGTH", 14)
        ):
            index = self.find(variable + 5, size)
            value = None if index < 0 else self.content_header(index)
            return None if value is None else value.decode("latin-1")
        index = self.find(variable, size + 5)
        if index >= 0:
            return self.text(index)
        if size == 4 and not memcmp(variable, b"HTTP_HOST", 9):
            return fallback_host(self)
        return None

    cdef bytes content_header(self, int index):
        """Content-Type or Content-Length, if the client sent it and not the web server for it."""
        cdef Entry *entry = &self._entries[index]
        cdef const char *value = self.value(index)
        cdef Py_ssize_t zeros = 0
        if not entry.value_size:
            return None
        if entry.name_size == 14:
            while zeros < entry.value_size and value[zeros] == c"0":
                zeros += 1
            if zeros == entry.value_size and self.get("REQUEST_METHOD") in BODILESS:
                return None
        return PyBytes_FromStringAndSize(value, entry.value_size)

    cpdef list header_pairs(self):
        """Every header once, lower-case names, as bytes."""
        cdef const char *data = PyBytes_AS_STRING(self._block)
        cdef Entry *entry
        cdef bytes name, value
        cdef int i
        cdef bint host = False
        cdef list found = []
        for i in range(self._used):
            entry = &self._entries[i]
            if entry.name_size > 5 and not memcmp(data + entry.name, b"HTTP_", 5):
                name = header_name(data + entry.name, entry.name_size, entry.hash)
                if name is not None:
                    host |= entry.name_size == 9 and not memcmp(PyBytes_AS_STRING(name), b"host", 4)
                    found.append((name, PyBytes_FromStringAndSize(data + entry.value, entry.value_size)))
            elif (entry.name_size == 12 and not memcmp(data + entry.name, b"CONTENT_TYPE", 12)) or (
                entry.name_size == 14 and not memcmp(data + entry.name, b"CONTENT_LENGTH", 14)
            ):
                value = self.content_header(i)
                if value is not None:
                    found.append((b"content-type" if entry.name_size == 12 else b"content-length", value))
        if not host:
            fallback = fallback_host(self)
            if fallback is not None:
                found.append((b"host", (<str>fallback).encode("latin-1")))
        return found

    cpdef list headers(self):
        """Every header once: what ``header`` returns for every name it knows, lower-case, in the order received."""
        cdef bytes name, value
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.header_pairs()]

    cpdef list items(self):
        """All variables, in the order received."""
        cdef const char *data = PyBytes_AS_STRING(self._block)
        cdef Entry *entry
        cdef int i
        cdef list found = []
        for i in range(self._used):
            entry = &self._entries[i]
            if entry.name_size:
                found.append((PyUnicode_DecodeLatin1(data + entry.name, entry.name_size, NULL), self.text(i)))
        return found

    def __getitem__(self, name):
        cdef int index = self.find_text(name)
        if index < 0:
            raise KeyError(name)
        return self.text(index)

    def __contains__(self, name):
        return self.find_text(name) >= 0

    def __iter__(self):
        return iter([name for name, _ in self.items()])

    def __len__(self):
        return self._count

    def __repr__(self):
        return f"Variables({dict(self.items())!r})"
