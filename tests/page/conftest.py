"""A real Chromium, a simulated far end, and a guard: each page must stay free of errors and keep to its origin."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Error,
    FileChooser,
    Page,
    Request,
    ViewportSize,
    sync_playwright,
)

from tests.page import footage
from tests.page.fake_daemon import FakeDaemon, Server

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 800}
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--in-process-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SPRITE = {
    "columns": footage.COLUMNS,
    "rows": footage.ROWS,
    "count": footage.COLUMNS * footage.ROWS,
    "tile_width": footage.TILE_WIDTH,
    "tile_height": footage.TILE_HEIGHT,
    "interval_s": footage.INTERVAL_S,
}
COMPARE = {
    "rows": footage.COMPARE_ROWS,
    "tile_width": footage.COMPARE_WIDTH,
    "tile_height": footage.COMPARE_HEIGHT,
    "at_s": [0.4, 1.9, 3.2],
}
# As on plain http:// in a home network: no test can answer the chooser of files with handles, and each context would
# fetch the whole shell anew for its service worker. Tests of those have contexts of their own.
LISTEN = """
delete window.showOpenFilePicker;
delete Navigator.prototype.serviceWorker;
window.violations = [];
addEventListener("securitypolicyviolation", (event) => {
  violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""

FORGET = """() => {
  localStorage.clear();
  sessionStorage.clear();
  indexedDB.deleteDatabase("vidprod");
}"""


@dataclass
class Guard:
    """What a page did that it must not do."""

    origin: str
    faults: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        page.on("console", self._console)
        page.on("pageerror", self._error)
        page.on("request", self._request)

    def check(self, page: Page) -> None:
        if not page.is_closed():
            self.faults += page.evaluate("window.violations ?? []")
        assert self.faults == []

    def leave(self, page: Page) -> None:
        page.remove_listener("console", self._console)
        page.remove_listener("pageerror", self._error)
        page.remove_listener("request", self._request)

    def _error(self, error: Error) -> None:
        self.faults.append(f"error: {error}")

    def _console(self, message: ConsoleMessage) -> None:
        # The browser itself notes each answer from 400 up; the tests that ask for one look at the page instead.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            self.faults.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.origin}/", "blob:", "data:")):
            self.faults.append(f"outside request: {request.url}")


OpenPage = Callable[..., Page]
Contexts = Callable[..., BrowserContext]
Tabs = dict[BrowserContext, list[Page]]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def media(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A clip, its poster, its sprite, and before and after."""
    path: Path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    footage.write_clip(path)
    pictures = {"poster": footage.poster(), "sprite": footage.sprite(), "compare": footage.compare()}
    return {"clip": path.read_bytes(), **pictures}


@pytest.fixture(scope="package")
def server() -> Iterator[Server]:
    with Server.running() as server:
        yield server


@pytest.fixture
def far(server: Server, media: dict[str, bytes]) -> Iterator[FakeDaemon]:
    with server.plays(FakeDaemon(**media, sprite_facts=SPRITE)) as far:
        yield far


@pytest.fixture(scope="package")
def shared(chromium: Browser) -> Iterator[Contexts]:
    """Contexts by their options: what the page is made of comes from their caches from the second test on.

    A new one costs as much as five pages: what a page can be told, as its size, is not among the options.
    """
    contexts: dict[str, BrowserContext] = {}

    def context(**options: Any) -> BrowserContext:
        key = repr(sorted(options.items()))
        if key not in contexts:
            contexts[key] = chromium.new_context(**options)
            contexts[key].add_init_script(LISTEN)
            contexts[key].set_default_timeout(8_000)
        return contexts[key]

    yield context
    for one in contexts.values():
        one.close()


@pytest.fixture(scope="package")
def tabs() -> Tabs:
    """Tabs that tests have left, by their context: a new one costs more than the page."""
    return {}


@pytest.fixture
def open_at(shared: Contexts, tabs: Tabs) -> Iterator[OpenPage]:
    """Opens an address and waits until the page is live; guarded to the end."""
    opened: list[tuple[Page, Guard]] = []

    def open_page(
        url: str,
        *,
        view: str = "takes",
        size: dict[str, int] = PHONE,
        reduced_motion: Literal["reduce", "no-preference"] = "no-preference",
        context: BrowserContext | None = None,
        **options: Any,
    ) -> Page:
        chosen = context or shared(**options)
        left = tabs.setdefault(chosen, [])
        page = left.pop() if left else chosen.new_page()
        page.set_viewport_size(ViewportSize(width=size["width"], height=size["height"]))
        page.emulate_media(color_scheme="light", reduced_motion=reduced_motion)
        guard = Guard(url)
        guard.watch(page)
        opened.append((page, guard))
        # Choosers are caught from here on: caught only when one is expected, a quick key can be faster than that.
        page.on("filechooser", _catch)
        page.goto(url if view == "takes" else f"{url}/#{view}")
        page.get_by_text("Live", exact=True).wait_for()
        page.locator("#takes-loading").wait_for(state="hidden")
        return page

    yield open_page
    for page, guard in opened:
        guard.check(page)
        if not page.is_closed():
            guard.leave(page)
            _leave(page)
            tabs[page.context].append(page)


def _catch(chooser: FileChooser) -> None:
    """Who waits for it has it too."""


def _accept(dialog: Dialog) -> None:
    dialog.accept()


def _leave(page: Page) -> None:
    page.evaluate(FORGET)
    page.unroute_all()
    page.remove_listener("filechooser", _catch)
    page.on("dialog", _accept)
    page.goto("about:blank")
    page.remove_listener("dialog", _accept)


@pytest.fixture
def page(far: FakeDaemon, open_at: OpenPage) -> Page:
    return open_at(far.url)


@pytest.fixture(scope="package")
def clockwork(chromium: Browser) -> Iterator[BrowserContext]:
    """For pages whose clock a test moves: a clock belongs to a whole context."""
    context = chromium.new_context()
    context.add_init_script(LISTEN)
    yield context
    context.close()


@pytest.fixture
def timed(clockwork: BrowserContext, far: FakeDaemon, open_at: OpenPage) -> Page:
    """A page whose clock the test moves, from now on."""
    clockwork.clock.install(time=datetime.now(UTC))
    return open_at(far.url, context=clockwork)


@pytest.fixture
def on_wednesday(far: FakeDaemon, open_at: OpenPage) -> OpenPage:
    """Opens the page in Paris; by the clock of its daemon it is Wednesday, 18 November 2026, 11:00."""
    far.publishing.stands_at = datetime(2026, 11, 18, 10, tzinfo=UTC)

    def open_page(view: str = "calendar", *, size: dict[str, int] = DESK, **options: Any) -> Page:
        return open_at(far.url, view=view, size=size, timezone_id="Europe/Paris", locale="en-GB", **options)

    return open_page


@pytest.fixture
def take(tmp_path: Path) -> Callable[..., Path]:
    """A file to upload. The simulated far end looks at its size alone."""

    def make(name: str = "take.mp4", size: int = 200_000) -> Path:
        path = tmp_path / name
        with path.open("wb") as file:
            file.truncate(size)
        return path

    return make
