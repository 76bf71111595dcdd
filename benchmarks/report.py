"""Pages from raw data; pure, except for ``write``.

The page says first what this project wants to reach and whether it does, then plainly where it is not ahead, and then
gives every figure. A figure is a median over the rounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import peers, plots
from .figures import Samples, Spread
from .peers import GATEWAY, LIMIT, Server
from .rows import GROUPS, Row
from .works import WORKS, Work

MARGIN = 0.02
"""Less of a difference than this part is none."""

COLUMNS: dict[str, tuple[str, float, str]] = {
    "rate": ("a second", 1, ",.0f"),
    "bandwidth": ("MB/s", 1e-6, ",.0f"),
    "p50": ("p50 µs", 1, ",.0f"),
    "p90": ("p90 µs", 1, ",.0f"),
    "p99": ("p99 µs", 1, ",.0f"),
    "time": ("ms each", 1, ",.1f"),
    "busy": ("CPUs busy", 1, ".2f"),
    "rss": ("RSS MB", 1e-6, ",.1f"),
    "pss": ("PSS MB", 1e-6, ",.1f"),
    "processes": ("processes", 1, ".0f"),
}
"""Figures beside the main one: heading, factor, format."""

SHOWN = {
    "requests": ("rate", "p50", "p90", "p99", "busy", "rss", "pss", "processes"),
    "messages": ("rate", "p50", "p90", "p99", "busy", "rss", "pss"),
    "upload": ("bandwidth", "busy", "rss", "pss"),
    "download": ("bandwidth", "busy", "rss", "pss"),
    "programs": ("time",),
    "idle": ("rate", "rss", "pss", "processes"),
    "start": ("rss", "pss", "processes"),
    "steady": ("busy", "pss", "processes"),
    "shares": ("rate", "p50", "p99"),
    "fleet": ("rss", "pss", "processes"),
}
"""Which of them each kind of work has."""

BESIDES = {
    "rate": ("throughput", True),
    "bandwidth": ("throughput", True),
    "p99": ("99th percentile of the times", False),
    "pss": ("memory of the whole server", False),
}
"""Figures besides the main one in which a peer may be ahead: what they are, and whether more is better."""


def write(raw: Mapping[str, Any], results: Path) -> None:
    """Write the page and the plots beside the raw data; plots of works that were not measured are removed."""
    (results / "results.md").write_text(page(raw, plotted=True))
    samples = Samples(raw["samples"])
    for work in WORKS:
        file = results / f"{work.name}.svg"
        if samples.servers(work.name):
            file.write_text(plot(work, samples))
        else:
            file.unlink(missing_ok=True)


def page(raw: Mapping[str, Any], *, plotted: bool = False) -> str:
    """The whole page as Markdown.

    Args:
        raw: what a run kept.
        plotted: whether it points to plots beside it.
    """
    samples = Samples(raw["samples"])
    failures = {(it["work"], it["server"]): it["reason"] for it in raw["failures"]}
    parts = [introduction(raw)]
    parts += [goals(title, group, samples, failures) for title, group in GROUPS.items()]
    parts.append(behind(samples))
    parts += [table(work, samples, failures, plotted=plotted) for work in WORKS if has(work, samples, failures)]
    parts.append(versions(raw["versions"]))
    return "\n\n".join(part for part in parts if part) + "\n"


def introduction(raw: Mapping[str, Any]) -> str:
    """What was measured, when and on what."""
    options, machine = raw["options"], raw["machine"]
    setting = " ".join(
        sentence
        for sentence, holds in (
            ("The server, nginx and the load take turns on one CPU.", options["pinned"]),
            ("This project as it was built in the working tree.", options["tree"]),
        )
        if holds
    )
    titles = [work.title for work in WORKS if work.name in raw.get("apart", ())]
    apart = f"\nMeasured in a run of their own, later: {'; '.join(titles)}." if titles else ""
    return f"""\
# Benchmarks

{raw["date"]}, {machine["processor"]}, {machine["system"]}; load when it began: {machine["load"]}.
{options["rounds"]} rounds of {options["seconds"]} s a turn, {options["connections"]} connections, transfers of \
{options["transfer"]:,} bytes, {options["idle"]:,} idle WebSockets.

