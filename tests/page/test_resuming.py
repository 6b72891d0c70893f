"""Uploads that go on where they were: cut, paused, reloaded, offline, in two tabs, or begun elsewhere."""

import functools
import hashlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.page.conftest import LISTEN, PHONE, OpenPage
from tests.page.fake_daemon import FakeDaemon, Fault
from tests.page.fake_tus import Arriving
from tests.page.test_for_everyone import audit_by_light_and_dark
from tests.page.test_uploading import NOT_A_VIDEO, Take, pick, row

PART = 8 << 20
SIZE = 10_000_000  # a part and a bit


@pytest.fixture(autouse=True)
def resumes(far: FakeDaemon) -> None:
    far.tus = True


@pytest.fixture
def film(tmp_path: Path) -> Callable[..., Path]:
    """A file whose bytes are known, and all different."""

    def make(name: str = "film.mp4", size: int = SIZE) -> Path:
        path = tmp_path / name
        path.write_bytes(content(name)[:size])
        return path

    return make


@pytest.fixture
def private(chromium: Browser, far: FakeDaemon) -> Iterator[BrowserContext]:
    """A browser of its own, for what tabs share and what outlives them."""
    context = chromium.new_context(viewport={"width": PHONE["width"], "height": PHONE["height"]})
    context.add_init_script(LISTEN)
    context.set_default_timeout(8_000)
    yield context
    context.close()


@functools.cache
def content(name: str) -> bytes:
    return random.Random(name).randbytes(SIZE)


def only(far: FakeDaemon) -> Arriving:
    (upload,) = far.uploads.values()
    return upload


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def offsets(far: FakeDaemon) -> list[int]:
    """At which each part began."""
    return [int(part.headers["upload-offset"]) for part in far.requests("PATCH", "/files/")]


def test_a_take_goes_in_parts_with_its_options(page: Page, far: FakeDaemon, film: Take) -> None:
    page.locator("#options > summary").click()
    page.get_by_label("Longest segment").fill("45")
    path = film("Größe & Maß.mp4")
    pick(page, path)
    expect(page.get_by_role("heading", name="Größe & Maß.mp4")).to_be_visible()
    expect(page.locator("#uploads")).to_be_hidden()
    assert only(far).fields == {"filename": "Größe & Maß.mp4", "segment_s": "45"}
    assert only(far).sha256 == sha256(path)
    assert offsets(far) == [0, PART]
    assert far.requests("PUT", "/") == []


def test_a_cut_upload_goes_on_where_the_server_is(page: Page, far: FakeDaemon, film: Take) -> None:
    far.faults += [Fault(), Fault(after=1_000_000)]
    path = film()
    pick(page, path)
    expect(page.get_by_text("The upload goes on by itself, from where it was.")).to_be_visible()
    expect(page.get_by_role("heading", name="film.mp4")).to_be_visible()
    assert offsets(far) == [0, PART, PART + 1_000_000]
    assert only(far).sha256 == sha256(path)


def test_a_lost_last_answer_makes_no_second_job(page: Page, far: FakeDaemon, film: Take) -> None:
    far.faults.append(Fault(accept=True))
    pick(page, film(size=100_000))
    far.wait_for(lambda: len(far.requests("HEAD", "/files/")) == 1)
    expect(page.locator("#uploads")).to_be_hidden()
    assert len(far.jobs) == 1
    assert len(far.uploads) == 1


def test_it_is_tried_for_as_long_as_it_takes(timed: Page, far: FakeDaemon, film: Take) -> None:
    far.faults.extend(Fault(after=0) for _ in range(12))
    pick(timed, film(size=100_000))
    for attempt in range(1, 13):
        far.wait_for(lambda attempt=attempt: len(offsets(far)) == attempt)  # type: ignore[misc]
        expect(timed.get_by_text("Trying again in")).to_be_visible()
        timed.clock.fast_forward(31_000)
    expect(timed.get_by_role("heading", name="film.mp4")).to_be_visible()


def test_the_same_file_picked_again_goes_on_after_a_reload(page: Page, far: FakeDaemon, film: Take) -> None:
    path = film()
    far.faults += [Fault(), Fault(after=0)]
    pick(page, path)
    far.wait_for(lambda: len(offsets(far)) == 2)
    page.reload()
    waiting = page.get_by_role("region", name="Unfinished uploads")
    expect(waiting.get_by_text("83 % is on the server, kept until")).to_be_visible()
    pick(page, path)
    expect(page.get_by_role("heading", name="film.mp4")).to_be_visible()
    expect(waiting).to_be_hidden()
    assert offsets(far)[2:] == [PART]
    assert only(far).sha256 == sha256(path)


