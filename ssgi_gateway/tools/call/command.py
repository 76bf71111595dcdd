"""``ssgi-gateway call``: from the options to the exit status."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ssgi_gateway.errors import ConfigurationError, LocalProtocolError
from ssgi_gateway.server.address import Address
from ssgi_gateway.wire.client.events import AnswerEnded, AnswerReceived, BodyArrived, InformationalReceived
from ssgi_gateway.wire.client.request import parse_url

from .asking import given_host, header_lines, make_pairs, make_request
from .body import Body, joined_data, make_body
from .connecting import Clock, Target
from .conversation import Conversation
from .failure import NOTHING, REDIRECTS, STATUS, URL, WRITE, CallFailed
from .options import parse
from .redirects import (
    MAX_REDIRECTS,
    is_of_gateway,
    joined,
    location_of,
    next_body,
    next_url,
)
from .report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ssgi_gateway.wire.client.request import Request, Url

__all__ = ["call"]

IN_MEMORY = 1 << 20


def call(argv: list[str]) -> int:
    """Run the command; returns curl's exit status.

    Raises:
        ConfigurationError: the options cannot be used.
    """
    given = parse(argv)
    report = Report(given)
    status = report.facts["exitcode"] = _outcome(lambda: _Call(given, report).run(), report)
    report.close()
    if status != URL and given.keep is None:
        status = _outcome(report.write_out, report) or status
    return status


def _outcome(step: Callable[[], int | None], report: Report) -> int:
    """The exit status of a step; why it failed is shown."""
    try:
        return step() or 0
    except CallFailed as error:
        report.error(str(error))
        report.facts["errormsg"] = str(error)
        return error.status
    except LocalProtocolError as error:
        report.error(str(error))
        return URL
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return WRITE
    except OSError as error:  # of the network's nothing comes here
        report.error(f"cannot write: {error.strerror or error}")
        return WRITE


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
        given.header = header_lines(given.header)
        self._url = self._completed(self._first_url())
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

    def _completed(self, url: str) -> str:
        """With the data of ``-G``; with the file's name where ``-T`` puts into a folder, as curl does."""
        given = self._given
        name = given.upload_file
        if name not in (None, "-") and "?" not in url:
            if "/" not in url.partition("://")[2]:
                url += "/"
            if url.endswith("/"):
                url += quote(os.path.basename(name))
        if given.get and given.data:
            data = joined_data(given.data).decode("utf-8", "surrogateescape")
            url += f"{'&' if '?' in url else '?'}{data}"
        return url

    def run(self) -> int:
        """Do what the options are; returns the exit status."""
        given = self._given
        with self._stack:
            if given.probe:
                from .probe import probe

                return probe(self._conversation(), Clock(given.max_time), self._report)
            if given.ws or given.rpc:
                from .websocket import converse

                request = make_request(given, "GET", Body(), self._url, self._url)
                return converse(
                    self._conversation(),
                    request,
                    make_pairs(given, self._target.protocol, request, 0),
                    given,
                    self._report,
                )
            if given.keep is not None:
                from .repeat import repeat

                return repeat(self._once_quietly, given.keep, self._report)
            return self._follow()

    def _conversation(self) -> Conversation:
        conversation = Conversation(self._target, self._given, self._report.note, self._report.trace)
        self._stack.callback(conversation.close)
        return conversation

    def _body(self) -> Body:
        """The body; what is open for it is closed at the end."""
        body = make_body(self._given)
        if body.file not in (None, sys.stdin.buffer):
            self._stack.enter_context(body.file)
        return self._collected(body)

    def _collected(self, body: Body) -> Body:
        """SCGI sends the body's length first: what comes from a pipe is read to its end."""
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
        """Send the request, and follow redirects if that is wanted."""
        given, report = self._given, self._report
        body = self._body()
        url = self._url
        clock = Clock(given.max_time)
        conversation = self._conversation()
        for _ in range(MAX_REDIRECTS + 1):
            method = "HEAD" if given.head else body.method or "GET"
            status, location = self._exchange(conversation, given.request or method, body, url, clock)
            if location is None or not given.location:
                if (given.fail or given.fail_with_body) and status >= 400:
                    raise CallFailed(STATUS, f"the answer is an error: {status} (-f)")
                return 0
            report.facts["num_redirects"] += 1
            url = next_url(url, location)
            report.note(f"Redirected to {url}")
            body = next_body(status, method, body)
            if given.protocol is None:
                target = target_of(given, parse_url(url))
                if target != self._target:
                    conversation.close()
                    self._target = target
                    conversation = self._conversation()
            elif not is_of_gateway(url, self._url, given_host(given)):
                raise CallFailed(REDIRECTS, f"the redirect leads away from this gateway: {url}")
        raise CallFailed(REDIRECTS, f"more than {MAX_REDIRECTS} redirects")

    def _exchange(
        self, conversation: Conversation, method: str, body: Body, url: str, clock: Clock
    ) -> tuple[int, str | None]:
        """One request and its answer; gives the status, and where a redirect leads."""
        report, given = self._report, self._given
        request = make_request(given, method, body, url, self._url)
        pairs = make_pairs(given, self._target.protocol, request, body.length)
        if given.dry_run:
            self._print_bytes(conversation, request, body, pairs)
            return 0, None
        conversation.connect(clock)
        report.asked(request, pairs, "HTTP/1.1")
        status, location, complete = 0, None, False
        try:
            for event in conversation.exchange(request, body.length, pairs, body.pieces(), clock):
                if isinstance(event, InformationalReceived):
                    report.interim(event)
                elif isinstance(event, AnswerReceived):
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
                    report.trailers(event.trailers or [])
                    report.show_stderr(event.stderr)
                    if event.app_status:
                        report.warn(f"the FastCGI application ended with status {event.app_status}")
        except CallFailed:
            report.show_stderr(getattr(conversation.codec, "stderr", b""))  # it may say why
            raise
        finally:
            clock.mark("time_total")
            report.facts.update(clock.marks, num_connects=conversation.connects)
            report.facts.update(conversation.facts())
            report.facts.update(url=self._url, url_effective=url, method=method, scheme=self._target.protocol)
        if not complete:
            raise CallFailed(NOTHING, "no answer")
        report.ended()
        report.judge(conversation, status)
        report.note(f"Answered in {clock.marks['time_total'] * 1000:.1f} ms")
        return status, location

    def _once_quietly(self) -> Iterator[tuple[int, float]]:
        """Send it again and again on one connection, where it is kept; yields statuses and seconds."""
        body = self._body()
        if body.file is not None:
            body = body._replace(file=None, data=body.file.read(), length=0)
            body = body._replace(length=len(body.data))
        method = self._given.request or ("HEAD" if self._given.head else body.method or "GET")
        request = make_request(self._given, method, body, self._url, self._url)
        pairs = make_pairs(self._given, self._target.protocol, request, body.length)
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
