"""What every adapter makes of an application: SSGI's callable, whose eight arguments are taken here once.

An adapter needs the last one alone. The others are in ``res.request`` as well, in more detail.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..core.response import HttpResponse
    from ..core.websocket import WebSocket


class SsgiCallable:
    """An application of another interface, to be called as SSGI has it."""

    __slots__ = ("__weakref__",)

    def __call__(
        self,
        type: str,
        server_address: str,
        remote_address: str,
        method: str,
        path: str,
        query_string: str,
        get_header: Any,
        res: Any,
    ) -> Any:
        """Serve one request or one WebSocket; what is returned is to be awaited, if it can be."""
        return self._serve(res) if type == "http" else self._serve_websocket(res)

    def _serve(self, res: HttpResponse) -> Any:
        raise NotImplementedError

    def _serve_websocket(self, ws: WebSocket) -> Any:
        raise NotImplementedError