def test_a_file_that_only_looks_the_same_begins_anew(page: Page, far: FakeDaemon, film: Take, tmp_path: Path) -> None:
    """The known-bad twin of going on: name, size and time are the same, the bytes are not."""
    path = film()
    far.faults += [Fault(), Fault(after=0)]
    pick(page, path)
    far.wait_for(lambda: len(offsets(far)) == 2)
    page.reload()
    path.write_bytes(content("other"))
    pick(page, path)
    expect(page.get_by_role("heading", name="film.mp4")).to_be_visible()
    first, second = far.uploads.values()
    assert len(first.data) == PART
    assert second.sha256 == sha256(path)


def test_what_was_begun_with_other_options_goes_on_with_those_and_says_so(
    page: Page, far: FakeDaemon, film: Take
) -> None:
    path = film()
    far.faults += [Fault(), Fault(after=0)]
    pick(page, path)
    far.wait_for(lambda: len(offsets(far)) == 2)
    page.reload()
    page.locator("#options > summary").click()
    page.get_by_label("Longest segment").fill("45")
    far.rate = 1_000_000
    pick(page, path)
    expect(row(page, "film.mp4").get_by_text("Goes on with the options it was begun with.")).to_be_visible()
    assert only(far).fields == {"filename": "film.mp4"}


def test_an_upload_can_be_paused_and_goes_on_at_the_same_byte(page: Page, far: FakeDaemon, film: Take) -> None:
    far.rate = 4_000_000
    path = film()
    pick(page, path)
    far.wait_for(lambda: len(offsets(far)) == 1)
    expect(page.get_by_text("If it is cut off, choose the same file again: it goes on where it was.")).to_be_visible()
    page.get_by_role("button", name="Pause the upload of film.mp4").click()
    expect(row(page, "film.mp4").get_by_text("Paused at")).to_be_visible()
    expect(page.get_by_role("button", name="Go on with the upload of film.mp4")).to_be_focused()
    assert audit_by_light_and_dark(page) == [{}, {}]
    page.emulate_media(color_scheme="light")
    far.rate = None
    page.get_by_role("button", name="Go on with the upload of film.mp4").click()
    expect(page.get_by_role("heading", name="film.mp4")).to_be_visible()
    assert offsets(far)[1] > 0
    assert only(far).sha256 == sha256(path)


def test_a_cancelled_upload_is_deleted_on_the_server_too(page: Page, far: FakeDaemon, film: Take) -> None:
    far.rate = 1_000_000
    pick(page, film())
    far.wait_for(lambda: len(offsets(far)) == 1)
    page.get_by_role("button", name="Cancel the upload of film.mp4").click()
    far.wait_for(lambda: far.uploads == {})
    expect(page.locator(".upload")).to_have_count(0)


def test_a_refusal_ends_it_in_the_servers_words_and_another_try_begins_anew(
    page: Page, far: FakeDaemon, film: Take
) -> None:
    far.faults.append(Fault(status=415, problem=NOT_A_VIDEO))
    pick(page, film(size=100_000))
    expect(row(page, "film.mp4").get_by_text(NOT_A_VIDEO["detail"])).to_be_visible()
    far.uploads.clear()  # as the daemon does with what it refused
    page.get_by_role("button", name="Try again: the upload of film.mp4").click()
    expect(page.get_by_role("heading", name="film.mp4")).to_be_visible()


def test_an_empty_file_is_refused_here(page: Page, far: FakeDaemon, film: Take) -> None:
    pick(page, film(size=0))
    expect(page.get_by_text("The file is empty", exact=True)).to_be_visible()
    assert far.uploads == {}


def test_an_upload_the_server_forgot_begins_anew(page: Page, far: FakeDaemon, film: Take) -> None:
    path = film()
    far.faults += [Fault(), Fault(after=0)]
    pick(page, path)
    far.wait_for(lambda: len(offsets(far)) == 2)
    far.uploads.clear()
    expect(page.get_by_role("heading", name="film.mp4")).to_be_visible()
    assert only(far).sha256 == sha256(path)


def test_two_tabs_do_not_send_the_same_file_twice(
    private: BrowserContext, far: FakeDaemon, open_at: OpenPage, film: Take
) -> None:
    path = film()
    far.rate = 1_000_000
    first, second = open_at(far.url, context=private), open_at(far.url, context=private)
    pick(first, path)
    far.wait_for(lambda: len(offsets(far)) == 1)
    pick(second, path)
    expect(second.get_by_text("Another tab sends this file")).to_be_visible()
    assert second.get_by_role("region", name="Unfinished uploads").is_hidden()
    far.rate = None
    for tab in (first, second):
        expect(tab.locator("#uploads")).to_be_hidden()
        expect(tab.get_by_role("heading", name="film.mp4")).to_be_visible()
    assert len(far.uploads) == len(far.jobs) == 1
    assert only(far).sha256 == sha256(path)