One worker each, defaults, access logs off. {setting}
In each round every server has its turn at each work, one after the other; figures are medians over the rounds.{apart}
CPU is that of all the server's processes, in user and system mode: what depends least on what else the machine does.
Written by `make bench` from `results.json`; [README](../README.md) says how it is done."""


def goals(title: str, group: Sequence[Row], samples: Samples, failures: Mapping[tuple[str, str], str]) -> str:
    """What this project wants to reach, and what it reached; empty if nothing of it was measured."""
    lines = [
        f"## {title}",
        "",
        "The median of the rounds' ratios, and in brackets the least and the greatest of them.",
        "",
        "| ratio | measured | at most | |",
        "|---|---:|---:|---|",
    ]
    measured = [samples.ratio(row.work, row.ours, row.other, row.figure) for row in group]
    if not any(measured):
        return ""
    for row, ratio in zip(group, measured, strict=True):
        goal = f"{row.at_most:g}" if row.at_most is not None else ""
        if ratio is None:
            lines.append(f"| {row.title} | | {goal} | not measured{reason(row, failures)} |")
        else:
            lines.append(f"| {row.title} | {brackets(ratio)} | {goal} | {verdict(row, ratio)} |")
    return "\n".join(lines)


def verdict(row: Row, ratio: Spread) -> str:
    """Whether a ratio is what it should be."""
    if row.at_most is None:
        return ""
    return "reached" if ratio.median <= row.at_most else "**missed**"


def reason(row: Row, failures: Mapping[tuple[str, str], str]) -> str:
    """Why there is no ratio, as far as it is known."""
    told = [f"{name}: {failures[row.work, name]}" for name in (row.ours, row.other) if (row.work, name) in failures]
    return f" ({'; '.join(told)})" if told else ""


def brackets(ratio: Spread) -> str:
    """A ratio with its ends."""
    return f"{ratio.median:.2f} ({ratio.least:.2f} to {ratio.greatest:.2f})"


def behind(samples: Samples) -> str:
    """Where this project is not ahead: goals it missed, and figures in which a peer is better than the best of ours."""
    if not any(peers.BY_NAME[name].kind == GATEWAY for work in WORKS for name in known(work, samples)):
        return ""
    lines = [
        f"* {row.title}: {ratio.median:.2f}, the goal is {row.at_most:g}."
        for group in GROUPS.values()
        for row in group
        if row.at_most is not None
        and (ratio := samples.ratio(row.work, row.ours, row.other, row.figure))
        and ratio.median > row.at_most
    ]
    for work in WORKS:
        lines += [f"* {work.title}: {sentence}" for sentence in ahead(work, samples)]
    told = "\n".join(lines) if lines else "Nowhere in this run."
    return f"## Where this project is not ahead\n\n{told}"


def ahead(work: Work, samples: Samples) -> list[str]:
    """A sentence for each figure of a work in which a peer is better than every configuration of this project."""
    present = [peers.BY_NAME[name] for name in known(work, samples)]
    ours = [server.name for server in present if server.kind == GATEWAY]
    others = [server.name for server in present if server.kind not in (GATEWAY, LIMIT)]
    sentences = []
    for figure, (what, greatest) in {work.figure: (work.unit, False), **besides(work)}.items():
        best = samples.least(work.name, ours, figure, greatest=greatest)
        mine = samples.median(work.name, best, figure) if best else None
        if best is None or not mine:
            continue
        better = []
        for name in others:
            theirs = samples.median(work.name, name, figure)
            if theirs is not None and (theirs > mine * (1 + MARGIN) if greatest else theirs < mine * (1 - MARGIN)):
                better.append(f"{peers.BY_NAME[name].title} {theirs / mine:.2f}")
        if better:
            sentences.append(
                f"{what}, as a part of the best of ours ({peers.BY_NAME[best].title}): {', '.join(better)}."
            )
    return sentences


def besides(work: Work) -> dict[str, tuple[str, bool]]:
    """The figures besides the main one that a work is judged by; memory only where the load is not what takes it."""
    lean = work.kind in ("requests", "start")
    return {rate_or(name): BESIDES[name] for name in SHOWN[work.kind] if name in BESIDES and (lean or name != "pss")}


def has(work: Work, samples: Samples, failures: Iterable[tuple[str, str]]) -> bool:
    """Whether there is anything to say of a work."""
    return bool(samples.servers(work.name)) or any(name == work.name for name, _ in failures)


def table(work: Work, samples: Samples, failures: Mapping[tuple[str, str], str], *, plotted: bool = False) -> str:
    """All figures of a work, the best first, with the main one as a multiple of the best of this project."""
    ranked = ranking(work, samples)
    columns = SHOWN[work.kind]
    heads = ["server", work.unit, "÷ best of ours", *(COLUMNS[figure][0] for figure in columns)]
    lines = [f"## {work.title}", "", work.about, ""]
    if plotted and ranked:
        lines += [f"![{work.title}: {work.unit}]({work.name}.svg)", ""]
    lines += [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    best = next((value for server, value in ranked if server.kind == GATEWAY), None)
    for server, value in ranked:
        cells = [emphasis(server), number(value), f"{value / best:.2f}" if best else ""]
        cells += [cell(samples.median(work.name, server.name, rate_or(figure)), figure) for figure in columns]
        lines.append(f"| {' | '.join(cells)} |")
    missing = [
        f"* {peers.BY_NAME[name].title} {'dropped out' if name in samples.servers(work.name) else 'is missing'}: {why}"
        for (of, name), why in failures.items()
        if of == work.name and name in peers.BY_NAME
    ]
    return "\n".join([*lines, *([""] if missing else []), *missing])


def ranking(work: Work, samples: Samples) -> list[tuple[Server, float]]:
    """Who was measured, by the main figure."""
    found = []
    for name in known(work, samples):
        value = samples.median(work.name, name, work.figure)
        if value is not None:
            found.append((peers.BY_NAME[name], value))
    return sorted(found, key=lambda pair: pair[1])


def known(work: Work, samples: Samples) -> list[str]:
    """Who was measured at a work; raw data may be older than a server's name."""
    return [name for name in samples.servers(work.name) if name in peers.BY_NAME]


def emphasis(server: Server) -> str:
    """A title; this project's are bold, the limit's in italics."""
    return {GATEWAY: "**{}**", LIMIT: "*{}*"}.get(server.kind, "{}").format(server.title)


def rate_or(column: str) -> str:
    """The figure behind a column; the two names for ``rate`` have different units."""
    return "rate" if column == "bandwidth" else column


def cell(value: float | None, column: str) -> str:
    """A figure in a table."""
    _, factor, form = COLUMNS[column]
    return "" if value is None else format(value * factor, form)


def number(value: float) -> str:
    """Three digits that count, and no more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def plot(work: Work, samples: Samples) -> str:
    """The main figure as bars."""
    bars = [plots.Bar(server.title, value, number(value), server.kind) for server, value in ranking(work, samples)]
    return plots.bars(work.title, f"{work.unit}; less is better", bars)


def versions(found: Mapping[str, str]) -> str:
    """What was measured, exactly."""
    return "## Versions\n\n" + ", ".join(f"{name} {version}" for name, version in found.items()) + "."
