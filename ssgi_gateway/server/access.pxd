from ..core.exchange cimport Exchange

cpdef object log_exchange(object log, Exchange exchange, int status, double seconds)
