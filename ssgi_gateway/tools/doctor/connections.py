"""The probes that take time: events, WebSockets, clients that disconnect, kept connections, a restart.

Each yields findings, and nothing where all is right.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ssgi_gateway.observe.diagnosis import APACHE, CADDY, HAPROXY, LIGHTTPD, NGINX, Finding

from .client import Unreachable

if TYPE_CHECKING:
    from .examination import Examination

__all__ = ["events", "kept_connections", "leaving", "restart", "websocket"]

KEEPING: Final = (NGINX, APACHE)
"""Web servers that can keep FastCGI connections, and are configured to by ``ssgi-gateway config``."""

REPEATED: Final = 6
"""Requests by which kept connections are recognised."""

RESTART_WINDOW: Final = 2.0
"""Seconds of refusals after a restart that are the web server's own rhythm; lighttpd looks again once a second."""

MAX_WINDOW: Final = 8.0
"""Seconds after which a site that is not there again is given up."""


def kept_connections(examination: Examination) -> Iterator[Finding]:
    """Whether the next request has to wait for a new connection to the gateway."""
    target = examination.target
    if examination.protocol != "fastcgi" or examination.front not in KEEPING:
        return
    # Visitors, who are turned away meanwhile, open connections as well: what the quietest of some tries needed counts.
    fewest = REPEATED
    for _ in range(3):
        before, *_, after = [answer.facts for answer in target.ask_repeatedly("/?do=accepted", REPEATED + 1)]
        if before is None or after is None:
            return
        fewest = min(fewest, after["accepted"] - before["accepted"])
    if fewest >= REPEATED:
        yield examination.finding(
            "connections-not-kept", f"{REPEATED} requests came over {fewest} connections",
            "each request waits for a connection, which costs both sides more than a small request itself",
            {
                NGINX: "fastcgi_keep_conn on; and an upstream with keepalive 16; (either does nothing alone)",
                APACHE: "enablereuse=on at ProxyPass",
                "": "let the web server keep its connections",
            },
        )  # fmt: skip


def events(examination: Examination) -> Iterator[Finding]:
    """Whether server-sent events arrive when they are sent."""
    target = examination.target
    with target.connect() as connection:
        connection.settimeout(5)
        target.send_head(connection, "/?do=events", "GET", [("Connection", "close")])
        began = time.monotonic()
        arrived: dict[bytes, float] = {}
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
            for event in (b"first", b"second"):
                if event in data:
                    arrived.setdefault(event, time.monotonic() - began)
    if len(arrived) == 2 and arrived[b"second"] - arrived[b"first"] < 0.5:
        yield examination.finding(
            "events-late", "server-sent events arrived together, at the end", "event streams and progress do not work",
            {
                APACHE: "flushpackets=on at ProxyPass (mod_fcgid cannot)",
                LIGHTTPD: "server.stream-response-body = 1",
                CADDY: "flush_interval -1",
                NGINX: f"do not ignore X-Accel-Buffering ({examination.protocol}_ignore_headers)",
                "": "do not collect answers",
            },
        )  # fmt: skip


def websocket(examination: Examination) -> Iterator[Finding]:
    """Whether a WebSocket opens, and a message comes back."""
    if not examination.websocket:
        return
    status, echoed = examination.target.upgrade(examination.websocket)
    if echoed:
        return
    if status == 101:
        yield examination.finding(
            "websocket-stuck", "the handshake of a WebSocket was answered 101, and then nothing passes",
            "the web server cannot make a tunnel of this answer",
            {
                APACHE: "lead WebSockets to the direct port: ProxyPass ... upgrade=websocket",
                LIGHTTPD: '"upgrade" => "enable" (1.4.74 and later), or the direct port',
                "": "lead WebSockets to the gateway's direct port",
            },
        )  # fmt: skip
    else:
        yield examination.finding(
            "websocket-refused", f"the handshake of a WebSocket was answered {status}",
            "WebSockets do not work on this path",
            {
                NGINX: "scgi_pass carries them; with fastcgi_pass lead upgrades to the direct port, with "
                "proxy_http_version 1.1 and the Upgrade and Connection headers (ssgi-gateway config nginx)",
                "": "lead WebSockets to the gateway's direct port, or use --no-websocket where the site has none",
            },
        )  # fmt: skip


def leaving(examination: Examination) -> Iterator[Finding]:
    """Whether the gateway notices a client that disconnects while it waits."""
    target = examination.target
    key = os.urandom(8).hex()
    with target.connect() as connection:
        target.send_head(connection, f"/?do=hang&key={key}", "GET", [("Connection", "close")])
        for _ in range(20):
            facts = target.ask(f"/?do=gone&key={key}").facts
            if facts and facts["begun"]:
                break
            time.sleep(0.1)
    for _ in range(20):
        facts = target.ask(f"/?do=gone&key={key}").facts
        if facts is None or facts["aborted"]:
            return
        time.sleep(0.1)
    if examination.front in (NGINX, HAPROXY):  # the others cannot be configured to
        yield examination.finding(
            "disconnects-unseen", "a client disconnected while it waited, and the gateway did not notice within 2 s",
            "the application goes on working for a client that has disconnected, until it answers",
            {HAPROXY: "option abortonclose", NGINX: f"{examination.protocol}_ignore_client_abort off;"},
        )  # fmt: skip


def restart(examination: Examination) -> Iterator[Finding]:
    """How long requests are refused once a gateway that was restarted listens again."""
    if examination.stand_in is None:
        return
    examination.stand_in.stop()
    for _ in range(2):  # it has to notice
        with suppress(Unreachable):
            examination.target.ask("/doctor/stopped")
    examination.stand_in.start()
    begun = last = time.monotonic()
    while time.monotonic() - begun < MAX_WINDOW:
        asked = time.monotonic()
        with suppress(Unreachable):
            if examination.target.ask("/doctor/started").facts is not None:
                break
        last = asked
        time.sleep(0.1)
    if last - begun > RESTART_WINDOW:
        yield examination.finding(
            "restart-window", f"{last - begun:.0f} s after a restart of the gateway requests were still refused",
            "each restart turns visitors away for longer than it takes",
            {
                NGINX: "max_fails=0 at the upstream's server line, where there is only one",
                APACHE: "retry=0 at ProxyPass",
                LIGHTTPD: '"disable-time" => 0',
                CADDY: "take fail_duration out of reverse_proxy",
                HAPROXY: "retries 3, option redispatch, and no long inter at the server's check",
                "": "do not let it give up on a server that was restarted",
            },
        )  # fmt: skip
