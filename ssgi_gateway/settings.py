"""Every setting, documented once.

The command line, the environment (``SSGI_...``) and the reference page are made from the fields below; nothing
else in the project lists settings. A field's metadata holds its help text, its unit and, where its name is not
the option's, the option.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Deadlines", "FlowControl", "Settings", "WebSocketSettings", "WireLimits", "setting"]


def setting(default: Any, help: str, *, unit: str = "", metavar: str = "", choices: tuple[str, ...] = ()) -> Any:  # noqa: A002
    """A dataclass field with its documentation.

    Args:
        default: the first value; immutable.
        help: one or two sentences for the command line and the reference page.
        unit: ``bytes``, ``seconds``, ``messages`` ... ; empty for plain values.
        metavar: how the value is shown in ``--help``.
        choices: the only values allowed, when there are such.
    """
    return field(default=default, metadata={"help": help, "unit": unit, "metavar": metavar, "choices": choices})


@dataclass(frozen=True, slots=True)
class WireLimits:
    """Bounds on what a request head may cost before anybody has looked at it."""

    max_head_size: int = setting(
        131072,
        "Largest block of request variables; a larger one is answered with 431. nginx's own limit on headers is "
        "below this unless large_client_header_buffers was raised.",
        unit="bytes",
    )
    max_variables: int = setting(1000, "Most request variables; more are answered with 431.", unit="variables")


@dataclass(frozen=True, slots=True)
class WebSocketSettings:
    """Bounds and clocks of a WebSocket."""

    max_message_size: int = setting(
        1048576, "Largest message, after inflation; a larger one ends the connection with 1009.", unit="bytes"
    )
    max_frame_size: int = setting(
        0, "Largest frame; 0 means the message limit. A larger one ends the connection with 1009.", unit="bytes"
    )
    max_queue: int = setting(
        32, "Messages kept for an application that has not yet asked for them; then reading stops.", unit="messages"
    )
    ping_interval: float = setting(
        20.0, "A ping is sent after this long without one; 0 for never. nginx closes a silent tunnel after 60.",
        unit="seconds",
    )  # fmt: skip
    ping_timeout: float = setting(
        20.0, "A peer that has sent nothing for this long after a ping is gone (1006).", unit="seconds"
    )
    close_timeout: float = setting(10.0, "How long our Close frame may stay unanswered.", unit="seconds")
    deflate: bool = setting(True, "Accept permessage-deflate (RFC 7692) when a client offers it.")
    origins: tuple[str, ...] | None = setting(
        None,
        "Origins that may open WebSockets, as https://host[:port]; other Origins get 403. 'same' stands for the "
        "request's own host. Not given: any. Repeatable.",
        metavar="ORIGIN",
    )


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each thing may take before the server stops waiting."""

    head: float = setting(10.0, "A request's head must be complete this long after its first byte.", unit="seconds")
    body: float = setting(60.0, "Longest silence while the application waits for the body.", unit="seconds")
    idle: float = setting(120.0, "A kept FastCGI connection without a request is closed after this.", unit="seconds")
    write: float = setting(60.0, "Longest time in which the peer takes nothing of an answer.", unit="seconds")
    drain: float = setting(
        30.0, "After SIGTERM: requests in progress have this long; what remains is cancelled.", unit="seconds"
    )


@dataclass(frozen=True, slots=True)
class FlowControl:
    """Water marks: above high a side is asked to wait, below low it goes on. Used in both directions."""

    high_water: int = setting(262144, "Bytes waiting above which a writer, or the peer, must wait.", unit="bytes")
    low_water: int = setting(65536, "Bytes waiting below which it goes on.", unit="bytes")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything ``ssgi-gateway serve`` can be told."""

    app: str = setting("", "The application: module:attribute, or module:factory() to call a factory.")
    scgi: tuple[str, ...] = setting((), "Listen for SCGI. Repeatable.", metavar="ADDR")
    fastcgi: tuple[str, ...] = setting((), "Listen for FastCGI. Repeatable.", metavar="ADDR")
    websocket: tuple[str, ...] = setting((), "Listen for WebSockets (HTTP/1.1 Upgrade). Repeatable.", metavar="ADDR")
    interface: str = setting("auto", "The application's interface.", choices=("auto", "ssgi"))
    codec: str = setting(
        "auto",
        "Which build of the codecs: compiled where it is installed (auto), or one of them.",
        choices=("auto", "portable", "compiled"),
    )
    root_path: str | None = setting(
        None, "Where the application is mounted; overrides what the web server says. May be empty.", metavar="PATH"
    )
    half_close: bool = setting(
        False,
        "Take a half-closed request connection for a client that still reads (lighttpd may half-close). "
        "Off, it means that the client has left.",
    )
    development: bool = setting(False, "Show tracebacks on error pages. Never on a public server.")
    strict: bool = setting(
        False, "Raise where an application relies on more than SSGI promises: headers read after its call returned."
    )
    max_connections: int = setting(10000, "Connections at once; further ones get 503.", unit="connections")
    backlog: int = setting(2048, "Connections the kernel keeps for us; see net.core.somaxconn.", unit="connections")
    max_body_size: int = setting(
        0, "Largest request body; a larger one is answered with 413. 0 leaves it to the web server.", unit="bytes"
    )
    socket_mode: int = setting(0o660, "Permissions of unix sockets, octal.", metavar="OCTAL")
    socket_owner: str = setting("", "Owner of unix sockets, as USER, USER:GROUP or :GROUP.", metavar="OWNER")
    trusted_peers: tuple[str, ...] = setting(
        ("127.0.0.1", "::1", "unix"),
        "Who may say X-Forwarded-* and Forwarded on the direct port: addresses, networks, 'unix'. Repeatable.",
        metavar="PEER",
    )
    limits: WireLimits = dataclasses.field(default_factory=WireLimits)
    websockets: WebSocketSettings = dataclasses.field(default_factory=WebSocketSettings)
    deadlines: Deadlines = dataclasses.field(default_factory=Deadlines)
    flow: FlowControl = dataclasses.field(default_factory=FlowControl)
