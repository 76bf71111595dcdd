"""``flup.server.scgi_fork``."""

from ssgi_gateway.flup import ScgiServer as WSGIServer

__all__ = ["WSGIServer"]
