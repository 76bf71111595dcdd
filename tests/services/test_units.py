"""The units of ``deploy/systemd``, as they are shipped, on a real systemd."""

from __future__ import annotations

from pathlib import Path

from tests.harness.gateway import ROOT

from .machine import Machine

PROGRAM = Path(__file__).with_name("operating.py")


def test_the_units_do_what_the_page_describes(tmp_path: Path) -> None:
    """READY, STATUS, reload, a reload that fails, replacement, restart, watchdog, exit status 2: nothing is lost."""
    with Machine(tmp_path) as machine:
        machine.application("/srv/app", "owner", {"operating.py": PROGRAM.read_text()})
        machine.run(f"cp {ROOT}/deploy/systemd/ssgi-gateway.* /etc/systemd/system/ && systemctl daemon-reload")
        said = machine.run("/usr/bin/python3 /srv/app/operating.py")
    assert said.count(", 0 lost") == 4, said
    assert said.endswith("stopped in order\n"), said
