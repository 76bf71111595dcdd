"""Sets up what is measured: peers from PyPI, this project from its sources, the C programs.

Everything goes into the virtual environment whose Python runs this. What cannot be installed is noted with the reason
and missing in the results; nothing else depends on it. The second time there is nothing to do.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .peers import REQUIREMENTS

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("LICENSE", "README.md", "pyproject.toml", "setup.py", "ssgi_gateway")
PROGRAMS = ("limit_scgi", "limit_fastcgi", "limit_websocket", "ws_load", "ws_idle")
CFLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra")
GATEWAY = "ssgi-gateway"


def environment() -> Path:
    """The virtual environment."""
    return Path(sys.prefix)


def install() -> None:
    """All of it."""
    _programs()
    missing = _peers()
    missing |= _gateway()
    _note_missing(missing)


def missing() -> dict[str, str]:
    """What could not be installed: distribution -> reason."""
    note = environment() / "missing.json"
    return dict(json.loads(note.read_text())) if note.exists() else {}


def versions() -> dict[str, str]:
    """The versions of what is measured, and of what it depends on."""
    names = [*(re.split(r"\W", name)[0] for name in REQUIREMENTS), GATEWAY, "httptools", "h11", "sioscgi"]
    found = {"Python": sys.version.split()[0]}
    for name in sorted(set(names), key=str.lower):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    for program, option in (("nginx", "-v"), ("wrk", "-v")):
        told = subprocess.run([program, option], capture_output=True, text=True, check=False)
        number = re.search(r"\d+\.\d+[.\d]*", told.stderr + told.stdout)
        if number:
            found[program] = number[0]
    return found


def _programs() -> None:
    source = Path(__file__).resolve().parent / "native"
    target = environment() / "native"
    target.mkdir(exist_ok=True)
    for name in PROGRAMS:
        subprocess.run(["cc", *CFLAGS, "-o", str(target / name), str(source / f"{name}.c")], check=True)


def _peers() -> dict[str, str]:
    """Install each by itself, so that one that fails takes none along; returns the failures."""
    stamp = environment() / "peers.installed"
    wanted = "\n".join(REQUIREMENTS)
    if stamp.exists() and stamp.read_text() == wanted:
        return {name: reason for name, reason in missing().items() if name != GATEWAY}
    failed = {}
    for requirement in REQUIREMENTS:
        print(f"==> installing {requirement}", flush=True)
        reason = _pip("install", requirement)
        if reason:
            failed[re.split(r"\W", requirement)[0]] = reason
            print(f"    missing: {reason}", flush=True)
    stamp.write_text(wanted)
    return failed


def _gateway() -> dict[str, str]:
    """Install this project, compiled, from a copy: a build of its own leaves no trace in the tree."""
    stamp = environment() / "gateway.installed"
    wanted = _fingerprint()
    if stamp.exists() and stamp.read_text() == wanted:
        return {name: reason for name, reason in missing().items() if name == GATEWAY}
    print("==> building and installing ssgi-gateway, which takes a few minutes", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in SOURCES:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, Path(folder) / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
            elif (ROOT / name).exists():
                shutil.copy(ROOT / name, folder)
        reason = _pip("wheel", "--no-deps", "--wheel-dir", folder, folder)
        if not reason:
            wheel = next(str(file) for file in Path(folder).glob("*.whl"))
            # Forced, because a change of the sources is not a change of the version.
            reason = _pip("install", f"{wheel}[uvloop]") or _pip("install", "--force-reinstall", "--no-deps", wheel)
    if reason:
        print(f"    missing: {reason}", flush=True)
        return {GATEWAY: reason}
    stamp.write_text(wanted)
    return {}


def _pip(*words: str) -> str:
    """Run pip; returns why it failed, or nothing."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *words]
    told = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "SSGI_GATEWAY_COMPILED": "1"}
    )
    if told.returncode == 0:
        return ""
    lines = [line.strip() for line in told.stderr.splitlines() if "error" in line.lower()]
    return lines[-1] if lines else f"pip ended with status {told.returncode}"


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for name in SOURCES:
        for file in sorted((ROOT / name).rglob("*")) if (ROOT / name).is_dir() else [ROOT / name]:
            if file.suffix in (".py", ".pyx", ".pxd", ".ld", ".toml"):
                digest.update(str(file.relative_to(ROOT)).encode() + file.read_bytes())
    return digest.hexdigest()


def _note_missing(failed: dict[str, str]) -> None:
    (environment() / "missing.json").write_text(json.dumps(failed, indent=1))
