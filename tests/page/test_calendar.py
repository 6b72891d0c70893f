"""The calendar: a week to drag in on a desk, days on a phone; what stands still is asked about."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.page.conftest import DESK, PHONE, OpenPage
from tests.page.fake_daemon import FakeDaemon
from tests.page.fake_publishing import Refused
from tests.page.test_for_everyone import audit, audit_in_every_way, spoken
from tests.page.test_jobs import finished


@pytest.fixture
def channel(far: FakeDaemon) -> str:
    return far.publishing.add_account("My channel", settings={"zone": "America/New_York"})


@pytest.fixture
def segments(far: FakeDaemon) -> list[str]:
    job = finished(far, "talk.mov", segments=3)
    return [segment["segment_id"] for segment in far.jobs[job]["segments"]]


def november(day: int, hour: int, minute: int = 0) -> datetime:
    """In UTC; Paris is an hour ahead."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def plan(page: Page, publication: str) -> Locator:
    return page.locator(f'.plan[data-publication="{publication}"]')


def cell(page: Page, day: int, hour: int) -> Locator:
    return page.locator(f'td[data-day="2026-11-{day}"][data-hour="{hour}"]')


def sheet(page: Page) -> Locator:
    return page.locator("dialog.sheet[open]")


def changed(far: FakeDaemon) -> list[Any]:
    return [body for method, _, body in far.publishing.sent if method == "PATCH"]


def test_a_week_has_what_is_planned_and_lets_one_drag_it(
    far: FakeDaemon, on_wednesday: OpenPage, channel: str, segments: list[str]
) -> None:
    one = far.publishing.plan(segments[0], channel, due=november(19, 11, 15))
    done = far.publishing.plan(segments[1], channel, due=november(16, 8), state="published", published_at=None)
    page = on_wednesday()
    expect(page.locator("#week-words")).to_have_text(re.compile(r"16\W+22 Nov 2026"))
    expect(cell(page, 19, 12).locator(".plan")).to_have_text("12:15YouTube · Segment 1 of talk.movPlanned")
    expect(cell(page, 16, 9).locator(".plan")).to_contain_text("Published")
    assert plan(page, done).get_attribute("draggable") is None  # it is out
    plan(page, one).drag_to(cell(page, 20, 18))
    expect(cell(page, 20, 18).locator(".plan")).to_contain_text("18:15")
    far.wait_for(lambda: bool(changed(far)))
    assert changed(far) == [{"when": "2026-11-20T12:15:00-05:00"}]  # as the clocks of the account have it
    plan(page, one).drag_to(cell(page, 17, 9))
    expect(page.locator("#announcer")).to_contain_text("That time is over.")
    expect(cell(page, 20, 18).locator(".plan")).to_be_visible()


def test_the_keyboard_moves_it_too_even_into_the_next_week(
    far: FakeDaemon, on_wednesday: OpenPage, channel: str, segments: list[str]
) -> None:
    one = far.publishing.plan(segments[0], channel, due=november(21, 20))
    page = on_wednesday()
    expect(plan(page, one)).to_be_visible()
    plan(page, one).focus()
    page.evaluate(  # in one breath: half a second between them would make it two requests
        """() => {
          for (const key of ["ArrowUp", "ArrowRight"]) {
            document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, shiftKey: true, bubbles: true }));
          }
        }"""
    )
    expect(cell(page, 22, 20).locator(".plan")).to_be_focused()
    far.wait_for(lambda: bool(changed(far)))
    assert changed(far) == [{"when": "2026-11-22T14:00:00-05:00"}]  # two presses, one request
    page.keyboard.press("Shift+ArrowRight")
    expect(page.locator("#week-words")).to_have_text(re.compile(r"23\W+29 Nov 2026"))
    expect(cell(page, 23, 20).locator(".plan")).to_be_focused()
    expect(page.locator("#announcer")).to_contain_text("moved to Mon 23 Nov, 20:00")


def test_what_the_server_refuses_goes_back_to_where_it_was(
    far: FakeDaemon, on_wednesday: OpenPage, channel: str, segments: list[str]
) -> None:
    one = far.publishing.plan(segments[0], channel, due=november(19, 11))
    page = on_wednesday()
    far.publishing.refusals[f"/{one}"] = Refused(409, "It is on its way already")
    plan(page, one).drag_to(cell(page, 20, 18))
    expect(page.get_by_text("It is on its way already", exact=True)).to_be_visible()
    expect(cell(page, 19, 12).locator(".plan")).to_be_visible()


