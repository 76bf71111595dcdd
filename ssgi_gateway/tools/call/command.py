"""``ssgi-gateway call``: from the options to the exit status."""

from __future__ import annotations

import os
import sys
from binascii import b2a_base64
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from ssgi_gateway import __version__
from ssgi_gateway.errors import ConfigurationError, LocalProtocolError
from ssgi_gateway.server.address import Address
from ssgi_gateway.wire.client.cgi_request import cgi_variables
from ssgi_gateway.wire.client.events import AnswerEnded, AnswerReceived, BodyArrived
from ssgi_gateway.wire.client.request import Request, parse_url

from .body import Body, make_body
from .conversation import Clock, Conversation, Target
from .failure import NOTHING, REDIRECTS, STATUS, URL, CallFailed
from .fronts import front_variables
from .options import parse
from .redirects import (
    MAX_REDIRECTS,
    NOT_ELSEWHERE,
    is_of_gateway,
    is_same_origin,
    joined,
    location_of,
    next_request,
    next_url,
)
from .report import Report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ssgi_gateway.wire.client.request import Url

__all__ = ["call"]

IN_MEMORY = 1 << 20


def call(argv: list[str]) -> int:
    """Run the command; returns curl's exit status.

    Raises:
        ConfigurationError: the options cannot be used.
    """
    given = parse(argv)
    report = Report(given)
    try:
        status = _Call(given, report).run()
    except CallFailed as error:
        report.error(str(error))
        report.facts["errormsg"] = str(error)
        status = error.status
    except LocalProtocolError as error:
        report.error(str(error))
        status = URL
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 23
    report.facts["exitcode"] = status
    if status != URL and given.keep is None:
        report.write_out()
    return status


def target_of(given: Any, url: Url) -> Target:
    """Where to connect.

    Raises:
        ConfigurationError: the address is none.
    """
    if given.protocol is None:
        protocol = {"scgi": "scgi", "fcgi": "fastcgi"}.get(url.scheme, "http")
        path = given.unix_socket or url.path
        return Target(protocol, url.host, url.port, path, url.scheme == "https")
    address = Address.parse(getattr(given, given.protocol))
    if address.kind == "fd":
        raise ConfigurationError(f"call: {address} is no address to connect to; write unix:/path or host:port")
    protocol = "http" if given.protocol == "websocket" else given.protocol
    return Target(protocol, address.host or "127.0.0.1", address.port, address.path)


