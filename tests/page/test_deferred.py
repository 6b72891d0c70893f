"""A take that the server takes later: it waits until then, goes on by itself, and can be called off."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.page.conftest import OpenPage
from tests.page.fake_daemon import FakeDaemon
from tests.page.test_for_everyone import audit_by_light_and_dark
from tests.page.test_quote import quotes
from tests.page.test_resuming import private
from tests.page.test_uploading import NO_SPACE, pick, row

__all__ = ["private"]

Take = Callable[..., Path]

TOO_MANY = {"title": "Too many", "status": 429, "detail": "40 GB came today.", "hint": "Come back later."}


@pytest.fixture(autouse=True)
def resumes(far: FakeDaemon) -> None:
    far.tus = True


def refuses(page: Page, status: int, problem: dict[str, object], *, after: str, times: int = 1) -> None:
    """The server takes no new upload for a while."""

    def answer(route: Route) -> None:
        route.fulfill(status=status, json=problem, headers={"Retry-After": after})

    page.route("**/files/", answer, times=times)


def test_without_room_it_waits_for_the_time_told_and_goes_on_by_itself(
    timed: Page, far: FakeDaemon, take: Take
) -> None:
    refuses(timed, 507, NO_SPACE, after="3600")
    pick(timed, take())
    waiting = row(timed, "take.mp4")
    expect(waiting).to_contain_text("3 MB are free.")
    expect(waiting.locator(".upload-state")).to_contain_text("It is tried again to")  # today or tomorrow
    expect(waiting.locator(".upload-state")).to_contain_text(", by itself")
    timed.clock.fast_forward(3_590_000)
    expect(waiting).to_be_visible()
    assert far.uploads == {}
    timed.clock.run_for(20_000)
    expect(timed.get_by_role("heading", name="take.mp4")).to_be_visible()
    assert len(far.jobs) == 1


def test_others_go_on_meanwhile(page: Page, far: FakeDaemon, take: Take) -> None:
    """Once two that waited a day for their quota kept all others from being sent."""
    date = (datetime.now(UTC) + timedelta(hours=2)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    refuses(page, 429, TOO_MANY, after=date, times=2)
    pick(page, take("one.mp4"), take("two.mp4"))
    expect(page.get_by_text("40 GB came today.")).to_have_count(2)
    pick(page, take("three.mp4"))
    expect(page.get_by_role("heading", name="three.mp4")).to_be_visible()
    expect(page.locator(".upload[data-state=deferred]")).to_have_count(2)


def test_it_goes_on_as_soon_as_something_was_deleted(page: Page, far: FakeDaemon, take: Take) -> None:
    quotes(page, fits=False, refusal="9 GB are needed.", fits_at="2999-11-30T12:00:00Z")
    pick(page, take())
    expect(row(page, "take.mp4").locator(".upload-state")).to_contain_text("There should be room")
    expect(row(page, "take.mp4")).to_contain_text("Deleting finished takes makes room at once.")
    assert audit_by_light_and_dark(page) == [{}, {}]
    assert far.uploads == {}
    far.emit("media.pruned", None)
    expect(page.get_by_role("heading", name="take.mp4")).to_be_visible()


def test_it_can_be_called_off_while_it_waits(timed: Page, far: FakeDaemon, take: Take) -> None:
    refuses(timed, 507, NO_SPACE, after="3600")
    pick(timed, take())
    timed.get_by_role("button", name="Cancel the upload of take.mp4").click()
    expect(timed.locator("#uploads")).to_be_hidden()
    timed.clock.fast_forward(4_000_000)
    assert len(far.uploads) + len(far.jobs) == 0


def test_the_file_stays_chosen_over_a_reload(
    private: BrowserContext,
    far: FakeDaemon,
    open_at: OpenPage,
    take: Take,
) -> None:
    page = open_at(far.url, context=private)
    refuses(page, 507, NO_SPACE, after="3600")
    pick(page, take())
    expect(page.get_by_text("If this page is closed, the upload goes on when it is opened again.")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="take.mp4")).to_be_visible()
    assert len(far.jobs) == 1