def test_on_a_phone_it_is_day_by_day_and_a_press_opens_it(
    far: FakeDaemon, on_wednesday: OpenPage, channel: str, segments: list[str]
) -> None:
    one = far.publishing.plan(segments[1], channel, due=november(20, 17))
    page = on_wednesday(size=PHONE)
    expect(page.get_by_role("heading", name="Today, Wed 18 Nov")).to_be_visible()
    expect(page.get_by_role("heading", name="Friday 20 November")).to_be_visible()
    page.get_by_role("button", name="Segment 2 of talk.mov, My channel, YouTube, Fri 20 Nov, 18:00: Planned").click()
    shown = sheet(page)
    expect(shown.get_by_role("heading", name="Segment 2 of talk.mov")).to_be_focused()
    expect(shown.get_by_text("Time of America/New_York, Fri 20 Nov, 18:00 where you are")).to_be_visible()
    expect(shown.get_by_text("18 of 100 characters", exact=True)).to_be_visible()
    shown.get_by_label("Title").fill("x" * 101)
    expect(shown.get_by_text("title: 101 characters, YouTube takes 100")).to_be_visible()
    shown.get_by_label("Title").fill("Hello {there}")
    expect(shown.get_by_text("13 of 100 characters", exact=True)).to_be_visible()  # its braces are meant
    shown.get_by_label("Hashtags").fill("#one, two #One")
    shown.get_by_label("When").fill("2026-11-21T09:30")
    shown.get_by_role("button", name="Save changes").click()
    expect(shown).to_have_count(0)
    expect(page.get_by_role("heading", name="Saturday 21 November")).to_be_visible()
    assert changed(far) == [
        {"when": "2026-11-21T09:30:00-05:00", "wording": {"title": "Hello {there}", "hashtags": ["one", "two"]}}
    ]
    far.publishing.move(one, "publication.uploading", state="uploading")
    expect(page.get_by_role("button", name="15:30: Uploading")).to_be_visible()


def test_what_was_missed_is_asked_about(
    far: FakeDaemon, on_wednesday: OpenPage, channel: str, segments: list[str]
) -> None:
    for segment in segments:
        far.publishing.plan(segment, channel, due=november(18, 6), missed_at="2026-11-18T09:00:00.000Z")
    page = on_wednesday(size=PHONE)
    asked = page.get_by_role("region", name="Needs you")
    expect(
        asked.get_by_text("It came due while the machine slept: publish now, choose a time, or drop it.")
    ).to_have_count(3)
    expect(page.get_by_role("link", name="Calendar 3 need you")).to_be_visible()
    asked.get_by_role("button", name="Publish now: Segment 1").click()
    page.get_by_role("dialog").get_by_role("button", name="Publish now").click()
    expect(asked.locator(".line")).to_have_count(2)
    asked.get_by_role("button", name="Drop it: Segment 2").click()
    expect(asked.locator(".line")).to_have_count(1)
    asked.get_by_role("button", name="Choose a time: Segment 3").click()
    sheet(page).get_by_label("When").fill("2026-11-21T09:30")
    sheet(page).get_by_role("button", name="Save changes").click()
    expect(asked).to_be_hidden()
    assert [path.rpartition("/")[2] for method, path, _ in far.publishing.sent if method == "POST"][-4:].count("cancel")


def test_what_youtube_was_handed_with_its_time_can_still_be_moved(
    far: FakeDaemon, on_wednesday: OpenPage, channel: str, segments: list[str]
) -> None:
    wait = {"code": "handed", "message": "YouTube makes it public at its time.", "until": None}
    one = far.publishing.plan(segments[0], channel, due=november(19, 11, 15), state="processing", wait=wait)
    page = on_wednesday()
    chip = cell(page, 19, 12).locator(".plan")
    expect(chip).to_contain_text("Handed over")
    plan(page, one).drag_to(cell(page, 20, 18))
    far.wait_for(lambda: bool(changed(far)))
    assert changed(far) == [{"when": "2026-11-20T12:15:00-05:00"}]
    plan(page, one).click()
    expect(sheet(page).get_by_label("When")).to_be_visible()
    expect(sheet(page).get_by_label("Title")).to_be_hidden()  # its words are there already
    expect(sheet(page).get_by_role("button", name="Publish now")).to_be_visible()
    sheet(page).get_by_role("button", name="Cancel it").click()
    far.wait_for(lambda: any(path.endswith("/cancel") for _, path, _ in far.publishing.sent))


