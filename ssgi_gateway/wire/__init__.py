"""Bytes to events and back: SCGI, FastCGI, WebSocket and the HTTP/1.1 upgrade.

Nothing here knows of sockets, clocks, asyncio or logging.
"""
