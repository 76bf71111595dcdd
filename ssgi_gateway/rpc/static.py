"""Static files: ``app.static("/", "public")``.

GET and HEAD, ``index.html``, ETag and Last-Modified, one range, ``.br`` and ``.gz`` beside a file, ``immutable`` for
names that hold a hash. Nothing outside of the folder is served and no dot file. The gateway sends the bytes from the
file, or lets the web server do it (``file_slice``, X-Accel-Redirect).
"""

from __future__ import annotations

import mimetypes
import os
import re
import stat
from collections.abc import Mapping
from email.utils import formatdate, parsedate_to_datetime
from typing import Any, Final

from .files import send_file

__all__ = ["StaticFiles"]

HASHED: Final = re.compile(r"[.-](?=[A-Za-z0-9_-]*[0-9])[A-Za-z0-9_-]{8,}\.[a-z0-9]+$")
"""A name such as ``app.3f9a1c0b.js`` or ``index-B7xk29Qa.css``: its content never changes."""

RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})$")
ENCODINGS: Final = (("br", ".br"), ("gzip", ".gz"))


class StaticFiles:
    """A folder below a prefix.

    Args:
        prefix: ``"/"`` or ``"/assets"``.
        folder: what is served.
        max_age: seconds that a client may keep a file without asking.
        headers: more headers for each answer. For files that come from users,
            ``{"Content-Security-Policy": "sandbox"}`` keeps a page or an SVG among them from running scripts in the
            name of the site.
    """

    def __init__(
        self,
        prefix: str,
        folder: str | os.PathLike[str],
        *,
        max_age: int = 0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.prefix = "/" + prefix.strip("/")
        self.folder = os.path.realpath(folder)
        self.max_age = max_age
        self.headers = list((headers or {}).items())
        if not os.path.isdir(self.folder):
            raise ValueError(f"static files: there is no folder {self.folder}")

    def answer(self, method: str, path: str, get_header: Any, res: Any) -> Any:
        """Answer if a file is meant; ``None`` if not."""
        found = self.find(path)
        if found is None:
            return None
        if method not in ("GET", "HEAD"):
            return _send(res, 405, [("Allow", "GET, HEAD")])
        file, redirect = found
        if redirect:
            return _send(res, 308, [("Location", path.rpartition("/")[2] + "/")])
        return self._send(file, get_header, res)

    def find(self, path: str) -> tuple[str, bool] | None:
        """The file that a path means, and whether a slash is missing."""
        if self.prefix != "/":
            if path != self.prefix and not path.startswith(self.prefix + "/"):
                return None
            path = path[len(self.prefix) :]
        parts = path.split("/")
        if "\0" in path or "\\" in path or any(part.startswith(".") for part in parts):
            return None
        file = os.path.realpath(os.path.join(self.folder, *[part for part in parts if part]))
        if file != self.folder and not file.startswith(self.folder + os.sep):
            return None  # a link that leads out of it
        if os.path.isdir(file):
            index = os.path.join(file, "index.html")
            return (index, bool(parts[-1])) if os.path.isfile(index) else None
        return (file, False) if os.path.isfile(file) and parts[-1] else None

    def _send(self, file: str, get_header: Any, res: Any) -> Any:
        name = os.path.basename(file)
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        if kind.startswith("text/") or kind in ("application/javascript", "application/json"):
            kind += "; charset=utf-8"
        headers = [
            ("Content-Type", kind),
            ("Vary", "Accept-Encoding"),
            ("X-Content-Type-Options", "nosniff"),
            *self.headers,
        ]
        file, encoding = self._encoded(file, get_header("accept-encoding") or "")
        if encoding:
            headers.append(("Content-Encoding", encoding))
        found = os.stat(file)
        etag = f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
        age = "public, max-age=31536000, immutable" if HASHED.search(name) else f"public, max-age={self.max_age}"
        headers += [
            ("ETag", etag),
            ("Last-Modified", formatdate(found.st_mtime, usegmt=True)),
            ("Cache-Control", age if self.max_age or "immutable" in age else "no-cache"),
            ("Accept-Ranges", "bytes"),
        ]
        if unchanged(get_header, etag, found.st_mtime):
            return _send(res, 304, headers)
        part = wanted_range(get_header, etag, found.st_size)
        if part is None:
            return send_file(res, 200, headers, file, 0, found.st_size)
        first, last = part
        if first >= found.st_size or first > last:
            return _send(res, 416, [*headers, ("Content-Range", f"bytes */{found.st_size}")])
        headers.append(("Content-Range", f"bytes {first}-{last}/{found.st_size}"))
        return send_file(res, 206, headers, file, first, last - first + 1)

    def _encoded(self, file: str, accepted: str) -> tuple[str, str]:
        """A compressed file beside this one, if the client takes it."""
        words = [word.replace(" ", "").lower() for word in accepted.split(",")]
        for encoding, suffix in ENCODINGS:
            if any(word == encoding or re.fullmatch(encoding + r";q=(1(\.0*)?|0\.0*[1-9]\d*)", word) for word in words):
                try:
                    beside = os.stat(file + suffix)
                except OSError:
                    continue
                if stat.S_ISREG(beside.st_mode) and beside.st_mtime >= os.stat(file).st_mtime:
                    return file + suffix, encoding
        return file, ""


def unchanged(get_header: Any, etag: str, modified: float) -> bool:
    """Whether the client has this already (RFC 9110 13.2.2)."""
    match = get_header("if-none-match")
    if match is not None:
        return match.strip() == "*" or etag in [tag.strip().removeprefix("W/") for tag in match.split(",")]
    since = get_header("if-modified-since")
    if since is None:
        return False
    try:
        return int(modified) <= parsedate_to_datetime(since).timestamp()
    except (TypeError, ValueError):
        return False


def wanted_range(get_header: Any, etag: str, size: int) -> tuple[int, int] | None:
    """First and last byte of the range; ``None`` for all. More than one range is answered with all."""
    match = RANGE.fullmatch((get_header("range") or "").strip())
    condition = get_header("if-range")
    if match is None or (condition is not None and condition.strip() != etag):
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        length = int(last)
        return (max(0, size - length), size - 1) if length else (size, size)
    return int(first), min(int(last), size - 1) if last else size - 1


def _send(res: Any, status: int, headers: list[tuple[str, str]]) -> Any:
    res.send_status(status)
    if status != 304:
        kept = [pair for pair in headers if pair[0] not in ("Content-Type", "Content-Encoding")]
        headers = [*kept, ("Content-Length", "0")]
    res.send_headers(headers)
    return res.send()
