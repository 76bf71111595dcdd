# cython: boundscheck=False, wraparound=False
"""What the FastCGI codec does with bytes: the compiled twin of ``kernel.py``.

A small answer is built in one piece, and a body is copied once, however many records it came in.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcmp, memcpy

from ssgi_gateway.errors import RequestRejected
from ssgi_gateway.wire.buffers import kept
from ssgi_gateway.wire.fastcgi.records import encode_stream

from ..variables cimport Variables

DEF END_REQUEST = 3
DEF STDIN = 5
DEF STDOUT = 6
DEF MAX_JOINED = 16384
DEF FULL_CONTENT = 65528


cdef inline void put_header(uint8_t *to, int kind, int request_id, Py_ssize_t length) noexcept nogil:
    to[0] = 1
    to[1] = kind
    to[2] = request_id >> 8
    to[3] = request_id & 0xFF
    to[4] = <uint8_t>(length >> 8)
    to[5] = <uint8_t>length
    to[6] = 0
    to[7] = 0


cdef inline void put_tail(uint8_t *to, int request_id) noexcept nogil:
    """STDOUT's empty record and END_REQUEST: 24 bytes."""
    cdef int i
    put_header(to, STDOUT, request_id, 0)
    put_header(to + 8, END_REQUEST, request_id, 8)
    for i in range(16, 24):
        to[i] = 0


cpdef bytes cut(bytes data, Py_ssize_t start, Py_ssize_t end):
    """``data[start:end]``, which has to be there; Python's own way makes a slice object of it."""
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(data) + start, end - start)


cpdef list frame_answer(int request_id, bytes head, object data, bint end):
    """A piece of an answer as records; see the portable function."""
    cdef Py_ssize_t head_size = 0
    cdef Py_ssize_t data_size = 0
    cdef Py_ssize_t size
    cdef bytes piece
    cdef uint8_t *to
    if head is not None:
        head_size = PyBytes_GET_SIZE(head)
    if data is not None:
        if type(data) is not bytes:
            data = kept(data)
        data_size = len(data)
    size = head_size + data_size
    if size > MAX_JOINED:
        return stream(request_id, head, head_size, data, data_size, end)
    if not size and not end:
        return []
    piece = PyBytes_FromStringAndSize(NULL, (8 + size if size else 0) + (24 if end else 0))
    to = <uint8_t *>PyBytes_AS_STRING(piece)
    if size:
        put_header(to, STDOUT, request_id, size)
        if head_size:
            memcpy(to + 8, PyBytes_AS_STRING(head), head_size)
        if data_size:
            memcpy(to + 8 + head_size, PyBytes_AS_STRING(data), data_size)
        to += 8 + size
    if end:
        put_tail(to, request_id)
    return [piece]


cdef list stream(int request_id, bytes head, Py_ssize_t head_size, object data, Py_ssize_t data_size, bint end):
    """``encode_stream`` for an answer; what fits in one record is not sliced."""
    cdef list records = []
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t size
    cdef bytes opening
    cdef uint8_t[24] tail
    cdef object view = data
    if head_size >= FULL_CONTENT:
        records = encode_stream(STDOUT, request_id, head, data or b"")
    else:
        if head_size + data_size > FULL_CONTENT:
            view = memoryview(data)
        while head_size or start < data_size:
            size = min(data_size - start, FULL_CONTENT - head_size)
            opening = PyBytes_FromStringAndSize(NULL, 8 + head_size)
            put_header(<uint8_t *>PyBytes_AS_STRING(opening), STDOUT, request_id, head_size + size)
            if head_size:
                memcpy(PyBytes_AS_STRING(opening) + 8, PyBytes_AS_STRING(head), head_size)
            records.append(opening)
            if size:
                records.append(view if size == data_size else view[start : start + size])
            start += size
            head_size = 0
    if end:
        put_tail(tail, request_id)
        records.append(PyBytes_FromStringAndSize(<char *>tail, 24))
    return records


