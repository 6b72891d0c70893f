"""The page as an app: installed, shared to, opened without a network, and told what is pushed."""

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, Worker, expect

from tests.page.conftest import PHONE
from tests.page.fake_daemon import STATIC, FakeDaemon
from tests.page.test_resuming import only

Film = Callable[..., Path]

# Whatever the browser: no test can answer the chooser of files with handles.
NO_PICKER = "delete window.showOpenFilePicker;"
SHARE = """async ([name, size]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(size).map((_, at) => at % 251)], name, { type: "video/mp4" }));
  const input = Object.assign(document.createElement("input"), { type: "file", name: "file" });
  input.files = data.files;
  const form = document.createElement("form");
  Object.assign(form, { action: "/share", method: "post", enctype: "multipart/form-data" });
  form.append(input);
  document.body.append(form);
  form.submit();
}"""
# What the browser tells a worker, told by the test; comes with what was shown and where it went.
HAPPENS = """async ([type, more]) => {
  const shown = [], went = [];
  const { showNotification } = registration, { matchAll } = clients;
  const open = { focus: async () => {}, navigate: async (address) => went.push(address) };
  let event = new ExtendableEvent(type);
  if (type === "push") {
    event = new PushEvent(type, { data: more.data });
    registration.showNotification = async (title, options) => shown.push([title, options]);
  } else if (type === "notificationclick") {
    await registration.showNotification("VidProd", { data: more, tag: "test" });
    event = new NotificationEvent(type, { notification: (await registration.getNotifications({ tag: "test" }))[0] });
    clients.matchAll = async () => [open];
  }
  const all = [];
  event.waitUntil = (promise) => all.push(promise);
  dispatchEvent(event);
  await Promise.all(all);
  Object.assign(registration, { showNotification });
  Object.assign(clients, { matchAll });
  return { shown, went };
}"""
AS_APP = """
const ask = window.matchMedia.bind(window);
window.matchMedia = (query) => (query.includes("standalone") ? { matches: true } : ask(query));
"""


@pytest.fixture(scope="module")
def phone(chromium: Browser) -> Iterator[BrowserContext]:
    """A phone of its own, with service workers: what is installed stays for the tests of this module."""
    size = ViewportSize(width=PHONE["width"], height=PHONE["height"])
    context = chromium.new_context(viewport=size, has_touch=True, is_mobile=True, permissions=["notifications"])
    context.add_init_script(NO_PICKER)
    context.set_default_timeout(8_000)
    yield context
    context.close()


@pytest.fixture
def app(phone: BrowserContext, far: FakeDaemon) -> Iterator[Page]:
    """A page that its service worker answers for."""
    far.tus = True
    page = phone.new_page()
    page.goto(far.url)
    page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    page.wait_for_function("() => navigator.serviceWorker.controller")
    yield page
    phone.set_offline(False)
    page.close()


def worker(phone: BrowserContext) -> Worker:
    (one,) = phone.service_workers
    return one


def test_it_can_be_installed(app: Page) -> None:
    session = app.context.new_cdp_session(app)
    errors = session.send("Page.getInstallabilityErrors")["installabilityErrors"]
    assert {error["errorId"] for error in errors} == {"in-incognito"}  # as each context of a test is
    told = session.send("Page.getAppManifest")
    assert told["errors"] == []
    manifest = json.loads(told["data"])
    assert (manifest["id"], manifest["start_url"], manifest["scope"], manifest["display"]) == (
        "/",
        "/",
        "/",
        "standalone",
    )
    session.detach()


def test_its_pictures_are_as_large_as_the_manifest_says(app: Page, far: FakeDaemon) -> None:
    icons = json.loads((STATIC / "manifest.webmanifest").read_text())["icons"]
    for icon in icons:
        if icon["type"] == "image/png":
            content = (STATIC.parent / icon["src"].lstrip("/")).read_bytes()
            width, height = (int.from_bytes(content[at : at + 4]) for at in (16, 20))  # PNG, 11.2.2: IHDR
            assert f"{width}x{height}" == icon["sizes"]
            assert len(content) < 16_000
    assert {icon.get("purpose") for icon in icons} == {None, "maskable"}


def test_without_a_network_the_page_opens_and_says_so(app: Page, phone: BrowserContext) -> None:
    phone.set_offline(True)
    app.reload()
    expect(app.get_by_text("You are offline.")).to_be_visible()
    expect(app.get_by_text("Offline", exact=True)).to_be_visible()
    expect(app.get_by_role("button", name="Choose videos")).to_be_visible()
    phone.set_offline(False)
    expect(app.get_by_text("You are offline.")).to_be_hidden()
    expect(app.get_by_text("Live", exact=True)).to_be_visible()


