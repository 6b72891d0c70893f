"""The note while the machine is short of something, and what it does to the takes."""

from playwright.sync_api import Page, expect

from tests.page.conftest import OpenPage
from tests.page.fake_daemon import FakeDaemon
from tests.page.test_jobs import card, working

FULL = {
    "thing": "space",
    "level": "strained",
    "message": "The volume is nearly full: 40 MB are free.",
    "hint": "Delete takes that are done with.",
}


def test_a_page_that_opens_says_what_is_short_and_what_helps(open_at: OpenPage, far: FakeDaemon) -> None:
    far.pressure = {"level": "strained", "causes": [FULL]}
    page = open_at(far.url)
    note = page.get_by_role("region", name="The machine")
    expect(note).to_contain_text("No new takes are taken for now, and those that are here wait")
    expect(note).to_contain_text("40 MB are free")
    expect(note).to_contain_text("Delete takes that are done with. What is planned still goes out.")


def test_of_two_full_volumes_each_is_named(open_at: OpenPage, far: FakeDaemon) -> None:
    apart = {
        "thing": "database",
        "level": "tight",
        "message": "The database's own volume is nearly full.",
        "hint": "Enlarge it.",
    }
    far.pressure = {"level": "strained", "causes": [FULL, apart]}
    note = open_at(far.url).get_by_role("region", name="The machine")
    expect(note).to_contain_text("40 MB are free. The database's own volume is nearly full.")
    expect(note).to_contain_text("Delete takes that are done with. Enlarge it. What is planned still goes out.")


def test_the_note_comes_and_goes_with_the_events(page: Page, far: FakeDaemon) -> None:
    note = page.get_by_role("region", name="The machine")
    expect(note).to_be_hidden()
    far.pressure = {"level": "tight", "causes": [{**FULL, "level": "tight"}]}
    far.emit("system.pressure", None)
    expect(note).to_contain_text("No new takes are taken for now")
    far.pressure = {"level": "ok", "causes": []}
    far.emit("system.relieved", None)
    expect(note).to_be_hidden()
    expect(page.get_by_text("New takes are taken again.")).to_be_attached()  # for the ear


def test_a_step_that_waits_for_memory_says_so(page: Page, far: FakeDaemon) -> None:
    job = working(far)
    pause = {"code": "low_memory", "message": "Memory is nearly used up.", "since": "", "next_attempt_at": None}
    far.step(job, "render", "available", 10.0, attempt=1, pause=pause)
    far.change(job, "job.started")
    expect(card(page, job)).to_contain_text("waits for memory")
    expect(card(page, job)).to_contain_text("Memory is nearly used up. The work goes on by itself.")
