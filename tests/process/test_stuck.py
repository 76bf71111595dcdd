"""Requests that hang: the others are answered, the worker lives where it can, and is replaced where it cannot."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.harness.client import request
from tests.harness.process import wait_until

pytestmark = [pytest.mark.nginx]

OPTIONS = ("--request-timeout", "1", "--slow-request", "0.5")


def ask(fleet, path: str, answers: dict) -> threading.Thread:
    def run():
        answers[path] = request(fleet.nginx.address("scgi"), "GET", path)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("app", "path", "status"),
    [
        ("app", "/loop", 500),
        ("app", "/catches-exceptions", 500),
        ("app", "/sleeps", 500),
        ("app", "/locked", 500),
        ("app", "/expression", 500),
        ("app", "/async-waits", 504),
        ("app", "/async-loop", 500),
        ("asgi", "/async-waits", 504),
        ("asgi", "/loop", 500),
        ("wsgi", "/loop", 504),
    ],
)
def test_a_request_that_hangs_is_ended_and_its_worker_goes_on(fleet, app, path, status):
    it = fleet(1, *OPTIONS, app=f"tests.apps.troubles:{app}")
    [worker] = it.workers()
    answers: dict = {}
    hanging = ask(it, path, answers)
    it.gateway.wait_for_log(f"GET {path} has taken")
    other = request(it.nginx.address("scgi"), "GET", "/other")
    hanging.join()
    assert answers[path].status == status
    assert other.body == f"other {worker}".encode()
    assert it.workers() == [worker]
    log = it.gateway.process.text()
    assert "thread MainThread:" in log
    assert path.strip("/").replace("-", "_") in log.partition("so far:")[2]  # the function is in a stack


def test_a_request_that_cannot_be_ended_costs_its_worker_and_what_that_has_started(fleet):
    it = fleet(1, *OPTIONS, app="tests.apps.troubles:app")
    [worker] = it.workers()
    answers: dict = {}
    hanging = ask(it, "/stubborn-parent", answers)
    it.gateway.wait_for_log("is stuck; it is replaced")
    wait_until(lambda: it.workers() not in ([worker], []) and worker not in it.workers(), "another worker", 60)
    hanging.join()
    assert answers["/stubborn-parent"].status == 502
    child = int(it.gateway.process.text().partition("child ")[2].split()[0])
    wait_until(lambda: not Path(f"/proc/{child}").exists(), "the end of its child")
    assert request(it.nginx.address("scgi"), "GET", "/other").status == 200


def test_a_thread_that_sleeps_cannot_be_ended_and_its_worker_is_replaced(fleet):
    """Its client gets 504 at once, the others go on; a sleep in C is not interrupted, so the worker goes."""
    it = fleet(1, *OPTIONS, "--deadline-drain", "1", app="tests.apps.troubles:wsgi")
    [worker] = it.workers()
    answers: dict = {}
    hanging = ask(it, "/sleeps", answers)
    it.gateway.wait_for_log("GET /sleeps has taken")
    assert request(it.nginx.address("scgi"), "GET", "/other").body == f"other {worker}".encode()
    hanging.join()
    assert answers["/sleeps"].status == 504
    it.gateway.wait_for_log("is to be replaced: a thread that cannot be interrupted")
    wait_until(lambda: worker not in it.workers(), "its end")
    assert request(it.nginx.address("scgi"), "GET", "/other").status == 200


def test_an_answer_that_has_begun_may_take_its_time(fleet):
    it = fleet(1, *OPTIONS)
    answer = request(it.nginx.address("scgi"), "GET", "/slow/0.2/7")
    assert answer.body.startswith(b"7 ")


def test_nothing_is_watched_by_default(fleet):
    it = fleet(1)
    assert request(it.nginx.address("scgi"), "GET", "/slow/1.2/7").body.startswith(b"7 ")
    assert "has taken" not in it.gateway.process.text()
