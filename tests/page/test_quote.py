"""What the page says of a take before it is sent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from tests.page.fake_daemon import FakeDaemon, Fault
from tests.page.test_uploading import pick, row

Take = Callable[..., Path]

QUOTE: dict[str, Any] = {
    "upload_s": 175.0,
    "duration_s": 4.0,
    "duration_guessed": False,
    "processing_s": 700.0,
    "processing_low_s": 650.0,
    "processing_high_s": 900.0,
    "queue_s": 0.0,
    "first_post_at": None,
    "first_post_needs_approval": False,
    "fits": True,
    "fits_at": None,
    "refusal": None,
    "basis": {"work": "gaze", "jobs": 12},
}


def quotes(page: Page, **answer: Any) -> list[dict[str, str]]:
    """The daemon answers so; comes with what it was asked."""
    asked: list[dict[str, str]] = []

    def give(route: Route) -> None:
        asked.append(dict(parse_qsl(urlsplit(route.request.url).query)))
        route.fulfill(json={**QUOTE, **answer})

    page.route("**/v1/quote?*", give)
    return asked


def test_a_take_says_what_it_will_take(page: Page, far: FakeDaemon, tmp_path: Path) -> None:
    path = tmp_path / "talk.mp4"
    path.write_bytes(far.clip)
    asked = quotes(page)
    far.faults.append(Fault(hang=True))
    pick(page, path)
    expect(row(page, "talk.mp4")).to_contain_text("About 3 min to upload, 12 min to make.")
    [question] = asked
    assert int(question["size"]) == len(far.clip)
    assert float(question["duration_s"]) == pytest.approx(4.0, abs=0.2)
    assert int(question["width"]) > 0


def test_a_rough_guess_says_that_it_is_one(page: Page, far: FakeDaemon, take: Take) -> None:
    asked = quotes(
        page,
        upload_s=None,
        processing_low_s=200.0,
        first_post_at="2000-11-30T12:00:00Z",
        first_post_needs_approval=True,
        basis={"work": "gaze", "jobs": 0},
    )
    far.faults.append(Fault(hang=True))
    pick(page, take("notes.mov"))  # which this browser cannot read
    line = row(page, "notes.mov").locator(".upload-quote")
    expect(line).to_contain_text("About 3 min to 15 min to make, first post")
    expect(line).to_contain_text("if you approve it. Nothing like it was made here yet")
    assert "duration_s" not in asked[0]


def test_a_take_that_does_not_fit_is_not_sent(page: Page, far: FakeDaemon, take: Take) -> None:
    quotes(page, fits=False, refusal="The volume is too full: 9 GB are needed.", fits_at=None)
    pick(page, take("large.mp4"))
    problem = row(page, "large.mp4")
    expect(problem).to_contain_text("There is no room for it")
    expect(problem).to_contain_text("The volume is too full")
    expect(problem).to_contain_text("Deleting finished takes, or a larger volume, makes room.")
    assert far.requests("PUT", "/upload") == []
    page.unroute_all()
    pick(page, take("small.mp4"))  # nobody quotes it: it goes all the same
    expect(page.locator(".job")).to_have_count(1)
    problem.get_by_role("button", name="Try again").click()  # a guess binds nobody
    expect(page.locator(".job")).to_have_count(2)
