"""Every numbered fault that a peer or an application can commit has a test that carries its number."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]

FAULTS = frozenset(
    {
        *(1, 2, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 20, 21),  # SCGI framing
        *(22, 23, 24, 26, 27, 29, 30, 31, 32, 34, 35, 36, 38, 40, 41, 42, 43, 44, 46),  # FastCGI framing
        *(47, 48, 49, 52, 53, 54, 56, 57, 59),  # CGI semantics
        *(60, 61, 63, 65, 67, 68, 69, 70, 71),  # responses
        *(72, 74, 76, 77, 78, 80, 81, 82, 83, 85, 86),  # WebSockets
    }
)


def test_every_numbered_fault_has_a_test() -> None:
    named: set[int] = set()
    for path in TESTS.rglob("test_*.py"):
        for name in re.findall(r"def (test_\w+)", path.read_text()):
            named.update(int(number) for number in re.findall(r"_(\d{1,2})(?=_|$)", name))
    assert not FAULTS - named
