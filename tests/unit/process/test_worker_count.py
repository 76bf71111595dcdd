"""How many workers ``auto`` is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ssgi_gateway.process.worker_count import cpus, wanted_workers
from ssgi_gateway.settings.values import AUTO


@pytest.fixture
def many(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))


def write(folder, name, text):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def membership(tmp_path, text):
    (tmp_path / "cgroup").write_text(text)
    return tmp_path / "cgroup"


def test_a_number_is_itself_and_auto_is_at_least_one():
    assert wanted_workers(3) == 3
    assert wanted_workers(AUTO) >= 1


@pytest.mark.parametrize(
    ("quota", "count"), [("max 100000", 64), ("200000 100000", 2), ("250000 100000", 2), ("50000 100000", 1)]
)
def test_version_2(many, tmp_path, quota, count):
    root = tmp_path / "fs"
    write(root / "system.slice" / "app.service", "cpu.max", quota)
    assert cpus(root, membership(tmp_path, "0::/system.slice/app.service\n")) == count


def test_a_parents_quota_counts_as_well(many, tmp_path):
    root = tmp_path / "fs"
    write(root / "a" / "b", "cpu.max", "max 100000")
    write(root / "a", "cpu.max", "300000 100000")
    assert cpus(root, membership(tmp_path, "0::/a/b\n")) == 3


def test_in_a_container_the_root_is_its_own(many, tmp_path):
    root = tmp_path / "fs"
    write(root, "cpu.max", "200000 100000")
    assert cpus(root, membership(tmp_path, "0::/../..\n")) == 2


@pytest.mark.parametrize(("quota", "count"), [("-1", 64), ("400000", 4)])
def test_version_1(many, tmp_path, quota, count):
    root = tmp_path / "fs"
    write(root / "cpu" / "docker" / "x", "cpu.cfs_quota_us", quota)
    write(root / "cpu" / "docker" / "x", "cpu.cfs_period_us", "100000")
    assert cpus(root, membership(tmp_path, "3:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x\n")) == count


def test_affinity_is_the_most(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5})
    assert cpus(tmp_path / "none", tmp_path / "none") == 2


@pytest.fixture
def group():
    """The folder of a cgroup that the kernel has made for this test."""
    first = Path("/sys/fs/cgroup/cpu")  # version 1
    second = Path("/sys/fs/cgroup")
    hierarchy = first if (first / "cpu.cfs_quota_us").exists() or (first / "cpu.shares").exists() else second
    folder = hierarchy / f"ssgi-gateway-test-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"cgroups may not be made here: {error.strerror}")
    try:
        if not any((folder / name).exists() for name in ("cpu.max", "cpu.cfs_quota_us")):
            pytest.skip("the cpu controller is not passed on to cgroups below this one")
        yield folder
    finally:
        folder.rmdir()


@pytest.mark.parametrize(("quota", "count"), [("100000", 1), ("30000", 1), ("250000", 2)])
def test_a_real_quota(group, quota, count):
    """What the kernel says of a process in a cgroup with a quota, on a machine that may have more CPUs or fewer."""
    if (group / "cpu.max").exists():
        (group / "cpu.max").write_text(f"{quota} 100000")
    else:
        (group / "cpu.cfs_quota_us").write_text(quota)
    enter = f'echo $$ >{group}/cgroup.procs && exec {sys.executable} -c "$1"'
    ask = "from ssgi_gateway.process.worker_count import cpus; print(cpus())"
    done = subprocess.run(["sh", "-c", enter, "sh", ask], capture_output=True, text=True, timeout=60, check=True)
    assert int(done.stdout) == min(count, len(os.sched_getaffinity(0)))
