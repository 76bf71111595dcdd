"""Interfaces of applications: a package for each turns one into an SSGI callable. Knows no socket.

``as_asgi`` is the other direction: an SSGI application for any ASGI server. It is loaded when it is used,
because it needs an event loop, which a CGI program of a WSGI application has no time for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssgi_gateway.adapters.to_asgi.adapter import as_asgi

__all__ = ["as_asgi"]


def __getattr__(name: str) -> Any:
    if name == "as_asgi":
        from ssgi_gateway.adapters.to_asgi.adapter import as_asgi

        return as_asgi
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