def test_what_is_unclear_rejected_or_unapproved_waits_for_a_person(
    far: FakeDaemon, on_wednesday: OpenPage, channel: str, segments: list[str]
) -> None:
    words = {"at": "2026-11-18T09:00:00.000Z", "step": "begin", "kind": "FIX", "code": "invalidTitle", "trace": ""}
    refused = [{**words, "message": "The request metadata specifies an invalid video title."}]
    unclear = far.publishing.plan(segments[0], channel, due=november(18, 9), state="unknown")
    rejected = far.publishing.plan(segments[1], channel, due=november(18, 9), state="rejected", errors=refused)
    asked = far.publishing.plan(segments[2], channel, due=november(18, 9), needs_approval=True)
    page = on_wednesday()
    needs = page.get_by_role("region", name="Needs you")
    needs.get_by_role("button", name="Check again: Segment 1").click()
    expect(needs.get_by_text("Whether it was posted is not known.")).to_be_visible()
    needs.get_by_role("button", name="Approve: Segment 3").click()
    expect(needs.get_by_text("Needs approval")).to_have_count(0)
    expect(needs.get_by_text("The request metadata specifies an invalid video title.")).to_be_visible()
    needs.get_by_role("button", name="Segment 2 of talk.mov").first.click()
    expect(sheet(page).get_by_label("When")).to_be_hidden()
    sheet(page).get_by_label("Title").fill("Better")
    sheet(page).get_by_role("button", name="Try again with these words").click()
    expect(sheet(page)).to_have_count(0)
    posts = [(path, body) for method, path, body in far.publishing.sent if "preview" not in path]
    assert posts == [
        (f"/v1/publications/{unclear}/check", None),
        (f"/v1/publications/{asked}/approve", None),
        (f"/v1/publications/{rejected}/retry", {"wording": {"title": "Better"}}),
    ]
    far.publishing.move(unclear, "publication.published", state="published", published_at="2026-11-18T09:00:00.000Z")
    expect(page.locator("#announcer")).to_contain_text("Segment 1 of talk.mov on YouTube: published.")
    expect(needs).to_be_hidden()


def test_it_moves_by_weeks_and_says_when_there_is_nothing(
    far: FakeDaemon, on_wednesday: OpenPage, channel: str, segments: list[str]
) -> None:
    far.publishing.plan(segments[0], channel, due=november(25, 11))
    page = on_wednesday()
    expect(page.get_by_text("Nothing is planned this week.")).to_be_visible()
    page.get_by_role("button", name="Week after").click()
    expect(cell(page, 25, 12).locator(".plan")).to_be_visible()
    expect(page.get_by_text("Nothing is planned this week.")).to_have_count(0)
    page.get_by_role("button", name="Week before").click()
    page.get_by_role("button", name="This week").click()
    expect(page.locator("#week-words")).to_have_text(re.compile(r"16\W+22 Nov 2026"))


def test_without_accounts_it_leads_to_them(far: FakeDaemon, on_wednesday: OpenPage) -> None:
    page = on_wednesday(size=PHONE)
    page.get_by_role("link", name="To the accounts").click()
    expect(page.get_by_role("heading", name="Accounts", exact=True)).to_be_focused()


def test_nothing_that_is_seen_jumps(far: FakeDaemon, on_wednesday: OpenPage, channel: str, segments: list[str]) -> None:
    ones = [far.publishing.plan(segment, channel, due=november(20, 17)) for segment in segments]
    page = on_wednesday()
    expect(page.locator(".plan")).to_have_count(3)
    page.evaluate(
        """() => {
          window.shifts = [];
          const note = (list) => shifts.push(...list.getEntries().map((entry) => entry.value));
          new PerformanceObserver(note).observe({ type: "layout-shift", buffered: false });
        }"""
    )
    for one in ones:
        far.publishing.move(one, "publication.uploading", state="uploading")
        far.publishing.move(one, "publication.processing", state="processing")
    expect(page.locator(".plan", has_text="Processing")).to_have_count(3)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("shifts") == []


def test_the_calendar_is_for_everyone(
    far: FakeDaemon, on_wednesday: OpenPage, channel: str, segments: list[str]
) -> None:
    tiktok = far.publishing.add_account("a-name-without-any-break-" * 3, "tiktok")
    for hour, segment in enumerate(segments):
        far.publishing.plan(segment, channel, due=november(18, 6), missed_at="2026-11-18T09:00:00.000Z")
        far.publishing.plan(
            segment, tiktok, due=november(19, hour + 1), state=["scheduled", "unknown", "published"][hour]
        )
    page = on_wednesday(size=DESK, reduced_motion="reduce")
    expect(page.locator("#needs .line")).to_have_count(4)
    expect(page.locator("#week [data-publication]")).to_have_count(6)
    assert audit_in_every_way(page) == [{}] * 4
    controls = [one for one in spoken(page) if one[0] in {"button", "link"}]
    assert [name for _, name in controls if not name] == []
    page.locator("#week [data-publication]").last.click()
    expect(sheet(page)).to_be_visible()
    page.keyboard.press("Escape")
    page.locator("#needs .line-main").first.click()
    expect(sheet(page).locator(".count").first).not_to_be_empty()
    assert audit_in_every_way(page) == [{}] * 4
    page.set_viewport_size({"width": 320, "height": 256})
    assert "overflow" not in audit(page)
