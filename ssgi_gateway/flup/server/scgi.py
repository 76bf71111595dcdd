"""``flup.server.scgi``."""

from ssgi_gateway.flup import ScgiServer as WSGIServer

__all__ = ["WSGIServer"]