class _Call:
    """One run of the command."""

    def __init__(self, given: Any, report: Report) -> None:
        self._given = given
        self._report = report
        self._url = self._first_url()
        self._target = target_of(given, parse_url(self._url))
        self._stack = ExitStack()

    def _first_url(self) -> str:
        given = self._given
        if given.protocol is None:
            url: str = given.url
            if "://" not in url:
                url = f"http://{url}"
            return url.replace("ws://", "http://", 1).replace("wss://", "https://", 1) if url[:2] == "ws" else url
        path = given.url or "/"
        if "://" in path:
            return str(path)
        scheme = "https" if given.https else "http"
        return f"{scheme}://localhost/{path.removeprefix('/')}"

    def run(self) -> int:
        """Do what the options say; returns the exit status."""
        given = self._given
        with self._stack:
            if given.probe:
                from .probe import probe

                return probe(self._conversation(), Clock(given.max_time), self._report)
            if given.ws or given.rpc:
                from .websocket import converse

                request = self._request("GET", Body(), self._url)
                return converse(self._conversation(), request, self._pairs(request, 0), given, self._report)
            if given.keep is not None:
                from .repeat import repeat

                return repeat(self._once_quietly, given.keep, self._report)
            return self._follow()

    def _conversation(self) -> Conversation:
        conversation = Conversation(self._target, self._given, self._report.note, self._report.trace)
        self._stack.callback(conversation.close)
        return conversation

    # -- requests --------------------------------------------------------------------------------------------------

    def _request(self, method: str, body: Body, url: str) -> Request:
        given = self._given
        headers: list[tuple[bytes, bytes]] = []
        removed = set()
        for line in given.header:
            name, colon, value = line.partition(":")
            if not colon and not line.endswith(";"):
                raise CallFailed(URL, f"-H {line!r}: write 'Name: value'")
            if colon and not value.strip():
                removed.add(name.strip().lower().encode("latin-1"))
            else:
                headers.append((name.strip(" ;").encode("latin-1"), value.strip().encode("utf-8")))
        names = {name.lower() for name, _ in headers} | removed
        headers += [(name, value.encode()) for name, value in self._usual_headers(body) if name not in names and value]
        if given.protocol is None and not is_same_origin(url, self._url):
            headers = [(name, value) for name, value in headers if name.lower() not in NOT_ELSEWHERE]
        if b"content-length" not in names and body.length > 0:
            headers.append((b"content-length", b"%d" % body.length))
        cgi = {"HTTPS": "on"} if given.https else {}
        return Request(method, url, headers, b"", bool(body.length), {"cgi": cgi})

    def _given_host(self) -> str | None:
        """The Host header of ``-H``."""
        lines = (line.partition(":") for line in self._given.header)
        return next((value.strip() for name, _, value in lines if name.strip().lower() == "host"), None)

    def _usual_headers(self, body: Body) -> list[tuple[bytes, str]]:
        given = self._given
        is_json = any(how == "json" for how, _ in given.data or ())
        user = b2a_base64(given.user.encode(), newline=False).decode() if given.user else ""
        return [
            (b"user-agent", given.user_agent or f"ssgi-gateway/{__version__}"),
            (b"accept", "application/json" if is_json else "*/*"),
            (b"content-type", body.kind),
            (b"cookie", given.cookie or ""),
            (b"authorization", f"Basic {user}" if user else ""),
            (b"accept-encoding", "gzip, deflate" if given.compressed else ""),
        ]

    def _pairs(self, request: Request, length: int) -> list[tuple[bytes, bytes]] | None:
        """The variables; ``None`` over HTTP."""
        given, protocol = self._given, self._target.protocol
        if protocol == "http":
            return None
        if given.front:
            pairs = front_variables(given.front, protocol, request, length, given.https, given.remote)
        else:
            pairs = cgi_variables(request, length, scgi=protocol == "scgi")
            changed = {b"REMOTE_ADDR": given.remote.encode()}
            pairs = [(name, changed.get(name, value)) for name, value in pairs]
        if given.script_filename:
            pairs.append((b"SCRIPT_FILENAME", os.fsencode(given.script_filename)))
        for text in given.param:
            name, equals, value = text.partition("=")
            bare = name.removeprefix("-").encode()
            places = [index for index, (known, _) in enumerate(pairs) if known == bare]
            if not equals and name.startswith("-"):
                pairs = [pair for pair in pairs if pair[0] != bare]
            elif not equals:
                raise CallFailed(URL, f"--param {text}: write NAME=VALUE, or -NAME to remove one")
            elif places:
                pairs[places[0]] = (bare, os.fsencode(value))
            else:
                pairs.append((bare, os.fsencode(value)))
        return pairs

    def _collected(self, body: Body) -> Body:
        """SCGI says first how long the body is: what comes from a pipe is read to its end."""
        if self._target.protocol != "scgi" or body.length >= 0 or body.file is None:
            return body
        import tempfile

        file: Any = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - closed by the stack
        length = 0
        for piece, _ in body.pieces():
            file.write(piece)
            length += len(piece)
        file.seek(0)
        return body._replace(file=file, length=length)

    # -- exchanges -------------------------------------------------------------------------------------------------

    def _follow(self) -> int:
        """Ask, and follow redirects if that is wanted."""
        given, report = self._given, self._report
        body = self._collected(make_body(given))
        method = given.request or ("HEAD" if given.head else body.method or "GET")
        url = self._url
        clock = Clock(given.max_time)
        conversation = self._conversation()
        for _ in range(MAX_REDIRECTS + 1):
            status, location = self._exchange(conversation, method, body, url, clock)
            if location is None or not given.location:
                return STATUS if given.fail and status >= 400 else 0
            report.facts["num_redirects"] += 1
            url = next_url(url, location)
            report.note(f"Redirected to {url}")
            method, body = next_request(status, method, body)
            if given.protocol is None:
                target = target_of(given, parse_url(url))
                if target != self._target:
                    conversation.close()
                    self._target = target
                    conversation = self._conversation()
            elif not is_of_gateway(url, self._url, self._given_host()):
                raise CallFailed(REDIRECTS, f"the redirect leads away from this gateway: {url}")
        raise CallFailed(REDIRECTS, f"more than {MAX_REDIRECTS} redirects")

    def _exchange(
        self, conversation: Conversation, method: str, body: Body, url: str, clock: Clock
    ) -> tuple[int, str | None]:
        """One request and its answer; gives the status, and where a redirect leads."""
        report, given = self._report, self._given
        request = self._request(method, body, url)
        pairs = self._pairs(request, body.length)
        if given.dry_run:
            self._print_bytes(conversation, request, body, pairs)
            return 0, None
        conversation.connect(clock)
        report.asked(request, pairs, "HTTP/1.1")
        status, location, complete = 0, None, False
        try:
            for event in conversation.exchange(request, body.length, pairs, body.pieces(), clock):
                if isinstance(event, AnswerReceived):
                    status = event.status
                    location = location_of(event)
                    report.facts["redirect_url"] = joined(url, location or "")
                    location = location if given.location else None
                    report.head(event, final=location is None)
                    complete = not event.more
                elif isinstance(event, BodyArrived):
                    report.body(event.data)
                    report.flush()
                elif isinstance(event, AnswerEnded):
                    complete = True
                    report.show_stderr(event.stderr)
                    if event.app_status:
                        report.warn(f"the FastCGI application ended with status {event.app_status}")
        finally:
            clock.mark("time_total")
            report.facts.update(clock.marks, num_connects=conversation.connects, size_upload=conversation.sent)
            report.facts.update(url_effective=url, method=method, scheme=self._target.protocol)
        if not complete:
            raise CallFailed(NOTHING, "no answer")
        report.ended()
        report.judge(conversation, status)
        report.note(f"Answered in {clock.marks['time_total'] * 1000:.1f} ms")
        return status, location

    def _once_quietly(self) -> Iterator[tuple[int, float]]:
        """Ask again and again on one connection, where it is kept; yields statuses and seconds."""
        body = self._collected(make_body(self._given))
        if body.file is not None:
            body = body._replace(file=None, data=body.file.read(), length=0)
            body = body._replace(length=len(body.data))
        method = self._given.request or ("HEAD" if self._given.head else body.method or "GET")
        request = self._request(method, body, self._url)
        pairs = self._pairs(request, body.length)
        conversation = self._conversation()
        while True:
            clock = Clock(self._given.max_time)
            conversation.connect(clock)
            status = 0
            for event in conversation.exchange(request, body.length, pairs, body.pieces(), clock):
                if isinstance(event, AnswerReceived):
                    status = event.status
            self._report.facts["num_connects"] = conversation.connects
            yield status, clock.mark("time_total")

    def _print_bytes(self, conversation: Conversation, request: Request, body: Body, pairs: Any) -> None:
        """``--dry-run``."""
        codec = conversation.make_codec()
        out = sys.stdout.buffer
        begun = (
            codec.begin(request, request.target)
            if pairs is None
            else codec.begin(request, max(body.length, 0) if self._target.protocol == "scgi" else body.length, pairs)
        )
        out.write(begun)
        for piece, more in body.pieces():
            for buffer in codec.encode(piece, more):
                out.write(buffer)
        out.flush()
