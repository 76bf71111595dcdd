from ...wire.cgi cimport RequestHead

cpdef dict build_environ(RequestHead request, dict base, object stream)
