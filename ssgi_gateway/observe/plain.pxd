cpdef bint is_plain(str text) except -1
cpdef str decimal(double number)
