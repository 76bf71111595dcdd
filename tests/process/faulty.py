"""The command, with system calls that fail while a file says so: a supervisor on a machine at its worst.

``FAULTS`` names the file: ``os.kill EPERM`` and so on, empty for none. Each call that failed is written behind it, into
a file of the same name with ``.hit``. Templates and workers are programs of their own and know nothing of this.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
from typing import Any

FILE = os.environ["FAULTS"]
CALLS = (
    "os.execve", "os.kill", "os.memfd_create", "os.posix_spawn", "os.pwrite", "os.waitpid", "os.write",
    "socket.send_fds", "socket.socketpair",
)  # fmt: skip
write = os.write


def wrap(name: str) -> None:
    module = importlib.import_module(name.partition(".")[0])
    real = getattr(module, name.partition(".")[2])

    def call(*args: Any, **kwargs: Any) -> Any:
        with open(FILE) as file:
            wanted, _, error = file.read().partition(" ")
        if wanted != name:
            return real(*args, **kwargs)
        hit = os.open(f"{FILE}.hit", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        write(hit, b".")
        os.close(hit)
        number = getattr(errno, error)
        raise OSError(number, os.strerror(number))

    setattr(module, name.partition(".")[2], call)


if __name__ == "__main__":
    for each in CALLS:
        wrap(each)
    from ssgi_gateway.cli.main import main

    sys.exit(main())