cpdef tuple read_body(
    bytes data, Py_ssize_t position, Py_ssize_t left, Py_ssize_t skip, Py_ssize_t body_left, int request_id
):
    """What is here of a body, up to a record that is something else; see the portable function."""
    cdef Py_ssize_t before[4]
    cdef Py_ssize_t size
    cdef bytes body
    before[:] = [position, left, skip, body_left]
    size = walk(data, &position, &left, &skip, &body_left, request_id, NULL)
    body = PyBytes_FromStringAndSize(NULL, size)
    if size:
        position, left, skip, body_left = before[0], before[1], before[2], before[3]
        walk(data, &position, &left, &skip, &body_left, request_id, PyBytes_AS_STRING(body))
    return (body, position, left, skip, body_left)


cdef Py_ssize_t walk(
    bytes data, Py_ssize_t *position, Py_ssize_t *left, Py_ssize_t *skip, Py_ssize_t *body_left, int request_id, char *to
) noexcept:
    """Step over what is here of the body; returns its size, and copies it where ``to`` is given."""
    cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef Py_ssize_t end = PyBytes_GET_SIZE(data)
    cdef Py_ssize_t size = 0
    cdef Py_ssize_t step, length, at
    while True:
        step = min(left[0], end - position[0])
        if to is not NULL:
            memcpy(to + size, p + position[0], step)
        size += step
        position[0] += step
        left[0] -= step
        if not left[0]:
            step = min(skip[0], end - position[0])
            position[0] += step
            skip[0] -= step
        at = position[0]
        if left[0] or skip[0] or end - at < 8:
            return size
        length = p[at + 4] << 8 | p[at + 5]
        if p[at] != 1 or p[at + 1] != STDIN or (p[at + 2] << 8 | p[at + 3]) != request_id or not length:
            return size
        position[0] = at + 8
        left[0] = length
        if body_left[0] >= 0:
            left[0] = min(length, body_left[0])
            body_left[0] -= left[0]
        skip[0] = length + p[at + 6] - left[0]


cpdef Variables variables_of_params(bytes block, Py_ssize_t most):
    """The variables in FastCGI's name-value pairs; see the portable function."""
    cdef const uint8_t *data = <const uint8_t *>PyBytes_AS_STRING(block)
    cdef Py_ssize_t end = PyBytes_GET_SIZE(block)
    cdef Py_ssize_t at = 0
    cdef Py_ssize_t count = 0
    cdef Py_ssize_t name_size, value_size
    cdef int seen = 0
    cdef Variables variables = Variables.__new__(Variables)
    variables.hold(block)
    while at < end and count <= most:
        name_size = read_length(data, &at, end)
        value_size = read_length(data, &at, end) if name_size >= 0 else -1
        if value_size < 0 or name_size + value_size > end - at:
            raise RequestRejected(400, "PARAMS end inside a name-value pair")
        count += 1
        if name_size != 14 or value_size != 2 or memcmp(data + at, b"CONTENT_LENGTH-1", 16):
            seen |= variables.add(at, name_size, at + name_size, value_size)
        at += name_size + value_size
    if count > most:
        raise RequestRejected(431, f"there are more than {most} request variables")
    variables.clean(seen)
    return variables


cdef inline Py_ssize_t read_length(const uint8_t *data, Py_ssize_t *at, Py_ssize_t end) noexcept nogil:
    """One length of a pair (FastCGI 3.4); -1 when it is not all there."""
    cdef Py_ssize_t p = at[0]
    if p >= end:
        return -1
    if data[p] < 128:
        at[0] = p + 1
        return data[p]
    if p + 4 > end:
        return -1
    at[0] = p + 4
    return (<Py_ssize_t>(data[p] & 0x7F) << 24) | data[p + 1] << 16 | data[p + 2] << 8 | data[p + 3]
