"""The server's own lines beside the application's logging: none twice, none lost, and nobody waits for a reader."""

from __future__ import annotations

import fcntl
import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.gateway import ROOT
from tests.harness.process import wait_until

SETUPS = {
    "none": "",
    "basicConfig": "logging.basicConfig(format='ROOT %(name)s %(message)s')",
    "force": "logging.basicConfig(force=True, level=logging.ERROR)",
    "a handler at the root": "logging.getLogger().addHandler(logging.StreamHandler())",
    # It disables every logger there is, unless told otherwise.
    "dictConfig": (
        "logging.config.dictConfig({'version': 1, 'handlers': {'out': {'class': 'logging.StreamHandler'}}, "
        "'root': {'handlers': ['out'], 'level': 'INFO'}})"
    ),
    "dictConfig without a root": (
        "logging.config.dictConfig({'version': 1, 'handlers': {'out': {'class': 'logging.StreamHandler'}}, "
        "'loggers': {'shop': {'handlers': ['out'], 'propagate': False}}})"
    ),
    "structlog": (
        "import structlog\n"
        "handler = logging.StreamHandler()\n"
        "handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=structlog.dev.ConsoleRenderer(colors=False)))\n"
        "logging.getLogger().addHandler(handler)\n"
        "structlog.configure(logger_factory=structlog.stdlib.LoggerFactory(), "
        "processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter])"
    ),
    "loguru": (
        "from loguru import logger\n"
        "class Intercept(logging.Handler):\n"
        "    def emit(self, record):\n"
        "        logger.opt(depth=6, exception=record.exc_info).log(record.levelname, record.getMessage())\n"
        "logging.basicConfig(handlers=[Intercept()], level=0, force=True)"
    ),
}

APP = """\
import logging, logging.config
{setup}

def app(kind, server, remote, method, path, query, get_header, res):
    logging.getLogger("shop").error("a line of the application")
    if path == "/late":
        logging.basicConfig(format="LATE %(name)s %(message)s")
    if path == "/fail":
        raise RuntimeError("on purpose" + "!" * int(query or 0))
    res.send("hello")
"""


@pytest.mark.parametrize("setup", SETUPS)
@pytest.mark.parametrize("workers", ["0", "1"])
def test_whatever_an_application_sets_up(watched, tmp_path, setup, workers):
    for name in ("structlog", "loguru"):
        if setup == name:
            pytest.importorskip(name)
    (tmp_path / "logging_app.py").write_text(APP.format(setup=SETUPS[setup]))
    it = watched("--pythonpath", str(tmp_path), "--workers", workers, app="logging_app:app")
    for _ in range(3):
        assert it.get("/fail")[0] == 500
    it.gateway.stop()
    text = "\n".join(it.gateway.log())
    assert text.count("the application raised") == 3
    assert len(re.findall(r"^RuntimeError: on purpose|RuntimeError: on purpose$", text, re.MULTILINE)) == 3
    assert text.count("a line of the application") == 3
    assert text.count("SIGTERM: draining") <= 1


def test_an_application_that_sets_up_its_logging_late(watched, tmp_path):
    (tmp_path / "logging_app.py").write_text(APP.format(setup=""))
    it = watched("--pythonpath", str(tmp_path), app="logging_app:app")
    it.get("/fail")
    it.get("/late")
    it.get("/fail")
    text = "\n".join(it.gateway.log())
    assert text.count("the application raised") == 2
    assert text.count("LATE ssgi_gateway.app") == 1


LATER = """\
import logging.config

def silence():
    logging.config.dictConfig({"version": 1})

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup" and WHEN == "startup":
                silence()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    if scope["path"] == "/silence":
        silence()
    raise RuntimeError("on purpose")
"""


@pytest.mark.parametrize("when", ["startup", "request"])
@pytest.mark.parametrize("workers", ["0", "1"])
def test_loggers_that_an_application_disables_later(watched, tmp_path, when, workers):
    """``dictConfig`` disables every logger that it does not name."""
    (tmp_path / "later_app.py").write_text(f"WHEN = {when!r}\n{LATER}")
    it = watched("--pythonpath", str(tmp_path), "--workers", workers, app="later_app:app")
    for path in ("/fail", "/silence" if when == "request" else "/fail", "/fail"):
        assert it.get(path)[0] == 500
    it.gateway.stop()
    assert "\n".join(it.gateway.log()).count("the application raised") == 3


