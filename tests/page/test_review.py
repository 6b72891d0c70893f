"""Segments looked at before they go out: kept, dropped, taken back, cut and worded, by thumb and by keyboard."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.page.conftest import DESK, OpenPage
from tests.page.fake_daemon import FakeDaemon, Fault, Json
from tests.page.test_eyes import GONE, segment
from tests.page.test_for_everyone import audit_by_light_and_dark, spoken
from tests.page.test_jobs import card, finished
from tests.page.test_uploading import Take, pick

SLOT_S = 6.0


@pytest.fixture
def job(far: FakeDaemon) -> str:
    """A finished take of three segments of 6 s that wait."""
    made = finished(far, "talk.mov", segments=3)
    far.jobs[made]["review"] = True
    for index, one in enumerate(far.jobs[made]["segments"]):
        span = {"in_s": index * SLOT_S, "out_s": (index + 1) * SLOT_S, "duration_s": SLOT_S}
        one.update(review="waiting", in_us=int(span["in_s"] * 1e6), out_us=int(span["out_s"] * 1e6), **span)
    return made


@pytest.fixture
def page(far: FakeDaemon, open_at: OpenPage, job: str) -> Page:
    return open_at(far.url)


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name)


def sheet(page: Page, number: int = 1, tab: str = "") -> Locator:
    button(page, f"Edit cuts, cover and words of segment {number} of talk.mov").click()
    opened = page.locator("dialog.sheet[open]")
    if tab:
        opened.get_by_role("tab", name=tab).click()
    return opened


def edits(far: FakeDaemon) -> list[Json]:
    return [segment for one in far.jobs.values() for segment in one["segments"] if segment["remake"]]


def test_the_download_of_all_leaves_out_what_is_dropped_and_says_so(page: Page, job: str) -> None:
    expect(page.get_by_role("link", name="Download all segments of talk.mov as one zip file")).to_be_visible()
    button(page, "Drop segment 2 of talk.mov").click()
    name = "Download 2, without 1 dropped, segments of talk.mov as one zip file"
    expect(page.get_by_role("link", name=name)).to_have_text("Download 2, without 1 dropped")
    expect(segment(page, job, 2).get_by_role("link", name="Download segment 2 of talk.mov")).to_be_visible()
    for number in (1, 3):
        button(page, f"Drop segment {number} of talk.mov").click()
    expect(page.get_by_role("link", name="as one zip file")).to_have_count(0)


def test_a_segment_is_kept_or_dropped_and_the_drop_undone(page: Page, far: FakeDaemon, job: str) -> None:
    first, second = segment(page, job), segment(page, job, 2)
    expect(card(page, job).locator("summary", has_text="3 segments · 3 to keep or drop")).to_be_visible()
    button(page, "Keep segment 1 of talk.mov").click()
    expect(first.get_by_text("Keep it?")).to_be_hidden()
    button(page, "Drop segment 2 of talk.mov").click()
    expect(second.get_by_text("Dropped")).to_be_visible()
    expect(button(page, "Take it back: segment 2 of talk.mov").first).to_be_focused()
    toast = page.get_by_role("group", name="Just done")
    expect(toast.get_by_text("Segment 2 is dropped.")).to_be_visible()
    assert audit_by_light_and_dark(page) == [{}, {}]
    toast.get_by_role("button").click()
    expect(second.get_by_text("Keep it?")).to_be_visible()
    expect(toast).to_have_count(0)
    page.get_by_role("button", name=re.compile("^Keep all .* that wait: talk.mov")).click()
    expect(page.get_by_text("Keep it?").locator("visible=true")).to_have_count(0)
    assert [one["review"] for one in far.jobs[job]["segments"]] == ["kept"] * 3
    expect(page.get_by_role("button", name=re.compile("^Keep all .* that wait: talk.mov"))).to_be_hidden()


def test_a_refusal_is_said_where_the_button_is(page: Page, far: FakeDaemon, job: str) -> None:
    far.faults.append(Fault(status=409, problem=GONE))
    button(page, "Keep segment 1 of talk.mov").click()
    expect(segment(page, job).get_by_text("The take is gone.")).to_be_visible()
    expect(segment(page, job).get_by_text("Keep it?")).to_be_visible()


def test_what_waits_is_counted_and_leads_to_its_take(page: Page, job: str) -> None:
    expect(page.locator("#calendar-badge")).to_have_text("3 need you")
    page.get_by_role("link", name="Calendar").click()
    page.locator("#needs").get_by_role("link", name="3 segments to keep or drop").click()
    expect(card(page, job).get_by_role("heading", name="talk.mov")).to_be_focused()


def test_without_review_nothing_of_it_is_in_the_way(far: FakeDaemon, open_at: OpenPage) -> None:
    made = finished(far, "plain.mov", segments=1)
    page = open_at(far.url)
    heard = [name for role, name in spoken(page) if role == "button" and "segment 1 of plain.mov" in name]
    assert [name for name in heard if re.match("Keep|Drop|Take", name)] == []
    expect(segment(page, made).get_by_text("Keep it?")).to_be_hidden()


@pytest.mark.parametrize("key", ["End", "Start"])
def test_a_cut_is_moved_with_the_keyboard(page: Page, far: FakeDaemon, key: str) -> None:
    opened = sheet(page, 2)
    handle = opened.get_by_role("slider", name=f"{key} of segment 2 of talk.mov")
    handle.focus()
    steps = {"Start": ["ArrowRight", "ArrowRight", "Shift+ArrowLeft"], "End": ["PageUp", "ArrowLeft"]}[key]
    for step in steps:
        handle.press(step)
    at = {"Start": "0:06.2", "End": "0:12.9"}[key]  # 6.16 and 12.92 s, on frames
    expect(handle).to_have_attribute("aria-valuetext", re.compile(rf"^at {at} of the take; the segment takes "))
    handle.press("Home")
    if key == "End":  # not shorter than 3 s
        expect(handle).to_have_attribute("aria-valuenow", "9.00")
        expect(opened.get_by_text("the shortest there is")).to_be_visible()
    else:
        expect(handle).to_have_attribute("aria-valuenow", "0.00")
    opened.get_by_role("button", name="Cut it here").click()
    expect(opened).to_have_count(0)
    [asked] = edits(far)
    assert (asked["remake"]["in_us"], asked["remake"]["out_us"]) == {
        "End": (6_000_000, 9_000_000),
        "Start": (0, 12_000_000),
    }[key]


def test_a_cut_that_is_dragged_comes_to_rest_in_a_pause(page: Page) -> None:
    opened = sheet(page, 2)
    handle = opened.get_by_role("slider", name="End of segment 2 of talk.mov")
    strip, knob = opened.locator(".trim-strip").bounding_box(), handle.bounding_box()
    assert strip is not None
    assert knob is not None
    x, y = knob["x"] + 20, knob["y"] + knob["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + strip["width"] * 1.1 / 18, y, steps=4)  # 1.1 s of 18: a pause is at 1 s
    page.mouse.up()
    expect(handle).to_have_attribute("aria-valuetext", re.compile("at 0:13.0 of the take, in a pause"))
    opened.get_by_role("button", name="−1 f: end a frame earlier").click()
    expect(handle).to_have_attribute("aria-valuenow", "12.96")
    expect(opened.get_by_text("7.0 s long", exact=False)).to_be_visible()


def test_from_start_to_end_is_played(page: Page) -> None:
    opened = sheet(page)
    opened.get_by_role("button", name="Play from start to end").click()
    expect(opened.get_by_role("button", name="Stop")).to_be_visible()
    page.evaluate(
        """() => new Promise((go) => {
          const video = document.querySelector(".reel");
          const look = () => (video.currentTime > 0.2 ? go() : requestAnimationFrame(look));
          look();
        })"""
    )
    opened.get_by_role("button", name="Stop").click()
    expect(opened.get_by_role("button", name="Play from start to end")).to_be_visible()
    assert page.evaluate("document.querySelector('.reel').paused")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recipe": {"video": "copy"}}, "The pixels of this take were kept"),
        ({"source": {"deleted": True}}, "The take is gone"),
        ({"state": "processing"}, "when all segments of the take are finished"),
    ],
    ids=["copied", "gone", "working"],
)
def test_what_cannot_be_cut_says_why_before_it_is_tried(
    far: FakeDaemon, open_at: OpenPage, job: str, changes: Json, words: str
) -> None:
    for name, value in changes.items():
        held: Any = far.jobs[job][name]
        far.jobs[job][name] = {**held, **value} if isinstance(value, dict) else value
    opened = sheet(open_at(far.url))
    expect(opened.get_by_text(words)).to_be_visible()
    expect(opened.get_by_role("button", name="Cut it here")).to_have_count(0)


def test_a_cover_is_chosen_to_the_frame(page: Page, far: FakeDaemon) -> None:
    opened = sheet(page, 1, "Cover")
    slider = opened.get_by_role("slider", name="Picture of segment 1 of talk.mov that is its cover")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^0\.0.s of 6\.0.s$"))
    slider.press("PageUp")
    opened.get_by_role("button", name="+1 f: cover a frame later").click()
    opened.get_by_role("button", name="Use this picture").click()
    expect(opened).to_have_count(0)
    [asked] = edits(far)
    assert asked["remake"]["cover_us"] == pytest.approx(1_034_367, abs=40_000)
    assert asked["remake"]["poster_only"]


def test_words_are_counted_and_saved(page: Page, far: FakeDaemon, job: str) -> None:
    opened = sheet(page, 1, "Words")
    opened.get_by_label("Title").fill("What it is about")
    opened.get_by_label("Caption").fill("From the talk")
    opened.get_by_role("button", name="Save the words").click()
    expect(opened).to_have_count(0)
    expect(segment(page, job).get_by_text("What it is about")).to_be_visible()
    assert (far.jobs[job]["segments"][0]["caption"], far.jobs[job]["segments"][1]["title"]) == ("From the talk", None)


@pytest.mark.parametrize("size", ["phone", "desk"])
def test_the_sheet_is_large_enough_and_has_names(far: FakeDaemon, open_at: OpenPage, job: str, size: str) -> None:
    page = open_at(far.url, **({"size": DESK} if size == "desk" else {}), reduced_motion="reduce")
    assert audit_by_light_and_dark(page) == [{}, {}]
    opened = sheet(page)
    expect(opened.get_by_role("slider")).to_have_count(2)
    for tab in ("Cuts", "Cover", "Words"):
        opened.get_by_role("tab", name=tab).click()
        assert audit_by_light_and_dark(page) == [{}, {}]
        heard = spoken(page)
        controls = [one for one in heard if one[0] in {"button", "slider", "tab", "textbox"}]
        assert sorted({one for one in controls if controls.count(one) > 1}) == []
        assert [role for role, name in controls if not name.strip()] == []


def test_tabs_are_turned_with_arrows(page: Page) -> None:
    opened = sheet(page)
    opened.get_by_role("tab", name="Cuts").press("ArrowLeft")
    expect(opened.get_by_role("tab", name="Words")).to_be_focused()
    expect(opened.get_by_role("tabpanel", name="Words")).to_be_visible()
    opened.get_by_role("tab", name="Words").press("ArrowRight")
    expect(opened.get_by_role("tabpanel", name="Cuts")).to_be_visible()


def test_that_somebody_looks_first_goes_with_the_upload_and_is_remembered(
    far: FakeDaemon, open_at: OpenPage, take: Take
) -> None:
    far.publishing.add_account("My channel")
    page = open_at(far.url)
    page.locator("#options > summary").click()
    page.get_by_label("I look at the segments first").check()
    pick(page, take())
    far.wait_for(lambda: bool(far.jobs))
    page.reload()
    page.locator("#options > summary").click()
    expect(page.get_by_label("I look at the segments first")).to_be_checked()
    assert "on" in json.dumps([seen.query.get("review") for seen in far.seen]) or far.uploads
