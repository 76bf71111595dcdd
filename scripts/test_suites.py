"""Run Starlette's, FastAPI's and uvicorn's own tests over the gateway; write docs/suites.md.

What fails here and neither in the project's own way nor by uvicorn is looked at: it is mended, or its reason stands in
``REASONS``. Without one this ends with status 1.

The suites come from the projects' source distributions, which ``scripts/test_suites.sh`` has unpacked.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from suites.servers import SLOTS  # noqa: E402

from tests.harness.nginx import Nginx  # noqa: E402

OWN = "in its own way"
ROUTES = (OWN, "uvicorn", "http", "scgi", "fastcgi")
PROTOCOLS = ("http", "direct")

TIMEOUT = 60


class Suite(NamedTuple):
    """One project's tests.

    Args:
        tests: what pytest is told.
        plugin: what makes them ask a server.
        routes: the servers.
    """

    tests: tuple[str, ...]
    plugin: str
    routes: tuple[str, ...]


SUITES = {
    # Tests of another event loop, and those of the client itself, do not come to a server.
    "starlette": Suite(("tests", "--ignore", "tests/test_testclient.py", "-k", "not trio"), "suites.client", ROUTES),
    # What a front adds is in Starlette's, which takes a tenth of the time.
    "fastapi": Suite(("tests", "-k", "not trio"), "suites.client", (OWN, "uvicorn", "http")),
    # Each is there for several of its own implementations; one run of each is enough for another server.
    "uvicorn": Suite(
        ("tests/protocols/test_http.py", "tests/protocols/test_websocket.py", "-o", "addopts=", "-k", "h11"),
        "suites.protocols", PROTOCOLS,
    ),
}  # fmt: skip

HTTP = "tests/protocols/test_http.py::"
WEBSOCKET = "tests/protocols/test_websocket.py::"

INNER = "looks into objects of uvicorn"
OPTION = "an option of uvicorn's that is not here, or has another default"
WORDS = "other words, or another case of a header's name"
LATER = (
    "an answer found wrong before anything of it was sent is a 500 in words, and the connection goes on; uvicorn "
    "closes it without an answer"
)
CONNECTION = (
    "`Connection` and `Transfer-Encoding` are the server's business; the application's are dropped (docs/ssgi.md)"
)
PATH = "the path is the client's, and begins with the root path where the front has left it there (docs/ssgi.md)"
CODES = (
    "an application that fails closes with 1011, and one that returns with 1000, in a Close frame; uvicorn breaks the "
    "connection off (1006)"
)
DECIDE = (
    "an application that returns before it has decided is a 403 and an error in the log, by SSGI for every interface"
)

HOST = "a Host that is none (RFC 9110 7.2), or with a port that cannot be, is refused before any application is called"

FIELDS = (
    "a field that comes several times is one, joined by commas (RFC 9110 5.3), and a name with an underscore is "
    "dropped as nginx does: SCGI and FastCGI cannot carry either, and every route gives the same"
)

REASONS: dict[tuple[str, str, str], str] = {
    ("fastapi", "*", "*[Hh]eader*"): FIELDS,
    ("fastapi", "*", "*test_request_authority_is_only_on_spans*expected10*"): "without a Host, the server's address is "
    "that of the socket, here a path",
    ("fastapi", "*", "*test_request_authority_is_only_on_spans*"): HOST,
    ("fastapi", "*", "*test_known_http_methods*CONNECT*"): "CONNECT asks for a tunnel (RFC 9110 9.3.6), and this is no "
    "proxy: 501",
    (
        "fastapi",
        "*",
        "*test_broken_session_stream_no_raise*",
    ): "an application that fails before anything of its answer was sent is a 500; uvicorn has sent the head already",
    ("starlette", "*", "*test_https_redirect_middleware_without_server*"): HOST,
    ("starlette", "*", "*test_trusted_host_middleware_ipv6*"): HOST,
    ("starlette", "*", "*test_host_routing_*"): HOST,
    (
        "starlette",
        "*",
        "*test_staticfiles_null_byte_in_path*",
    ): "a NUL in a path is refused: files and databases would cut the path there",
    ("uvicorn", "*", HTTP + "test_invalid_header_name*"): LATER,
    ("uvicorn", "*", HTTP + "test_partial_response_returned*"): LATER,
    ("uvicorn", "*", HTTP + "test_response_header_splitting*"): LATER,
    ("uvicorn", "*", HTTP + "test_duplicate_start_message*"): LATER,
    ("uvicorn", "*", HTTP + "test_missing_start_message*"): LATER,
    ("uvicorn", "*", HTTP + "test_app_exception*"): LATER,
    ("uvicorn", "*", HTTP + "test_no_response_returned*"): LATER,
    ("uvicorn", "*", HTTP + "test_undersized_request*"): LATER,
    ("uvicorn", "*", HTTP + "test_oversized_request*"): LATER,
    ("uvicorn", "*", HTTP + "test_message_after_body_complete*"): "what comes behind the last piece is an error in the "
    "application's log, and the answer, which is complete, keeps its connection",
    ("uvicorn", "*", HTTP + "test_value_returned*"): "what an application returns is nobody's business: the answer was "
    "complete, and keeps its connection",
    ("uvicorn", "*", HTTP + "test_request_logging*"): OPTION,
    ("uvicorn", "*", HTTP + "test_max_concurrency*"): OPTION,
    ("uvicorn", "*", HTTP + "test_huge_headers_h11protocol_failure*"): OPTION + " (`--max-head-size` is 128 KiB)",
    ("uvicorn", "*", HTTP + "test_invalid_http[[]*"): OPTION + " (`--max-head-size` is 128 KiB)",
    ("uvicorn", "*", HTTP + "test_keepalive_timeout*"): INNER,
    ("uvicorn", "*", HTTP + "test_large_post_request*"): INNER,
    ("uvicorn", "*", HTTP + "test_scopes*"): INNER,
    ("uvicorn", "*", HTTP + "test_lifespan_state*"): INNER,
    ("uvicorn", "*", HTTP + "test_pipelined_requests*"): INNER + ": all three answers come at once",
    ("uvicorn", "*", HTTP + "test_shutdown_during_idle*"): INNER + ": a new connection is closed half a second later, "
    "for a request may be on its way",
    ("uvicorn", "*", HTTP + "test_close[[]*"): CONNECTION,
    ("uvicorn", "*", HTTP + "test_connection_close_tokens*response*"): CONNECTION,
    ("uvicorn", "*", HTTP + "test_chunked_encoding*"): CONNECTION,
    ("uvicorn", "*", HTTP + "test_return_close_header*"): WORDS,
    ("uvicorn", "*", HTTP + "test_close_connection_with_multiple_requests*"): WORDS,
    ("uvicorn", "*", HTTP + "test_invalid_http_request*"): WORDS,
    ("uvicorn", "*", HTTP + "test_header_upgrade_is_*"): WORDS,
    ("uvicorn", "*", HTTP + "test_root_path*"): PATH,
    ("uvicorn", "*", HTTP + "test_raw_path*"): PATH,
    ("uvicorn", "*", HTTP + "test_100_continue_sent_when_body_consumed*"): "a body that came with its head needs no "
    "invitation (RFC 9110 10.1.1)",
    ("uvicorn", "*", HTTP + "test_unsupported_ws_upgrade_request*"): "a handshake of another version is 426 with the "
    "right one (RFC 6455 4.4), whoever serves WebSockets",
    ("uvicorn", "*", WEBSOCKET + "test_missing_handshake*"): DECIDE,
    ("uvicorn", "*", WEBSOCKET + "test_duplicate_handshake*"): CODES,
    ("uvicorn", "*", WEBSOCKET + "test_asgi_return_value*"): CODES,
    ("uvicorn", "*", WEBSOCKET + "test_close_transport_on_asgi_return*"): CODES,
    ("uvicorn", "*", WEBSOCKET + "test_connection_lost_before_handshake_complete*"): "a WebSocket that nobody has "
    "accepted when the server stops is refused with 503, and its application cancelled",
    (
        "uvicorn",
        "*",
        WEBSOCKET + "test_send_close_on_server_shutdown*",
    ): "`websocket.disconnect` has a `reason` (ASGI 2.5)",
    (
        "uvicorn",
        "*",
        WEBSOCKET + "test_server_reject_connection_with_invalid_status*",
    ): "any status from 200 to 999 may be sent",
    ("uvicorn", "*", WEBSOCKET + "test_server_reject_connection*"): "`websocket.disconnect` has a `reason` (ASGI 2.5)",
    ("uvicorn", "*", WEBSOCKET + "test_frame_after_close_handshake_is_ignored*"): INNER,
    ("uvicorn", "*", WEBSOCKET + "test_server_keepalive_ping_pong*"): INNER,
    ("uvicorn", "*", WEBSOCKET + "test_server_keepalive_disabled*"): INNER,
    ("uvicorn", "*", WEBSOCKET + "test_server_keepalive_ping_timeout*"): WORDS
    + "; deadlines are looked at twice a second",
    ("uvicorn", "*", WEBSOCKET + "test_server_multiple_websocket_http_response_start_events*"): WORDS,
    (
        "uvicorn",
        "*",
        WEBSOCKET + "test_send_binary_data_to_server_bigger_than_default_*",
    ): "the application is told the code "
    "of the Close frame that was received, 1006 where there was none (RFC 6455 7.1.5); the client is told 1009",
    ("uvicorn", "*", WEBSOCKET + "test_default_server_headers*"): OPTION,
    ("uvicorn", "*", WEBSOCKET + "test_no_date_header*"): OPTION,
    ("uvicorn", "*", WEBSOCKET + "test_multiple_server_header*"): OPTION,
}
"""By suite, route (``*``: any) and test, as patterns: why it fails here on purpose. The first that fits counts."""


def sources(folder: Path, name: str) -> Path:
    """Where a suite is."""
    (found,) = folder.glob(f"{name}-[0-9]*/")
    return found


def outcomes(python: str, where: Path, suite: Suite, route: str, folder: Path) -> dict[str, list[str]]:
    """Run a suite over a route: by test, how it ended, and why it failed."""
    written = folder / "outcomes.json"
    written.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'scripts'}:{ROOT}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SUITE_ROUTE": route,
        "SUITE_FOLDER": str(folder),
        "SUITE_OUTCOMES": str(written),
    }
    # The direct port serves WebSockets alone.
    tests = [word for word in suite.tests if route != "direct" or not word.endswith("test_http.py")]
    plugin = "suites.outcomes" if route == OWN else suite.plugin
    command = [
        python, "-m", "pytest", "-q", "--no-header", "-p", plugin, "-p", "no:cacheprovider",
        "--timeout", str(TIMEOUT), *tests,
    ]  # fmt: skip
    log = folder / f"{where.name}-{route.replace(' ', '-')}.log"
    with log.open("wb") as sink:
        subprocess.run(command, cwd=where, env=environment, stdout=sink, stderr=subprocess.STDOUT, check=False)
    if not written.exists():
        sys.exit(f"{where.name} over {route} did not end; {log} says:\n{log.read_text()[-3000:]}")
    found: dict[str, list[str]] = json.loads(written.read_text())
    return found


def front(folder: Path) -> Nginx:
    """The nginx of the routes that have one: each socket of the client's side leads to one of the server's."""
    servers = []
    for slot in range(SLOTS):
        for name, location in (
            ("scgi", f"include ssgi/scgi.conf; scgi_pass unix:{folder}/back-{slot};"),
            (
                "fastcgi",
                f"error_page 418 = @ws; if ($http_upgrade ~* websocket) {{ return 418; }} "
                f"include ssgi/fastcgi.conf; fastcgi_pass unix:{folder}/back-{slot};",
            ),
        ):
            ws = f"location @ws {{ include ssgi/websocket.conf; proxy_pass http://unix:{folder}/direct-{slot}; }}"
            servers.append(
                f"server {{ listen unix:{folder}/{name}-{slot}; location / {{ {location} }} "
                f"{ws if name == 'fastcgi' else ''} }}"
            )
    return Nginx(folder / "nginx", {}, "client_max_body_size 0;\n" + "\n".join(servers))


def reason(suite: str, route: str, test: str) -> str:
    """Why a test fails here on purpose, or nothing."""
    for (name, way, pattern), words in REASONS.items():
        if name == suite and fnmatch.fnmatch(route, way) and fnmatch.fnmatch(test, pattern):
            return words
    return ""


class Result(NamedTuple):
    """What came out of one suite."""

    passed: dict[str, int]
    total: dict[str, int]
    explained: Counter[str]
    unexplained: dict[tuple[str, str], str]


def judge(name: str, seen: dict[str, dict[str, list[str]]]) -> Result:
    """Compare the routes."""
    passed = {route: sum(it[0] == "passed" for it in found.values()) for route, found in seen.items()}
    total = {route: sum(it[0] != "skipped" for it in found.values()) for route, found in seen.items()}
    result = Result(passed, total, Counter(), {})
    for route, found in seen.items():
        if route in (OWN, "uvicorn"):
            continue
        for test, (outcome, words) in found.items():
            references = [seen[way].get(test, ["passed"])[0] for way in (OWN, "uvicorn") if way in seen]
            if outcome != "failed" or "failed" in references:
                continue
            why = reason(name, route, test)
            if why:
                result.explained[why] += 1
            else:
                result.unexplained[route, test] = words
    return result


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", required=True, help="the interpreter that the suites' packages are installed for")
    parser.add_argument("--sources", type=Path, required=True, help="the folder of the unpacked distributions")
    parser.add_argument("--only", nargs="*", default=list(SUITES), help="some of the suites; none: the page alone")
    parser.add_argument("--routes", nargs="*", help="some of the routes; of the others the last outcomes are taken")
    parser.add_argument(
        "--outcomes", type=Path, default=ROOT / ".run" / "suites" / "outcomes", help="where they are kept"
    )
    options = parser.parse_args()
    python = os.path.abspath(options.python)  # not resolved: a link is what makes it that of an environment
    options.outcomes.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="suites") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with front(folder) if options.only else contextlib.nullcontext():
            for suite in options.only:
                where = sources(options.sources.absolute(), suite)
                for route in SUITES[suite].routes if options.routes is None else options.routes:
                    print(f"==> {where.name}, {route}", flush=True)
                    found = outcomes(python, where, SUITES[suite], route, folder)
                    kept(options.outcomes, suite, route).write_text(json.dumps(found))
    results = {}
    for suite, it in SUITES.items():
        found = {route: kept(options.outcomes, suite, route) for route in it.routes}
        seen = {route: json.loads(file.read_text()) for route, file in found.items() if file.exists()}
        results[sources(options.sources, suite).name] = result = judge(suite, seen)
        for route in seen:
            print(f"{suite}, {route}: {result.passed[route]} of {result.total[route]} passed")
        for (route, test), words in result.unexplained.items():
            print(f"    only here, {route}: {test}\n        {words.splitlines()[0] if words else ''}")
    (ROOT / "docs" / "suites.md").write_text(page({name: result for name, result in results.items() if result.passed}))
    return int(any(result.unexplained for result in results.values()))


def kept(folder: Path, suite: str, route: str) -> Path:
    """Where the outcomes of a run are kept."""
    return folder / f"{suite}-{route.replace(' ', '-')}.json"


def page(results: dict[str, Result]) -> str:
    """docs/suites.md."""
    lines = [
        "# Other projects' test suites",
        "",
        "`make test-suites` runs the tests of these projects over real servers, and writes this page. The tests'",
        "client asks a server over a socket in place of the application itself, and on the routes `scgi` and",
        "`fastcgi` through nginx. A test that fails by uvicorn as well is about the project's own client",
        "(addresses, exceptions, close codes that no server sends), and is not looked at further.",
        "",
    ]
    for name, result in results.items():
        lines += [f"## {name}", "", "| run | passed | of |", "|---|---|---|"]
        lines += [f"| {route} | {result.passed[route]} | {result.total[route]} |" for route in result.passed]
        lines.append("")
        if result.explained:
            lines += ["Fails here on purpose:", "", "| tests | reason |", "|---|---|"]
            lines += [f"| {count} | {why} |" for why, count in sorted(result.explained.items())]
            lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