@pytest.mark.parametrize("workers", ["0", "2"])
def test_json_lines(watched, workers):
    """All that a server writes, what it says at its start included, so that a collector has nothing to guess."""
    it = watched("--log-format", "json", "--workers", workers, SSGI_SGCI="/mistyped")
    it.get("/fail", **{"X-Request-ID": "abc-1"})
    line = json.loads(it.gateway.wait_for_log("the application raised"))
    assert (line["level"], line["logger"], line["request_id"]) == ("error", "ssgi_gateway.app", "abc-1")
    assert line["exc"].endswith("RuntimeError: on purpose")
    it.gateway.stop()
    said = [json.loads(line) for line in it.gateway.log()]
    for line in said:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["ts"])
        assert {"level", "logger", "pid", "msg"} <= set(line)
    [mistyped] = [line for line in said if "SSGI_SGCI" in line["msg"]]
    assert mistyped["level"] == "warning"
    [listening] = [line for line in said if "listeners" in line]
    host, port = it.address
    address = f"{host}:{port}"
    assert listening["app"] == "tests.observe.apps:app"
    assert listening["listeners"] == [
        {
            "protocol": "http",
            "address": address,
            "carries": "HTTP, WebSockets",
            "nginx": f"proxy_pass http://{address};",
        }
    ]
    [status] = [line["status"] for line in said if "status" in line]
    assert status == f"http://{it.status}/"


class Unread:
    """A gateway whose standard output or error is a pipe that nobody reads."""

    def __init__(self, stream: str, process: subprocess.Popen[bytes], told: Path) -> None:
        self.pipe = getattr(process, stream)
        fcntl.fcntl(self.pipe, fcntl.F_SETPIPE_SZ, 8192)
        self.told = told
        self.url, self.status = "", ""

    def fetch(self, url: str, agent: str = "-") -> tuple[int, str]:
        request = urllib.request.Request(url, headers={"User-Agent": agent})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""

    def metric(self, name: str) -> int:
        text = self.fetch(f"{self.status}metrics")[1]
        return int(re.search(rf"^ssgi_{re.escape(name)} (\d+)$", text, re.MULTILINE)[1])

    def lost(self, log: str) -> int:
        return self.metric(f'log_lines_dropped_total{{log="{log}"}}')

    def all_is_written(self) -> None:
        """Two ticks later nothing waits to be written for the first time."""
        before = self.metric("loop_lag_seconds_count")
        wait_until(lambda: self.metric("loop_lag_seconds_count") >= before + 2, "two ticks")

    def read_to_the_end(self) -> bytes:
        return b"".join(iter(lambda: self.pipe.read(65536), b""))


@contextmanager
def unread(stream: str, folder: Path, *options: str) -> Iterator[Unread]:
    told = folder / "told"
    (folder / "logging_app.py").write_text(APP.format(setup="logging.getLogger('shop').disabled = True"))
    other = {"stdout": "stderr", "stderr": "stdout"}[stream]
    with told.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "ssgi_gateway", "serve", "logging_app:app", "--pythonpath", str(folder), "--workers",
             "1", "--http", "127.0.0.1:0", "--status", "127.0.0.1:0", *options],
            **{stream: subprocess.PIPE, other: file}, cwd=ROOT, env={**os.environ, "SSGI_DEADLINE_DRAIN": "2"},
        )  # fmt: skip
    made = Unread(stream, process, told)
    try:
        if stream == "stdout":
            wait_until(lambda: '"listeners": ' in told.read_text(), "the line that says where it listens")
            text = told.read_text()
        else:
            text = ""
            while '"listeners": ' not in text:
                text += made.pipe.readline().decode()
        said = [json.loads(line) for line in text.splitlines()]
        made.url = next(f"http://{it['listeners'][0]['address']}/" for it in said if "listeners" in it)
        made.status = next(it["status"] for it in said if "status" in it)
        yield made
        threading.Thread(target=process.terminate).start()
        made.rest = made.read_to_the_end()
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        made.pipe.close()


def test_nobody_waits_for_a_reader_of_the_access_log_that_has_stopped(tmp_path):
    count = 300
    with unread("stdout", tmp_path, "--access-log", "-", "--access-log-format", "json") as it:
        for _ in range(count):
            assert it.fetch(it.url, "a" * 8000) == (200, "hello")
        wait_until(lambda: it.lost("access") > 0, "the counter")
        wait_until(lambda: "lines were lost" in it.told.read_text(), "the line that says so")
        it.all_is_written()
        lost = it.lost("access")
    lines = it.rest.splitlines(keepends=True)
    assert all(json.loads(line)["agent"] == "a" * 8000 for line in lines), "every line is whole"
    assert len(lines) + lost == count


def test_nobody_waits_for_a_reader_of_the_servers_log_that_has_stopped(tmp_path):
    with unread("stderr", tmp_path, "--log-format", "json") as it:
        for _ in range(100):
            assert it.fetch(f"{it.url}fail?15000")[0] == 500
        assert it.fetch(it.url) == (200, "hello")
        wait_until(lambda: it.lost("server") > 0, "the counter")
    assert b"lines of this log were lost" in it.rest
