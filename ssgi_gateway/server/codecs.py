"""How the codec of each wire protocol is made: one for every connection of a listener."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from ..wire.fastcgi.codec import FastcgiCodec
from ..wire.scgi.codec import ScgiCodec
from ..wire.uwsgi.codec import UwsgiCodec
from . import system

if TYPE_CHECKING:
    from .gateway import Gateway

__all__ = ["CODECS", "codec_factory"]


def codec_factory(protocol: str, gateway: Gateway) -> Callable[[int], Any]:
    """What makes the codec for each connection of a listener of ``protocol``, given its descriptor.

    Raises:
        ConfigurationError: a setting that only this protocol reads has a mistake.
    """
    return CODECS[protocol](gateway)


def _scgi(gateway: Gateway) -> Callable[[int], Any]:
    limits = gateway.settings.limits
    return ScgiCodec(limits).for_connection  # what the portable one lacks is reported now, and not to the first visitor


def _fastcgi(gateway: Gateway) -> Callable[[int], Any]:
    limits, connections = gateway.settings.limits, gateway.max_connections
    return FastcgiCodec(limits, connections).for_connection


def _uwsgi(gateway: Gateway) -> Callable[[int], Any]:
    return UwsgiCodec(gateway.settings.limits).for_connection


# h11 and ipaddress are a tenth of the time a start takes, and only these two need them.


def _websocket(gateway: Gateway) -> Callable[[int], Any]:
    from ssgi_gateway.wire.forwarded import trusted_peers

    from ..wire.http1 import UpgradeCodec

    limits, trusted = gateway.settings.limits, gateway.settings.trusted_peers
    trusted_peers(trusted)  # likewise, a peer that is none
    return lambda fd: UpgradeCodec(limits, *system.addresses(fd), trusted)


def _http(gateway: Gateway) -> Callable[[int], Any]:
    from ssgi_gateway.wire.forwarded import trusted_peers

    from ..wire.http.codec import HttpCodec

    limits, trusted, date = gateway.settings.limits, gateway.settings.trusted_peers, gateway.date
    trusted_peers(trusted)
    return lambda fd: HttpCodec(limits, *system.addresses(fd), trusted, date)


CODECS: Final = {"scgi": _scgi, "fastcgi": _fastcgi, "uwsgi": _uwsgi, "websocket": _websocket, "http": _http}
"""For each of ``wire.protocols.PROTOCOLS``."""
