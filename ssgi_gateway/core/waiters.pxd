cpdef object resolve(list waiters, object value)
