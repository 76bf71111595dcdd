"""The same small application in every ASGI framework there is to be served, written as its users write.

=========================  ========================================================================================
``GET /hello/{name}?n=``   ``{"hello": name, "n": n, "state": what the lifespan made}``
``GET /facts``             ``{"method", "path", "url", "client", "headers"}`` as the framework tells them
``POST /echo``             the body, with its content type; 201 and ``x-length``
``POST /upload``           a multipart form: ``{"field", "filename", "length", "sha256"}``
``GET /stream?size=``      ``pattern(size)`` in pieces, without a length
``GET /forever?key=``      pieces until the client disconnects; notes ``left``
``GET /cookies``           sets two cookies; ``{"seen": the one the client sent as "who"}``
``GET /error``             raises
``GET /late?key=``         answers, and notes ``later`` in what runs after the response
``WS /ws``                 echoes text and bytes; takes the subprotocol ``chat``
``WS /ws/push``            sends three messages unasked and closes with 4000, "done"
=========================  ========================================================================================

Where a framework has no such thing, its module says so and the tests know. ``/do/records`` and
``/do/process`` are answered in front of all of them.
"""