def test_a_take_gets_there_over_a_gap_and_a_reload_within_it(
    app: Page, phone: BrowserContext, far: FakeDaemon, tmp_path: Path
) -> None:
    path = tmp_path / "tunnel.mp4"
    path.write_bytes(random.Random(1).randbytes(10_000_000))
    far.rate = 4_000_000
    app.locator("#files").set_input_files(path)
    far.wait_for(lambda: len(far.requests("PATCH", "/files/")) == 1)
    phone.set_offline(True)
    expect(app.get_by_text("You are offline.")).to_be_visible()
    app.reload()
    app.locator("#files").set_input_files(path)
    expect(app.get_by_text("If this page is closed, the upload goes on when it is opened again.")).to_be_visible()
    app.reload()
    far.rate = None
    phone.set_offline(False)
    expect(app.get_by_role("heading", name="tunnel.mp4")).to_be_visible()
    assert only(far).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert int(far.requests("PATCH", "/files/")[-1].headers["upload-offset"]) > 0


def test_only_the_shell_is_kept(app: Page, far: FakeDaemon) -> None:
    stored = app.evaluate(
        """async () => {
          const names = await caches.keys();
          const kept = await Promise.all(names.map(async (name) => (await (await caches.open(name)).keys())));
          return [names, kept.flat().map((request) => new URL(request.url).pathname)];
        }"""
    )
    (name,), paths = stored
    assert name.startswith("vidprod-shell-")
    files = [path for path in STATIC.iterdir() if path.name != "sw.js"]
    assert set(paths) == {f"/static/{path.name}" for path in files}


def test_an_older_shell_goes_when_a_newer_one_is_there(app: Page, phone: BrowserContext) -> None:
    app.evaluate("caches.open('vidprod-shell-older').then(() => null)")
    worker(phone).evaluate(HAPPENS, ["activate", {}])
    assert len(app.evaluate("caches.keys()")) == 1


def test_a_video_shared_with_the_app_is_sent(app: Page, phone: BrowserContext, far: FakeDaemon) -> None:
    app.add_init_script(AS_APP)
    app.evaluate(SHARE, ["shared.mp4", 300_000])
    expect(app.get_by_role("heading", name="shared.mp4")).to_be_visible()
    assert app.url == f"{far.url}/#takes"
    assert only(far).sha256 == hashlib.sha256(bytes(at % 251 for at in range(300_000))).hexdigest()
    assert far.requests("POST", "/share") == []  # the worker took it
    app.reload()
    expect(app.get_by_text("Live", exact=True)).to_be_visible()
    assert len(far.uploads) == 1


def test_what_comes_to_a_tab_may_be_of_another_site_and_waits_for_a_tap(app: Page, far: FakeDaemon) -> None:
    """A worker cannot tell who made the browser send a form."""
    app.evaluate(SHARE, ["foisted.mp4", 1_000])
    waiting = app.get_by_role("region", name="Unfinished uploads")
    expect(waiting.get_by_text("It is not sent unless you say so.")).to_be_visible()
    assert far.uploads == {}
    app.get_by_role("button", name="Send it: foisted.mp4").click()
    expect(app.get_by_role("heading", name="foisted.mp4")).to_be_visible()
    expect(waiting).to_be_hidden()


def test_what_is_not_wanted_of_it_is_forgotten(app: Page, far: FakeDaemon) -> None:
    app.evaluate(SHARE, ["foisted.mp4", 1_000])
    app.get_by_role("button", name="Discard foisted.mp4").click()
    app.get_by_role("button", name="Discard", exact=True).click()
    app.reload()
    expect(app.get_by_text("Live", exact=True)).to_be_visible()
    expect(app.get_by_role("region", name="Unfinished uploads")).to_be_hidden()
    assert far.uploads == {}


@pytest.mark.parametrize(
    ("sent", "title", "more"),
    [
        (
            {"title": "film.mp4 is done", "body": "3 segments", "url": "/#calendar", "tag": "job_1"},
            "film.mp4 is done",
            {"body": "3 segments", "tag": "job_1", "data": {"url": "/#calendar"}},
        ),
        (None, "VidProd", {"body": "There is news.", "data": {"url": "/"}}),
    ],
)
def test_what_is_pushed_is_shown(app: Page, phone: BrowserContext, sent: Any, title: str, more: dict[str, Any]) -> None:
    happened = worker(phone).evaluate(HAPPENS, ["push", {"data": json.dumps(sent) if sent else "no JSON"}])
    ((shown, told),) = happened["shown"]
    assert shown == title
    assert more.items() <= told.items()


@pytest.mark.parametrize(
    ("url", "goes_to"), [("/#calendar", "/#calendar"), ("https://elsewhere.example/", "/"), (None, "/")]
)
def test_a_notification_leads_to_a_page_of_ours_in_the_window_that_is_open(
    app: Page, phone: BrowserContext, far: FakeDaemon, url: str | None, goes_to: str
) -> None:
    assert worker(phone).evaluate(HAPPENS, ["notificationclick", {"url": url}])["went"] == [far.url + goes_to]
