"""Files of any interface, as a part of a response or as the end of it.

One that ends the response goes the core's way: the web server sends it, or sendfile(2) does. Any other is read in
bounded pieces, off the loop, as fast as the client takes them.

A small file is one trip to a thread and one write. A file that became shorter than what was declared ends as every
answer does that is shorter than its Content-Length: with an error in the log and a broken connection.
"""

from __future__ import annotations

import asyncio
import os
import stat
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ...core.channel import Channel
    from ...core.response import HttpResponse

PIECE: Final = 262144
"""Bytes read at once: FlowControl's high-water mark, so about two pieces of a file are in memory."""


async def send_path(res: HttpResponse, path: str | os.PathLike[str], has_length: bool) -> None:
    """End the response with the whole file.

    Args:
        res: a response whose status and headers were set.
        path: of a regular file.
        has_length: whether these headers declare its size; otherwise that is done here.

    Raises:
        OSError: the file cannot be opened or read; ``ConnectionAbortedError`` if it is the client who left.
    """
    loop = asyncio.get_running_loop()
    fd, size, content = await loop.run_in_executor(None, _open, path, res.channel)
    try:
        if not has_length:
            res.send_headers([("content-length", str(size))])
        if fd < 0:
            res.send(content)
        else:
            await send_file(res, fd, 0, size, False)
    finally:
        if fd >= 0:
            os.close(fd)


async def send_file(res: HttpResponse, fd: int, offset: int | None, count: int | None, more: bool) -> None:
    """Send a part of an open file, as a part of the body.

    Args:
        res: the response.
        fd: of a file that can be read at a position; it stays open.
        offset: where to begin; ``None`` begins at the file's own position and moves it behind what was sent.
        count: bytes; ``None`` for all there are.
        more: whether the response goes on after this.

    Raises:
        OSError: the file cannot be read; ``ConnectionAbortedError`` if it is the client who left.
    """
    begin = at = os.lseek(fd, 0, os.SEEK_CUR) if offset is None else offset
    end = max(begin, os.fstat(fd).st_size) if count is None else begin + count
    if not more and 0 <= begin <= end <= os.fstat(fd).st_size and res.fits(end - begin):
        # The common case has one way down: the web server sends the file, or sendfile(2) does.
        if not await res.send_file(fd, begin, end - begin):
            raise ConnectionAbortedError("the client left in the middle of a file")
        if offset is None:
            os.lseek(fd, end, os.SEEK_SET)
        return
    loop = asyncio.get_running_loop()
    last = res.request.method == "HEAD"  # then nothing has to be read
    while at < end and not last:
        # Read at a position and never "here": if this is cancelled while a thread still reads, the descriptor's number
        # may be somebody else's by then, and moving on in his file would be worse than reading in vain.
        data = await loop.run_in_executor(None, os.pread, fd, min(PIECE, end - at), at)
        at += len(data)
        last = not data or at == end
        waiting = res.send(data, more or not last)
        if not last and not await waiting:
            raise ConnectionAbortedError("the client left in the middle of a file")
    if offset is None:
        os.lseek(fd, at, os.SEEK_SET)
    if not more and not res.finished():
        res.send()


def _open(path: Any, channel: Channel) -> tuple[int, int, bytes]:
    """Descriptor and size of a file that is large or the web server's to send; else -1, its size and its content."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a FIFO would wait for its writer
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{os.fspath(path)!r} is no regular file")
        if status.st_size > PIECE or channel.offload_file(fd) is not None:
            return fd, status.st_size, b""
        content = os.read(fd, PIECE)
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return -1, len(content), content
