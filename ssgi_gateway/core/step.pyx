"""Running code of the application in a context: the compiled twin of ``step.py``.

C can copy, enter and leave a context without a method's call for each.
``coroutine.send`` reports the end by an exception, which is a tenth of what a small ASGI request costs. C can ask
without one.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF

cdef extern from "Python.h":
    object PyContext_Copy(object context)
    int PyContext_Enter(object context) except -1
    int PyContext_Exit(object context) except -1
    int PyIter_Send(object iterator, object value, PyObject **result) except -1
    int PYGEN_RETURN


cdef class Ended:
    """That a coroutine has ended, and with what."""

    def __init__(self, result):
        self.result = result


cdef object nothing = Ended(None)


cpdef object copy_of(object context):
    """A context with the same variables."""
    return PyContext_Copy(context)


cpdef object call_app(
    object context, object app, str kind, str server, str remote, str method, str path, str query, object get_header,
    object res,
):
    """Make an SSGI call in a context that is not entered."""
    PyContext_Enter(context)
    try:
        return app(kind, server, remote, method, path, query, get_header, res)
    finally:
        PyContext_Exit(context)


cpdef object call(object context, object function):
    """Call ``function`` in a context that is not entered."""
    PyContext_Enter(context)
    try:
        return function()
    finally:
        PyContext_Exit(context)


cpdef object call_with(object context, object function, object argument):
    """Call ``function(argument)`` in a context that is not entered."""
    PyContext_Enter(context)
    try:
        return function(argument)
    finally:
        PyContext_Exit(context)


cpdef object call_receiver(object context, object receiver, object websocket, object message, tuple args):
    """Give a WebSocket's message to its handler, in a context that is not entered."""
    PyContext_Enter(context)
    try:
        return receiver(websocket, message, *args) if args else receiver(websocket, message)
    finally:
        PyContext_Exit(context)


cpdef object step(object context, object coroutine):
    """Let a coroutine run until it waits or ends; see the portable function."""
    cdef PyObject *yielded = NULL
    cdef int ended = 0
    PyContext_Enter(context)
    try:
        ended = PyIter_Send(coroutine, None, &yielded) == PYGEN_RETURN
    finally:
        PyContext_Exit(context)
    pending = <object>yielded
    Py_DECREF(pending)
    if not ended:
        return pending
    return nothing if pending is None else Ended(pending)
