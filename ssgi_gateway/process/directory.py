"""The directory that an application is served from, the setting ``chdir``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from ssgi_gateway.errors import ConfigurationError

__all__ = ["enter", "entered"]


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


def enter(directory: str) -> None:
    """Change to the directory of the setting ``chdir``.

    Raises:
        ConfigurationError: it cannot be entered.
    """
    if directory:
        try:
            os.chdir(directory)
        except OSError as error:
            raise ConfigurationError(f"--chdir: {directory}: {error.strerror}") from None
