"""The same few applications for every interface, and for servers that have one of their own.

Whatever the interface, ``hello`` answers thirteen bytes, ``upload`` counts the body and answers the number,
``download`` sends ``bytes=N`` of the query string in pieces of 64 KiB, and ``echo`` is a WebSocket that sends back what
it gets. Servers run in this folder, so that each module is importable by its own name alone.
"""
