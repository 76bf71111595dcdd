"""HTTP/1.1 (RFC 9112): the codec of ``--http``, and what it is made of."""
