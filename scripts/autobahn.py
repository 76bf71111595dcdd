"""Runs the Autobahn test suite against a gateway of its own, judges the results and writes docs/autobahn.md.

The suite's exit status says nothing; its ``index.json`` does. Two classes of result count for each case: how the
server behaved, and how it closed the connection.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.harness import WEBSOCKET_ROUTES, Site, nginx_version, to_nginx  # noqa: E402 - the path comes first

ROUTES = {"scgi-unix": "in-band, SCGI through nginx", "direct": "direct port"}

# Name -> (cases, excluded cases, how many that is). The patterns are regular expressions without an end of their own.
SETS = {
    "basic": (["*"], ["9.*", "12.*", "13.*"], 247),
    "limits": (["9.*"], [], 54),
    "deflate": (["12.*.[1-6]$", "13.*.[1-6]$"], [], 72),
}

FINE = {"OK", "NON-STRICT", "INFORMATIONAL"}
CLASSES = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "WRONG CODE", "UNCLEAN", "FAILED BY CLIENT", "FAILED")
MAX_NON_STRICT = 7

Results = Mapping[str, Mapping[str, Any]]


def main() -> int:
    """Run, write, judge; returns the exit status."""
    arguments = parse()
    index: dict[str, dict[str, Any]] = {route: {} for route in ROUTES}
    complaints: list[str] = []
    with tempfile.TemporaryDirectory(prefix="autobahn-") as directory:
        options = ["--codec", arguments.codec, "--websocket-max-message-size", str(16 << 20)]
        with Site(Path(directory), options=options) as site:
            for name in arguments.sets:
                for route, results in run(site, name, arguments).items():
                    index[route].update(results)
                    complaints += judge(name, route, results)
    if not complaints:
        arguments.report.write_text(report(arguments, index))
    print(table(index))
    print("\n".join(complaints) or "passed")
    return 1 if complaints else 0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wstest", type=Path, required=True, help="the suite's program")
    parser.add_argument("--reports", type=Path, required=True, help="a folder for its pages")
    parser.add_argument("--report", type=Path, default=ROOT / "docs" / "autobahn.md", help="the summary")
    parser.add_argument("--codec", default="auto", help="which build of the gateway to test")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["basic"], help="which cases")
    parser.add_argument("--max-non-strict", type=int, default=MAX_NON_STRICT, help="how many may be NON-STRICT")
    return parser.parse_args()


def run(site: Site, name: str, arguments: argparse.Namespace) -> dict[str, Results]:
    """One set of cases on every route."""
    cases, excluded, _ = SETS[name]
    reports = arguments.reports / name
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir(parents=True)
    servers = [
        {"agent": route.name, "url": f"ws://{to_nginx(site.address(route))}/ws/echo"}
        for route in WEBSOCKET_ROUTES
        if route.name in ROUTES
    ]
    spec = {
        "outdir": str(reports),
        "servers": servers,
        "cases": cases,
        "exclude-cases": excluded,
        "exclude-agent-cases": {},
    }
    (reports / "spec.json").write_text(json.dumps(spec))
    print(f"running {name}; the pages will be in {reports}/index.html", flush=True)
    with (reports / "wstest.log").open("w") as log:
        command = [arguments.wstest, "-m", "fuzzingclient", "-s", reports / "spec.json"]
        subprocess.run(command, cwd=reports, stdout=log, stderr=subprocess.STDOUT, check=True, timeout=3600)
    found: dict[str, Results] = json.loads((reports / "index.json").read_text())
    return found


def judge(name: str, route: str, results: Results) -> list[str]:
    """What is wrong with the results of one set on one route, a line each."""
    wanted = SETS[name][2]
    complaints = [f"{route}: {len(results)} cases of {name} were run, {wanted} expected"] * (len(results) != wanted)
    for case, result in sorted(results.items(), key=case_order):
        if result["behavior"] not in FINE or result["behaviorClose"] not in FINE:
            complaints.append(f"{route}: case {case}: {result['behavior']}, closing {result['behaviorClose']}")
    return complaints


def case_order(item: tuple[str, Any]) -> list[int]:
    """Cases in the order of their numbers."""
    return [int(part) for part in item[0].split(".")]


def count(results: Results) -> Counter[str]:
    """How many cases there are of each class of behaviour."""
    return Counter(result["behavior"] for result in results.values())


def table(index: Mapping[str, Results]) -> str:
    """The counts as Markdown."""
    shown = [name for name in CLASSES if name in FINE or any(count(results)[name] for results in index.values())]
    rows = [["route", "cases", *shown]]
    rows += [
        [ROUTES[route], str(len(results)), *(str(count(results)[name]) for name in shown)]
        for route, results in index.items()
    ]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---|" + "---:|" * (len(shown) + 1))
    return "\n".join(lines)


def non_strict(index: Mapping[str, Results]) -> Iterable[str]:
    """The cases that were answered, but not as strictly as could be; a line for each route."""
    for route, results in index.items():
        cases = [case for case, result in sorted(results.items(), key=case_order) if result["behavior"] == "NON-STRICT"]
        if cases:
            yield f"* {ROUTES[route]}: {', '.join(cases)}"


def report(arguments: argparse.Namespace, index: Mapping[str, Results]) -> str:
    """The page."""
    told = subprocess.run(
        [sys.executable, "-m", "ssgi_gateway", "--version"],
        capture_output=True, text=True, check=True, cwd=ROOT, env={"SSGI_CODEC": arguments.codec},
    )  # fmt: skip
    nginx = ".".join(map(str, nginx_version()))
    lenient = "\n".join(non_strict(index)) or "None."
    return f"""\
# WebSocket conformance

Written by `make autobahn`: the [Autobahn test suite](https://github.com/crossbario/autobahn-testsuite) 25.10.1 as a
fuzzing client of an echo application (`tests/apps/behaviour_ws.py`), with and without nginx {nginx} before it.
Sets of cases: {", ".join(arguments.sets)}.

```
{told.stdout.strip()}
wsproto {version("wsproto")}, {platform.system()} {platform.machine()}
```

{table(index)}

INFORMATIONAL cases have no right answer. NON-STRICT ones were answered acceptably, only later than the suite's authors
would like: an error in a message was told at the message's end and not in the middle of it, for instance.

Non-strict cases:

{lenient}
"""


if __name__ == "__main__":
    sys.exit(main())
