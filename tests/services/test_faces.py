"""Following faces is a step that a job can do without, and so is what a render does with them."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.services.conftest import worker_pids
from tests.services.workshop import Workshop, eventually_async, files_of, workshop_in
from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import Rendition
from vidprod.services.pruner import Pruner
from vidprod.services.watch import SECONDS_PER_MEDIA_SECOND
from vidprod.store.sqlite import lifecycle

WITH_FACES = Recipe()
ONLY_EYES = Recipe(frame="blur")
ONLY_CROP = Recipe(gaze="off")


@pytest.fixture
async def workshop(tmp_path: Path) -> AsyncIterator[Workshop]:
    async with workshop_in(tmp_path / "data") as workshop:
        yield workshop


async def renditions(workshop: Workshop, job_id: str) -> list[Rendition]:
    made = [segment.rendition for segment in await workshop.segments(job_id)]
    return [rendition for rendition in made if rendition is not None]


async def reasons(workshop: Workshop, job_id: str) -> set[str | None]:
    """Why no eyes were turned, of all segments."""
    return {made.gaze.reason for made in await renditions(workshop, job_id) if made.gaze is not None}


async def test_faces_are_followed_between_plan_and_render(workshop: Workshop) -> None:
    await workshop.start()
    job_id = await workshop.submit(recipe=WITH_FACES, segments=2, track_warnings=["it was dark"])
    job = await workshop.end_of(job_id)
    assert (job.state, job.warnings) == ("completed", ["it was dark"])
    assert [task.kind for task in await workshop.tasks(job_id)] == ["probe", "plan", "track", "render"]
    assert workshop.blobs.track_path(job.video_id).read_text() == "eyes"
    made = await renditions(workshop, job_id)
    assert [(one.synthetic, one.gaze.corrected if one.gaze else None) for one in made] == [(True, 0.84)] * 2
    assert {name.partition(".")[2] for name in files_of(workshop, job_id)} == {"mp4", "jpg", "sprite.jpg", "gaze.jpg"}
    ready = [event.data for event in await workshop.events(job_id) if event.type == "segment.ready"]
    assert [data["synthetic"] for data in ready] == [True, True]


async def test_the_track_goes_with_the_source(workshop: Workshop) -> None:
    await workshop.start()
    job = await workshop.end_of(await workshop.submit(recipe=WITH_FACES, segments=1))
    await workshop.stop()
    workshop.ahead_ms += 2 * 86_400_000
    await Pruner(store=workshop.store, blobs=workshop.blobs, config=workshop.config, now=workshop.now).prune()
    assert not workshop.blobs.track_path(job.video_id).parent.exists()


@pytest.mark.parametrize(
    "recipe", [Recipe(video="copy"), Recipe(gaze="off", frame="blur"), Recipe(gaze_strength=0, frame="fill")]
)
async def test_who_does_nothing_for_faces_does_not_look_for_them(workshop: Workshop, recipe: Recipe) -> None:
    await workshop.start()
    job_id = await workshop.submit(recipe=recipe, segments=1, track="abort")
    assert (await workshop.end_of(job_id)).warnings == []
    assert [task.kind for task in await workshop.tasks(job_id)] == ["probe", "plan", "render"]


async def test_progress_counts_the_step_only_where_it_is(workshop: Workshop) -> None:
    await workshop.start()
    with workshop.store.feed.subscribe() as news:
        job_id = await workshop.submit(recipe=WITH_FACES, segments=1)
        await workshop.end_of(job_id)
        notes = []
        async for item in news:
            if getattr(item, "type", "") == "job.completed":
                break
            if data := getattr(item, "data", {}):
                notes.append(data)
    last = {data["step"]: data["job_progress"] for data in notes if "job_progress" in data}
    assert last == {"probe": 2.0, "track": 40.0, "render": 100.0}


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("be_too_slow", "it would take longer than 3 times the encode"),
        ("abort", "following the faces was given up: the media child was ended by SIGABRT"),
        ("eat_memory", "following the faces was given up: the media child held"),
        ("fail", "following the faces was given up: ValueError: a bug"),
        ("try_later", "following the faces was given up: the encoder was busy"),
        ("refuse", "following the faces was given up: there is no picture in it"),
        ("leave_silently", "following the faces was given up: the media child ended without an answer"),
        ("forget_the_track", "following the faces was given up: the media child followed the faces and made no track"),
        (
            "make_no_file_of_the_track",
            "following the faces was given up: the media child named 'faces.track', which is no file",
        ),
    ],
)
async def test_what_fails_there_is_done_without_and_told(workshop: Workshop, behaviour: str, reason: str) -> None:
    await workshop.start()
    job_id = await workshop.submit(recipe=WITH_FACES, segments=1, track=behaviour)
    job = await workshop.end_of(job_id)
    assert job.state == "completed"
    [warning] = job.warnings
    assert warning.startswith(f"eyes were not turned to the lens: {reason}")
    assert [told is not None and told.startswith(reason) for told in await reasons(workshop, job_id)] == [True]
    assert [task.attempt for task in await workshop.tasks(job_id)] == [1] * 4
    assert "step.retrying" not in await workshop.types(job_id)
    [track] = [event for event in await workshop.events(job_id) if event.data.get("step") == "track"]
    assert (track.type, track.data["reason"].startswith(reason)) == ("step.completed", True)
    assert not workshop.blobs.track_path(job.video_id).exists()


async def test_without_a_step_to_do_without_the_same_death_is_tried_again(workshop: Workshop) -> None:
    """The twin: a step that the job needs."""
    await workshop.start()
    job_id = await workshop.submit(recipe=WITH_FACES, segments=1, plan="abort")
    await workshop.event(job_id, "step.retrying")
    assert (await workshop.job(job_id)).state == "processing"


async def test_a_step_that_is_too_long_is_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SECONDS_PER_MEDIA_SECOND, "track", 0.1)
    async with workshop_in(tmp_path / "data") as workshop:
        workshop.host._floor_s = 0.5
        await workshop.start()
        job_id = await workshop.submit(recipe=WITH_FACES, segments=1, track="sleep")
        job = await workshop.end_of(job_id)
        assert (job.state, "no progress from the start" in job.warnings[0]) == ("completed", True)


async def test_no_room_is_waited_for(workshop: Workshop) -> None:
    await workshop.start()
    job_id = await workshop.submit(recipe=WITH_FACES, segments=1, track="fill_the_disk")
    event = await workshop.event(job_id, "step.retrying")
    assert (event.data["step"], event.data["code"]) == ("track", "no_space")
    [*_, track] = await workshop.tasks(job_id)
    assert (track.state, track.attempt) == ("available", 0)


async def test_stopping_uses_no_attempt_up(workshop: Workshop) -> None:
    await workshop.start()
    job_id = await workshop.submit(recipe=WITH_FACES, segments=1, track="sleep")
    await eventually_async(lambda: _runs(workshop, job_id, "track"))
    await workshop.stop()
    [*_, track] = await workshop.tasks(job_id)
    assert (track.kind, track.state, track.attempt) == ("track", "available", 0)


async def test_a_take_that_takes_the_daemon_with_it_there_is_done_without_faces(workshop: Workshop) -> None:
    await workshop.start(boot_id="boot_first")
    job_id = await workshop.submit(recipe=WITH_FACES, segments=1, track="sleep")
    await eventually_async(lambda: _runs(workshop, job_id, "track"))
    await workshop.stop()
    for boot in range(workshop.config.max_crashes + 1):
        claimed = await workshop.store.write(
            lambda db: db.tasks.claim(boot_id="boot_dead", token="x", lease_ms=3_600_000, now=workshop.now())
        )
        assert claimed is not None
        assert claimed.kind == "track"
        await workshop.start(boot_id=f"boot_{boot}")
        if boot < workshop.config.max_crashes:
            await workshop.stop()
    job = await workshop.end_of(job_id)
    assert job.state == "completed"
    assert "the daemon ended while this ran" in job.warnings[0]


async def _runs(workshop: Workshop, job_id: str, kind: str) -> bool:
    [*_, last] = await workshop.tasks(job_id)
    return (last.kind, last.state) == (kind, "running") and bool(worker_pids(workshop.host))


@pytest.mark.parametrize("behaviour", ["abort", "fail"])
async def test_a_render_that_fails_over_eyes_leaves_them_alone(workshop: Workshop, behaviour: str) -> None:
    await workshop.start()
    job_id = await workshop.submit(recipe=WITH_FACES, segments=2, while_correcting=behaviour)
    await workshop.hurry(job_id, retries=1)
    job = await workshop.end_of(job_id)
    assert job.state == "completed"
    render = (await workshop.tasks(job_id))[-1]
    assert (render.attempt, len(render.errors), len(render.without)) == (1, 1, 1)  # the death cost no attempt
    told = await reasons(workshop, job_id)
    assert told == set(render.without)
    assert "while correcting: " in render.without[0] or "at correcting: " in render.without[0]
    assert job.warnings == [f"in some segments eyes were not turned to the lens: {render.without[0]}"]


async def test_a_render_that_fails_over_the_crop_does_without_it_too(workshop: Workshop) -> None:
    await workshop.start()
    job_id = await workshop.submit(recipe=WITH_FACES, segments=1, while_following="abort")
    await workshop.hurry(job_id, retries=2)
    job = await workshop.end_of(job_id)
    render = (await workshop.tasks(job_id))[-1]
    assert (job.state, render.crashes, len(render.without)) == ("completed", 2, 2)
    assert [warning.partition(":")[0] for warning in job.warnings] == [
        "in some segments eyes were not turned to the lens",
        "in some segments no face was followed",
    ]


@pytest.mark.parametrize("recipe", [ONLY_EYES, ONLY_CROP])
async def test_where_only_one_thing_is_done_for_faces_one_death_ends_it(workshop: Workshop, recipe: Recipe) -> None:
    await workshop.start()
    job_id = await workshop.submit(recipe=recipe, segments=1, while_following="abort")
    await workshop.hurry(job_id, retries=1)
    assert (await workshop.end_of(job_id)).state == "completed"


async def test_even_where_one_death_is_poison_faces_are_done_without(tmp_path: Path) -> None:
    async with workshop_in(tmp_path / "data", max_crashes=1, max_attempts=1) as workshop:
        await workshop.start()
        job_id = await workshop.submit(recipe=WITH_FACES, segments=1, while_following="abort")
        await workshop.hurry(job_id, retries=2)
        assert (await workshop.end_of(job_id)).state == "completed"


async def test_a_render_that_dies_whatever_it_leaves_out_is_poison(workshop: Workshop) -> None:
    await workshop.start()
    job_id = await workshop.submit(recipe=WITH_FACES, segments=1, render="abort")
    await workshop.hurry(job_id, retries=3)
    job = await workshop.end_of(job_id)
    assert job.error is not None
    assert job.error.code == "poison"


async def test_a_job_that_is_tried_again_tries_its_eyes_again(workshop: Workshop) -> None:
    await workshop.start()
    job_id = await workshop.submit(recipe=WITH_FACES, segments=1, render="abort")
    await workshop.hurry(job_id, retries=3)
    await workshop.end_of(job_id)
    await workshop.stop()
    await workshop.store.write(lambda db: lifecycle.retry_job(db, job_id, max_attempts=5, now=workshop.now()))
    render = (await workshop.tasks(job_id))[-1]
    assert (render.kind, render.state, render.without, "plan" in render.payload) == ("render", "available", [], True)


async def test_a_render_under_way_at_the_upgrade_goes_on_without_the_step(workshop: Workshop) -> None:
    """Its payload holds the plan and nothing else, and its recipe names no option about faces."""
    job_id = await workshop.submit(segments=2)
    await workshop.start()
    await workshop.end_of(job_id)
    await workshop.stop()
    [*_, render] = await workshop.tasks(job_id)

    def as_it_was(db: Any) -> None:
        db.jobs._run("update segment set state = 'pending', rendition = null, ready_at = null")
        db.jobs._run("update job set state = 'processing', finished_at = null, recipe = '{}' where id = :id", id=job_id)
        db.jobs._run(
            "update task set state = 'available', finalized_at = null, attempt = 0, payload = :plan where id = :id",
            id=render.id,
            plan=msgspec.json.encode({"plan": render.payload["plan"]}).decode(),
        )

        db.jobs._run("delete from event")

    await workshop.store.write(as_it_was)
    await workshop.start()
    job = await workshop.end_of(job_id)
    assert (job.state, job.warnings) == ("completed", [])
    assert await reasons(workshop, job_id) == {"the take was planned by a version that followed no faces"}
