"""``flup.server.fcgi_single``: one request at a time, without threads."""

from typing import Any

from ssgi_gateway.flup import FcgiServer

__all__ = ["WSGIServer"]


class WSGIServer(FcgiServer):
    """As ``flup.server.fcgi.WSGIServer``, not multithreaded."""

    def __init__(self, application: Any, environ: Any = None, bindAddress: Any = None, **kw: Any) -> None:  # noqa: N803
        kw.pop("multithreaded", None)
        super().__init__(application, environ, False, bindAddress=bindAddress, **kw)
