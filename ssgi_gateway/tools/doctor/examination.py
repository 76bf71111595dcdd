"""The probes: each sends something through the web server's public address and compares it with what arrived.

A probe yields findings, and nothing where all is right. What the web server is, its first answer tells; the directives
are then those of that one. The rules about a request's variables are ``observe.diagnosis``'s, which the running gateway
applies as well.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from ssgi_gateway.observe.diagnosis import Finding, diagnose, front_of

from .client import Answer, Target, Unreachable

if TYPE_CHECKING:
    from .stand_in import StandIn

__all__ = ["PROBES", "Examination"]

NGINX, APACHE, LIGHTTPD, CADDY, HAPROXY = "nginx", "apache", "lighttpd", "caddy", "haproxy"


KEEPING: Final = (NGINX, APACHE)
"""Who can keep FastCGI connections, and is told so by ``ssgi-gateway config``."""

REPEATED: Final = 6
"""Requests by which kept connections are recognised."""

RESTART_WINDOW: Final = 2.0
"""Seconds of refusals after a restart that are the web server's own rhythm; lighttpd looks again once a second."""

MAX_WINDOW: Final = 8.0
"""Seconds after which nobody waits any longer for a site to be there again."""

Probe = Callable[["Examination"], Iterator[Finding]]


class Examination:
    """What the probes share.

    Args:
        target: the site.
        upload: bytes of the upload that has to pass.
        websocket: the path to ask for a WebSocket; empty when the site has none.
        stand_in: the probe's process, to be restarted, and asked what it had to complain of.
    """

    def __init__(
        self, target: Target, upload: int = 2 << 20, websocket: str = "/", stand_in: StandIn | None = None
    ) -> None:
        self.stand_in = stand_in
        self.target = target
        self.upload = upload
        self.websocket = websocket
        self.front = ""
        self.protocol = ""

    def run(self) -> Iterator[Finding]:
        """All findings, in the order of the probes.

        Raises:
            Unreachable: the first request came to nothing.
        """
        answer = self.target.ask("/doctor/first")
        yield from self.arrival(answer)
        if answer.facts is None:
            return
        # Alone, because it counts connections.
        yield from self._probe(_kept_connections)
        # Side by side: some of them wait, and the site is closed meanwhile.
        with ThreadPoolExecutor(len(PROBES)) as pool:
            for found in pool.map(self._probe, PROBES):
                yield from found
        yield from self._probe(_restart)

    def _probe(self, probe: Probe) -> list[Finding]:
        try:
            return list(probe(self))
        except Unreachable as error:
            name = probe.__name__.strip("_").replace("_", "-")
            broken = "the web server broke the connection off"
            return [Finding(f"no-answer-to-{name}", str(error), broken, "Its error log says why")]

    def arrival(self, answer: Answer) -> Iterator[Finding]:
        """Whether a request comes through at all, and what its variables give away."""
        self.front = front_of(answer.headers.get("server", ""))
        facts = answer.facts
        if not isinstance(facts, dict) or "environ" not in facts:
            yield self._not_arrived(answer)
            return
        environ = facts["environ"]
        self.protocol = facts["protocol"]
        self.front = front_of(environ.get("SERVER_SOFTWARE", "")) or self.front
        yield from diagnose(environ, self.protocol)
        wanted = "https" if self.target.secure else "http"
        if facts["scheme"] != wanted and not any("scheme" in kind for kind in _kinds(environ, self.protocol)):
            yield self.finding(
                "scheme-wrong", f"the site was asked over {wanted}, and the application is told {facts['scheme']}",
                "cookies lose Secure, links have the wrong scheme",
                {NGINX: "add HTTPS $https if_not_empty", "": "pass HTTPS=on, or REQUEST_SCHEME"},
            )  # fmt: skip
        if facts["root_path"] not in ("", self.target.path):
            yield self.finding(
                "root-path-wrong", f"the application is told that it is mounted at {facts['root_path']}",
                "links have that twice, and paths are not found",
                {
                    LIGHTTPD: '"fix-root-scriptname" => "enable"',
                    APACHE: "ProxyPass in place of SetHandler",
                    NGINX: "leave SCRIPT_NAME and PATH_INFO out, or set SCRIPT_NAME to the mount",
                    "": "start the gateway with --root-path",
                },
            )  # fmt: skip
        host = environ.get("HTTP_HOST", "")
        if host and host != self.target.authority and "," not in host:
            yield self.finding(
                "host-changed", f"{self.target.authority!r} was asked for, and {host!r} arrived",
                "links, redirects and checks of the origin are wrong",
                {NGINX: "HTTP_HOST $http_host if_not_empty", APACHE: "ProxyPreserveHost On", "": "keep Host"},
            )  # fmt: skip

    def _not_arrived(self, answer: Answer) -> Finding:
        seen = f"{answer.status} from {answer.headers.get('server', 'an unknown server')}, and nothing arrived here"
        complaints = self.stand_in.complaints() if self.stand_in is not None else []
        if complaints:
            return self.finding(
                "not-understood", f"{seen}; the gateway said: {'; '.join(complaints)}",
                "the web server speaks something else on this socket, or leaves out what the protocol needs",
                {
                    NGINX: "scgi_pass for --scgi, fastcgi_pass for --fastcgi, proxy_pass for --websocket; a location with a "
                    "*_param of its own needs the include in itself, too",
                    APACHE: "scgi:// for --scgi, fcgi:// for --fastcgi",
                    HAPROXY: "proto fcgi at the server's line",
                    "": "compare the protocol of each address in its configuration with the gateway's",
                },
            )  # fmt: skip
        if answer.status in (502, 503, 504):
            return self.finding(
                "not-connected", seen, "the web server cannot reach the gateway's address",
                {"": "Compare the address in its configuration with those below; its error log says what it tried"},
            )  # fmt: skip
        if answer.status == 200 and not answer.body and self.front == CADDY:
            return self.finding(
                "php-fastcgi", seen, "php_fastcgi looks for files and answers nothing for everything else",
                {CADDY: "use reverse_proxy ADDRESS { transport fastcgi }"},
            )  # fmt: skip
        if answer.status in (301, 302, 307, 308):
            where = answer.headers.get("location", "")
            return self.finding(
                "redirected", f"{seen}; it leads to {where}", "another address is meant",
                {"": f"Try: ssgi-gateway doctor {where}"},
            )  # fmt: skip
        return self.finding(
            "answered-by-another", seen, "this address is not led to the gateway",
            {"": "Look for the site's server block or virtual host, and the location that matches"},
        )  # fmt: skip

    def finding(self, kind: str, seen: str, why: str, fixes: dict[str, str]) -> Finding:
        """A finding with the fix for the web server that is there."""
        fix = fixes.get(self.front) or fixes.get("") or "; ".join(f"{name}: {text}" for name, text in fixes.items())
        return Finding(kind, seen, why, fix)


