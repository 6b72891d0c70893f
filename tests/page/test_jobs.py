"""The list of takes: live over one connection, right in whatever order the news comes."""

import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.page.conftest import DESK, OpenPage
from tests.page.fake_daemon import FakeDaemon, Fault
from tests.page.fake_daemon import recipe as whole_recipe


def card(page: Page, job: str) -> Any:
    return page.locator(f'[data-job="{job}"]')


def working(far: FakeDaemon, name: str = "take.mov", *, segments: int = 3) -> str:
    """A job in the middle of its last step."""
    job = far.add_job(name, state="processing", progress=20.0)
    far.probed(job)
    far.plan(job, segments)
    far.step(job, "render", "running", 10.0, attempt=1)
    return job


def finished(far: FakeDaemon, name: str = "take.mov", *, segments: int = 2) -> str:
    job = far.add_job(name)
    far.probed(job)
    far.plan(job, segments)
    far.finish(job)
    return job


def test_an_empty_list_says_what_to_do(page: Page) -> None:
    expect(page.get_by_role("heading", name="No takes yet")).to_be_visible()
    expect(page.get_by_text("Choose a video to begin.")).to_be_visible()


def test_a_job_moves_through_its_steps_and_shows_segments_as_they_come(page: Page, far: FakeDaemon) -> None:
    job = far.add_job("take.mov")
    far.emit("job.created", job)
    shown = card(page, job)
    expect(shown.get_by_text("Waiting", exact=True)).to_be_visible()
    far.step(job, "probe", "running", attempt=1)
    far.change(job, "job.started", state="processing")
    expect(shown.locator('[aria-current="step"]')).to_contain_text("Looking at the file")
    far.probed(job)
    far.step(job, "plan", "running", 25.0, attempt=1)
    far.change(job, "step.completed", progress=4.0)
    expect(shown.locator('[aria-current="step"]')).to_contain_text("Listening and planning the cuts25 %")
    expect(shown.get_by_text("1920×1080")).to_be_visible()
    far.plan(job, 3)
    far.step(job, "render", "running", attempt=1)
    far.change(job, "step.completed", progress=10.0)
    expect(shown.locator('[aria-current="step"]')).to_contain_text("Making segments")
    far.ready(job, 0)
    expect(shown.get_by_text("1 of 3 segments ready")).to_be_visible()
    expect(shown.locator(".segment")).to_have_count(1)
    far.ready(job, 1)
    expect(shown.locator(".segment")).to_have_count(2)
    far.finish(job)
    expect(shown.get_by_text("Done", exact=True)).to_be_visible()
    expect(shown.locator(".segment")).to_have_count(3)
    expect(shown.get_by_role("link", name="Download all segments of take.mov")).to_have_attribute(
        "href", f"/v1/jobs/{job}/segments.zip"
    )
    expect(page.locator("#announcer")).to_contain_text("take.mov: done, 3 segments.")


def test_the_faces_are_a_step_only_of_a_job_that_needs_them(page: Page, far: FakeDaemon) -> None:
    job, other = working(far), far.add_job("faces.mov", state="processing", tracks=True)
    far.step(other, "track", "running", 40.0, attempt=1)
    far.emit("job.created", job)
    far.emit("job.created", other)
    expect(card(page, other).locator('[aria-current="step"]')).to_have_text("Finding faces40 %")
    expect(card(page, job).get_by_text("Making segments")).to_be_visible()
    expect(card(page, job).get_by_text("Finding faces")).to_be_hidden()
    far.note(other, "track", 61.0, 30.0)
    expect(card(page, other).locator('[aria-current="step"]')).to_have_text("Finding faces61 %")


def test_progress_notes_move_the_bars_without_a_request(page: Page, far: FakeDaemon) -> None:
    job = working(far)
    far.emit("job.created", job)
    shown = card(page, job)
    expect(shown.get_by_role("progressbar")).to_have_js_property("value", 20)
    before = len(far.seen)
    far.note(job, "render", 61.5, 65.4)
    expect(shown.get_by_role("progressbar")).to_have_js_property("value", 65)
    expect(shown.locator('[aria-current="step"]')).to_contain_text("61 %")
    expect(page.locator("#announcer")).not_to_contain_text("61")
    assert len(far.seen) == before


