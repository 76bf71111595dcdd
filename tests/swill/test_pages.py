"""The page ``/_swill/`` and the chat in a real Chromium: they work, and the console stays empty."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.accessibility import is_accessible
from tests.harness import Gateway

from .services import Redis

pytestmark = pytest.mark.browser
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")


class Browser:
    """Pages, each of a visitor of its own, and what their consoles said."""

    def __init__(self, launched: Any) -> None:
        self._launched = launched
        self.pages: list[Any] = []
        self.said: list[str] = []

    def visitor(self, url: str, **context: Any) -> Any:
        page = self._launched.new_context(**context).new_page()
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.goto(url)
        self.pages.append(page)
        return page


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        browser = Browser(launched)
        yield browser
        for number, page in enumerate(browser.pages):
            page.screenshot(path=str(tmp_path / f"page{number}.png"))
        launched.close()
        assert browser.said == []


@pytest.fixture
def short_folder() -> Iterator[str]:
    """For a unix socket, whose path may have 107 bytes."""
    folder = tempfile.mkdtemp(prefix="chat-")
    yield folder
    shutil.rmtree(folder)


def test_the_page_calls_and_streams(serve: Callable[..., Gateway], browser: Browser) -> None:
    gateway = serve("tests.apps.swill_features:app", http=("tcp",), env={"SWILL_DEBUG": "1"})
    host, port = gateway.address("http", "tcp")
    page = browser.visitor(f"http://{host}:{port}/_swill/")
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
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        is_accessible(page)


def test_the_page_is_for_development(serve: Callable[..., Gateway]) -> None:
    from tests.harness import request

    gateway = serve("tests.apps.swill_features:app", http=("tcp",))
    assert request(gateway.address("http", "tcp"), "GET", "/_swill/").status == 404


def test_the_chat_on_two_workers(
    serve: Callable[..., Gateway], browser: Browser, tmp_path: Path, short_folder: str
) -> None:
    """Visitors of either worker talk, see each other, who writes and what is sent; what was said is there again."""
    env = {"CHAT_FILES": str(tmp_path / "files"), "CHAT_SOCKET": f"{short_folder}/hub.sock"}
    gateway = serve("examples.chat.app:app", "--workers", "2", http=("tcp",), env=env)
    host, port = gateway.address("http", "tcp")
    address = f"http://{host}:{port}/"
    ada = browser.visitor(address)
    workers = {worker(ada)}
    others = []
    while len(workers) < 2:  # the kernel deals connections out
        others.append(browser.visitor(address, viewport={"width": 390, "height": 760}, color_scheme="dark"))
        workers.add(worker(others[-1]))
    grace = others[-1]
    assert ada.is_hidden("#kill")
    name(ada, "Ada")
    name(grace, "Grace")
    say(ada, "Hello")
    grace.wait_for_selector("#messages p:text-is('Hello')")
    say(grace, "Good morning")
    ada.wait_for_selector("#messages p:text-is('Good morning')")
    for scheme in ("light", "dark"):
        ada.emulate_media(color_scheme=scheme)
        is_accessible(ada)
    ada.wait_for_selector("#people li:has-text('Ada (you)')")
    ada.wait_for_selector("#people li:text-is('Grace')")
    grace.type("#text", "I am wri")
    ada.wait_for_selector("#typing:has-text('Grace is writing')")
    ada.set_input_files("#file", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x" * 200_000})
    grace.wait_for_selector("#messages .file:has-text('195 KiB')")
    found = ada.request.get(address + grace.get_attribute("#messages .file", "href"))
    assert found.body() == b"x" * 200_000
    assert found.headers["content-security-policy"] == "sandbox"
    ada.click("#rooms .room:text-is('code')")
    ada.wait_for_selector("#room:text-is('# code')")
    assert ada.query_selector("#messages p") is None
    ada.reload()
    ada.wait_for_selector("#room:text-is('# code')")
    ada.click("#rooms .room:text-is('lobby')")
    ada.wait_for_selector("#messages p:text-is('Good morning')")


def test_a_worker_of_the_chat_is_killed(serve: Callable[..., Gateway], browser: Browser, tmp_path: Path) -> None:
    """Its visitors are with another one, and talk to those who were elsewhere."""
    with Redis(tmp_path) as redis:
        env = {"CHAT_FILES": str(tmp_path / "files"), "CHAT_PLAY": "1", "REDIS_URL": redis.url}
        gateway = serve("examples.chat.app:app", "--workers", "2", http=("tcp",), env=env)
        host, port = gateway.address("http", "tcp")
        ada, grace = (browser.visitor(f"http://{host}:{port}/") for _ in range(2))
        say(ada, "Before")
        grace.wait_for_selector("#messages p:text-is('Before')")
        before = worker(ada)
        ada.click("#kill")
        ada.wait_for_selector(".note:has-text('has taken over')")
        assert worker(ada) != before
        say(grace, "After")
        ada.wait_for_selector("#messages p:text-is('After')")
        assert [one.inner_text() for one in ada.query_selector_all("#messages p")] == ["Before", "After"]
    browser.said[:] = [line for line in browser.said if "WebSocket connection to" not in line]  # Chromium's own


def worker(page: Any) -> str:
    page.wait_for_selector("#state[data-state=open]")
    page.wait_for_selector("#pid:has-text('worker ')", state="attached")
    return str(page.text_content("#pid"))


def name(page: Any, name: str) -> None:
    page.fill("#name", name)
    page.press("#name", "Enter")


def say(page: Any, text: str) -> None:
    page.fill("#text", text)
    page.press("#text", "Enter")
