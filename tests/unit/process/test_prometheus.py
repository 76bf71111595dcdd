"""The directory of prometheus_client's multiprocess mode: whose it is, and what becomes of it."""

from __future__ import annotations

import os
import pwd

import pytest

from ssgi_gateway.process import prometheus
from ssgi_gateway.settings import Settings


@pytest.fixture(autouse=True)
def no_directory(monkeypatch):
    monkeypatch.setenv(prometheus.VARIABLE, "")  # what a test sets in its place is undone


def test_it_is_made_and_removed():
    made = prometheus.Directory(Settings(prometheus_multiproc=True))
    assert os.environ[prometheus.VARIABLE] == made.path
    assert os.stat(made.path).st_mode & 0o777 == 0o700
    path = made.path
    open(f"{path}/counter_1.db", "w").close()
    made.close()
    assert not os.path.exists(path)
    assert prometheus.VARIABLE not in os.environ


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_it_belongs_to_the_workers_user():
    made = prometheus.Directory(Settings(prometheus_multiproc=True, user="nobody"))
    try:
        assert os.stat(made.path).st_uid == pwd.getpwnam("nobody").pw_uid
    finally:
        made.close()


def test_of_who_has_left_only_gauges_of_the_living_go(tmp_path, monkeypatch):
    monkeypatch.setenv(prometheus.VARIABLE, str(tmp_path))
    made = prometheus.Directory(Settings(prometheus_multiproc=True))
    for name in ("counter_1.db", "gauge_all_1.db", "gauge_livesum_1.db", "gauge_livesum_11.db"):
        (tmp_path / name).touch()
    made.leave(1)
    made.close()
    assert sorted(os.listdir(tmp_path)) == ["counter_1.db", "gauge_all_1.db", "gauge_livesum_11.db"]


def test_it_is_off_by_default():
    made = prometheus.Directory(Settings())
    assert made.path == ""
    made.leave(1)
    made.close()
    assert not os.environ[prometheus.VARIABLE]