def test_an_answer_that_a_note_overtook_does_not_move_the_bars_back(page: Page, far: FakeDaemon) -> None:
    job = working(far)
    far.emit("job.created", job)
    shown = card(page, job)
    expect(shown.get_by_role("progressbar")).to_have_js_property("value", 20)
    looks = len(far.requests("GET", f"/status/{job}"))
    far.status_goes.clear()
    far.ready(job, 0)
    far.wait_for(lambda: len(far.requests("GET", f"/status/{job}")) == looks + 1)
    far.note(job, "render", 61.5, 65.4)
    expect(shown.get_by_role("progressbar")).to_have_js_property("value", 65)
    far.status_goes.set()
    expect(shown.locator(".segment")).to_have_count(1)
    expect(shown.get_by_role("progressbar")).to_have_js_property("value", 65)
    expect(shown.locator('[aria-current="step"]')).to_contain_text("61 %")
    far.step(job, "render", "running", 12.0, attempt=2)  # begun again: the next answer is the truth
    far.emit("step.retrying", job)
    expect(shown.locator('[aria-current="step"]')).to_contain_text("12 %")


def test_notes_that_come_late_or_broken_change_nothing(page: Page, far: FakeDaemon) -> None:
    job = working(far)
    far.emit("job.created", job)
    shown = card(page, job)
    expect(shown).to_be_visible()
    far.note(job, "render", 61.5, 65.4)
    expect(shown.locator(".overall-figure")).to_have_text("65 %")
    far.note(job, "render", 30.0, 31.0)
    far.note(job, "plan", 30.0, 66.0)
    far.note("job_unknown", "render", 1.0, 1.0)
    far.send_raw("event: progress\ndata: {half\n\n")
    far.note(job, "render", 70.0, 72.0)
    expect(shown.locator(".overall-figure")).to_have_text("72 %")
    expect(shown.locator(".step").nth(1)).to_contain_text("done")
    far.finish(job)
    expect(shown.get_by_text("Done", exact=True)).to_be_visible()
    far.note(job, "render", 80.0, 82.0)
    other = far.add_job("later.mov")
    far.emit("job.created", other)
    expect(card(page, other)).to_be_visible()
    expect(shown.get_by_text("Done", exact=True)).to_be_visible()


def test_events_in_the_wrong_order_end_in_the_right_state(page: Page, far: FakeDaemon) -> None:
    job = far.add_job("take.mov")
    far.probed(job)
    far.plan(job, 2)
    far.finish(job)
    for late in ("segment.ready", "job.started", "job.created", "step.completed"):
        far.emit(late, job)
    expect(card(page, job).get_by_text("Done", exact=True)).to_be_visible()
    expect(card(page, job).locator(".segment")).to_have_count(2)
    far.remove(job)
    far.emit("job.deleted", job)
    far.emit("segment.ready", job)
    expect(card(page, job)).to_have_count(0)
    expect(page.get_by_role("heading", name="No takes yet")).to_be_visible()


def test_a_burst_of_events_makes_few_requests_and_silence_none(timed: Page, far: FakeDaemon) -> None:
    job = working(far)
    far.emit("job.created", job)
    expect(card(timed, job)).to_be_visible()
    before = len(far.requests("GET", f"/status/{job}"))
    for _ in range(60):
        far.emit("segment.ready", job)
    far.ready(job, 0)
    expect(card(timed, job).get_by_text("1 of 3 segments ready")).to_be_visible()
    assert len(far.requests("GET", f"/status/{job}")) - before <= 2
    timed.clock.run_for(1_000)  # what the burst may have left
    timed.evaluate("() => fetch('/v1/jobs?before')")
    asked = len(far.seen)
    timed.clock.run_for(600_000)
    timed.evaluate("() => fetch('/v1/jobs?after')")  # whatever ten minutes make it ask was asked before this
    assert [seen.path for seen in far.seen[asked:]] == ["/v1/jobs"]
    assert len(far.requests("GET", "/v1/events/stream")) == 1


def test_after_a_lost_connection_the_list_is_true_again(page: Page, far: FakeDaemon) -> None:
    gone, moved = working(far, "gone.mov"), working(far, "moved.mov")
    far.emit("job.created", gone)
    far.emit("job.created", moved)
    expect(page.locator(".job")).to_have_count(2)
    far.stream_status = 503  # ends an EventSource for good: the page must start a new one
    far.drop_streams()
    expect(page.get_by_text("Reconnecting…")).to_be_visible()
    far.remove(gone)
    far.finish(moved)
    new = far.add_job("new.mov")
    far.stream_status = 200
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    expect(card(page, new)).to_be_visible()
    expect(card(page, gone)).to_have_count(0)
    expect(card(page, moved).get_by_text("Done", exact=True)).to_be_visible()
    expect(page.locator("#announcer")).to_contain_text("The connection to the server is back.")


