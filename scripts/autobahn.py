"""Runs the Autobahn test suite against gateways of its own, judges the results and writes docs/autobahn.md.

The suite's exit status says nothing; its ``index.json`` does. What counts of each case: how the server behaved, how it
closed the connection, and that its Close frame said why.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
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

# How many cases may be NON-STRICT with each build: the portable one is as strict as wsproto.
MAX_NON_STRICT = {"portable": 7, "compiled": 0}

# The one case in which no code is right: the suite's Close frame has none, and is answered alike (RFC 6455 5.5.1).
NO_CODE = {"7.3.1"}

FINE = {"OK", "NON-STRICT", "INFORMATIONAL"}
CLASSES = ("OK", "NON-STRICT", "INFORMATIONAL", "UNIMPLEMENTED", "WRONG CODE", "UNCLEAN", "FAILED BY CLIENT", "FAILED")

Results = dict[str, dict[str, Any]]
"""Case -> what the suite found."""


def main() -> int:
    """Run, write, judge; returns the exit status."""
    arguments = parse()
    codecs = arguments.codecs or available()
    index: dict[tuple[str, str], Results] = {(codec, route): {} for codec in codecs for route in ROUTES}
    complaints: list[str] = []
    for codec in codecs:
        options = ["--codec", codec, "--websocket-max-message-size", str(16 << 20)]
        with (
            tempfile.TemporaryDirectory(prefix="autobahn-") as directory,
            Site(Path(directory), options=options) as site,
        ):
            if f"{codec} codecs" not in site.gateway.log()[0]:
                raise SystemExit(f"this is not the {codec} build: {site.gateway.log()[0]}")
            for name in arguments.sets:
                for route, results in run(site, name, arguments.wstest, arguments.reports / codec / name).items():
                    index[codec, route].update(results)
                    complaints += [f"{codec}, {route}: {it}" for it in judge(name, results)]
        complaints += [it for route in ROUTES for it in judge_strictness(codec, route, index[codec, route])]
    if not complaints:
        arguments.report.write_text(report(arguments.sets, index))
    print(table(index))
    print("\n".join(complaints) or "passed")
    return 1 if complaints else 0


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wstest", type=Path, required=True, help="the suite's program")
    parser.add_argument("--reports", type=Path, required=True, help="a folder for its pages")
    parser.add_argument("--report", type=Path, default=ROOT / "docs" / "autobahn.md", help="the summary")
    parser.add_argument("--codecs", nargs="+", choices=MAX_NON_STRICT, help="which builds (those that are installed)")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["basic"], help="which cases")
    return parser.parse_args()


def available() -> list[str]:
    """The builds that are installed."""
    return [codec for codec in MAX_NON_STRICT if gateway_version(codec).returncode == 0]


def gateway_version(codec: str) -> subprocess.CompletedProcess[str]:
    """What ``ssgi-gateway --version`` says of a build, or that it is missing."""
    environment = {**os.environ, "SSGI_CODEC": codec}
    command = [sys.executable, "-m", "ssgi_gateway", "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


def run(site: Site, name: str, wstest: Path, reports: Path) -> dict[str, Results]:
    """One set of cases on every route."""
    cases, excluded, _ = SETS[name]
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
        command = [str(wstest), "-m", "fuzzingclient", "-s", str(reports / "spec.json")]
        subprocess.run(command, cwd=reports, stdout=log, stderr=subprocess.STDOUT, check=True, timeout=3600)
    found: dict[str, Results] = json.loads((reports / "index.json").read_text())
    return found


def judge(name: str, results: Results) -> list[str]:
    """What is wrong with the results of one set on one route, a line each."""
    wanted = SETS[name][2]
    complaints = [f"{len(results)} cases of {name} were run, {wanted} expected"] * (len(results) != wanted)
    for case, result in sorted(results.items(), key=case_order):
        if result["behavior"] not in FINE or result["behaviorClose"] not in FINE:
            complaints.append(f"case {case}: {result['behavior']}, closing {result['behaviorClose']}")
        if result["remoteCloseCode"] is None and case not in NO_CODE:
            complaints.append(f"case {case}: no close code")
    return complaints


def judge_strictness(codec: str, route: str, results: Results) -> list[str]:
    """One line if too many cases were answered leniently."""
    found, limit = count(results)["NON-STRICT"], MAX_NON_STRICT[codec]
    return [f"{codec}, {route}: {found} cases are NON-STRICT, at most {limit} may be"] if found > limit else []


def case_order(item: tuple[str, Any]) -> list[int]:
    """Cases in the order of their numbers."""
    return [int(part) for part in item[0].split(".")]


def count(results: Results) -> Counter[str]:
    """How many cases there are of each class of behaviour."""
    return Counter(result["behavior"] for result in results.values())


def table(index: Mapping[tuple[str, str], Results]) -> str:
    """The counts as Markdown."""
    shown = [name for name in CLASSES if name in FINE or any(count(results)[name] for results in index.values())]
    rows = [["codecs", "route", "cases", *shown]]
    rows += [
        [codec, ROUTES[route], str(len(results)), *(str(count(results)[name]) for name in shown)]
        for (codec, route), results in index.items()
    ]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---|---|" + "---:|" * (len(shown) + 1))
    return "\n".join(lines)


def non_strict(index: Mapping[tuple[str, str], Results]) -> Iterable[str]:
    """The cases that were answered, but not as strictly as could be; a line for each build and route."""
    for (codec, route), results in index.items():
        cases = [case for case, result in sorted(results.items(), key=case_order) if result["behavior"] == "NON-STRICT"]
        if cases:
            yield f"* {codec}, {ROUTES[route]}: {', '.join(cases)}"


def report(sets: Sequence[str], index: Mapping[tuple[str, str], Results]) -> str:
    """The page."""
    told = gateway_version("auto").stdout.splitlines()
    versions = [told[0], *told[2:], f"wsproto {version('wsproto')}", f"nginx {'.'.join(map(str, nginx_version()))}"]
    lenient = "\n".join(non_strict(index)) or "None."
    return f"""\
# WebSocket conformance

Written by `make autobahn`: the [Autobahn test suite](https://github.com/crossbario/autobahn-testsuite) 25.10.1 as a
fuzzing client of an echo application (`tests/apps/behaviour_ws.py`). Sets of cases: {", ".join(sets)}.
{platform.system()} {platform.machine()}; {"; ".join(versions)}.

{table(index)}

Every connection that had to fail was closed with a code that says why. INFORMATIONAL cases have no right answer.
NON-STRICT ones were answered acceptably, only later than the suite's authors would like: an error in a message was
told at the message's end and not in the middle of it, for instance.

Non-strict cases:

{lenient}
"""


if __name__ == "__main__":
    sys.exit(main())
