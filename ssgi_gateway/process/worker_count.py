"""How many workers: the number of the settings, or as many as this process may use CPUs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from ssgi_gateway.settings.values import AUTO, MAX_WORKERS

__all__ = ["cpus", "wanted_workers"]

CGROUPS: Final = Path("/sys/fs/cgroup")


def wanted_workers(setting: int) -> int:
    """The number that the setting ``workers`` stands for."""
    return cpus() if setting == AUTO else setting


def cpus(root: Path = CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> int:
    """The lesser of the CPUs of the affinity and of the cgroup's quota, at least 1.

    Args:
        root: where cgroups are mounted.
        membership: the file that lists which ones this process is in (cgroups(7)).
    """
    count = len(os.sched_getaffinity(0))
    quota = _quota(root, membership)
    return max(1, min(count, MAX_WORKERS, int(quota) if quota >= 1 else 1 if quota else count))


def _quota(root: Path, membership: Path) -> float:
    """The least quota of the cgroups that this process is in, in CPUs; 0 for none."""
    quotas = []
    for folder, controllers in _places(root, membership):
        while True:
            found = _quota_of(folder, controllers)
            if found:
                quotas.append(found)
            if folder in (root, root / "cpu", root / "cpu,cpuacct") or root not in folder.parents:
                break
            folder = folder.parent
    return min(quotas, default=0.0)


def _places(root: Path, membership: Path) -> list[tuple[Path, bool]]:
    """Folders of this process' cgroups, each with whether it is one of version 1."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        lines = []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            found.append((root / path.lstrip("/"), False))
        elif "cpu" in controllers.split(","):
            found.append((root / controllers / path.lstrip("/"), True))
            found.append((root / "cpu" / path.lstrip("/"), True))
    # In a container with a namespace of its own the path above leads nowhere, and its root is what is mounted.
    return [*found, (root, False), (root / "cpu", True)]


def _quota_of(folder: Path, first: bool) -> float:
    try:
        if first:
            quota = int((folder / "cpu.cfs_quota_us").read_text())
            return quota / int((folder / "cpu.cfs_period_us").read_text()) if quota > 0 else 0.0
        text, period = (folder / "cpu.max").read_text().split()
        return 0.0 if text == "max" else int(text) / int(period)
    except (OSError, ValueError):
        return 0.0
