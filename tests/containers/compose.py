"""A project of Docker Compose that is up for as long as a block."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.harness.nginx import free_port

MINUTES = 15 * 60
"""Seconds that a step may take: a build installs from a package index."""


class Project:
    """Services that are up.

    Args:
        files: of Compose.
        port: of this machine, on which the site is.
    """

    def __init__(self, files: list[Path], port: int, environ: dict[str, str]) -> None:
        self._command = ["docker", "compose", *(word for file in files for word in ("--file", str(file)))]
        self._environ = {**os.environ, **environ}
        self.port = port

    def run(self, *words: str) -> str:
        """A subcommand's standard output; an AssertionError with all it said, and the logs, if it fails."""
        done = subprocess.run(
            [*self._command, *words], capture_output=True, text=True, env=self._environ, timeout=MINUTES, check=False
        )
        if done.returncode:
            logs = subprocess.run(
                [*self._command, "logs"], capture_output=True, text=True, env=self._environ, check=False
            )
            raise AssertionError(f"{words}: {done.stdout}{done.stderr}\n{logs.stdout[-20000:]}")
        return done.stdout

    def inside(self, service: str, *words: str) -> str:
        """What a command in a container of ``service`` prints."""
        return self.run("exec", "--no-TTY", service, *words)


@contextmanager
def up(*files: Path, variable: str = "PORT", options: tuple[str, ...] = ()) -> Iterator[Project]:
    """Build, start, wait until all is healthy; and remove everything at the end."""
    port = free_port()
    project = Project(list(files), port, {variable: str(port)})
    try:
        project.run("up", "--build", "--detach", "--wait", *options)
        yield project
    finally:
        project.run("down", "--volumes", "--timeout", "20")
