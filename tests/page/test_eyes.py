"""What was done to the eyes and the crop of a segment: told, shown before and after, and made again."""

import io
import re
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect

from tests.page import footage
from tests.page.conftest import COMPARE, DESK, PHONE, Contexts, OpenPage
from tests.page.fake_daemon import FakeDaemon, Fault, Json, recipe
from tests.page.test_for_everyone import AUDIT, NAMED, audit, audit_by_light_and_dark, spoken
from tests.page.test_jobs import card

EYES: Json = {
    "strength": 0.9,
    "corrected": 0.78,
    "faded": 0.06,
    "left_alone": {"blink": 0.03, "at_lens": 0.002, "head_turned": 0.128},
    "mean_deg": 11.3,
    "largest_deg": 19.2,
    "reason": None,
}
CROP: Json = {"followed": 0.92, "blurred": 0.08, "moves": 3, "cuts": 1, "speakers": 2}
REASON = "the speaker's eyes were turned to the lens in 84 % of the frames"
TURNED: Json = {
    "gaze": EYES,
    "framing": CROP,
    "compare": COMPARE,
    "synthetic": True,
    "synthetic_reason": REASON,
}
GONE: Json = {"title": "Conflict", "status": 409, "detail": "The take is gone.", "hint": "Upload it again."}


def turned(far: FakeDaemon, *, segments: int = 2, **more: Any) -> str:
    """A finished job whose segments tell of eyes that were turned."""
    job = far.add_job("take.mov", tracks=True)
    far.probed(job)
    far.plan(job, segments)
    for index in range(segments):
        far.ready(job, index, event=False, **{**TURNED, **more})
    far.finish(job)
    return job


def segment(page: Page, job: str, number: int = 1) -> Locator:
    found: Locator = card(page, job).locator(".segment", has=page.get_by_role("heading", name=f"Segment {number}"))
    return found


def fold(page: Page, job: str, number: int = 1) -> Locator:
    """The opened fold of a segment."""
    found = segment(page, job, number).locator(".fold")
    found.locator("summary").click()
    return found


def again(inside: Locator) -> Locator:
    return inside.get_by_role("button", name="Make this segment again")


# told


def test_a_segment_tells_what_was_done_to_eyes_and_crop(page: Page, far: FakeDaemon) -> None:
    job = turned(far)
    first = segment(page, job)
    for words in ("Altered", "Eyes turned in 84 %", "Crop follows the face"):
        expect(first.get_by_text(words, exact=True)).to_be_visible()
    expect(first.get_by_text("Before, they looked")).to_be_hidden()
    told = [line.replace("\u00a0", " ") for line in fold(page, job).locator(".report li").all_text_contents()]
    assert told == [
        f"Altered: {REASON}.",
        "In 6 % they were turned only in part.",
        "Before, they looked 11° past the lens on average, 19° at most.",
        "Left alone: head turned 13 %, blink 3 %, at the lens already less than 1 %.",
        "The crop follows the face in 92 % of the frames, with 3 moves and 1 cut.",
        "In 8 % the whole picture lies over its blurred copy.",
        "Of 2 faces it shows the one that seems to speak, which is a guess.",
    ]


def test_eyes_that_were_left_alone_are_told_with_the_reason(page: Page, far: FakeDaemon) -> None:
    whys: list[tuple[Json, list[str]]] = [
        ({"reason": "mediapipe is not installed"}, ["The eyes were left as they were: mediapipe is not installed."]),
        ({"left_alone": {"no_face": 1.0}}, ["The eyes were left as they were.", "Left alone: no face 100 %."]),
        (
            {"left_alone": {"of_later": 0.998}},
            ["The eyes were left as they were.", "Left alone: of_later more than 99 %."],
        ),
    ]
    none = {"corrected": 0.0, "faded": 0.0, "left_alone": {}, "mean_deg": None, "largest_deg": None}
    nowhere = {"followed": 0.0, "blurred": 0.0, "moves": 0, "cuts": 0, "speakers": 0}
    plain: Json = {"framing": nowhere, "compare": None, "synthetic": False, "synthetic_reason": None}
    job = turned(far, segments=len(whys), **plain)
    for index, (eyes, _) in enumerate(whys):
        far.ready(job, index, event=False, gaze={**EYES, **none, **eyes})
    far.emit("segment.ready", job)
    for number, (_, told) in enumerate(whys, start=1):
        one = segment(page, job, number)
        for words in ("Eyes left as they were", "No face to follow"):
            expect(one.get_by_text(words, exact=True)).to_be_visible()
        expect(one.get_by_text("Altered", exact=True)).to_be_hidden()
        inside = fold(page, job, number)
        expect(inside.locator(".report li")).to_have_text([*told, "There was no face for the crop to follow."])
        expect(inside.get_by_role("slider", name=re.compile("Before and after"))).to_be_hidden()
    page.wait_for_load_state("networkidle")
    assert sheets(far) == []


