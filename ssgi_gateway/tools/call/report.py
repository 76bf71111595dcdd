"""What a call shows: the body on standard output, everything else on standard error."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO

from .failure import ENCODING, WRITE, CallFailed
from .write_out import print_facts

if TYPE_CHECKING:
    from ssgi_gateway.wire.client.events import AnswerReceived, Headers, InformationalReceived
    from ssgi_gateway.wire.client.request import Request

    from .conversation import Conversation

__all__ = ["Report"]

RECORDS = {
    1: "BEGIN_REQUEST", 2: "ABORT_REQUEST", 3: "END_REQUEST", 4: "PARAMS", 5: "STDIN", 6: "STDOUT", 7: "STDERR",
    8: "DATA", 9: "GET_VALUES", 10: "GET_VALUES_RESULT", 11: "UNKNOWN_TYPE",
}  # fmt: skip
PAGE = 4096
PIECE = 262144


def _lines(headers: Headers) -> list[str]:
    return [f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in headers]


class Report:
    """Of one call.

    Attributes:
        facts: for ``-w``.
    """

    def __init__(self, given: Any) -> None:
        self._given = given
        self._file: BinaryIO | None = None
        self._heads: BinaryIO | None = None
        self._decoder: Any = None
        self._hidden = False
        self.facts: dict[str, Any] = {"size_download": 0, "size_header": 0, "num_redirects": 0, "http_code": 0}

    # -- standard error --------------------------------------------------------------------------------------------

    def note(self, message: str) -> None:
        """What happens, with ``-v``."""
        if self._given.verbose:
            self._say(f"* {message}")

    def trace(self, direction: str, kind: int, content: bytes) -> None:
        """A FastCGI record, with ``-v``."""
        if not self._given.verbose:
            return
        name = RECORDS.get(kind, f"record type {kind}")
        if kind == 7:
            for line in content.decode("utf-8", "backslashreplace").splitlines():
                self._say(f"! {line}")
        elif kind == 3 and len(content) >= 5:
            status = int.from_bytes(content[:4], "big")
            self._say(f"{direction} {name} application status {status}, protocol status {content[4]}")
        else:
            self._say(f"{direction} {name} {len(content)} bytes")

    def warn(self, message: str) -> None:
        """Something that a browser would not get as it stands."""
        if not self._given.silent or self._given.verbose:
            self._say(f"ssgi-gateway: warning: {message}")

    def error(self, message: str) -> None:
        """Why it failed."""
        if message and (not self._given.silent or self._given.show_error):
            self._say(f"ssgi-gateway: call: {message}")

    def _say(self, line: str) -> None:
        with suppress(OSError):  # nobody reads it, and there is nowhere to say so
            print(line.encode("utf-8", "backslashreplace").decode(), file=sys.stderr, flush=True)

    def asked(self, request: Request, pairs: list[tuple[bytes, bytes]] | None, version: str) -> None:
        """The request, with ``-v``: its variables, or its head."""
        if not self._given.verbose:
            return
        if pairs is None:
            self._say(f"> {request.method} {request.target} {version}")
            for name, value in request.headers:
                self._say(f"> {name.decode()}: {value.decode('latin-1')}")
        else:
            for name, value in pairs:
                self._say(f"> {name.decode('latin-1')}={value.decode('utf-8', 'backslashreplace')}")
        self._say(">")

    # -- the answer ------------------------------------------------------------------------------------------------

    def interim(self, event: InformationalReceived) -> None:
        """A 1xx answer, which comes before the final one."""
        self._show_head([f"HTTP/1.1 {event.status}", *_lines(event.headers)])

    def trailers(self, fields: Headers) -> None:
        """What came behind the body."""
        if self._given.verbose:
            for line in _lines(fields):
                self._say(f"< {line}")
        if fields:
            self._write_head(_lines(fields), self._given.include)

    def _show_head(self, lines: list[str]) -> None:
        self.facts["size_header"] += sum(len(line) + 2 for line in lines) + 2
        if self._given.verbose:
            for line in lines:
                self._say(f"< {line}")
            self._say("<")
        self._write_head([*lines, ""], self._given.include or self._given.head)

    def _write_head(self, lines: list[str], shown: bool) -> None:
        """To where ``-D`` says, and before the body if that is wanted."""
        data = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
        name = self._given.dump_header
        if name is not None:
            try:
                if self._heads is None:
                    self._heads = sys.stdout.buffer if name == "-" else open(name, "wb")  # noqa: SIM115
                self._heads.write(data)
                self._heads.flush()
            except OSError as error:
                raise CallFailed(WRITE, f"-D: cannot write {name!r}: {error.strerror or error}") from None
        if shown:
            self._write(data)

    def head(self, event: AnswerReceived, final: bool) -> None:
        """The head of the answer."""
        self.facts["http_code"] = event.status
        self.facts["http_version"] = event.version
        headers = dict(event.headers)
        self.facts["content_type"] = headers.get(b"content-type", b"").decode("latin-1")
        self._show_head([f"HTTP/{event.version} {event.status}", *_lines(event.headers)])
        self._hidden = self._given.head or not final or (self._given.fail and event.status >= 400)
        if self._given.compressed and headers.get(b"content-encoding", b"").lower() in (b"gzip", b"deflate"):
            import zlib

            self._decoder = zlib.decompressobj(zlib.MAX_WBITS + 32)

    def body(self, data: bytes) -> None:
        """A piece of the body."""
        self.facts["size_download"] += len(data)
        if not self._hidden:
            if self._decoder is None:
                self._write(data)
            else:
                self._decompress(data)

    def ended(self) -> None:
        """The body is complete."""
        if self._decoder is not None and not self._hidden and not self._decoder.eof and self.facts["size_download"]:
            raise CallFailed(ENCODING, "the compressed answer is not complete")
        self._decoder = None
        self.flush()

    def _decompress(self, data: bytes) -> None:
        """Written piece by piece: what takes a kilobyte may become a megabyte."""
        import zlib

        decoder = self._decoder
        try:
            while data and not decoder.eof:
                self._write(decoder.decompress(data, PIECE))
                data = decoder.unconsumed_tail
        except zlib.error as error:
            raise CallFailed(ENCODING, f"the answer is not compressed as it declares: {error}") from None

    def judge(self, conversation: Conversation, status: int) -> None:
        """Name what a browser would not get as it stands."""
        if conversation.target.protocol == "http":
            return
        if conversation.begin.startswith(b"HTTP/"):
            self.warn("the answer begins as HTTP does. If this is a web server's port, ask it by http://")
        answer = conversation.codec.answer
        # php-fpm sends none with a 200 (RFC 3875 6.3.3 allows it), and each page is not to warn.
        quiet = conversation.target.protocol == "fastcgi" and not self._given.verbose
        if not answer.had_status and status == 200 and not quiet:
            self.warn("the answer has no Status line; web servers take it for 200. Send 'Status: 200 OK' to be sure")
        if answer.head_size > PAGE:
            which = conversation.target.protocol
            self.warn(
                f"the head has {answer.head_size} bytes; nginx answers 502 above {PAGE} "
                f"(upstream sent too big header): raise {which}_buffer_size"
            )
        if answer.surplus:
            self.warn(f"the body is {answer.surplus} bytes longer than its Content-Length; web servers cut or drop it")

    def show_stderr(self, text: bytes) -> None:
        """STDERR of a FastCGI application, where ``-v`` has not shown it already."""
        if text and not self._given.verbose and not self._given.silent:
            for line in text.decode("utf-8", "backslashreplace").splitlines():
                self._say(f"! {line}")

    # -- standard output -------------------------------------------------------------------------------------------

    def _write(self, data: bytes) -> None:
        try:
            if self._file is None:
                self._file = self._open()
            self._file.write(data)
        except OSError as error:
            raise CallFailed(WRITE, f"cannot write the answer: {error.strerror or error}") from None

    def _open(self) -> BinaryIO:
        name = self._given.output
        if self._given.remote_name and name is None:
            name = str(self._given.url or "").partition("?")[0].rpartition("/")[2]
            if not name:
                raise CallFailed(WRITE, "-O: the path has no last name; use -o FILE")
        return sys.stdout.buffer if name in (None, "-") else open(name, "wb")

    def flush(self) -> None:
        """Hand out what is there."""
        if self._file is not None:
            try:
                self._file.flush()
            except OSError as error:
                raise CallFailed(WRITE, f"cannot write the answer: {error.strerror or error}") from None

    def close(self) -> None:
        """Nothing more will be written."""
        for file in (self._file, self._heads):
            if file not in (None, sys.stdout.buffer):
                with suppress(OSError):  # what could not be written was reported before
                    file.close()

    def write_out(self) -> None:
        """``-w``."""
        form = self._given.write_out
        if form is None:
            return
        sys.stdout.flush()
        print_facts(form, self.facts, self.warn)
