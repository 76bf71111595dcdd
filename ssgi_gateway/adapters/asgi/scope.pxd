cimport cython

from ...core.exchange cimport Exchange
from ...wire.cgi cimport RequestHead

cdef dict ASGI, HTTP_SCOPE, SERVERS
cdef object METHODS

@cython.locals(request=RequestHead, path=str, method=str, scope=dict)
cpdef dict http_scope(Exchange exchange, dict state, bint files)
cpdef dict websocket_scope(Exchange exchange, dict state)
cpdef object encodable(str text)
@cython.locals(known=dict)
cdef object known_server(str address, str scheme)
