"""The probes of single requests: what is sent, and what of it arrives, and the same of answers.

Each yields findings, and nothing where all is right.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ssgi_gateway.observe.diagnosis import APACHE, CADDY, HAPROXY, LIGHTTPD, NGINX, Finding

from .client import Unreachable

if TYPE_CHECKING:
    from .examination import Examination

MANY_CHUNKS = 200_000
"""Bytes of a chunked upload: what comes with the head, lighttpd takes in any case. HAProxy takes what fits into one
buffer, and no directive changes that."""

__all__ = ["answers", "authorization", "names", "paths", "request_heads", "uploads"]


def authorization(examination: Examination) -> Iterator[Finding]:
    """Whether Authorization arrives, and a user that was not checked does not."""
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
            "any client can claim to be any user, once the gateway runs with --trust-remote-user",
            {
                NGINX: f'{examination.protocol}_param REMOTE_USER "";',
                HAPROXY: "set-param REMOTE_USER %[var(txn.user)] and set-param AUTH_TYPE %[var(txn.auth_type)]",
                "": "do not send REMOTE_USER",
            },
        )  # fmt: skip


def paths(examination: Examination) -> Iterator[Finding]:
    """Whether a path arrives as the client wrote it."""
    for path, kind in (("/a%2Fb", "slash-refused"), ("/a%252Fb", "uri-decoded")):
        answer = examination.target.ask(path)
        wanted = examination.target.path + path
        if answer.facts is None:
            yield examination.finding(
                kind, f"{path} was answered {answer.status} by the web server itself",
                "names with a slash in them cannot be had",
                {
                    APACHE: "AllowEncodedSlashes NoDecode (in the virtual host, not in .htaccess)",
                    LIGHTTPD: 'take "url-path-2f-reject" out of server.http-parseopts',
                    "": "let %2F pass",
                },
            )  # fmt: skip
        elif answer.facts["raw_path"] != wanted:
            yield examination.finding(
                "uri-decoded", f"{wanted} arrived as {answer.facts['raw_path']}",
                "the path was decoded or rewritten before it came here",
                {
                    NGINX: "set REQUEST_URI to $request_uri",
                    "": "pass it as it is",
                },
            )  # fmt: skip


def _collecting(examination: Examination) -> dict[str, str]:
    """How the web servers that pass uploads on as they come are made to collect them first."""
    return {
        NGINX: f"{examination.protocol}_request_buffering on;",
        LIGHTTPD: "server.stream-request-body = 0",
        "": "let the web server collect uploads first",
    }


def _unbuffered(examination: Examination, size: str) -> Finding:
    return examination.finding(
        "uploads-unbuffered", f"an upload of {size} was sent on before its length was known",
        "the gateway cannot know where it ends, and answers 411", _collecting(examination),
    )  # fmt: skip


def _small_body(examination: Examination) -> Iterator[Finding]:
    data = b"x" * 1000
    try:
        answer = examination.target.ask("/?do=body", "POST", body=data)
        if answer.facts is None and answer.status == 411:
            yield _unbuffered(examination, "1,000 bytes")
            return
        arrived = -1 if answer.facts is None else answer.facts["length"]
        refusal = f": {answer.refusal}" if answer.refusal else ""
        seen = f"was answered {answer.status}{refusal}" if answer.facts is None else f"arrived with {arrived}"
    except Unreachable:
        arrived, seen = -1, "was not answered"
    if arrived != len(data):
        yield examination.finding(
            "body-lost", f"an upload of 1,000 bytes {seen}", "forms and uploads do not reach the application",
            {
                NGINX: f"{examination.protocol}_pass_request_body on; where it has to be off, write "
                f'{examination.protocol}_param CONTENT_LENGTH ""; beside it',
                "": "let the web server pass bodies on",
            },
        )  # fmt: skip


def uploads(examination: Examination) -> Iterator[Finding]:
    """Whether uploads arrive: small ones, large ones, and those without a length."""
    small = list(_small_body(examination))
    yield from small
    if small:
        return  # of the others there is nothing more to report
    data = os.urandom(1 << 16) * max(1, examination.upload >> 16)
    answer = examination.target.ask("/?do=body", "POST", body=data)
    megabytes = len(data) >> 20
    if answer.facts is None and answer.status == 411:
        yield _unbuffered(examination, f"{megabytes} MiB")
    elif answer.refusal:
        yield examination.finding(
            "upload-refused", f"an upload of {megabytes} MiB was answered {answer.status}: {answer.refusal}",
            "the gateway refuses what the web server makes of it",
            {"": "fix what the gateway reports, or raise its own limit (--max-body-size)"},
        )  # fmt: skip
    elif answer.facts is None:
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
            {
                NGINX: f"{examination.protocol}_param CONTENT_LENGTH $content_length;",
                "": "pass bodies on whole, with CONTENT_LENGTH as their length",
            },
        )  # fmt: skip
    size = 1000 if examination.front == HAPROXY else MANY_CHUNKS
    answer = examination.target.ask("/?do=body", "POST", body=b"x" * size, chunked=True)
    if answer.facts is None or answer.facts["length"] != size:
        what = (
            f"was answered {answer.status}" if answer.facts is None else f"arrived with {answer.facts['length']} bytes"
        )
        yield examination.finding(
            "chunked-refused", f"a chunked upload of {size:,} bytes {what}",
            "clients that do not know a length beforehand (phones, curl -T -, some HTTP/2 clients) cannot upload",
            {
                **_collecting(examination),
                APACHE: "use FastCGI in place of SCGI",
                CADDY: "request_buffers 16MiB in transport's reverse_proxy (Caddy 2.7 and later)",
                HAPROXY: "it can pass those that fit into tune.bufsize only",
            },
        )  # fmt: skip


def answers(examination: Examination) -> Iterator[Finding]:
    """Whether answers reach the client as they were given: lengths, error pages, large heads."""
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
                    CADDY: "take handle_response out of reverse_proxy",
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


def request_heads(examination: Examination) -> Iterator[Finding]:
    """Whether a request with many header fields arrives."""
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


def names(examination: Examination) -> Iterator[Finding]:
    """Whether header fields arrive that an application takes for the web server's own."""
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
