"""Interfaces of applications: a package for each turns one into an SSGI callable. Knows no socket.

``as_asgi`` is the other direction: an SSGI application for any ASGI server.
"""

# The function takes the place of its package here; ``ssgi_gateway.adapters.as_asgi`` is what people call.
from ssgi_gateway.adapters.as_asgi.adapter import as_asgi

__all__ = ["as_asgi"]
