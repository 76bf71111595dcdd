cimport cython

from ...core.body cimport RequestBody
from ...core.response cimport HttpResponse
from ..callable cimport SsgiCallable
from .call cimport add_length, whole_input
from .environ cimport build_environ
from .inline cimport InlineCall
from .pool cimport WorkerPool
from .threads cimport ThreadedCall


cdef class InlineWsgi(SsgiCallable):
    cdef object _app
    cdef dict _base

    cdef object _serve(self, HttpResponse res)
    @cython.locals(call=InlineCall)
    cdef object _begin(self, HttpResponse res, object stream)


cdef class ThreadedWsgi(SsgiCallable):
    cdef object _app
    cdef dict _base
    cdef WorkerPool _pool
    cdef object _websockets

    @cython.locals(pool=WorkerPool, body=RequestBody)
    cdef object _serve(self, HttpResponse res)
    @cython.locals(call=ThreadedCall)
    cdef object _submit(self, HttpResponse res, object spool)
