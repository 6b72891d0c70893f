"""What is not seen at first is loaded when it is opened; takes wait for nothing else; time is the daemon's."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import DESK, PHONE, OpenPage
from tests.page.fake_daemon import FakeDaemon
from tests.page.test_jobs import finished
from tests.page.test_uploading import Take, pick


def test_a_part_that_cannot_be_loaded_says_so_and_comes_when_it_is_tried_again(
    far: FakeDaemon, open_at: OpenPage
) -> None:
    far.publishing.add_account("My channel")
    page = open_at(far.url)
    lost = "**/static/account-settings.js"  # one of many: the others are there
    page.route(lost, lambda route: route.abort())
    page.get_by_role("link", name="Accounts").click()
    view = page.get_by_role("region", name="Accounts")
    expect(view.get_by_text("This part of the page could not be loaded", exact=True)).to_be_visible()
    expect(page.locator("#announcer")).to_contain_text("could not be loaded")
    expect(page.get_by_text("Looking for accounts…")).to_be_hidden()
    page.unroute(lost)
    view.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="My channel")).to_be_visible()
    expect(page.get_by_role("heading", name="Accounts", exact=True)).to_be_focused()
    expect(view.get_by_role("button", name="Try again")).to_have_count(0)


def test_a_sheet_that_cannot_be_loaded_says_so_where_it_was_asked_for(far: FakeDaemon, open_at: OpenPage) -> None:
    far.publishing.add_account("My channel")
    finished(far, "talk.mov", segments=1)
    page = open_at(far.url)
    lost = "**/static/sheet.css"
    page.route(lost, lambda route: route.abort())
    publish = page.get_by_role("button", name="Publish segment 1 of talk.mov")
    publish.click()
    expect(
        page.locator(".outlets").get_by_text("This part of the page could not be loaded", exact=True)
    ).to_be_visible()
    page.unroute(lost)
    publish.click()
    expect(page.locator("dialog.sheet[open]")).to_be_visible()
    expect(page.locator(".outlets .problem")).to_have_count(0)


def test_takes_are_there_before_anything_is_known_of_accounts(far: FakeDaemon, open_at: OpenPage) -> None:
    far.publishing.add_account("My channel")
    finished(far, "talk.mov", segments=1)
    far.accounts_go.clear()
    page = open_at(far.url)
    expect(page.get_by_role("heading", name="talk.mov")).to_be_visible()
    expect(page.locator(".segment")).to_have_count(1)
    expect(page.get_by_role("button", name="Publish segment 1 of talk.mov")).to_be_hidden()
    far.accounts_go.set()
    expect(page.get_by_role("button", name="Publish segment 1 of talk.mov")).to_be_visible()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_what_was_chosen_to_be_sent_comes_into_view_below_a_long_form(
    far: FakeDaemon, open_at: OpenPage, take: Take, size: dict[str, int]
) -> None:
    """Once nothing visible happened on a phone with the options open."""
    page = open_at(far.url, size=size, reduced_motion="reduce")
    page.locator("#options > summary").click()
    page.locator("#choose").focus()
    far.rate = 1_000_000
    pick(page, take("a.mp4", 30_000_000))
    expect(page.get_by_role("button", name="Cancel the upload of a.mp4")).to_be_in_viewport(ratio=1)
    expect(page.get_by_role("heading", name="Uploads")).to_be_focused()
    assert not below_the_tabs(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Cancel the upload of a.mp4")).to_be_focused()


def below_the_tabs(page: Page) -> Any:
    return page.evaluate(
        """() => {
          const bar = document.querySelector(".tabs").getBoundingClientRect();
          return document.getElementById("uploads").getBoundingClientRect().bottom > bar.top && bar.top > 100;
        }"""
    )


def test_what_is_in_view_already_does_not_move_and_the_focus_stays(page: Page, far: FakeDaemon, take: Take) -> None:
    page.locator("#choose").focus()
    far.rate = 1_000_000
    pick(page, take("a.mp4", 30_000_000))
    expect(page.get_by_role("button", name="Cancel the upload of a.mp4")).to_be_in_viewport(ratio=1)
    expect(page.locator("#choose")).to_be_focused()
    assert page.evaluate("scrollY") == 0


def test_it_is_as_late_as_the_daemon_says_whatever_this_device_believes(far: FakeDaemon, open_at: OpenPage) -> None:
    """Once times beside a fast clock, or on a phone whose clock is wrong, were those of another day."""
    channel = far.publishing.add_account("My channel", settings={"zone": "UTC", "slots": ["daily 12:00"]})
    there = datetime.now(UTC) + timedelta(days=500)
    far.publishing.stands_at = there
    segment = far.jobs[finished(far, "talk.mov", segments=1)]["segments"][0]["segment_id"]
    far.publishing.plan(segment, channel, due=there + timedelta(minutes=1))
    page = open_at(far.url, view="calendar", timezone_id="UTC", locale="en-GB")
    expect(page.get_by_role("heading", name=f"Today, {there:%a %-d %b}")).to_be_visible()
    expect(page.locator("#week [data-publication]")).to_have_count(1)
    page.get_by_role("link", name="Accounts").click()
    page.locator("[data-account] .fold-summary").click()
    noon = there.replace(hour=12, minute=0) + timedelta(days=there.hour >= 12)
    expect(page.locator("[data-wrong]")).to_contain_text(f"Next: {noon:%a}")


def test_the_way_back_closes_what_lies_over_the_page(far: FakeDaemon, open_at: OpenPage) -> None:
    """Once a sheet stayed over the view that came; on a phone "back" is how one closes it."""
    far.publishing.add_account("My channel")
    finished(far, "talk.mov", segments=1)
    page = open_at(far.url, view="calendar")
    page.get_by_role("link", name="Takes").click()
    for opener in ("Publish segment 1 of talk.mov", "Delete talk.mov"):
        page.get_by_role("button", name=opener).click()
        expect(page.get_by_role("dialog")).to_be_visible()
        page.go_back()
        expect(page.get_by_role("dialog")).to_be_hidden()
        expect(page.get_by_role("heading", name="Calendar", exact=True)).to_be_focused()
        page.go_forward()
    assert far.requests("DELETE", "/") == []