def test_a_crop_that_never_moves_is_said_to_hold_still(page: Page, far: FakeDaemon) -> None:
    job = turned(far, framing={**CROP, "followed": 1.0, "blurred": 0.0, "moves": 0, "cuts": 0, "speakers": 1})
    expect(fold(page, job).locator(".report li").last).to_have_text(
        re.compile(r"^The crop holds still around the face in 100\s% of the frames\.$")
    )


def test_where_nothing_was_asked_for_nothing_is_told(page: Page, far: FakeDaemon) -> None:
    job = turned(far, gaze=None, framing=None, compare=None, synthetic=False, synthetic_reason=None)
    expect(segment(page, job).locator(".figures li")).to_have_count(4)
    inside = fold(page, job)
    expect(inside.locator(".report")).to_be_hidden()
    expect(again(inside)).to_be_visible()


# before and after


def test_before_and_after_are_loaded_when_they_are_looked_at(page: Page, far: FakeDaemon) -> None:
    job = turned(far)
    expect(segment(page, job)).to_be_visible()
    page.wait_for_load_state("networkidle")
    assert sheets(far) == []
    shown(fold(page, job))
    assert set(sheets(far)) == {f"/v1/segments/{far.jobs[job]['segments'][0]['segment_id']}/gaze"}


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_divider_shows_before_on_its_left_and_after_on_its_right(
    far: FakeDaemon, open_at: OpenPage, size: dict[str, int]
) -> None:
    page = open_at(far.url, size=size)
    job = turned(far)
    inside = fold(page, job)
    stage = shown(inside)
    divider = inside.get_by_role("slider", name="Before and after of segment 1 of take.mov")
    moment = inside.get_by_role("slider", name="Moment of segment 1 of take.mov")
    before, after = footage.eyes(0.6, 0), footage.eyes(0.0, 0)
    divider.press("End")
    expect(divider).to_have_attribute("aria-valuetext", "100 % before, 0 % after")
    assert nearest(stage, before, after) == "left"
    divider.press("Home")
    assert nearest(stage, before, after) == "right"
    moment.press("End")
    expect(moment).to_have_attribute("aria-valuetext", "3 of 3, at 0:03.2")
    expect(inside.get_by_text("0:03.2", exact=True)).to_be_visible()
    assert nearest(stage, after, footage.eyes(0.0, 2)) == "right"
    moment.press("ArrowLeft")
    expect(moment).to_have_attribute("aria-valuetext", "2 of 3, at 0:01.9")
    assert nearest(stage, footage.eyes(0.0, 1), footage.eyes(0.0, 2)) == "left"


def test_the_divider_is_where_the_picture_is_divided_and_follows_a_pointer(page: Page, far: FakeDaemon) -> None:
    job = turned(far)
    inside = fold(page, job)
    stage = shown(inside)
    box = stage.bounding_box()
    assert box is not None
    divider = inside.get_by_role("slider", name=re.compile("Before and after"))
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.25, middle, steps=4)
    page.mouse.up()
    assert abs(int(divider.input_value()) - 25) <= 1
    cut = inside.locator(".compare-picture").last.evaluate("node => getComputedStyle(node).clipPath")
    assert re.fullmatch(r"inset\(0px 0px 0px 2[456]%\)", cut)
    page.mouse.move(0, 0)