def _kinds(environ: dict[str, str], protocol: str) -> set[str]:
    return {finding.kind for finding in diagnose(environ, protocol)}


# -- the probes ------------------------------------------------------------------------------------------------------


def _authorization(examination: Examination) -> Iterator[Finding]:
    answer = examination.target.ask("/", headers=[("Authorization", "Basic ZG9jdG9yOng=")])  # doctor:x
    if answer.facts is None:
        return  # the web server checks passwords itself
    environ = answer.facts["environ"]
    if "HTTP_AUTHORIZATION" not in environ and "authorization" not in answer.facts["headers"]:
        yield examination.finding(
            "authorization-lost", "an Authorization header did not arrive", "nobody can log in with Basic or a token",
            {APACHE: "CGIPassAuth On", HAPROXY: "pass-header authorization", "": "pass the Authorization header"},
        )  # fmt: skip
    if environ.get("REMOTE_USER") == "doctor":
        yield examination.finding(
            "user-unchecked", "any password made the user 'doctor' of a request",
            "whoever asks can be any user, once the gateway is told --trust-remote-user",
            {
                NGINX: f'{examination.protocol}_param REMOTE_USER "";',
                HAPROXY: "set-param REMOTE_USER %[var(txn.user)] and set-param AUTH_TYPE %[var(txn.auth_type)]",
                "": "do not send REMOTE_USER",
            },
        )  # fmt: skip


