"""A certificate for ``localhost``, signed by itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

__all__ = ["make_certificate"]

COMMAND = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
    "-addext subjectAltName=DNS:localhost,DNS:example.org,IP:127.0.0.1 -keyout key.pem -out cert.pem"
)


def make_certificate(folder: Path) -> Path:
    """Make ``cert.pem`` and ``key.pem`` in ``folder``; returns the folder."""
    subprocess.run(COMMAND.split(), cwd=folder, check=True, capture_output=True)
    return folder
