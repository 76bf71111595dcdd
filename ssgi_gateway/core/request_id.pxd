cpdef str choose(object given)