def _paths(examination: Examination) -> Iterator[Finding]:
    for path, kind in (("/a%2Fb", "slash-refused"), ("/a%252Fb", "uri-decoded")):
        answer = examination.target.ask(path)
        wanted = examination.target.path + path
        if answer.facts is None:
            yield examination.finding(
                kind, f"{path} was answered {answer.status} by the web server itself",
                "names with a slash in them cannot be had",
                {
                    APACHE: "AllowEncodedSlashes NoDecode (in the virtual host, not in .htaccess)",
                    LIGHTTPD: 'server.http-parseopts = ( "url-path-2f-decode" => "disable", ... )',
                    "": "let %2F pass",
                },
            )  # fmt: skip
        elif answer.facts["raw_path"] != wanted:
            yield examination.finding(
                "uri-decoded", f"{wanted} arrived as {answer.facts['raw_path']}",
                "the path was decoded or rewritten before it came here",
                {
                    NGINX: "set REQUEST_URI to $request_uri",
                    LIGHTTPD: '"url-path-2f-decode" => "disable"',
                    "": "pass it as it is",
                },
            )  # fmt: skip


def _bodies(examination: Examination) -> Iterator[Finding]:
    data = b"x" * 1000
    try:
        answer = examination.target.ask("/?do=body", "POST", body=data)
        arrived = -1 if answer.facts is None else answer.facts["length"]
        seen = f"was answered {answer.status}" if answer.facts is None else f"arrived with {arrived}"
    except Unreachable:
        arrived, seen = -1, "was not answered"
    if arrived != len(data):
        yield examination.finding(
            "body-lost", f"an upload of 1,000 bytes {seen}", "forms and uploads do not reach the application",
            {
                NGINX: f"{examination.protocol}_pass_request_body on; where it has to be off, say "
                f'{examination.protocol}_param CONTENT_LENGTH ""; beside it',
                "": "let the web server pass bodies on",
            },
        )  # fmt: skip


def _uploads(examination: Examination) -> Iterator[Finding]:
    if next(_bodies(examination), None) is not None:
        return  # which says it all
    data = os.urandom(1 << 16) * max(1, examination.upload >> 16)
    answer = examination.target.ask("/?do=body", "POST", body=data)
    megabytes = len(data) >> 20
    if answer.facts is None:
        yield examination.finding(
            "upload-limit", f"an upload of {megabytes} MiB was answered {answer.status} by the web server",
            "larger uploads do not reach the application",
            {
                NGINX: f"client_max_body_size {megabytes}m; (1m unless set)",
                APACHE: f"LimitRequestBody {len(data)}; with mod_fcgid FcgidMaxRequestLen, not in .htaccess",
                LIGHTTPD: "server.max-request-size, in KiB",
                CADDY: "request_body { max_size ... }",
                "": "raise its limit for uploads",
            },
        )  # fmt: skip
    elif answer.facts["sha256"] != hashlib.sha256(data).hexdigest():
        yield examination.finding(
            "upload-cut", f"of {len(data)} bytes {answer.facts['length']} arrived", "uploads are lost in part",
            {NGINX: f"{examination.protocol}_request_buffering on;", "": "let the web server collect uploads first"},
        )  # fmt: skip
    answer = examination.target.ask("/?do=body", "POST", body=b"x" * 1000, chunked=True)
    if answer.facts is None or answer.facts["length"] != 1000:
        what = (
            f"was answered {answer.status}" if answer.facts is None else f"arrived with {answer.facts['length']} bytes"
        )
        yield examination.finding(
            "chunked-refused", f"a chunked upload of 1,000 bytes {what}",
            "clients that do not know a length beforehand (phones, curl -T -, some HTTP/2 clients) cannot upload",
            {
                NGINX: f"{examination.protocol}_request_buffering on;",
                APACHE: "use FastCGI in place of SCGI",
                LIGHTTPD: "server.stream-request-body = 0",
                CADDY: "request_buffers 16MiB in transport's reverse_proxy (Caddy 2.7 and later)",
                HAPROXY: "it can pass those that fit into tune.bufsize only",
                "": "let the web server collect uploads first",
            },
        )  # fmt: skip


def _events(examination: Examination) -> Iterator[Finding]:
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


