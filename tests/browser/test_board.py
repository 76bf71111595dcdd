"""The demonstration's page in a real Chromium, behind a real nginx, over each of its routes."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Response, expect, sync_playwright

from tests.harness.gateway import ROOT, Gateway
from tests.harness.nginx import Nginx, Server

pytestmark = [pytest.mark.nginx, pytest.mark.browser]

APP = "examples.board.app:app"
BOARD = ROOT / "examples" / "board"
LOCATIONS = f'set $board "{BOARD}";\ninclude "{BOARD}/nginx-locations.conf";'
PROTOCOLS = ("scgi", "fastcgi", "websocket")
SCREENSHOTS = ROOT / ".run" / "screenshots"
"""Where pictures of the page stay for somebody to look at."""

# A browser that asks nobody for updates: the tests need no network.
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]

# The picture on the board, read from a copy: reading the canvas itself again and again makes Chromium slow and say so.
PIXELS = """() => {
    const canvas = document.querySelector("#canvas");
    const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d");
    copy.drawImage(canvas, 0, 0);
    return copy.getImageData(0, 0, canvas.width, canvas.height);
}"""

LABELS = {"scgi": "SCGI", "fastcgi": "FastCGI"}
LINKS = {"In-band": "Connected in-band, over SCGI", "Direct": "Connected directly, as a WebSocket"}


class Site:
    """The gateway with the board, and nginx before it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Our own choice of sockets (with short paths): a second gateway can take the place of the first.
        self._sockets = tempfile.TemporaryDirectory(prefix="board-")
        self.gateway = self._start_gateway("gateway")
        self.nginx = Nginx(folder / "nginx", {"board": Server(LOCATIONS)}, http=self._upstreams())
        self.url = "http://{}:{}/".format(*self.nginx.address("board"))

    def restart_gateway(self) -> None:
        self.gateway = self._start_gateway("second")

    def stop(self) -> None:
        try:
            self.gateway.stop()
            self.nginx.stop()
        finally:
            self._sockets.cleanup()
        log = "\n".join(self.gateway.log())
        assert "Traceback" not in log, log
        assert "Warning" not in log, log

    def _start_gateway(self, name: str) -> Gateway:
        (self._folder / name).mkdir()
        scgi, fastcgi, websocket = ([f"unix:{self._socket(protocol)}"] for protocol in PROTOCOLS)
        return Gateway(APP, self._folder / name, scgi=scgi, fastcgi=fastcgi, websocket=websocket)

    def _upstreams(self) -> str:
        keepalive = {"fastcgi": "keepalive 4;"}
        return "".join(
            f"upstream ssgi_{protocol} {{ server unix:{self._socket(protocol)}; {keepalive.get(protocol, '')} }}\n"
            for protocol in PROTOCOLS
        )

    def _socket(self, protocol: str) -> Path:
        return Path(self._sockets.name, protocol)


class Tab:
    """One visitor, with a browser profile of its own; what it complains about is kept."""

    def __init__(self, browser: Browser, url: str, name: str = "", **options: object) -> None:
        context = browser.new_context(**options)  # type: ignore[arg-type]
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("response", self._response)
        self.page.goto(url)
        self.wait_for_link("In-band")
        if name:
            self.page.get_by_label("Your name").fill(name)
            self.page.get_by_label("Your name").press("Enter")

    def use(self, websocket: str) -> None:
        self.page.get_by_label(websocket, exact=True).check()
        self.wait_for_link(websocket)

    def wait_for_link(self, websocket: str) -> None:
        expect(self.page.locator("#link-text")).to_have_text(LINKS[websocket])

    def choose_pen(self, color: str, width: str = "Broad") -> None:
        self.page.get_by_label(color, exact=True).check()
        self.page.get_by_label(width, exact=True).check()

    def draw(self, *points: tuple[float, float]) -> None:
        """A line through points given as parts of the board's width and height."""
        box = self.page.locator("#canvas").bounding_box()
        assert box
        first, *others = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
        self.page.mouse.move(*first)
        self.page.mouse.down()
        for point in others:
            self.page.mouse.move(*point, steps=8)
        self.page.mouse.up()

    def wait_for_ink(self, x: float, y: float, color: str) -> None:
        """Wait until the board shows that colour there: its pixels are what the visitor sees."""
        self.page.wait_for_function(
            f"""([x, y, color]) => {{
                const {{ width, height, data }} = ({PIXELS})();
                const at = 4 * (Math.floor(y * height) * width + Math.floor(x * width));
                const hex = [...data.slice(at, at + 3)].map((c) => c.toString(16).padStart(2, "0")).join("");
                const pen = getComputedStyle(document.body).getPropertyValue(`--pen-${{color}}`).trim();
                return data[at + 3] === 255 && "#" + hex === pen;
            }}""",
            arg=[x, y, color],
        )

    def wait_for_blank(self) -> None:
        self.page.wait_for_function(f"() => ({PIXELS})().data.every((value) => value === 0)")

    def wait_for_people(self, *names: str) -> None:
        people = self.page.locator("#people li")
        expect(people).to_have_text([re.compile(f"^{name}( \\(you\\))?$") for name in names])

    def close(self) -> None:
        self.page.context.close()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location})")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.complaints.append(f"{response.status} {response.url}")


