"""The doctor's requests through the web server's public address: HTTP/1.1, exact to the byte."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import ssl
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ssgi_gateway.errors import ConfigurationError

from .secret import HEADER

__all__ = ["Answer", "BadCertificate", "Target", "Unreachable"]

TIMEOUT = 10.0
"""Seconds for each answer."""


class Unreachable(Exception):  # noqa: N818 - it is a result and no mistake of this program
    """There was no answer at all; the message has the reason."""


class BadCertificate(Unreachable):
    """The site's certificate is not good, so nothing was asked."""


class Answer(NamedTuple):
    """What the web server answered. ``headers`` have their names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def facts(self) -> Any:
        """The probe's JSON; None where something else answered."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def refusal(self) -> str:
        """The gateway's words where it refused the request by itself; empty where another server answered."""
        first, _, message = self.body.decode("utf-8", "replace").partition("\n")
        plain = self.headers.get("content-type", "").startswith("text/plain")
        return message.strip() if plain and self.status >= 400 and first.startswith(f"{self.status} ") else ""


class Target:
    """The site.

    Args:
        url: its public address, ``https://example.org/`` or one below a path.
        secret: what the probe knows the doctor by.
        verify: whether its certificate has to be good.

    Raises:
        ConfigurationError: ``url`` is none of HTTP.
    """

    def __init__(self, url: str, secret: str, verify: bool = True) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"{url!r} is not the address of a site; write https://example.org/")
        self.secure = parts.scheme == "https"
        self.host = parts.hostname
        self.port = parts.port or (443 if self.secure else 80)
        self.path = parts.path.rstrip("/")
        self.authority = parts.netloc.rpartition("@")[2]
        self.secret = secret
        self.tls = ssl.create_default_context() if self.secure else None
        if self.tls is not None and not verify:
            self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE

    def connect(self) -> socket.socket:
        """A connection, over TLS where the site has it.

        Raises:
            BadCertificate: it is not good, and has to be.
            Unreachable: no server answers there.
        """
        try:
            plain = socket.create_connection((self.host, self.port), TIMEOUT)
            return self.tls.wrap_socket(plain, server_hostname=self.host) if self.tls else plain
        except ssl.SSLCertVerificationError as error:
            raise BadCertificate(f"the certificate of {self.host} is not good: {error.verify_message}") from None
        except OSError as error:
            raise Unreachable(f"{self.host} port {self.port}: {error.strerror or error}") from None

    def ask(
        self,
        target: str = "/",
        method: str = "GET",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        *,
        chunked: bool = False,
    ) -> Answer:
        """One request, on a connection of its own; ``target`` is below the site's path.

        Raises:
            Unreachable: there was no answer.
        """
        with self.connect() as connection:
            return self.exchange(connection, target, method, headers, body, chunked=chunked)

    def exchange(
        self,
        connection: socket.socket,
        target: str,
        method: str = "GET",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        *,
        chunked: bool = False,
    ) -> Answer:
        """As ``ask``, on this connection."""
        framing: list[tuple[str, str]] = [("Connection", "close")]
        if chunked:
            framing.append(("Transfer-Encoding", "chunked"))
        elif body is not None:
            framing.append(("Content-Length", str(len(body))))
        try:
            self.send_head(connection, target, method, [*headers, *framing])
            try:
                if body is not None:
                    connection.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body)
            except OSError:
                pass  # refused early: the answer has the reason
            response = http.client.HTTPResponse(connection, method=method)
            response.begin()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"no answer to {method} {target[:60]}: {error or type(error).__name__}") from None
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)

    def ask_repeatedly(self, target: str, count: int) -> list[Answer]:
        """The same request several times, on one connection for as long as the web server keeps it.

        Raises:
            Unreachable: there was no answer.
        """
        answers: list[Answer] = []
        while len(answers) < count:
            with self.connect() as connection:
                answers += self._repeat(connection, target, count - len(answers))
        return answers

    def _repeat(self, connection: socket.socket, target: str, count: int) -> Iterator[Answer]:
        for _ in range(count):
            try:
                self.send_head(connection, target, "GET", ())
                response = http.client.HTTPResponse(connection, method="GET")
                response.begin()
                content = response.read()
            except (OSError, http.client.HTTPException) as error:
                raise Unreachable(f"no answer to GET {target[:60]}: {error or type(error).__name__}") from None
            yield Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)
            if response.will_close:
                return

    def send_head(
        self, connection: socket.socket, target: str, method: str, headers: Iterable[tuple[str, str]]
    ) -> None:
        """The head of a request, as it is."""
        lines = [f"{method} {self.path}{target} HTTP/1.1", f"Host: {self.authority}", f"{HEADER}: {self.secret}"]
        lines += [f"{name}: {value}" for name, value in headers]
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def upgrade(self, target: str) -> tuple[int, bool]:
        """Open a WebSocket and send a message; the status, and whether the message came back.

        Raises:
            Unreachable: there was no answer.
        """
        key = base64.b64encode(os.urandom(16)).decode()
        fields = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", key),
            ("Origin", f"{'https' if self.secure else 'http'}://{self.authority}"),
        ]
        with self.connect() as connection:
            connection.settimeout(5)
            try:
                self.send_head(connection, target, "GET", fields)
                status = int(_read_head(connection).split(None, 2)[1])
            except (OSError, ValueError, IndexError) as error:
                raise Unreachable(f"no answer to an upgrade: {error}") from None
            if status != 101:
                return status, False
            try:
                # A masked text frame, "hi"; its echo is an unmasked one (RFC 6455 5.2).
                connection.sendall(b"\x81\x82\0\0\0\0hi")
                return status, connection.recv(64).startswith(b"\x81\x02hi")
            except OSError:
                return status, False


def _read_head(connection: socket.socket) -> str:
    """Up to the empty line, and not a byte further."""
    head = b""
    while not head.endswith(b"\r\n\r\n") and len(head) < 65536:
        byte = connection.recv(1)
        if not byte:
            break
        head += byte
    return head.decode("latin-1")
