"""A page judged by axe: contrast, names, roles, landmarks."""

from __future__ import annotations

from typing import Any

import pytest

SETTLED = """Promise.all(document.getAnimations()
    .filter(animation => animation.effect.getComputedTiming().endTime !== Infinity)
    .map(animation => animation.finished.catch(() => {})))"""


def is_accessible(page: Any) -> None:
    """Nothing is against axe's rules, once what fades in is there: its contrast is that of its end."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.evaluate(SETTLED)
    found = axe.Axe().run(page)
    assert not found.violations_count, found.generate_report()
