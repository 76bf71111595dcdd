"""Sending a file over SSGI: by the gateway's own ``send_file`` (sendfile(2), X-Accel-Redirect), in pieces elsewhere."""

from __future__ import annotations

import os
from typing import Any, Final

__all__ = ["send_file"]

PIECE: Final = 65536


async def send_file(res: Any, status: int, headers: list[tuple[str, str]], file: str, offset: int, count: int) -> None:
    """Answer with a part of a file."""
    res.send_status(status)
    res.send_headers(headers)
    if hasattr(res, "send_file"):
        await res.send_file(file, offset, count)
        return
    fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        while count:
            piece = os.pread(fd, min(PIECE, count), offset)
            if not piece:
                raise OSError(f"{file} became shorter while it was sent")
            offset, count = offset + len(piece), count - len(piece)
            await res.send(piece, has_more=True)
    finally:
        os.close(fd)
    await res.send()
