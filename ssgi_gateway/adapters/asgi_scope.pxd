from ..core.exchange cimport Exchange
from ..wire.cgi cimport RequestHead

cpdef dict http_scope(Exchange exchange, dict state)
cpdef dict websocket_scope(Exchange exchange, dict state)
cpdef object encodable(str text)
cpdef object client_pair(str address)
