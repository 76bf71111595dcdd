"""Percent-encoding of paths (RFC 3986 2.1), both ways, exactly once.

Texts from the gateway are latin-1, one character a byte. A path is UTF-8 for people, and what is no UTF-8 survives as
lone surrogates (``surrogateescape``), so that ``unquote(quote(path)) == path`` for every path.
"""

from __future__ import annotations

from typing import Final

__all__ = ["quote", "to_unicode", "unquote"]

_HEX: Final = "0123456789ABCDEFabcdef"
# Only these 484 pairs are escapes: int(pair, 16) would also take "+1", " 1" and "1_".
_BYTES: Final = {(high + low).encode(): bytes((int(high + low, 16),)) for high in _HEX for low in _HEX}
# pchar and the slash (RFC 3986 3.3) stand for themselves.
_PLAIN: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/")
_QUOTED: Final = tuple(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in range(256))


def to_unicode(text: str) -> str:
    """Read a latin-1 text as the UTF-8 it is meant to be."""
    return text if text.isascii() else text.encode("latin-1").decode("utf-8", "surrogateescape")


def unquote(raw: str) -> str:
    """Decode a latin-1 path. What only looks like an escape (``%``, ``%4``, ``%zz``) stays as it is."""
    if "%" not in raw:
        return to_unicode(raw)
    first, *rest = raw.encode("latin-1").split(b"%")
    pieces = [first]
    for piece in rest:
        byte = _BYTES.get(piece[:2])
        if byte is None:
            pieces.append(b"%" + piece)
        else:
            pieces.append(byte)
            pieces.append(piece[2:])
    return b"".join(pieces).decode("utf-8", "surrogateescape")


def quote(path: str) -> str:
    """Encode a path; the inverse of ``unquote``."""
    return "".join([_QUOTED[byte] for byte in path.encode("utf-8", "surrogateescape")])
