cpdef str to_unicode(str text)
cpdef str unquote(str raw)
cpdef str quote(str path)