def test_a_finger_moves_the_divider(far: FakeDaemon, open_at: OpenPage) -> None:
    page = open_at(far.url, has_touch=True, is_mobile=True)
    job = turned(far)
    inside = fold(page, job)
    box = shown(inside).bounding_box()
    assert box is not None
    page.touchscreen.tap(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    divider = inside.get_by_role("slider", name=re.compile("Before and after"))
    assert abs(int(divider.input_value()) - 80) <= 1


def test_pictures_that_could_not_be_loaded_are_asked_for_again_the_next_time(page: Page, far: FakeDaemon) -> None:
    job = turned(far)
    expect(segment(page, job)).to_be_visible()
    page.wait_for_load_state("networkidle")
    far.segment_status = 502
    inside = fold(page, job)
    expect(inside.get_by_text("The pictures could not be loaded.")).to_be_visible()
    far.segment_status = 200
    inside.locator("summary").click()
    inside.locator("summary").click()
    shown(inside)
    expect(inside.get_by_text("The pictures could not be loaded.")).to_be_hidden()


def test_one_moment_needs_no_choice_of_moments(page: Page, far: FakeDaemon) -> None:
    job = turned(far, compare={**COMPARE, "rows": 1, "at_s": [0.4]})
    inside = fold(page, job)
    shown(inside)
    expect(inside.get_by_role("slider", name=re.compile("Moment"))).to_be_hidden()


def sheets(far: FakeDaemon) -> list[str]:
    """The addresses of the pictures before and after that were asked for."""
    return [seen.path for seen in far.requests("GET", "/v1/segments/") if seen.path.endswith("/gaze")]


def shown(inside: Locator) -> Locator:
    """The stage, when its pictures are there."""
    expect(inside.locator(".compare-picture").last).to_have_css("background-image", re.compile("/gaze"))
    stage = inside.locator(".compare-stage")
    stage.scroll_into_view_if_needed()
    return stage


def nearest(stage: Locator, left: NDArray[np.uint8], right: NDArray[np.uint8]) -> str:
    """Which of two pictures the stage shows, where nothing lies over it."""
    with av.open(io.BytesIO(stage.screenshot(animations="disabled")), "r") as container:
        frame = next(container.decode(video=0))
    seen = frame.reformat(width=left.shape[1], height=left.shape[0], format="rgb24").to_ndarray().astype(int)
    rows, columns = slice(40, 115), slice(45, 315)
    distances = [np.abs(seen[rows, columns] - one[rows, columns]).mean() for one in (left, right)]
    assert min(distances) < 6, distances
    return "left" if distances[0] < distances[1] else "right"


# made again


def test_a_segment_is_made_again_and_the_new_files_show(page: Page, far: FakeDaemon) -> None:
    job = turned(far)
    inside = fold(page, job)
    shown(inside)
    inside.get_by_label("How far the eyes are turned").press("Home")
    for _ in range(4):
        inside.get_by_label("How far the eyes are turned").press("PageUp")
    again(inside).click()
    expect(
        inside.get_by_text(re.compile(r"Being made again, with eyes at 40\s%\. Until then the present"))
    ).to_be_visible()
    expect(again(inside)).to_be_hidden()
    expect(inside.locator("summary")).to_be_focused()
    asked = far.requests("POST", "/v1/segments/")
    assert [(seen.path, seen.query) for seen in asked] == [
        (f"/v1/segments/{far.jobs[job]['segments'][0]['segment_id']}/render", {"gaze": "on", "gaze_strength": "0.4"})
    ]
    segment(page, job).get_by_role("button", name="Play segment 1 of take.mov").click()
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.2")
    far.remade(job, 0, size=2_000_000, gaze={**EYES, "corrected": 0.44})
    video = page.locator("video")
    expect(video).to_have_attribute("src", re.compile("making=2"))
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.3")
    first = segment(page, job)
    expect(first.locator("img")).to_have_attribute("src", re.compile(r"/poster\?making=2"))
    expect(first.get_by_role("link", name=re.compile(r"Download segment 1 of take\.mov, 2\.0\sMB"))).to_have_attribute(
        "href", re.compile(r"making=2&download=1")
    )
    expect(first.get_by_text(re.compile(r"Eyes turned in 50\s%"))).to_be_visible()
    expect(inside.locator(".compare-picture").first).to_have_css("background-image", re.compile("making=2"))
    expect(inside.get_by_label("How far the eyes are turned")).to_have_value("40")
    expect(segment(page, job, 2).locator("img")).to_have_attribute("src", re.compile(r"/poster\?making=1"))
    first.get_by_role("slider", name="Look through segment 1 of take.mov").press("ArrowRight")
    expect(first.locator(".segment-tile")).to_have_css("background-image", re.compile("making=2"))


def test_a_segment_is_made_again_with_the_eyes_as_recorded(page: Page, far: FakeDaemon) -> None:
    job = turned(far)
    inside = fold(page, job, 2)
    inside.get_by_label("Look into the lens").uncheck()
    expect(inside.get_by_label("How far the eyes are turned")).to_be_disabled()
    again(inside).click()
    expect(inside.get_by_text("Being made again, with the eyes as recorded.")).to_be_visible()
    assert far.requests("POST", "/v1/segments/")[0].query == {"gaze": "off"}
    far.remade(job, 1)
    expect(inside.get_by_label("Look into the lens")).not_to_be_checked()


def test_its_progress_is_seen_also_when_folded_and_never_moves_back(page: Page, far: FakeDaemon) -> None:
    job = turned(far)
    one = far.jobs[job]["segments"][0]["segment_id"]
    far.remake(job, 0, state="running", progress=10.0)
    far.emit("segment.remaking", job)
    summary = segment(page, job).locator(".fold > summary")
    expect(summary).to_contain_text("being made again, 10 %")
    looks = len(far.requests("GET", f"/status/{job}"))
    far.status_goes.clear()
    far.emit("segment.remaking", job)
    far.wait_for(lambda: len(far.requests("GET", f"/status/{job}")) == looks + 1)
    far.note(job, "remake", 45.0, 100.0, segment_id=one)
    expect(summary).to_contain_text("being made again, 45 %")
    far.status_goes.set()
    page.wait_for_load_state("networkidle")
    far.note(job, "remake", 30.0, 100.0, segment_id=one)
    far.note(job, "remake", 46.0, 100.0, segment_id="seg_unknown")
    far.note(job, "remake", 47.5, 100.0, segment_id=one)
    expect(summary).to_contain_text("being made again, 47 %")
    expect(segment(page, job, 2).locator(".fold > summary")).not_to_contain_text("again")
    expect(card(page, job).get_by_text("Done", exact=True)).to_be_visible()
    far.remade(job, 0)
    expect(summary).not_to_contain_text("again")


def test_a_wait_for_room_while_it_is_made_again_is_told(page: Page, far: FakeDaemon) -> None:
    job = turned(far)
    far.remake(job, 0, pause={"code": "no_space", "message": "40 MB are needed.", "since": "", "next_attempt_at": ""})
    inside = fold(page, job)
    far.emit("segment.remaking", job)
    expect(inside.get_by_text("40 MB are needed. It goes on by itself.")).to_be_visible()


def test_a_refusal_stays_in_words_until_it_is_asked_again(page: Page, far: FakeDaemon) -> None:
    job = turned(far)
    inside = fold(page, job)
    far.faults.append(Fault(status=409, problem=GONE))
    looks = len(far.requests("GET", f"/status/{job}"))
    again(inside).click()
    expect(inside.get_by_text("The take is gone.")).to_be_visible()
    expect(page.locator("#announcer")).to_contain_text("The take is gone.")
    far.wait_for(lambda: len(far.requests("GET", f"/status/{job}")) > looks)
    page.wait_for_load_state("networkidle")
    expect(inside.get_by_text("Upload it again.")).to_be_visible()
    expect(inside.locator("summary")).to_contain_text("not made again")
    again(inside).click()
    expect(inside.get_by_text("Being made again, with")).to_be_visible()
    expect(inside.get_by_text("The take is gone.")).to_be_hidden()


def test_what_was_given_up_says_why_and_is_tried_again(page: Page, far: FakeDaemon) -> None:
    job = turned(far)
    inside = fold(page, job)
    far.remake(job, 0, state="discarded", error={"code": "poison", "message": "This step died 3 times.", "hint": None})
    far.emit("segment.remake_failed", job)
    expect(inside.get_by_text("This step died 3 times.")).to_be_visible()
    expect(page.locator("#announcer")).to_contain_text("segment 1 of take.mov could not be made again. This step died")
    expect(again(inside)).to_be_visible()
    inside.get_by_role("button", name="Try again: segment 1 of take.mov").click()
    expect(inside.get_by_text("Being made again, with")).to_be_visible()
    expect(inside.get_by_text("This step died 3 times.")).to_be_hidden()
    assert far.requests("POST", "/v1/segments/")[0].path.endswith("/retry")


def test_a_choice_is_kept_while_the_page_looks_again(page: Page, far: FakeDaemon) -> None:
    job = turned(far)
    inside = fold(page, job)
    inside.get_by_label("How far the eyes are turned").press("Home")
    far.change(job, "step.completed", warnings=["Something new."])
    expect(card(page, job).get_by_text("Something new.")).to_be_visible()
    expect(inside.get_by_label("How far the eyes are turned")).to_have_value("0")


def test_where_it_cannot_be_made_again_it_says_why(page: Page, far: FakeDaemon) -> None:
    copied, gone, working = turned(far), turned(far), turned(far)
    far.ready(copied, 0, recipe=recipe(video="copy"))
    far.jobs[gone]["source"]["deleted"] = True
    far.change(gone, "media.pruned")
    far.change(working, "job.started", state="processing")
    for job, words in (
        (copied, "The original pixels were kept"),
        (gone, "The uploaded take is gone"),
        (working, "when the whole take is done"),
    ):
        inside = fold(page, job)
        expect(inside.get_by_text(words)).to_be_visible()
        expect(again(inside)).to_be_hidden()


def test_what_becomes_of_a_segment_is_said_politely(page: Page, far: FakeDaemon) -> None:
    job = turned(far)
    expect(segment(page, job)).to_be_visible()
    far.remake(job, 0, state="running", progress=10.0)
    far.emit("segment.remaking", job)
    expect(page.locator("#announcer")).to_have_text("segment 1 of take.mov is being made again.")
    far.remade(job, 0)
    expect(page.locator("#announcer")).to_have_text("segment 1 of take.mov was made again.")


# for everyone


def busy_folds(page: Page, far: FakeDaemon) -> str:
    """Every state of a fold at once, opened."""
    job = turned(far, segments=4)
    far.remake(job, 1, state="running", progress=40.0)
    far.remake(job, 2, state="discarded", error={"code": "x", "message": "This step died 3 times.", "hint": "Look."})
    far.ready(job, 3, gaze={**EYES, "reason": "a" * 90}, compare=None)
    for number in range(1, 5):
        inside = fold(page, job, number)
    shown(segment(page, job).locator(".fold"))
    expect(again(inside)).to_be_visible()
    expect(segment(page, job, 3).get_by_text("This step died 3 times.")).to_be_visible()
    return job


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_the_folds_are_large_enough_and_stand_out_enough(
    far: FakeDaemon, open_at: OpenPage, size: dict[str, int]
) -> None:
    page = open_at(far.url, size=size, reduced_motion="reduce")
    busy_folds(page, far)
    assert audit_by_light_and_dark(page) == [{}, {}]
    segment(page, next(iter(far.jobs))).get_by_role("button", name=re.compile("Play")).click()
    assert audit(page) == {}


def test_the_folds_fit_320_pixels_too(far: FakeDaemon, open_at: OpenPage) -> None:
    page = open_at(far.url, size={"width": 320, "height": 256})
    busy_folds(page, far)
    assert "overflow" not in audit(page)


def test_the_folds_are_named_and_reached_with_the_keyboard(page: Page, far: FakeDaemon, shared: Contexts) -> None:
    busy_folds(page, far)
    heard = spoken(page)
    assert [(role, name) for role, name in heard if role in NAMED and not name.strip()] == []
    controls = [(role, name) for role, name in heard if role in {"button", "link", "slider", "checkbox", "progressbar"}]
    assert sorted({one for one in controls if controls.count(one) > 1}) == []
    page.evaluate(AUDIT)
    summary = page.locator(".fold > summary").first
    summary.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    stops = []
    for _ in range(6):
        stops.append(page.evaluate("audit.focus()"))
        page.keyboard.press("Tab")
    assert [stop["what"] for stop in stops if not stop["seen"]] == []
    assert [stop["place"] for stop in stops] == sorted({stop["place"] for stop in stops})
    inside = segment(page, next(iter(far.jobs))).locator(".fold")
    reachable = inside.locator("summary:visible, input:visible, button:visible").count()
    assert reachable == 6
