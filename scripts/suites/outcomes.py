"""A plugin for pytest: how each test ended, as JSON in the file that ``SUITE_OUTCOMES`` names."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

_outcomes: dict[str, list[str]] = {}


def pytest_runtest_logreport(report: Any) -> None:
    """Note the end of a test, and of a failure its last line."""
    if report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        _outcomes[report.nodeid] = ["failed", (crash.message if crash else str(report.longrepr))[:600]]
    elif report.when == "call" or report.skipped:
        _outcomes.setdefault(report.nodeid, [report.outcome, ""])


def pytest_sessionfinish() -> None:
    """Write all of it down."""
    Path(os.environ["SUITE_OUTCOMES"]).write_text(json.dumps(_outcomes))
