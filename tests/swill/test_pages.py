"""The page ``/_swill/`` and the chat in a real Chromium: they work, and the console stays empty."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Gateway

pytestmark = pytest.mark.browser
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page()
        said: list[str] = []
        opened.on("console", lambda message: said.append(message.text))
        opened.on("pageerror", lambda error: said.append(str(error)))
        yield opened
        opened.screenshot(path=str(tmp_path / "page.png"))
        browser.close()
        assert said == []


def test_the_page_calls_and_streams(serve: Callable[..., Gateway], page: Any) -> None:
    gateway = serve("tests.apps.swill_features:app", http=("tcp",), env={"SWILL_DEBUG": "1"})
    host, port = gateway.address("http", "tcp")
    page.goto(f"http://{host}:{port}/_swill/")
    page.click("nav button:text-is('add')")
    assert page.inner_text("#doc") == "Add two numbers."
    page.fill("#data", "[1, 2]")
    page.click("#call")
    page.wait_for_selector("#log li.in pre:text-is('3')")
    assert "9501030" in page.inner_text("#log li.in")
    page.click("nav button:has-text('count')")
    page.fill("#data", "3")
    page.click("#call")
    page.wait_for_selector("#log li.in small:has-text('END_OF_STREAM')")
    page.fill("#data", '"x"')
    page.click("#call")
    page.wait_for_selector("#log li.error pre:has-text('Validation Error')")


def test_the_page_is_for_development(serve: Callable[..., Gateway]) -> None:
    from tests.harness import request

    gateway = serve("tests.apps.swill_features:app", http=("tcp",))
    assert request(gateway.address("http", "tcp"), "GET", "/_swill/").status == 404


def test_the_chat(serve: Callable[..., Gateway], page: Any, tmp_path: Path) -> None:
    env = {"CHAT_SOCKET": f"{tmp_path}/hub.sock", "CHAT_FILES": str(tmp_path / "files")}
    gateway = serve("examples.chat.app:app", http=("tcp",), env=env)
    host, port = gateway.address("http", "tcp")
    page.goto(f"http://{host}:{port}/")
    page.wait_for_selector("#state[data-state=open]")
    page.fill("#text", "Hello")
    page.press("#text", "Enter")
    page.wait_for_selector("#messages p:text-is('Hello')")
    page.set_input_files("#file", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x" * 200_000})
    page.wait_for_selector("#messages .file:has-text('195 KiB')")
    page.wait_for_selector("#people li:has-text('(you)')")
    page.reload()
    page.wait_for_selector("#messages p:text-is('Hello')")
