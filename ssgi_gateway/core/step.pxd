cpdef object step(object context, object coroutine)
cpdef bint has_variables() except -1
