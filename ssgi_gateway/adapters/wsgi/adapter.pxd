cimport cython

from ..core.body cimport RequestBody
from ..core.response cimport HttpResponse
from .wsgi_call cimport whole_input
from .wsgi_environ cimport build_environ
from .wsgi_inline cimport InlineCall
from .wsgi_pool cimport WorkerPool
from .wsgi_threads cimport ThreadedCall


cdef class InlineWsgi:
    cdef object _app
    cdef dict _base

    cdef object _serve(self, HttpResponse res)
    @cython.locals(call=InlineCall)
    cdef object _begin(self, HttpResponse res, object stream)


cdef class ThreadedWsgi:
    cdef object _app
    cdef dict _base
    cdef WorkerPool _pool

    @cython.locals(call=ThreadedCall, pool=WorkerPool)
    cdef object _serve(self, HttpResponse res)
