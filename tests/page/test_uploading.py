"""Sending takes from the page, with everything that can go wrong on the way."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

from playwright.sync_api import Dialog, Page, Route, expect

from tests.page.conftest import DESK, OpenPage
from tests.page.fake_daemon import FakeDaemon, Fault
from vidprod.domain.canvas import layout
from vidprod.domain.recipe import Recipe

Take = Callable[..., Path]

NOT_A_VIDEO: dict[str, Any] = {
    "title": "Not a video",
    "status": 415,
    "code": "not_a_video",
    "detail": "notes.mp4 looks like plain text, not a video.",
    "hint": "Send a video file: MP4, MOV, MKV, WebM, AVI, MPEG-TS, FLV or 3GP.",
}
TOO_LARGE: dict[str, Any] = {
    "title": "Too large",
    "status": 413,
    "detail": "9.1 GB; the limit is 8.6 GB.",
    "hint": "Cut it in two.",
}
NO_SPACE: dict[str, Any] = {
    "title": "Too full",
    "status": 507,
    "detail": "3 MB are free.",
    "hint": "Delete finished jobs.",
}


def pick(page: Page, *paths: Path) -> None:
    page.locator("#files").set_input_files([str(path) for path in paths])


def row(page: Page, name: str) -> Any:
    return page.locator(".upload", has_text=name)


def test_the_large_button_opens_the_file_chooser_for_several_videos(page: Page, far: FakeDaemon, take: Take) -> None:
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose videos").click()
    assert chooser.value.is_multiple()
    assert page.locator("#files").get_attribute("accept") == "video/*"
    chooser.value.set_files([take("one.mp4"), take("two.mp4")])
    expect(page.locator(".job")).to_have_count(2)
    expect(page.locator("#uploads")).to_be_hidden()
    assert {put.query["filename"] for put in far.requests("PUT", "/upload")} == {"one.mp4", "two.mp4"}


def test_files_can_be_dropped_anywhere(page: Page, far: FakeDaemon) -> None:
    data = page.evaluate_handle(
        "() => { const data = new DataTransfer(); data.items.add(new File(['abc'], 'dropped.mov')); return data; }"
    )
    page.dispatch_event("footer", "dragenter", {"dataTransfer": data})
    expect(page.get_by_text("Drop to upload")).to_be_visible()
    page.dispatch_event("footer", "drop", {"dataTransfer": data})
    expect(page.get_by_text("Drop to upload")).to_be_hidden()
    expect(page.get_by_role("heading", name="dropped.mov")).to_be_visible()
    assert far.requests("PUT", "/upload")[0].query["filename"] == "dropped.mov"


def test_an_upload_shows_percent_speed_and_time_left(page: Page, far: FakeDaemon, take: Take) -> None:
    far.rate = 6_000_000
    pick(page, take("long.mp4", 24_000_000))
    upload = row(page, "long.mp4")
    expect(upload.locator(".upload-state")).to_contain_text("%")
    expect(upload.locator(".upload-figures")).to_contain_text("MB/s ·")
    expect(upload.locator(".upload-figures")).to_contain_text("left")
    first = upload.locator("progress").evaluate("bar => bar.value")
    page.wait_for_function("before => document.querySelector('.upload progress').value > before", arg=first)
    expect(page.get_by_text("Keep this page open until the upload is done.")).to_be_visible()
    far.rate = None
    expect(page.get_by_role("heading", name="long.mp4")).to_be_visible()


def test_two_uploads_go_at_once_and_the_third_waits(page: Page, far: FakeDaemon, take: Take) -> None:
    far.rate = 1_000_000
    pick(page, take("a.mp4", 30_000_000), take("b.mp4", 30_000_000), take("c.mp4", 30_000_000))
    expect(row(page, "c.mp4").locator(".upload-state")).to_have_text("Waits for its turn")
    far.wait_for(lambda: len(far.requests("PUT", "/upload")) == 2)
    page.get_by_role("button", name="Cancel the upload of a.mp4").click()
    far.wait_for(lambda: len(far.requests("PUT", "/upload")) == 3)
    assert far.requests("PUT", "/upload")[2].query["filename"] == "c.mp4"


def test_uploads_go_in_the_order_they_were_chosen_whichever_is_quoted_first(
    page: Page, far: FakeDaemon, take: Take
) -> None:
    """Once a third whose quote came early was sent before the second."""
    held: list[Route] = []
    page.route("**/v1/quote?*size=1111111*", lambda route: held.append(route))
    far.rate = 1_000_000
    with page.expect_request("**/v1/quote?*size=1111111*"):
        pick(page, take("a.mp4", 20_000_000), take("b.mp4", 1_111_111), take("c.mp4", 20_000_000))
    expect(row(page, "c.mp4").locator(".upload-state")).to_have_text("Waits for its turn")
    expect(row(page, "b.mp4").locator(".upload-state")).to_have_text("Asks what it will take…")
    [quote] = held
    quote.continue_()
    far.wait_for(lambda: len(far.requests("PUT", "/upload")) == 2)
    assert [put.query["filename"] for put in far.requests("PUT", "/upload")] == ["a.mp4", "b.mp4"]


def test_the_same_file_picked_twice_is_sent_once(page: Page, far: FakeDaemon, take: Take) -> None:
    far.rate = 1_000_000
    path = take("a.mp4", 30_000_000)
    pick(page, path)
    pick(page, path)
    expect(page.locator(".upload")).to_have_count(1)


def test_a_cancelled_upload_is_gone_and_not_tried_again(timed: Page, far: FakeDaemon, take: Take) -> None:
    far.rate = 1_000_000
    pick(timed, take("a.mp4", 30_000_000))
    far.wait_for(lambda: len(far.requests("PUT", "/upload")) == 1)
    timed.get_by_role("button", name="Cancel the upload of a.mp4").click()
    expect(timed.locator(".upload")).to_have_count(0)
    expect(timed.get_by_role("button", name="Choose videos")).to_be_focused()
    timed.clock.fast_forward(120_000)
    assert len(far.requests("PUT", "/upload")) == 1
    assert far.jobs == {}


def test_a_refusal_is_shown_in_the_servers_own_words(page: Page, far: FakeDaemon, take: Take) -> None:
    for problem in (NOT_A_VIDEO, TOO_LARGE, NO_SPACE):
        far.faults.append(Fault(status=problem["status"], problem=problem, after=4096))
        name = f"notes-{problem['status']}.mp4"
        pick(page, take(name, 3_000_000))
        upload = row(page, name)
        for word in ("title", "detail", "hint"):
            expect(upload.get_by_text(problem[word], exact=True)).to_be_visible()
        expect(page.locator("#announcer")).to_contain_text(problem["detail"])
    page.get_by_role("button", name="Try again: the upload of notes-415.mp4").click()
    expect(page.get_by_role("heading", name="notes-415.mp4")).to_be_visible()
    expect(page.locator(".upload")).to_have_count(2)


def test_a_refused_upload_can_be_taken_off_the_list(page: Page, far: FakeDaemon, take: Take) -> None:
    far.faults.append(Fault(status=415, problem=NOT_A_VIDEO))
    pick(page, take("notes.mp4"))
    page.get_by_role("button", name="Dismiss notes.mp4").click()
    expect(page.locator("#uploads")).to_be_hidden()


def test_the_buttons_of_an_upload_hand_the_focus_to_each_other(page: Page, far: FakeDaemon, take: Take) -> None:
    """Once "Try again" by the keyboard left the focus on nothing."""
    far.rate = 200_000
    far.faults.append(Fault(status=415, problem=NOT_A_VIDEO))
    pick(page, take("notes.mp4", 3_000_000))
    page.get_by_role("button", name="Cancel the upload of notes.mp4").focus()
    far.rate = None
    expect(page.get_by_role("button", name="Try again: the upload of notes.mp4")).to_be_focused()
    far.rate = 200_000
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Cancel the upload of notes.mp4")).to_be_focused()
    far.rate = None
    expect(page.get_by_role("heading", name="notes.mp4")).to_be_visible()


def test_a_dropped_connection_is_tried_again_with_the_same_key(page: Page, far: FakeDaemon, take: Take) -> None:
    far.faults.append(Fault(after=100_000))
    pick(page, take("take.mp4", 8_000_000))
    upload = row(page, "take.mp4")
    expect(upload.get_by_text("The connection was lost", exact=True)).to_be_visible()
    expect(upload.get_by_text("Trying again in")).to_be_visible()
    expect(page.get_by_role("heading", name="take.mp4")).to_be_visible()
    first, second = far.requests("PUT", "/upload")
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] != ""


def test_a_lost_answer_makes_no_second_job(page: Page, far: FakeDaemon, take: Take) -> None:
    far.faults.append(Fault(accept=True))
    pick(page, take())
    far.wait_for(lambda: len(far.requests("PUT", "/upload")) == 2)
    expect(page.locator("#uploads")).to_be_hidden()
    assert len(far.jobs) == 1


def test_without_the_key_the_same_lost_answer_makes_two_jobs(page: Page, far: FakeDaemon, take: Take) -> None:
    """The known-bad twin: it shows that the far end would notice."""

    def strip(route: Route) -> None:
        headers = {name: value for name, value in route.request.headers.items() if name != "idempotency-key"}
        headers["idempotency-key"] = f"attempt-{len(far.requests('PUT', '/upload'))}"
        route.continue_(headers=headers)

    page.route("**/upload?*", strip)
    far.faults.append(Fault(accept=True))
    pick(page, take())
    expect(page.locator("#uploads")).to_be_hidden()
    assert len(far.requests("PUT", "/upload")) == 2
    assert len(far.jobs) == 2


def test_a_reloaded_page_that_gets_the_same_file_uses_the_same_key(page: Page, far: FakeDaemon, take: Take) -> None:
    path = take("take.mp4", 30_000_000)
    far.rate = 1_000_000
    pick(page, path)
    far.wait_for(lambda: len(far.requests("PUT", "/upload")) == 1)
    page.reload()
    far.rate = None
    pick(page, path)
    expect(page.get_by_role("heading", name="take.mp4")).to_be_visible()
    first, second = far.requests("PUT", "/upload")
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


def test_a_finished_upload_forgets_its_key(page: Page, far: FakeDaemon, take: Take) -> None:
    path = take()
    for jobs in (1, 2):
        pick(page, path)
        expect(page.locator(".job")).to_have_count(jobs)
        expect(page.locator("#uploads")).to_be_hidden()
    first, second = far.requests("PUT", "/upload")
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


def test_a_busy_server_is_asked_again(page: Page, far: FakeDaemon, take: Take) -> None:
    busy = {"title": "Busy", "status": 503, "detail": "64 uploads are running.", "hint": "Try again in a few seconds."}
    far.faults.append(Fault(status=503, problem=busy, headers={"Retry-After": "1"}))
    pick(page, take())
    expect(page.get_by_text("64 uploads are running.")).to_be_visible()
    expect(page.get_by_role("heading", name="take.mp4")).to_be_visible()


def test_a_connection_on_which_nothing_moves_is_given_up_and_tried_again(
    timed: Page, far: FakeDaemon, take: Take
) -> None:
    far.faults.append(Fault(hang=True))
    pick(timed, take("still.mp4", 40_000_000))
    far.wait_for(lambda: len(far.requests("PUT", "/upload")) == 1)
    timed.clock.fast_forward(8_000)
    expect(row(timed, "still.mp4").get_by_text("Waiting for the network…")).to_be_visible()
    timed.clock.fast_forward(31_000)
    expect(row(timed, "still.mp4").get_by_text("No byte has moved for a while")).to_be_visible()
    timed.clock.run_for(2_000)
    expect(timed.get_by_role("heading", name="still.mp4")).to_be_visible()


def test_the_page_gives_up_after_many_losses_and_says_so(timed: Page, far: FakeDaemon, take: Take) -> None:
    far.faults.extend(Fault(after=0) for _ in range(7))
    pick(timed, take())
    for attempt in range(1, 8):
        far.wait_for(lambda attempt=attempt: len(far.requests("PUT", "/upload")) == attempt)  # type: ignore[misc]
        if attempt < 7:
            expect(timed.get_by_text(f"({attempt} of 6)")).to_be_visible()
            timed.clock.fast_forward(31_000)
    expect(timed.get_by_text("The upload did not get through")).to_be_visible()
    expect(timed.get_by_text("7 times in a row")).to_be_visible()
    timed.get_by_role("button", name="Try again: the upload of take.mp4").click()
    expect(timed.get_by_role("heading", name="take.mp4")).to_be_visible()


def test_losses_count_anew_once_an_attempt_got_further(timed: Page, far: FakeDaemon, take: Take) -> None:
    """Once seven losses in hours ended an upload, however much had moved between them."""
    reached = [0, 0, 0, 0, 30_000_000, 0, 0]
    counted = [1, 2, 3, 4, 1, 2, 3]
    far.faults.extend(Fault(after=after) for after in reached)
    pick(timed, take("long.mp4", 60_000_000))
    for attempt, shown in enumerate(counted, start=1):
        far.wait_for(lambda attempt=attempt: len(far.requests("PUT", "/upload")) == attempt)  # type: ignore[misc]
        expect(timed.get_by_text(f"({shown} of 6)")).to_be_visible()
        timed.clock.fast_forward(31_000)
    expect(timed.get_by_role("heading", name="long.mp4")).to_be_visible()


def test_an_upload_that_the_server_still_holds_is_waited_for(timed: Page, far: FakeDaemon, take: Take) -> None:
    """It may take a minute until the server sees that the first line is dead; those answers are no failures."""
    held = {"title": "Conflict", "status": 409, "code": "in_flight", "detail": "Being answered now."}
    far.faults.append(Fault(after=0))
    far.faults.extend(Fault(status=409, problem=held) for _ in range(12))
    pick(timed, take())
    for attempt in range(1, 14):
        far.wait_for(lambda attempt=attempt: len(far.requests("PUT", "/upload")) == attempt)  # type: ignore[misc]
        expect(timed.get_by_text("(1 of 6)")).to_be_visible()
        if attempt > 1:
            expect(timed.get_by_text("The server still waits for what was sent before", exact=True)).to_be_visible()
        timed.clock.fast_forward(6_000)
    expect(timed.get_by_role("heading", name="take.mp4")).to_be_visible()


def test_an_upload_goes_on_as_soon_as_the_device_is_online_again(page: Page, far: FakeDaemon, take: Take) -> None:
    page.context.set_offline(True)
    pick(page, take())
    expect(page.get_by_text("This device is offline.")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_role("heading", name="take.mp4")).to_be_visible()


def test_a_file_that_changed_since_it_was_picked_is_not_tried_for_ever(page: Page, far: FakeDaemon, take: Take) -> None:
    far.faults.append(Fault(after=0))
    path = take("take.mp4", 8_000_000)
    pick(page, path)
    expect(page.get_by_text("The connection was lost", exact=True)).to_be_visible()
    path.unlink()
    expect(page.get_by_text("The file cannot be read any more", exact=True)).to_be_visible()


def test_leaving_the_page_is_asked_about_only_while_uploading(page: Page, far: FakeDaemon, take: Take) -> None:
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    far.rate = 1_000_000
    with page.expect_file_chooser() as chooser:  # a page without a click may not ask
        page.get_by_role("button", name="Choose videos").click()
    chooser.value.set_files([take("a.mp4", 30_000_000)])
    far.wait_for(lambda: len(far.requests("PUT", "/upload")) == 1)
    with page.expect_event("dialog"):
        page.close(run_before_unload=True)
    assert asked == ["beforeunload"]
    page.get_by_role("button", name="Cancel the upload of a.mp4").click()
    with page.expect_event("close"):
        page.close(run_before_unload=True)
    assert asked == ["beforeunload"]


def test_the_screen_is_kept_on_while_bytes_move(far: FakeDaemon, open_at: OpenPage, take: Take) -> None:
    page = open_at(far.url)
    page.evaluate(
        """() => {
          window.locks = [];
          WakeLock.prototype.request = async (kind) => {
            locks.push(kind);
            return Object.assign(new EventTarget(), { release: async () => locks.push("released") });
          };
        }"""
    )
    far.rate = 1_000_000
    pick(page, take("a.mp4", 30_000_000))
    page.wait_for_function("() => locks.length === 1")
    page.get_by_role("button", name="Cancel the upload of a.mp4").click()
    page.wait_for_function("() => locks.join() === 'screen,released'")


def test_recipe_options_travel_with_the_upload_and_are_remembered(page: Page, far: FakeDaemon, take: Take) -> None:
    page.locator("#options > summary").click()
    page.get_by_label("Longest segment").fill("45")
    page.get_by_label("Where to cut").select_option("none")
    page.get_by_label("Framing").select_option("fill")
    page.get_by_label("Loudness").select_option("off")
    summary = re.compile(r"^45\ss · cut exactly · vertical, cropped · eyes 90\s%$")
    expect(page.locator("#options-now")).to_have_text(summary)
    pick(page, take())
    far.wait_for(lambda: len(far.requests("PUT", "/upload")) == 1)
    options = {"segment_s": "45", "snap": "none", "frame": "fill", "loudness": "off"}
    assert far.requests("PUT", "/upload")[0].query == {**options, "filename": "take.mp4"}
    page.reload()
    expect(page.locator("#options-now")).to_have_text(summary)


def test_eyes_are_turned_as_far_as_was_chosen_and_that_is_remembered(page: Page, far: FakeDaemon, take: Take) -> None:
    page.locator("#options > summary").click()
    strength = page.get_by_role("slider", name="How far the eyes are turned")
    expect(strength).to_have_value("90")
    strength.press("ArrowLeft")
    strength.press("ArrowLeft")
    expect(strength).to_have_attribute("aria-valuetext", re.compile(r"^80\s%$"))
    page.get_by_label("A glance away now and then").select_option("0")
    page.get_by_label("Framing").select_option("blur")
    summary = re.compile(r"^60\ss · cut in pauses · vertical, over blur · eyes 80\s%$")
    expect(page.locator("#options-now")).to_have_text(summary)
    pick(page, take())
    far.wait_for(lambda: len(far.requests("PUT", "/upload")) == 1)
    options = {"gaze_strength": "0.8", "look_away_deg": "0", "frame": "blur"}
    assert far.requests("PUT", "/upload")[0].query == {**options, "filename": "take.mp4"}
    page.reload()
    expect(page.locator("#options-now")).to_have_text(summary)


def test_eyes_that_stay_as_recorded_need_no_other_choice(page: Page, far: FakeDaemon, take: Take) -> None:
    page.locator("#options > summary").click()
    page.get_by_label("A glance away now and then").select_option("7")
    page.get_by_label("Look into the lens").uncheck()
    expect(page.get_by_role("slider", name="How far the eyes are turned")).to_be_disabled()
    expect(page.get_by_label("A glance away now and then")).to_be_disabled()
    expect(page.locator("#options-now")).to_contain_text("eyes as recorded")
    pick(page, take())
    far.wait_for(lambda: len(far.requests("PUT", "/upload")) == 1)
    assert far.requests("PUT", "/upload")[0].query == {"gaze": "off", "filename": "take.mp4"}
    page.reload()
    expect(page.locator("#options-now")).to_contain_text("eyes as recorded")


def test_what_was_remembered_by_an_older_page_or_is_nonsense_leaves_the_defaults(
    page: Page, far: FakeDaemon, take: Take
) -> None:
    remembered = '{"segment_s": "60", "frame": "wide", "gaze_strength": "far", "look_away_deg": 33}'
    page.evaluate("known => localStorage.setItem('vidprod.recipe', known)", remembered)
    page.reload()
    pick(page, take())
    far.wait_for(lambda: len(far.requests("PUT", "/upload")) == 1)
    assert far.requests("PUT", "/upload")[0].query == {"filename": "take.mp4"}


def test_the_framings_say_what_becomes_of_the_picture(page: Page) -> None:
    """Once the first promised that the whole picture stays visible: 3:4 loses a quarter of it."""
    shapes = {"landscape": (1920, 1080), "3:4": (1080, 1440), "narrower than 9:16": (900, 1950)}
    made = {name: layout(*shape, frame="auto") for name, shape in shapes.items()}
    assert {name: canvas.background for name, canvas in made.items()} == {
        "landscape": "blur",
        "3:4": "none",
        "narrower than 9:16": "blur",
    }
    assert made["3:4"].picture_width > made["3:4"].width
    assert page.get_by_label("Framing").locator("option").all_text_contents() == [
        "Vertical, follows the face",
        "Vertical, closer to the face",
        "Vertical, landscape over blur",
        "Vertical, cropped in the middle",
        "As recorded",
    ]
    assert set(get_args(get_args(get_type_hints(Recipe, include_extras=True)["frame"])[0])) == {
        option.get_attribute("value") for option in page.get_by_label("Framing").locator("option").all()
    }


def test_each_framing_is_explained(page: Page) -> None:
    page.locator("#options > summary").click()
    framing = page.get_by_label("Framing")
    told = set()
    for option in framing.locator("option").all():
        framing.select_option(option.get_attribute("value"))
        told.add(page.locator("#frame-help").inner_text())
    assert len(told) == 5
    expect(framing).to_have_accessible_description("The shape of the take, be it upright or not.")


def test_defaults_are_left_to_the_server(page: Page, far: FakeDaemon, take: Take) -> None:
    pick(page, take())
    far.wait_for(lambda: len(far.requests("PUT", "/upload")) == 1)
    assert far.requests("PUT", "/upload")[0].query == {"filename": "take.mp4"}


def test_keeping_the_pixels_rules_out_a_new_framing_and_cuts_between_keyframes(
    page: Page, far: FakeDaemon, take: Take
) -> None:
    page.locator("#options > summary").click()
    page.get_by_label("Where to cut").select_option("none")
    page.get_by_label("Framing").select_option("fill")
    page.get_by_role("slider", name="How far the eyes are turned").press("End")
    page.get_by_label("Keep the original pixels").check()
    expect(page.get_by_label("Where to cut")).to_be_disabled()
    expect(page.get_by_label("Framing")).to_be_disabled()
    for control in ("Look into the lens", "How far the eyes are turned", "A glance away now and then"):
        expect(page.get_by_label(control)).to_be_disabled()
    expect(page.get_by_label("Look into the lens")).to_have_accessible_description(
        re.compile("original pixels are kept")
    )
    expect(page.locator("#options-now")).to_have_text(re.compile(r"^60\ss · cut at keyframes · pixels kept$"))
    pick(page, take())
    far.wait_for(lambda: len(far.requests("PUT", "/upload")) == 1)
    assert far.requests("PUT", "/upload")[0].query == {"video": "copy", "filename": "take.mp4"}


def test_a_length_out_of_range_is_put_right(page: Page) -> None:
    page.locator("#options > summary").click()
    length = page.get_by_label("Longest segment")
    for typed, kept in (("900", "60"), ("1", "3"), ("", "60"), ("12.5", "12.5")):
        length.fill(typed)
        length.blur()
        expect(length).to_have_value(kept)


def test_a_hostile_file_name_is_shown_as_text_and_stays_in_its_place(far: FakeDaemon, open_at: OpenPage) -> None:
    page = open_at(far.url, size=DESK)
    name = "<img src=x onerror=alert(1)>\u202egpj.4pm\n" + "שלום" * 40 + "w" * 300
    job = far.add_job(name)
    far.emit("job.created", job)
    heading = page.locator(".job h3")
    expect(heading).to_contain_text("<img src=x onerror=alert(1)>gpj.4pm")
    assert page.locator(".job h3 img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator(".job h3").evaluate("node => node.getBoundingClientRect().height") < 70
