"""The command: ``python -m benchmarks install|run|report``; ``make bench`` does all three."""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from . import front, install, machine, measure, report
from .machine import BenchmarkError
from .measure import Failure, Options, Place, Sample
from .peers import SERVERS
from .works import WORKS

DEFAULTS = Options()
RESULTS = Path(__file__).resolve().parent / "results"


def main() -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure this project and its peers.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("install", help="install what is measured into the virtual environment of this Python")
    again = commands.add_parser("report", help="write the page and the plots anew from results.json")
    running = commands.add_parser("run", help="measure, and write results.json, the pages and the plots")
    running.add_argument("--rounds", type=int, default=DEFAULTS.rounds)
    running.add_argument("--seconds", type=int, default=DEFAULTS.seconds, help="of load in each turn")
    running.add_argument("--connections", type=int, default=DEFAULTS.connections, help="that make load at once")
    running.add_argument("--idle", type=int, default=DEFAULTS.idle, help="WebSockets open at once")
    running.add_argument("--transfer", type=int, default=DEFAULTS.transfer, help="bytes of an upload or a download")
    running.add_argument(
        "--only",
        default="",
        help="words with commas between: parts of names of works and of servers, or goals",
    )
    running.add_argument("--tree", action="store_true", help="measure this working tree as it is built, not a copy")
    running.add_argument("--pinned", action=argparse.BooleanOptionalAction, default=DEFAULTS.pinned,
                         help="keep everything to one CPU")  # fmt: skip
    for one in (again, running):
        one.add_argument("--results", type=Path, default=RESULTS, help="the folder of the results")
    told = vars(parser.parse_args())
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing we started is left running
    command, results = told.pop("command"), told.pop("results", RESULTS)
    if command == "install":
        install.install()
    elif command == "report":
        report.write(json.loads((results / "results.json").read_text()), results)
    else:
        told["only"] = tuple(word for word in told["only"].split(",") if word)
        run(Options(**told), results)
    return 0


def run(options: Options, results: Path) -> None:
    """Measure everything, and keep what there is after each turn of a server."""
    plan = measure.chosen(WORKS, SERVERS, options.only)
    machine.allow_descriptors(options.idle + 1000)
    results.mkdir(parents=True, exist_ok=True)
    samples: list[dict[str, Any]] = []
    failures: list[dict[str, Any]] = []
    raw = {
        "date": time.strftime("%Y-%m-%d"),
        "options": dataclasses.asdict(options),
        "machine": machine.describe(),
        "versions": install.versions(),
        "samples": samples,
        "failures": failures,
    }
    # A short path: that of a unix socket has at most 107 bytes (unix(7)).
    with tempfile.TemporaryDirectory(prefix="ssgi-bench.", dir="/tmp") as folder:
        port = front.free_port()
        if options.pinned:
            machine.keep_to_one_cpu()
        place = Place(install.environment(), Path(folder), port, install.missing())
        with front.start([server for server in SERVERS if server.unix], Path(folder), port):
            for it in measure.rounds(plan, place, options):
                (samples if isinstance(it, Sample) else failures).append(dataclasses.asdict(it))
                (results / "results.json").write_text(json.dumps(raw, indent=1) + "\n")
                print(line(it), flush=True)
    report.write(raw, results)
    print(f"\n{report.page(raw)}\nwritten to {results}")


def line(it: Sample | Failure) -> str:
    """What is said of a turn while the others go on."""
    if isinstance(it, Failure):
        return f"          {it.work:16} {it.server:24} missing: {it.reason}"
    shown = " ".join(f"{name} {value:,.1f}" for name, value in it.figures.items() if name not in ("rss", "processes"))
    return f"round {it.round:2}  {it.work:16} {it.server:24} {shown}"


try:
    sys.exit(main())
except BenchmarkError as error:
    sys.exit(f"benchmarks: {error}")
except KeyboardInterrupt:
    sys.exit(130)
