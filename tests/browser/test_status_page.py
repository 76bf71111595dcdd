"""The status page and the page of a failure in a real Chromium; pictures of both stay in .run/screenshots.

Both are judged by axe in light and in dark, in each state that they have: contrast, names, roles, landmarks.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.accessibility import is_accessible
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


def tabs_through(page: Page, *wanted: str) -> None:
    """Press Tab; what has the focus then is what each of these selectors finds, one after the other, and is seen."""
    for selector in wanted:
        page.keyboard.press("Tab")
        focused = "document.activeElement"
        assert page.evaluate(f"(it) => {focused}.matches(it)", selector), page.evaluate(f"{focused}.outerHTML")
        assert page.evaluate(f"getComputedStyle({focused}).outlineStyle") != "none", "nothing shows where the focus is"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_status_page(browser, watched, scheme, tmp_path):
    application = tmp_path / "served.py"
    application.write_text("from tests.observe.apps import app\n")
    it = watched("--workers", "2", "--pythonpath", str(tmp_path), app="served:app")
    errors: list[str] = []
    page = page_of(browser, f"http://{it.status}/", scheme, errors)
    expect(page.locator("#state")).to_have_text("live")
    expect(page.locator("#name")).to_have_text("served:app")
    expect(page.locator(".tile")).to_have_count(2)
    for _ in range(30):
        it.get()
    it.get("/fail")
    expect(page.locator("#requests")).to_have_text("31 since the start")
    expect(page.locator("#errors")).to_have_text("1")
    expect(page.locator("#answers")).to_contain_text("http")
    tabs_through(page, ".tile", ".tile", "a[href=metrics]")
    assert "ready" in page.locator(".tile").first.get_attribute("aria-label")
    for name in ("Answers", "Waiting to be accepted", "Life"):
        expect(page.get_by_role("table", name=name)).to_be_visible()
    expect(page.get_by_role("row", name="http").first).to_contain_text("30")
    expect(page.get_by_role("list", name="How long they take").get_by_role("listitem").first).to_be_visible()
    expect(page.get_by_role("img", name="Requests a second over the last five minutes")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("live")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing sticks out"
    is_accessible(page)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"status-{scheme}.png")
    application.write_text("raise RuntimeError('on purpose')\n")
    it.gateway.process.send_signal(signal.SIGHUP)
    expect(page.get_by_role("status")).to_have_text("serving the code before", timeout=20_000)
    expect(page.locator("#words")).to_contain_text("RuntimeError: on purpose")
    is_accessible(page)
    it.gateway.stop()
    expect(page.locator("#state")).to_have_text("no connection", timeout=20_000)
    expect(page.get_by_role("alert")).to_contain_text("Trying again")
    is_accessible(page)
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
        wait_until(lambda: "until a change fixes it" in output.read_text(), "the page")
        url = next(word for word in output.read_text().split() if word.startswith("http://"))
        errors: list[str] = []
        page = page_of(browser, url, "light", errors)
        expect(page.locator("h1")).to_contain_text("SyntaxError")
        expect(page.locator(".here")).to_contain_text("this is no Python")
        is_accessible(page)
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / "failure-syntax.png")
        began = time.monotonic()
        (folder / "site_app.py").write_text(APP.replace("VERSION", "well"))
        expect(page.locator("body")).to_have_text("well", timeout=30_000)
        print(f"mended after {time.monotonic() - began:.2f} s")
        for scheme in ("light", "dark"):
            page = page_of(browser, f"{url}fail", scheme, [])
            expect(page.get_by_role("alert")).to_have_text("ValueError: on purpose")
            expect(page.locator("[aria-current]")).to_contain_text('raise ValueError("on purpose")')
            # All of it with the keyboard: the frame, its source, its variables.
            tabs_through(page, ".frame > summary", "pre", ".vars > summary")
            page.keyboard.press("Enter")
            expect(page.get_by_role("row", name="secret")).to_contain_text("4711")
            is_accessible(page)
            page.screenshot(path=SCREENSHOTS / f"failure-{scheme}.png")
    finally:
        process.terminate()
        process.wait(30)
