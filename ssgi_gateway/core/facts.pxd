from ..wire.cgi cimport RequestHead
from .body cimport RequestBody
from .channel cimport Channel
from .exchange cimport Exchange
from .response cimport HttpResponse

cpdef RequestHead request_head(Exchange exchange)
cpdef RequestBody request_body(HttpResponse response)
cpdef bint fits(HttpResponse response, Py_ssize_t size) except -1
cpdef Channel channel_of(Exchange exchange)