def test_the_browser_resumes_the_stream_from_the_last_event(page: Page, far: FakeDaemon) -> None:
    job = working(far)
    far.emit("job.created", job)
    expect(card(page, job)).to_be_visible()
    far.drop_streams()
    far.wait_for(lambda: len(far.requests("GET", "/v1/events/stream")) == 2)
    assert far.requests("GET", "/v1/events/stream")[1].headers["last-event-id"] == "1"


def test_without_a_list_the_problem_is_shown_and_heals_itself(page: Page, far: FakeDaemon) -> None:
    far.list_status = 503
    page.reload()
    expect(page.get_by_text("It takes nothing now")).to_be_visible()
    far.list_status = 200
    finished(far)
    far.drop_streams()
    expect(page.get_by_text("It takes nothing now")).to_be_hidden()
    expect(page.locator(".job")).to_have_count(1)


def test_a_failed_job_says_why_and_what_to_do_and_can_be_tried_again(page: Page, far: FakeDaemon) -> None:
    job = working(far)
    far.step(job, "render", "discarded", attempt=3)
    error = {"code": "child_out_of_memory", "message": "The encoder ran out of memory.", "hint": "Raise the limit."}
    far.change(job, "job.failed", state="failed", error=error)
    far.ready(job, 0)
    shown = card(page, job)
    expect(shown.get_by_text("The encoder ran out of memory.")).to_be_visible()
    expect(shown.get_by_text("Raise the limit.")).to_be_visible()
    expect(shown.locator(".segment")).to_have_count(1)
    expect(shown.get_by_role("button", name="Cancel the work on take.mov")).to_be_hidden()
    shown.get_by_role("button", name="Try again: take.mov").click()
    expect(shown.get_by_text("Waiting", exact=True)).to_be_visible()
    expect(shown.get_by_text("The encoder ran out of memory.")).to_be_hidden()


def test_an_attempt_that_is_repeated_is_counted(page: Page, far: FakeDaemon) -> None:
    job = working(far)
    far.step(job, "render", "running", 12.0, attempt=2)
    far.emit("step.retrying", job)
    expect(card(page, job).locator('[aria-current="step"]')).to_contain_text("12 %, attempt 2 of 5")


def test_a_wait_for_room_is_told_until_it_is_over(page: Page, far: FakeDaemon) -> None:
    job = working(far)
    pause = {"code": "no_space", "message": "40 MB are needed.", "since": "", "next_attempt_at": ""}
    far.step(job, "render", "available", pause=pause)
    far.emit("step.retrying", job)
    shown = card(page, job)
    expect(shown.get_by_text("waits for room")).to_be_visible()
    expect(shown.get_by_text("40 MB are needed. The work goes on by itself when there is room")).to_be_visible()
    far.step(job, "render", "running", 12.0, pause=None)
    far.ready(job, 0)
    expect(shown.locator('[aria-current="step"]')).to_contain_text("12 %")
    expect(shown.get_by_text("40 MB are needed.")).to_be_hidden()


def test_work_can_be_cancelled_and_a_refused_request_says_why(page: Page, far: FakeDaemon) -> None:
    job = working(far)
    far.emit("job.created", job)
    conflict = {"title": "Conflict", "status": 409, "detail": "The job is already over.", "hint": "Reload."}
    far.faults.append(Fault(status=409, problem=conflict))
    cancel = card(page, job).get_by_role("button", name="Cancel the work on take.mov")
    cancel.click()
    expect(card(page, job).get_by_text("The job is already over.")).to_be_visible()
    cancel.click()
    expect(card(page, job).get_by_text("Cancelled", exact=True)).to_be_visible()
    expect(card(page, job).get_by_role("heading", name="take.mov")).to_be_focused()


def test_the_answer_to_a_click_is_the_job_and_is_not_asked_for_again(page: Page, far: FakeDaemon) -> None:
    job, other = working(far), far.add_job("other.mov")
    far.emit("job.created", job)
    expect(card(page, job)).to_be_visible()
    far.mute = True
    looks = len(far.requests("GET", f"/status/{job}"))
    card(page, job).get_by_role("button", name="Cancel the work on take.mov").click()
    expect(card(page, job).get_by_text("Cancelled", exact=True)).to_be_visible()
    far.mute = False
    far.emit("job.created", other)
    expect(card(page, other)).to_be_visible()  # long after a look that the click had asked for
    assert len(far.requests("GET", f"/status/{job}")) == looks


