"""Files of any interface, as a part of a response or as the end of it.

One that ends the response goes the core's way: the web server sends it, or sendfile(2) does. Any other is read in
bounded pieces, off the loop, as fast as the client takes them.

A small file is one trip to a thread and one write. A file that became shorter than what was declared ends as every
answer does that is shorter than its Content-Length: with an error in the log and a broken connection.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from ssgi_gateway.core.files import OpenFile

if TYPE_CHECKING:
    from ..core.channel import HttpChannel
    from ..core.response import HttpResponse

PIECE: Final = 262144
"""Bytes read at once: FlowControl's high-water mark, so about two pieces of a file are in memory."""


async def open_path(
    res: HttpResponse, path: str | os.PathLike[str], start: int = 0, end: int | None = None
) -> tuple[OpenFile, bytes | None]:
    """Open a regular file for its bytes from ``start`` up to ``end``, off the loop.

    Returns:
        The file, and its bytes if it is small and not the web server's to send: both are for ``send_open``.

    Raises:
        OSError: the file cannot be opened or read.
    """
    return await asyncio.get_running_loop().run_in_executor(None, _open, path, start, end, res.channel)


async def send_open(res: HttpResponse, file: OpenFile, content: bytes | None = None, has_length: bool = True) -> None:
    """Make an opened file the whole body, as fast as the client takes it. It is closed.

    Args:
        res: a response whose status and headers were set.
        file: what ``open_path`` gave, or a file of another origin.
        content: its bytes, if they were read.
        has_length: whether these headers declare its size; otherwise that is done here.

    Raises:
        OSError: the file cannot be read; ``ConnectionAbortedError`` if it is the client that disconnected.
    """
    try:
        if not has_length:
            res.send_headers([("content-length", str(file.size if content is None else len(content)))])
        if content is not None:
            res.send(content)
        else:
            await send_file(res, file.fd, file.offset, file.size, False)
    finally:
        file.close()


async def send_file(res: HttpResponse, fd: int, offset: int | None, count: int | None, more: bool) -> None:
    """Send a part of an open file, as a part of the body.

    Args:
        res: the response.
        fd: of a file that can be read at a position; it stays open.
        offset: where to begin; ``None`` begins at the file's own position and moves it behind what was sent.
        count: bytes; ``None`` for all there are.
        more: whether the response goes on after this.

    Raises:
        OSError: the file cannot be read; ``ConnectionAbortedError`` if it is the client that disconnected.
    """
    begin = at = os.lseek(fd, 0, os.SEEK_CUR) if offset is None else offset
    end = max(begin, os.fstat(fd).st_size) if count is None else begin + count
    if not more and 0 <= begin <= end <= os.fstat(fd).st_size and res.fits(end - begin):
        # The common case has one way down: the web server sends the file, or sendfile(2) does.
        if not await res.send_file(fd, begin, end - begin):
            raise ConnectionAbortedError("the client disconnected in the middle of a file")
        if offset is None:
            os.lseek(fd, end, os.SEEK_SET)
        return
    loop = asyncio.get_running_loop()
    last = res.request.method == "HEAD"  # then nothing has to be read
    while at < end and not last:
        # Read at a position and never "here": if this is cancelled while a thread still reads, the descriptor's number
        # may be another file's by then, and moving on in that would be worse than a read without a use.
        data = await loop.run_in_executor(None, os.pread, fd, min(PIECE, end - at), at)
        at += len(data)
        last = not data or at == end
        waiting = res.send(data, more or not last)
        if not last and not await waiting:
            raise ConnectionAbortedError("the client disconnected in the middle of a file")
    if offset is None:
        os.lseek(fd, at, os.SEEK_SET)
    if not more and not res.finished():
        res.send()


def _open(
    path: str | os.PathLike[str], start: int, end: int | None, channel: HttpChannel
) -> tuple[OpenFile, bytes | None]:
    """``open_path``, in a thread."""
    file = OpenFile.from_path(path, start, end)
    return file, file.read_small(channel)
