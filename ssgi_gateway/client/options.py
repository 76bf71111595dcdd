"""The options of a client: how long, how many, whom to trust."""

from __future__ import annotations

import os
import ssl
import warnings
from dataclasses import dataclass, field
from typing import Any

from ssgi_gateway.errors import ConfigurationError

__all__ = ["TLS", "Limits", "Timeouts"]


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds; ``None`` waits for ever. They are looked at twice a second.

    Attributes:
        connect: until a connection is there, all addresses together.
        tls: until TLS has agreed.
        pool: in the queue for a connection.
        write: longest silence while the peer should take something of the request.
        read: longest silence while something of the answer is due.
        total: the whole exchange, retries included.
    """

    connect: float | None = 10.0
    tls: float | None = 10.0
    pool: float | None = 30.0
    write: float | None = 60.0
    read: float | None = 60.0
    total: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections, and for how long.

    Attributes:
        max_connections: of the client, connecting ones included.
        max_per_origin: to one scheme, host, port (or socket).
        max_idle: kept for later; beyond it the oldest is closed.
        idle_timeout: seconds that one is kept.
        max_age: seconds after which a connection takes no further request.
        max_collected_body: bytes of a body without a length, which SCGI has to know before it begins.
    """

    max_connections: int = 100
    max_per_origin: int = 100
    max_idle: int = 20
    idle_timeout: float = 15.0
    max_age: float = 3600.0
    max_collected_body: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        for name in ("max_connections", "max_per_origin"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"Limits({name}={getattr(self, name)}): a client needs at least 1")


@dataclass(frozen=True, slots=True)
class TLS:
    """Whom to trust; by default whom the system trusts, TLS 1.2 and above, host names checked.

    Attributes:
        ca: a file or a folder of certificates to trust in place of the system's.
        cert, key: files of a client certificate.
        context: an ``ssl.SSLContext`` in place of all of these; ALPN is set on it.
        verify: False accepts any certificate.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    context: ssl.SSLContext | None = field(default=None, compare=False)
    verify: bool = True

    def make_context(self, protocols: list[str]) -> Any:
        """An ``ssl.SSLContext`` that offers these protocols by ALPN (RFC 7301).

        Raises:
            ConfigurationError: a file cannot be used.
        """
        context = self.context
        if context is None:
            try:
                in_folder = self.ca is not None and os.path.isdir(self.ca)
                context = ssl.create_default_context(
                    cafile=None if in_folder else self.ca, capath=self.ca if in_folder else None
                )
                context.minimum_version = ssl.TLSVersion.TLSv1_2
                if self.cert is not None:
                    context.load_cert_chain(self.cert, self.key)
            except (OSError, ssl.SSLError) as error:
                raise ConfigurationError(f"TLS: {self.ca or self.cert}: {error}") from None
            if not self.verify:
                warnings.warn("verify=False: anybody may answer in the server's place", stacklevel=2)
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(protocols)
        return context