def test_an_older_answer_that_was_under_way_does_not_undo_a_click(page: Page, far: FakeDaemon) -> None:
    job = working(far)
    far.emit("job.created", job)
    expect(card(page, job)).to_be_visible()
    page.evaluate(
        """(job) => {
          window.states = [];
          const card = document.querySelector(`[data-job="${job}"]`);
          const note = () => states.push(card.dataset.state);
          new MutationObserver(note).observe(card, { attributeFilter: ["data-state"] });
        }""",
        job,
    )
    looks = len(far.requests("GET", f"/status/{job}"))
    far.status_goes.clear()
    far.emit("step.completed", job)
    far.wait_for(lambda: len(far.requests("GET", f"/status/{job}")) == looks + 1)
    card(page, job).get_by_role("button", name="Cancel the work on take.mov").click()
    expect(card(page, job).get_by_text("Cancelled", exact=True)).to_be_visible()
    far.status_goes.set()
    far.wait_for(lambda: len(far.requests("GET", f"/status/{job}")) == looks + 2)
    expect(card(page, job).get_by_text("Cancelled", exact=True)).to_be_visible()
    assert set(page.evaluate("states")) == {"cancelled"}


def test_deleting_asks_first_and_the_safe_answer_has_the_focus(page: Page, far: FakeDaemon) -> None:
    older, job = finished(far, "older.mov"), finished(far)
    expect(page.locator(".job")).to_have_count(2)
    bin_button = card(page, job).get_by_role("button", name="Delete take.mov")
    bin_button.click()
    dialog = page.get_by_role("dialog", name="Delete take.mov?")
    expect(dialog.get_by_text("The uploaded video and its 2 finished segments")).to_be_visible()
    expect(dialog.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(bin_button).to_be_focused()
    bin_button.click()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    assert far.requests("DELETE", "/") == []
    bin_button.click()
    dialog.get_by_role("button", name="Delete").click()
    expect(card(page, job)).to_have_count(0)
    expect(card(page, older).get_by_role("heading", name="older.mov")).to_be_focused()
    assert len(far.requests("DELETE", f"/v1/jobs/{job}")) == 1


def test_older_takes_come_on_request_and_a_reconnect_keeps_them(page: Page, far: FakeDaemon) -> None:
    jobs = [finished(far, f"take-{number}.mov", segments=1) for number in range(45)]
    page.reload()
    expect(page.locator(".job")).to_have_count(20)
    expect(page.locator(".job").first).to_have_attribute("data-job", jobs[-1])
    more = page.get_by_role("button", name="Show older takes")
    more.click()
    expect(page.locator(".job")).to_have_count(40)
    far.emit("segment.ready", jobs[0])  # about a job that is not on the page: it stays off
    far.drop_streams()
    far.wait_for(lambda: len(far.requests("GET", "/v1/events/stream")) >= 3)
    expect(page.locator(".job")).to_have_count(40)
    more.click()
    expect(page.locator(".job")).to_have_count(45)
    expect(more).to_be_hidden()
    names = page.locator(".job h3").all_inner_texts()
    assert names == [f"take-{number}.mov" for number in reversed(range(45))]


def test_a_finished_segment_says_what_it_is(page: Page, far: FakeDaemon) -> None:
    job = working(far)
    far.ready(job, 1, warnings=["Quieter than asked: the take is very quiet here."])
    segment = card(page, job).locator(".segment")
    for words in (
        "Segment 2",
        "From 0:59.9 to 1:59.8",
        "4.0 s",
        "1080×1920",
        "29.97 fps",
        "−14.1 LUFS",
        "Quieter than",
    ):
        expect(segment.get_by_text(words).first).to_be_visible()
    link = segment.get_by_role("link", name=re.compile(r"Download segment 2 of take\.mov, .* kB"))
    assert re.search(r"/video\?making=1&download=1$", link.get_attribute("href") or "")


def test_a_segment_is_called_silent_only_where_its_sound_was_measured(page: Page, far: FakeDaemon) -> None:
    measured = {
        ("encode", "auto"): True,
        ("encode", "off"): True,
        ("copy", "on"): True,
        ("copy", "auto"): False,
        ("copy", "off"): False,
    }
    for (video, loudness), silent in measured.items():
        job = far.add_job("take.mov", recipe=whole_recipe(video=video, loudness=loudness))
        far.plan(job, 1)
        far.ready(job, 0, event=False, loudness_lufs=None)
        far.change(job, "job.created", state="processing")
        expect(card(page, job).locator(".figures")).to_contain_text("fps")
        expect(card(page, job).get_by_text("silent")).to_have_count(int(silent))


def test_one_segment_plays_at_a_time_and_remembers_its_place(far: FakeDaemon, open_at: OpenPage) -> None:
    page = open_at(far.url, size=DESK)
    job = finished(far)
    expect(card(page, job).locator(".segment")).to_have_count(2)
    card(page, job).get_by_role("button", name="Play segment 1 of take.mov").click()
    video = page.locator("video")
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.4")
    assert video.evaluate("video => [video.videoWidth, video.controls, video.playsInline]") == [216, True, True]
    expect(video).to_be_focused()
    card(page, job).get_by_role("button", name="Play segment 2 of take.mov").click()
    expect(page.locator("video")).to_have_count(1)
    expect(video).to_have_attribute("aria-label", "segment 2 of take.mov")
    card(page, job).get_by_role("button", name="Play segment 1 of take.mov").click()
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.4")


def test_a_segment_that_could_not_be_loaded_says_so_and_plays_the_next_time(page: Page, far: FakeDaemon) -> None:
    """Once a single lost connection put the button out of use until the page was loaded anew."""
    job = working(far)
    far.ready(job, 0)
    play = card(page, job).get_by_role("button", name="Play segment 1 of take.mov")
    expect(play).to_be_visible()
    far.segment_status = 502
    play.click()
    trouble = card(page, job).get_by_role("paragraph").filter(has_text="It could not be played.")
    expect(trouble).to_be_visible()
    expect(page.locator("#announcer")).to_contain_text("segment 1 of take.mov could not be played.")
    expect(play).to_be_focused()
    far.segment_status = 200
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.1")
    expect(trouble).to_be_hidden()


def test_an_open_player_on_a_desk_has_room_for_its_controls(far: FakeDaemon, open_at: OpenPage) -> None:
    page = open_at(far.url, size=DESK)
    job = finished(far, segments=5)
    far.emit("job.completed", job)
    for number in (4, 2):
        card(page, job).get_by_role("button", name=f"Play segment {number} of").click()
        segment = card(page, job).locator(".segment", has=page.locator("video"))
        expect(segment.locator(".segment-name")).to_have_text(f"Segment {number}")
        assert segment.evaluate("node => node.clientWidth") >= 300
        assert segment.locator("video").evaluate("video => video.clientWidth") >= 240
        assert segment.locator("video").evaluate("video => video.clientHeight") <= DESK["height"]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_figure_stays_with_its_unit(page: Page, far: FakeDaemon) -> None:
    job = finished(far)
    far.emit("job.completed", job)
    expect(card(page, job).locator(".segment")).to_have_count(2)
    torn = re.compile(r"\d (?:[kMGT]?B|s|fps|LUFS)\b")
    for words in card(page, job).locator(".job-facts, .figures").all_text_contents():
        assert torn.search(words) is None, words


def test_a_job_update_does_not_disturb_what_plays(page: Page, far: FakeDaemon) -> None:
    job = working(far)
    far.ready(job, 0)
    card(page, job).get_by_role("button", name="Play segment 1 of take.mov").click()
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.2")
    page.evaluate("() => { document.querySelector('video').kept = true; }")
    far.ready(job, 1)
    far.finish(job)
    expect(card(page, job).locator(".segment")).to_have_count(3)
    assert page.locator("video").evaluate("video => video.kept && !video.paused")


def test_a_segment_is_looked_through_with_the_keyboard_and_played_from_there(page: Page, far: FakeDaemon) -> None:
    job = working(far)
    far.ready(job, 0)
    slider = page.get_by_role("slider", name="Look through segment 1 of take.mov")
    slider.focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", re.compile(r"^3\.0\ss of 4\.0\ss$"))
    tile = card(page, job).locator(".segment-tile")
    expect(tile).to_be_visible()
    # The seventh of ten pictures in rows of five: second row, second column.
    assert tile.evaluate("tile => ['--column', '--row'].map((name) => tile.style.getPropertyValue(name))") == ["1", "1"]
    assert tile.evaluate("tile => getComputedStyle(tile).backgroundPosition") == "25% 100%"
    card(page, job).get_by_role("button", name="Play segment 1 of take.mov").click()
    page.wait_for_function("() => document.querySelector('video').currentTime >= 3")
    expect(tile).to_be_hidden()


def test_segments_whose_files_were_pruned_are_not_offered(page: Page, far: FakeDaemon) -> None:
    job = finished(far)
    expect(card(page, job).locator(".segment")).to_have_count(2)
    far.jobs[job]["source"]["deleted"] = True
    far.change(job, "media.pruned", media_deleted=True)
    expect(card(page, job).locator(".segment")).to_have_count(0)
    expect(card(page, job).get_by_text("their keeping time is over")).to_be_visible()
    expect(card(page, job).get_by_role("link")).to_have_count(0)
