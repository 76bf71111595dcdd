"""The body of a call: ``-d``, ``--json``, ``-F``, ``-T``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple
from urllib.parse import quote

from .failure import READ, REWIND, CallFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Body", "joined_data", "make_body"]

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


def _content(text: str, strip: bool) -> bytes:
    if not text.startswith("@"):
        return text.encode()
    with _open(text[1:]) as file:
        data = file.read()
    return data.translate(None, b"\r\n\0") if strip else data


def joined_data(given: list[tuple[str, str]]) -> bytes:
    """What ``-d`` and its likes say, as one."""
    pieces = []
    for how, text in given:
        pieces.append(text.encode() if how == "raw" else _content(text, strip=how == "data"))
    return (b"" if any(how == "json" for how, _ in given) else b"&").join(pieces)


def _form(given: list[tuple[str, str]]) -> Body:
    data = joined_data(given)
    is_json = any(how == "json" for how, _ in given)
    kind = "application/json" if is_json else "application/x-www-form-urlencoded"
    return Body(data, length=len(data), kind=kind, method="POST")


def _quoted(name: str) -> str:
    """As RFC 7578 2 has names: percent-encoded where a quotation mark or a line's end would break the head."""
    return quote(name, safe=" !#$&()*+,-./:;<=>?@[]^_`{|}~")


def _type_of(path: str) -> str:
    import mimetypes

    return mimetypes.guess_type(path)[0] or "application/octet-stream"


def _multipart(fields: list[str]) -> Body:
    """RFC 7578."""
    boundary = f"------------------------{os.urandom(8).hex()}"
    lines: list[bytes] = []
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals:
            raise CallFailed(READ, f"-F {field}: write NAME=VALUE, NAME=@FILE or NAME=<FILE")
        head = f'Content-Disposition: form-data; name="{_quoted(name)}"'
        if value.startswith("@"):
            path, *options = value[1:].split(";")
            parameters = dict(one.strip().partition("=")[::2] for one in options)
            name = parameters.get("filename") or os.path.basename(path)
            head += f'; filename="{_quoted(name)}"\r\nContent-Type: {parameters.get("type") or _type_of(path)}'
            with _open(path) as file:
                content = file.read()
        elif value.startswith("<"):
            with _open(value[1:]) as file:
                content = file.read()
        else:
            content = value.encode()
        lines += [f"--{boundary}\r\n{head}\r\n\r\n".encode(), content, b"\r\n"]
    data = b"".join([*lines, f"--{boundary}--\r\n".encode()])
    return Body(data, length=len(data), kind=f"multipart/form-data; boundary={boundary}", method="POST")
