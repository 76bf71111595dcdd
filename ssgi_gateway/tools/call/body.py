"""The body of a call: ``-d``, ``--json``, ``-F``, ``-T``."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from .failure import READ, REWIND, CallFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Body", "content_of", "joined_data", "make_body"]

PIECE = 65535
"""Bytes: what a FastCGI record carries."""


class Body(NamedTuple):
    """What is sent.

    ``data`` is the whole, or ``file`` is read as it is sent; ``length`` is -1 where it is unknown.
    """

    data: bytes = b""
    file: BinaryIO | None = None
    length: int = 0
    kind: str = ""
    method: str = ""

    def pieces(self) -> Iterator[tuple[bytes | memoryview, bool]]:
        """Pieces, each with whether more follow."""
        if self.file is None:
            view = memoryview(self.data)
            last = (len(view) - 1) // PIECE * PIECE if view else 0
            for start in range(0, last, PIECE):
                yield view[start : start + PIECE], True
            yield view[last:], False
            return
        piece = _read(self.file)
        while piece:
            following = _read(self.file)
            yield piece, bool(following)
            piece = following
        if not piece and self.length == 0:
            yield b"", False

    def rewind(self) -> None:
        """Go back to the beginning, to be sent again.

        Raises:
            CallFailed: standard input is gone once it was read.
        """
        if self.file is not None:
            try:
                os.lseek(self.file.fileno(), 0, os.SEEK_SET)
            except OSError:
                words = "the redirect needs the body once more, and standard input is gone; send a file"
                raise CallFailed(REWIND, words) from None


def _read(file: BinaryIO) -> bytes:
    try:
        # A pipe is sent as it comes, not when it has filled a buffer.
        return os.read(file.fileno(), PIECE)
    except OSError as error:
        raise CallFailed(READ, f"cannot read the body: {error}") from None


def make_body(given: Any) -> Body:
    """The body that the options describe.

    Raises:
        CallFailed: a file cannot be read.
    """
    if given.upload_file is not None:
        return _upload(given.upload_file)
    if given.form:
        return _multipart(given.form)
    if given.data and not given.get:
        return _form(given.data)
    return Body()


def _open(name: str) -> BinaryIO:
    if name == "-":
        return sys.stdin.buffer
    try:
        return open(name, "rb")
    except OSError as error:
        raise CallFailed(READ, f"cannot read {name!r}: {error.strerror}") from None


def _upload(name: str) -> Body:
    file = _open(name)
    status = os.fstat(file.fileno())
    length = status.st_size if (status.st_mode & 0o170000) == 0o100000 else -1
    return Body(file=file, length=length, method="PUT")


def content_of(text: str, strip: bool) -> bytes:
    """The text, or of ``@FILE`` what the file holds; ``strip`` leaves out the ends of its lines, as ``-d`` does.

    Raises:
        CallFailed: the file cannot be read.
    """
    if not text.startswith("@"):
        return os.fsencode(text)
    with _open(text[1:]) as file:
        data = file.read()
    return data.translate(None, b"\r\n\0") if strip else data


def joined_data(given: list[tuple[str, str]]) -> bytes:
    """What ``-d`` and its likes say, as one."""
    pieces = []
    for how, text in given:
        pieces.append(os.fsencode(text) if how == "raw" else content_of(text, strip=how == "data"))
    return (b"" if any(how == "json" for how, _ in given) else b"&").join(pieces)


def _form(given: list[tuple[str, str]]) -> Body:
    data = joined_data(given)
    is_json = any(how == "json" for how, _ in given)
    kind = "application/json" if is_json else "application/x-www-form-urlencoded"
    return Body(data, length=len(data), kind=kind, method="POST")


def _quoted(name: str) -> str:
    """As browsers and curl send names: as they are, but for what would break the head (HTML 4.10.21.8)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _type_of(path: str) -> str:
    import mimetypes

    return mimetypes.guess_type(path)[0] or "application/octet-stream"


_WORD = re.compile(r'"((?:[^"\\]|\\.)*)"\s*(?=;|$)|([^;]*)', re.DOTALL)
_PARAMETER = re.compile(r"\s*(type|filename)=")


def _field(field: str) -> tuple[str, str, dict[str, str]]:
    """A field of ``-F``: its name, its value and the parameters behind it; what is quoted may hold semicolons."""
    name, equals, value = field.partition("=")
    if not equals:
        raise CallFailed(READ, f"-F {field}: write NAME=VALUE, NAME=@FILE or NAME=<FILE")
    mark = value[:1] if value[:1] in ("@", "<") else ""
    word, end = _word(value, len(mark))
    parameters: dict[str, str] = {}
    while end < len(value):
        if known := _PARAMETER.match(value, end + 1):
            parameters[known[1]], end = _word(value, known.end())
        elif "type" in parameters:
            more, end = _word(value, end + 1)
            parameters["type"] += f";{more}"  # its own parameters: text/plain;charset=utf-8
        else:
            words = f'{value[end:]!r} is neither ;type= nor ;filename=; quote a value that has semicolons: NAME="a;b"'
            raise CallFailed(READ, f"-F {field}: {words}")
    return name, mark + word, parameters


def _word(text: str, start: int) -> tuple[str, int]:
    match = _WORD.match(text, start)
    assert match is not None
    word = match[2] if match[1] is None else re.sub(r'\\(["\\])', r"\1", match[1])
    return word, match.end()


def _multipart(fields: list[str]) -> Body:
    """RFC 7578."""
    boundary = f"------------------------{os.urandom(8).hex()}"
    lines: list[bytes] = []
    for field in fields:
        name, value, parameters = _field(field)
        kind, filename = parameters.get("type"), parameters.get("filename")
        head = f'Content-Disposition: form-data; name="{_quoted(name)}"'
        if value.startswith("@"):
            path = value[1:]
            filename = filename or os.path.basename(path)
            kind = kind or _type_of(path)
            with _open(path) as file:
                content = file.read()
        elif value.startswith("<"):
            with _open(value[1:]) as file:
                content = file.read()
        else:
            content = os.fsencode(value)
        if filename:
            head += f'; filename="{_quoted(filename)}"'
        if kind:
            head += f"\r\nContent-Type: {kind}"
        lines += [os.fsencode(f"--{boundary}\r\n{head}\r\n\r\n"), content, b"\r\n"]
    data = b"".join([*lines, f"--{boundary}--\r\n".encode()])
    return Body(data, length=len(data), kind=f"multipart/form-data; boundary={boundary}", method="POST")
