"""The directory of the start, and the one that an application is served from, the setting ``chdir``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from ssgi_gateway.errors import ConfigurationError

__all__ = ["current", "enter", "entered"]


def current() -> str:
    """The current directory, by the name that it was entered by.

    A shell keeps that in ``PWD``. Where a link is on the way, as ``current`` of a site with releases, a reload is to
    find what the link leads to then, and not what it led to at the start.
    """
    real, entered_by = os.getcwd(), os.environ.get("PWD", "")
    with contextlib.suppress(OSError):
        if os.path.isabs(entered_by) and os.path.samefile(entered_by, real):
            return entered_by
    return real


@contextlib.contextmanager
def entered(directory: str) -> Iterator[None]:
    """The current directory is another one meanwhile; an empty ``directory`` is this one.

    Raises:
        ConfigurationError: it cannot be entered.
    """
    before = os.getcwd()
    enter(directory)
    try:
        yield
    finally:
        os.chdir(before)


def enter(directory: str, what: str = "--chdir") -> None:
    """Change to the directory of the setting ``chdir``, or to another one that the message calls ``what``.

    Raises:
        ConfigurationError: it cannot be entered.
    """
    if directory:
        try:
            os.chdir(directory)
        except OSError as error:
            raise ConfigurationError(f"{what}: {directory}: {error.strerror}") from None
