"""``flup.server.fcgi``."""

from ssgi_gateway.flup import FcgiServer as WSGIServer

__all__ = ["WSGIServer"]
