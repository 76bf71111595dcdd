"""ASGI's TLS extension (0.2) from the variables that web servers have for it, under mod_ssl's names.

==========================  =======================================================================================
variable                    in nginx, for example
==========================  =======================================================================================
``SSL_PROTOCOL``            ``scgi_param SSL_PROTOCOL $ssl_protocol if_not_empty;``: the extension is there with it
``SSL_CIPHER``              ``$ssl_cipher``: OpenSSL's name, or IANA's as Caddy has it
``SSL_CLIENT_VERIFY``       ``$ssl_client_verify``: ``SUCCESS``, ``NONE`` or ``FAILED:reason``
``SSL_CLIENT_CERT``         ``$ssl_client_escaped_cert``, or the PEM text as it is
``SSL_CLIENT_S_DN``         ``$ssl_client_s_dn``, RFC 2253
``SSL_SERVER_CERT``         Apache only
==========================  =======================================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable

# ProtocolVersion of RFC 8446 4.1.2 and its predecessors.
VERSIONS: Final = {"SSLv3": 0x0300, "TLSv1": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


def tls_extension(get: Callable[[str], str | None]) -> dict[str, Any] | None:
    """The ``tls`` extension of a scope; ``None`` when the web server passes nothing about TLS.

    Args:
        get: a variable by its name.
    """
    protocol = get("SSL_PROTOCOL")
    if not protocol:
        return None
    certificate = _pem(get("SSL_CLIENT_CERT"))
    verified, _, reason = (get("SSL_CLIENT_VERIFY") or "").partition(":")
    return {
        "server_cert": _pem(get("SSL_SERVER_CERT")),
        "client_cert_chain": [certificate] if certificate else [],
        "client_cert_name": get("SSL_CLIENT_S_DN") or None,
        "client_cert_error": (reason or "not verified") if verified == "FAILED" else None,
        "tls_version": VERSIONS.get(protocol),
        "cipher_suite": cipher_suite(get("SSL_CIPHER") or ""),
    }


def cipher_suite(name: str) -> int | None:
    """The number of a cipher suite in IANA's registry, by IANA's name or OpenSSL's; ``None`` for an unknown one."""
    from .cipher_suites import NUMBERS  # late: few applications read it

    return NUMBERS.get(name)


def _pem(text: str | None) -> str | None:
    """A certificate as PEM text, whichever of nginx's and Apache's ways it came in."""
    if not text:
        return None
    if "%" in text:
        text = unquote(text)
    return text.replace("\t", "")  # $ssl_client_cert indents its lines so that they could be a folded header
