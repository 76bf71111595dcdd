"""The status page and the page of a failure in a real Chromium; pictures of both stay in .run/screenshots."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.test_board import CHROMIUM_OPTIONS, SCREENSHOTS
from tests.harness.process import wait_until
from tests.observe.conftest import codec, watched
from tests.observe.test_dev import APP

__all__ = ["codec", "watched"]

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or next((it for it in ("/usr/bin/chromium",) if os.path.exists(it)), None)
        running = playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)
        yield running
        running.close()


def page_of(browser: Browser, url: str, scheme: str, errors: list[str]) -> Page:
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1200, "height": 1100})
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on(
        "request",
        lambda request: errors.append(request.url) if not request.url.startswith(("http://127", "data:")) else None,
    )
    page.goto(url)
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_status_page(browser, watched, scheme):
    it = watched("--workers", "2")
    errors: list[str] = []
    page = page_of(browser, f"http://{it.status}/", scheme, errors)
    expect(page.locator("#state")).to_have_text("live")
    expect(page.locator("#name")).to_have_text("tests.observe.apps:app")
    expect(page.locator(".tile")).to_have_count(2)
    for _ in range(30):
        it.get()
    it.get("/fail")
    expect(page.locator("#requests")).to_have_text("31 since the start")
    expect(page.locator("#errors")).to_have_text("1")
    expect(page.locator("#answers")).to_contain_text("http")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "tile", "workers are reached with the keyboard"
    assert "ready" in page.locator(".tile").first.get_attribute("aria-label")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"status-{scheme}.png")
    it.gateway.stop()
    expect(page.locator("#state")).to_have_text("no connection", timeout=20_000)
    assert [error for error in errors if "WebSocket" not in error] == []


def test_a_narrow_screen(browser, watched):
    it = watched("--workers", "1")
    page = page_of(browser, f"http://{it.status}/", "light", [])
    page.set_viewport_size({"width": 360, "height": 700})
    expect(page.locator("#state")).to_have_text("live")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_page_of_a_failure_mends_itself(browser, tmp_path: Path):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "site_app.py").write_text(APP.replace("VERSION", "well") + "\nthis is no Python\n")
    output = tmp_path / "output"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ssgi_gateway", "dev", "site_app:app", "--http", "127.0.0.1:0"],
            cwd=folder, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        wait_until(lambda: "until a change mends it" in output.read_text(), "the page")
        url = next(word for word in output.read_text().split() if word.startswith("http://"))
        errors: list[str] = []
        page = page_of(browser, url, "light", errors)
        expect(page.locator("h1")).to_contain_text("SyntaxError")
        expect(page.locator(".here")).to_contain_text("this is no Python")
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / "failure-syntax.png")
        began = time.monotonic()
        (folder / "site_app.py").write_text(APP.replace("VERSION", "well"))
        expect(page.locator("body")).to_have_text("well", timeout=30_000)
        print(f"mended after {time.monotonic() - began:.2f} s")
        page.goto(f"{url}fail")
        expect(page.locator("h1")).to_have_text("ValueError: on purpose")
        page.locator(".vars summary").last.click()
        expect(page.locator("td", has_text="4711")).to_be_visible()
        page.screenshot(path=SCREENSHOTS / "failure-exception.png")
    finally:
        process.terminate()
        process.wait(30)