def test_when_one_tab_is_closed_the_other_goes_on(
    private: BrowserContext, far: FakeDaemon, open_at: OpenPage, film: Take
) -> None:
    path = film()
    far.rate = 1_000_000
    first, second = open_at(far.url, context=private), open_at(far.url, context=private)
    pick(first, path)
    far.wait_for(lambda: len(offsets(far)) == 1)
    pick(second, path)
    expect(second.get_by_text("Another tab sends this file")).to_be_visible()
    far.rate = None
    first.close()
    expect(second.get_by_role("heading", name="film.mp4")).to_be_visible()
    assert len(far.uploads) == 1
    assert only(far).sha256 == sha256(path)


def test_what_another_device_began_is_finished_with_the_file_chosen_again(
    page: Page, far: FakeDaemon, film: Take
) -> None:
    path, other = film(), film("other.mp4", 100_000)
    far.uploads["upl_1"] = Arriving("upl_1", SIZE, {"filename": "film.mp4"}, bytearray(path.read_bytes()[:PART]))
    page.reload()
    choose = page.get_by_role("button", name="Choose the file again: film.mp4")
    assert audit_by_light_and_dark(page) == [{}, {}]
    page.emulate_media(color_scheme="light")
    for chosen in (other, path):
        with page.expect_file_chooser() as chooser:
            choose.click()
        chooser.value.set_files(chosen)
        if chosen == other:
            expect(page.get_by_text("This is another file", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="film.mp4")).to_be_visible()
    expect(page.get_by_role("region", name="Unfinished uploads")).to_be_hidden()
    assert offsets(far)[0] == PART
    assert only(far).sha256 == sha256(path)


def test_an_unfinished_upload_can_be_discarded(page: Page, far: FakeDaemon) -> None:
    far.uploads["upl_1"] = Arriving("upl_1", SIZE, {"filename": "film.mp4"})
    page.reload()
    page.get_by_role("button", name="Discard film.mp4").click()
    page.get_by_role("button", name="Discard", exact=True).click()
    expect(page.get_by_role("region", name="Unfinished uploads")).to_be_hidden()
    expect(page.get_by_role("button", name="Choose videos")).to_be_focused()
    assert far.uploads == {}


def test_a_file_with_a_handle_goes_on_by_itself_after_a_reload(
    private: BrowserContext, far: FakeDaemon, open_at: OpenPage
) -> None:
    """A file of the browser's own file system stands for one of the desk's: its handle may be kept and read too."""
    page = open_at(far.url, context=private)
    page.evaluate(
        """async (size) => {
          const folder = await navigator.storage.getDirectory();
          const handle = await folder.getFileHandle("handled.mp4", { create: true });
          const file = await handle.createWritable();
          await file.write(new Uint8Array(size).map((_, at) => at % 251));
          await file.close();
          window.showOpenFilePicker = async () => [handle];
        }""",
        SIZE,
    )
    far.rate = 1_000_000
    page.get_by_role("button", name="Choose videos").click()
    expect(page.get_by_text("If this page is closed, the upload goes on when it is opened again.")).to_be_visible()
    far.wait_for(lambda: len(offsets(far)) == 1)
    far.rate = None
    page.reload()
    expect(page.get_by_role("heading", name="handled.mp4")).to_be_visible()
    assert only(far).sha256 == hashlib.sha256((bytes(range(251)) * (SIZE // 251 + 1))[:SIZE]).hexdigest()
    page.reload()
    expect(page.get_by_role("heading", name="handled.mp4")).to_be_visible()
    assert len(far.uploads) == 1


def test_what_was_chosen_offline_is_kept_over_a_reload_and_sent_when_the_network_is_back(
    private: BrowserContext, far: FakeDaemon, open_at: OpenPage, film: Take
) -> None:
    page = open_at(far.url, context=private)
    private.set_offline(True)
    expect(page.get_by_text("You are offline.")).to_be_visible()
    path = film(size=300_000)
    pick(page, path)
    expect(page.get_by_text("If this page is closed, the upload goes on when it is opened again.")).to_be_visible()
    page.goto("about:blank")
    private.set_offline(False)
    page.goto(far.url)
    expect(page.get_by_role("heading", name="film.mp4")).to_be_visible()
    expect(page.get_by_text("You are offline.")).to_be_hidden()
    assert only(far).sha256 == sha256(path)
