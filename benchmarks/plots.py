"""Horizontal bars as SVG; pure.

One picture for light and dark pages: the colours follow the reader's preference. Nothing but text and rectangles, so
that a difference between two runs is readable as a difference between two files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH = 860
LABEL = 300
VALUE = 80
ROW = 24
TOP = 62

STYLE = """\
text { font: 13px system-ui, sans-serif; fill: #1f2933 }
.title { font-size: 16px; font-weight: 600 }
.unit { fill: #66727f }
.peer { fill: #b4bec9 }
.gateway { fill: #2f7d5b }
.limit { fill: none; stroke: #8794a1; stroke-dasharray: 3 2 }
.label.gateway { fill: #1e5f43; font-weight: 600 }
.label.limit { stroke: none; fill: #66727f; font-style: italic }
.label.peer { fill: #1f2933 }
@media (prefers-color-scheme: dark) {
  text, .label.peer { fill: #dfe5eb }
  .unit, .label.limit { fill: #98a5b3 }
  .peer { fill: #4b5765 }
  .gateway { fill: #46a47a }
  .label.gateway { fill: #7fd0ab }
}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar.

    Args:
        label: to its left.
        value: its length.
        text: to its right.
        kind: ``gateway``, ``peer`` or ``limit``, which is its colour.
    """

    label: str
    value: float
    text: str
    kind: str


def bars(title: str, unit: str, all: Sequence[Bar]) -> str:
    """A picture of bars, from zero on and on one scale."""
    height = TOP + ROW * len(all) + 10
    greatest = max((bar.value for bar in all), default=0) or 1
    scale = (WIDTH - LABEL - VALUE) / greatest
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">',
        f"<style>\n{STYLE}</style>",
        f'<text class="title" x="12" y="24">{escape(title)}</text>',
        f'<text class="unit" x="12" y="44">{escape(unit)}</text>',
    ]
    for at, bar in enumerate(all):
        top, width = TOP + ROW * at, max(bar.value * scale, 1)
        left = f'x="{LABEL - 10}" y="{top + 16}" text-anchor="end"'
        lines += [
            f'<text class="label {bar.kind}" {left}>{escape(bar.label)}</text>',
            f'<rect class="{bar.kind}" x="{LABEL}" y="{top + 3}" width="{width:.1f}" height="{ROW - 7}" rx="2"/>',
            f'<text x="{LABEL + width + 6:.1f}" y="{top + 16}">{escape(bar.text)}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"
