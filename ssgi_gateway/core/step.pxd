cdef class Ended:
    cdef public object result

cpdef object copy_of(object context)
cpdef object call_app(
    object context, object app, str kind, str server, str remote, str method, str path, str query, object get_header,
    object res,
)
cpdef object call(object context, object function)
cpdef object call_with(object context, object function, object argument)
cpdef object call_receiver(object context, object receiver, object websocket, object message, tuple args)
cpdef object step(object context, object coroutine)