def _answers(examination: Examination) -> Iterator[Finding]:
    target = examination.target
    answer = target.ask("/?do=plain", "HEAD")
    if answer.headers.get("content-length") != "1000":
        yield examination.finding(
            "length-lost", "the Content-Length of an answer to HEAD was dropped",
            "downloads show no progress, and over SCGI an answer that was broken off looks whole",
            {APACHE: "SetEnv ap_trust_cgilike_cl yes (Apache 2.4.59 and later)", "": "pass Content-Length"},
        )  # fmt: skip
    for status in (404, 500):
        answer = target.ask(f"/?do=status&status={status}")
        if b"own words" not in answer.body:
            yield examination.finding(
                "error-pages-replaced", f"the application's body of a {status} was replaced",
                "clients of an API do not learn what was wrong",
                {
                    NGINX: f"{examination.protocol}_intercept_errors off;",
                    APACHE: "ProxyErrorOverride Off",
                    LIGHTTPD: "take server.error-intercept out",
                    CADDY: "take handle_errors out",
                    "": "let the application's error pages pass",
                },
            )  # fmt: skip
            break
    answer = target.ask("/?do=head&size=8000")
    if answer.status != 200:
        yield examination.finding(
            "answer-head-limit", f"an answer with a head of 8,000 bytes became {answer.status}",
            "pages with many or large cookies fail",
            {
                NGINX: f"{examination.protocol}_buffer_size 32k; {examination.protocol}_buffers 8 32k;",
                HAPROXY: "tune.bufsize 32768",
                "": "raise its limit for the heads of answers",
            },
        )  # fmt: skip


def _request_heads(examination: Examination) -> Iterator[Finding]:
    fields = [(f"X-Probe-{index}", "x" * 3500) for index in range(2)]
    answer = examination.target.ask("/", headers=fields)
    if answer.facts is None:
        yield examination.finding(
            "request-head-limit", f"a request with 7,000 bytes of header fields was answered {answer.status}",
            "browsers with many cookies are refused",
            {
                NGINX: "large_client_header_buffers 4 16k;",
                APACHE: "LimitRequestFieldSize 16384",
                LIGHTTPD: "server.max-request-field-size = 32768",
                HAPROXY: "tune.bufsize 32768",
                "": "raise its limit for header fields",
            },
        )  # fmt: skip


def _names(examination: Examination) -> Iterator[Finding]:
    answer = examination.target.ask("/", headers=[("X_Forwarded_For", "192.0.2.98")])
    if answer.facts is not None and "192.0.2.98" in answer.facts["environ"].get("HTTP_X_FORWARDED_FOR", ""):
        yield examination.finding(
            "underscores", "a client's X_Forwarded_For arrived as if it were X-Forwarded-For",
            "an application that believes the web server's X-Forwarded-For believes any client",
            {
                CADDY: "request_header -X_Forwarded_For",
                LIGHTTPD: 'setenv.set-request-header = ( "X_Forwarded_For" => "" )',
                "": "drop header names with an underscore",
            },
        )  # fmt: skip
    answer = examination.target.ask("/", headers=[("X-Forwarded-For", "192.0.2.99"), ("X-Forwarded-Proto", "gopher")])
    if answer.facts is not None and "192.0.2.99" in answer.facts["environ"].get("HTTP_X_FORWARDED_FOR", ""):
        yield examination.finding(
            "forwarded-by-anybody", "X-Forwarded-For of the client's own arrived",
            "an application behind ProxyFix, or with SECURE_PROXY_SSL_HEADER, believes any client",
            {
                NGINX: f"{examination.protocol}_param HTTP_X_FORWARDED_FOR $remote_addr;",
                APACHE: 'RequestHeader set X-Forwarded-For "expr=%{REMOTE_ADDR}"',
                HAPROXY: "http-request del-header X-Forwarded-For",
                "": "let the web server set it, or have the application believe REMOTE_ADDR alone, which is right",
            },
        )  # fmt: skip


def _websocket(examination: Examination) -> Iterator[Finding]:
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
                "": "lead WebSockets to the gateway's direct port, or say --no-websocket where the site has none",
            },
        )  # fmt: skip


def _kept_connections(examination: Examination) -> Iterator[Finding]:
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


def _restart(examination: Examination) -> Iterator[Finding]:
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


def _leaving(examination: Examination) -> Iterator[Finding]:
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
    if examination.front in (NGINX, HAPROXY):  # the others cannot be told to
        yield examination.finding(
            "disconnects-unseen", "a client disconnected while it waited, and the gateway was not told within 2 s",
            "the application works on for nobody until it answers",
            {HAPROXY: "option abortonclose", NGINX: f"{examination.protocol}_ignore_client_abort off;"},
        )  # fmt: skip


PROBES: Final[tuple[Probe, ...]] = (
    _authorization,
    _paths,
    _uploads,
    _events,
    _answers,
    _request_heads,
    _names,
    _websocket,
    _leaving,
)
