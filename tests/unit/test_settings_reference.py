"""docs/settings.md says what the settings say, and what it shows works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ssgi_gateway.server.address import Address
from ssgi_gateway.settings import WebSocketSettings
from ssgi_gateway.settings.sources import combine, from_file, options

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "settings.md"
SCRIPT = ROOT / "scripts" / "settings_reference.py"


def run(script: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, os.fspath(script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_page_is_up_to_date() -> None:
    told = run(SCRIPT, "--check")
    assert told.returncode == 0, told.stderr


def test_a_page_that_is_not_is_reported_and_mended(tmp_path: Path) -> None:
    # The script works on the tree it lies in: here one whose package is the real one.
    (tmp_path / "ssgi_gateway").symlink_to(ROOT / "ssgi_gateway")
    for folder in ("scripts", "docs"):
        (tmp_path / folder).mkdir()
    script, page = tmp_path / "scripts" / SCRIPT.name, tmp_path / "docs" / PAGE.name
    shutil.copyfile(SCRIPT, script)
    for stale in (None, "yesterday's page"):
        if stale is not None:
            page.write_text(stale)
        told = run(script, "--check")
        assert told.returncode == 1
        assert "python scripts/settings_reference.py" in told.stderr
        assert run(script).returncode == 0
        assert page.read_text(encoding="utf-8") == PAGE.read_text(encoding="utf-8")
        assert run(script, "--check").returncode == 0
        page.unlink()


def test_every_setting_has_a_row_with_its_three_names() -> None:
    rows = [line.split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    found = {(row[1], row[2]): row[0] for row in rows if len(row) >= 5}
    for option in options():
        flag = found[f"`{option.variable}`", f"`{'.'.join(option.path)}`"]
        assert option.flag.removeprefix("--") in flag


def test_the_file_it_shows_is_read(tmp_path: Path) -> None:
    shown = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert shown
    (tmp_path / "settings.toml").write_text(shown[1])
    settings = combine(from_file(os.fspath(tmp_path / "settings.toml")))
    assert settings.scgi == ("unix:/run/ssgi-gateway/scgi.sock",)
    assert settings.socket_mode == 0o660
    assert settings.websockets == WebSocketSettings(origins=("same",), ping_interval=20.0)


def test_the_addresses_it_shows_can_be_written() -> None:
    cells = re.findall(r"^\| (`.*?`) \| (?:an?|all) ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    addresses = [address for cell in cells for address in re.findall(r"`([^`]+)`", cell)]
    assert len(addresses) == 7
    for address in addresses:
        Address.parse(address)
