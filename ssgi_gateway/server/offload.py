"""Files that the web server sends itself (X-Accel-Redirect, X-Sendfile)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ssgi_gateway import linux
from ssgi_gateway.wire.percent import quote

if TYPE_CHECKING:
    from ssgi_gateway.settings import Settings

__all__ = ["FileOffload"]


class FileOffload:
    """Which open files the web server may send for us, and by which header.

    Args:
        settings: of which ``file_header`` names the header, and ``file_root`` the folders.
    """

    def __init__(self, settings: Settings) -> None:
        self._name = settings.file_header
        self._roots = settings.file_root

    def header_for(self, fd: int) -> tuple[str, str] | None:
        """The header that makes the web server send the open file ``fd``; None where it must not, or cannot.

        The kernel reports where the file lies, links resolved, so that nothing outside of the roots is ever named.
        """
        if not self._name:
            return None
        try:
            path = linux.path_of(fd)
            if not os.path.samestat(os.stat(path), os.fstat(fd)):
                return None  # it was moved or deleted since, and another has its name
        except OSError:
            return None
        for root in self._roots:
            folder, _, place = root.partition("=")
            folder = os.path.realpath(folder).rstrip("/")
            if path.startswith(f"{folder}/"):
                inside = path[len(folder) :]
                # nginx decodes the place; lighttpd and Apache (XSendFileUnescape, on by default) decode the path.
                return self._name, quote(place.rstrip("/") + inside if self._name == "X-Accel-Redirect" else path)
        return None
