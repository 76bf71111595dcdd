"""A gateway with everything there is to see it by."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Gateway

APP = "tests.observe.apps:app"


class Watched:
    """A gateway over HTTP, and what it says of itself at ``--status``."""

    def __init__(self, gateway: Gateway, status: str) -> None:
        self.gateway = gateway
        self.status = status
        host, port = gateway.http[0]
        self.url = f"http://{host}:{port}"
        self.address = (host, port)

    def fetch(self, url: str, timeout: float = 20.0, **headers: str) -> tuple[int, str]:
        """The status and the body of a page."""
        request = urllib.request.Request(url, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def get(self, path: str = "/", **more: Any) -> tuple[int, str]:
        """From the application."""
        return self.fetch(self.url + path, **more)

    def ask(self, path: str, **more: Any) -> tuple[int, str]:
        """From the status process."""
        return self.fetch(f"http://{self.status}{path}", **more)

    def said(self) -> dict[str, Any]:
        """``/status``."""
        found: dict[str, Any] = json.loads(self.ask("/status")[1])
        return found

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of that name which have these labels."""
        total = 0.0
        for line in self.ask("/metrics")[1].splitlines():
            found, _, value = line.rpartition(" ")
            if found.partition("{")[0] == name and all(f'{key}="{it}"' in found for key, it in labels.items()):
                total += float(value)
        return total


@pytest.fixture
def codec() -> str:
    """Which build serves; a module that has to see both has a fixture of its own."""
    return os.environ.get("SSGI_CODEC", "auto")


@pytest.fixture
def watched(codec: str, tmp_path: Path) -> Iterator[Callable[..., Watched]]:
    """Starts gateways: ``watched("--workers", "2")``; they are stopped at the end, and have to end well."""
    with ExitStack() as running:

        def begin(*options: str, app: str = APP, **env: str) -> Watched:
            folder = tmp_path / f"gateway{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            words = ("--status", "127.0.0.1:0", *options)
            environment = {"SSGI_CODEC": codec, "SSGI_DEADLINE_DRAIN": "2", **env}
            gateway = running.enter_context(Gateway(app, folder, http=["tcp"], options=words, env=environment))
            line = gateway.wait_for_log("status page")
            return Watched(gateway, line.split("http://")[1].split("/")[0])

        yield begin