class Visitors:
    """Opens tabs and closes them all."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.browser = browser
        self.url = url
        self.tabs: list[Tab] = []

    def open(self, name: str = "", **options: object) -> Tab:
        tab = Tab(self.browser, self.url, name, **options)
        self.tabs.append(tab)
        return tab

    def close(self) -> None:
        for tab in self.tabs:
            tab.close()

    @property
    def complaints(self) -> list[str]:
        return [complaint for tab in self.tabs for complaint in tab.complaints]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Debian's where it is installed; else the one that Playwright brought.
        found = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=found, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path)
    yield site
    site.stop()


@pytest.fixture
def visitors(browser: Browser, site: Site) -> Iterator[Visitors]:
    visitors = Visitors(browser, site.url)
    yield visitors
    visitors.close()


@pytest.mark.parametrize(("first", "second"), [("In-band", "In-band"), ("Direct", "Direct"), ("In-band", "Direct")])
def test_two_tabs_see_each_others_strokes(visitors: Visitors, first: str, second: str) -> None:
    ada, grace = visitors.open("Ada"), visitors.open("Grace")
    ada.use(first)
    grace.use(second)
    for tab, color, y in ((ada, "red", 0.25), (grace, "green", 0.75)):
        tab.choose_pen(color)
        tab.draw((0.2, y), (0.8, y))
    for tab in (ada, grace):
        tab.wait_for_ink(0.5, 0.25, "red")
        tab.wait_for_ink(0.5, 0.75, "green")
    assert visitors.complaints == []


def test_who_is_here_is_known_to_everyone(visitors: Visitors) -> None:
    ada, grace = visitors.open("Ada"), visitors.open("<b>Grace</b>")
    for tab in (ada, grace):
        tab.wait_for_people("Ada", "<b>Grace</b>")
    grace.close()
    ada.wait_for_people("Ada")
    assert visitors.complaints == []


def test_a_new_tab_gets_what_was_drawn_and_clear_is_for_everyone(visitors: Visitors) -> None:
    ada = visitors.open("Ada")
    ada.choose_pen("violet")
    ada.draw((0.2, 0.5), (0.8, 0.5))
    grace = visitors.open("Grace")
    grace.wait_for_ink(0.5, 0.5, "violet")
    grace.page.get_by_role("button", name="Clear").click()
    ada.wait_for_blank()
    grace.wait_for_blank()
    assert visitors.complaints == []


def test_the_keyboard_draws_too(visitors: Visitors) -> None:
    ada, grace = visitors.open("Ada"), visitors.open("Grace")
    ada.choose_pen("ink")
    ada.page.get_by_label("Shared drawing board").focus()
    ada.page.keyboard.press("Space")
    for _ in range(20):
        ada.page.keyboard.press("ArrowRight")
    ada.page.keyboard.press("Space")
    ada.page.keyboard.press("ArrowDown")
    grace.wait_for_ink(0.6, 0.5, "ink")  # 10 steps of 16 from the middle of 1600
    assert visitors.complaints == []


@pytest.mark.parametrize("websocket", LINKS)
def test_the_round_trip_is_measured(visitors: Visitors, websocket: str) -> None:
    tab = visitors.open()
    tab.use(websocket)
    expect(tab.page.locator("#latency")).to_have_text(re.compile(r"^\d+(\.\d)? ms round trip$"))
    assert visitors.complaints == []


@pytest.mark.parametrize("route", LABELS)
@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_the_digest_of_an_upload_is_right(visitors: Visitors, route: str, size: int) -> None:
    content = (b"0123456789abcdef!" * (size // 17 + 1))[:size]
    page = visitors.open().page
    page.get_by_label(LABELS[route], exact=True).check()
    page.locator("#file").set_input_files({"name": "numbers.bin", "mimeType": "", "buffer": content})
    expect(page.locator("#verdict")).to_have_text("The digests are equal")
    digest = hashlib.sha256(content).hexdigest()
    expect(page.locator("#digest-server")).to_have_text(digest)
    expect(page.locator("#digest-browser")).to_have_text(digest)
    expect(page.locator("#upload-badge")).to_have_text(LABELS[route])
    assert visitors.complaints == []


@pytest.mark.parametrize("route", LABELS)
def test_the_clock_ticks(visitors: Visitors, route: str) -> None:
    page = visitors.open().page
    page.get_by_label(LABELS[route], exact=True).check()
    expect(page.locator("#clock-badge")).to_have_text(LABELS[route])
    expect(page.locator("#clock-note")).to_have_text(
        re.compile(r"^([3-9]|\d\d+) events in this stream"), timeout=30_000
    )
    assert visitors.complaints == []


@pytest.mark.parametrize("route", LABELS)
@pytest.mark.parametrize(("websocket", "carried"), [("In-band", ("scgi", "SCGI")), ("Direct", ("direct", "Direct"))])
def test_the_table_shows_what_carried_each(
    visitors: Visitors, route: str, websocket: str, carried: tuple[str, str]
) -> None:
    tab = visitors.open()
    tab.page.get_by_label(LABELS[route], exact=True).check()
    tab.use(websocket)
    mount, label = carried
    for title, request, socket in (
        ("Carried by", LABELS[route], label),
        ("Method", "GET", "GET"),
        ("Path", "/seen", "/board"),
        ("Raw path", f"/{route}/seen", f"/{mount}/board"),
        ("Query string", "asked=by%20the%20page", "–"),  # noqa: RUF001 (the page's dash)
        ("Scheme", "http", re.compile("^(http|ws)$")),
        ("HTTP version", "1.1", "1.1"),
        ("Client address", re.compile(r"^127\.0\.0\.1:\d+$"), re.compile(r"^127\.0\.0\.1(:\d+)?$")),
    ):
        row = tab.page.get_by_role("row").filter(has=tab.page.get_by_role("rowheader", name=title, exact=True))
        expect(row.locator("td").nth(0)).to_have_text(request)
        expect(row.locator("td").nth(1)).to_have_text(socket)
    expect(tab.page.locator("#headers")).to_contain_text("sec-fetch-mode")
    assert visitors.complaints == []


def test_the_page_comes_back_after_the_gateway_was_restarted(site: Site, visitors: Visitors) -> None:
    tab = visitors.open("Ada")
    site.gateway.kill()  # nothing says goodbye
    expect(tab.page.locator("#link-text")).to_contain_text("trying again")
    site.restart_gateway()
    expect(tab.page.locator("#link-text")).to_have_text(LINKS["In-band"], timeout=30_000)
    tab.wait_for_people("Ada")
    expect(tab.page.locator("#clock-note")).to_have_text(re.compile(r"^\d+ events? in this stream$"), timeout=30_000)
    # The browser itself reports each attempt that failed, and nothing else went wrong.
    assert all("502" in complaint or "WebSocket connection to" in complaint for complaint in visitors.complaints)


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390)], ids=["light", "dark", "small"]
)
def test_nothing_is_wider_than_the_window(visitors: Visitors, scheme: str, width: int) -> None:
    tab = visitors.open("Ada", viewport={"width": width, "height": 860}, color_scheme=scheme)
    tab.choose_pen("blue")
    tab.draw((0.1, 0.7), (0.4, 0.4), (0.6, 0.6), (0.9, 0.3))
    tab.wait_for_ink(0.1, 0.7, "blue")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    picture = SCREENSHOTS / f"board-{scheme}-{width}.png"
    tab.page.screenshot(path=picture, full_page=True)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    assert visitors.complaints == []
