"""`vidprod process` and faces: followed once, done without where they cannot be, segments made again. With small
steps in a real child."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.services.conftest import FAKE_STEPS
from tests.web.conftest import MP4_HEAD
from vidprod.cli import job_file
from vidprod.cli.job_file import JobFile
from vidprod.cli.take import Take
from vidprod.config import Config
from vidprod.domain.recipe import Recipe
from vidprod.errors import BadRecipe, BadRequest, ChildDied, Conflict, NotFound
from vidprod.services.child import ChildHost

RECIPE = Recipe()


class Shop:
    """A take whose bytes say what happens to it, and where its segments go."""

    def __init__(self, root: Path, host: ChildHost) -> None:
        self.source, self.out, self._host = root / "take.mp4", root / "out" / "take", host
        self.progress: list[tuple[str, float]] = []

    def script(self, **script: Any) -> None:
        self.source.write_bytes(MP4_HEAD + json.dumps({"segments": 2, **script}).encode())

    def change(self, **script: Any) -> None:
        """Another script for the same take."""
        before = self.source.stat()
        self.script(**script)
        filler = before.st_size - self.source.stat().st_size
        self.source.write_bytes(self.source.read_bytes() + b" " * filler)
        os.utime(self.source, ns=(before.st_atime_ns, before.st_mtime_ns))

    def take(self, recipe: Recipe = RECIPE, **options: Any) -> Take:
        return Take(self.source, directory=self.out, recipe=recipe, config=Config(), **options)

    async def process(self, recipe: Recipe = RECIPE, *, force: bool = False, **options: Any) -> JobFile:
        return await self.take(recipe, **options).process(self._host, self._hear, force=force)

    async def again(self, *numbers: int, explain: bool = False, **asked: Any) -> JobFile:
        indexes = [number - 1 for number in numbers]
        return await self.take(explain=explain).make_again(self._host, self._hear, indexes=indexes, asked=asked)

    def _hear(self, step: str, percent: float) -> None:
        self.progress.append((step, percent))

    @property
    def steps(self) -> set[str]:
        return {step for step, _ in self.progress}

    def written(self) -> JobFile:
        return msgspec.json.decode((self.out / "job.json").read_bytes(), type=JobFile)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.out.iterdir() if path.name != job_file.NAME}


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with ChildHost(steps=FAKE_STEPS, stall_factor=1, step_floor_s=20) as host:
        yield Shop(tmp_path, host)


async def test_faces_are_followed_and_their_track_stays(shop: Shop) -> None:
    shop.script()
    job = await shop.process()
    assert (job.state, job.warnings, job.todo) == ("completed", [], [])
    endings = (".mp4", ".jpg", ".sprite.jpg", ".gaze.jpg")
    assert set(shop.files()) == {"take.track", *(f"take-0{n}{ending}" for n in (1, 2) for ending in endings)}
    assert [segment.compare_file for segment in job.segments] == ["take-01.gaze.jpg", "take-02.gaze.jpg"]
    assert shop.written() == job
    percents = [percent for _, percent in shop.progress]
    assert (percents == sorted(percents), percents[-1]) == (True, 100.0)
    assert ("track", 40.0) in shop.progress


@pytest.mark.parametrize("track", ["be_too_slow", "abort", "fail", "forget_the_track"])
async def test_what_fails_there_is_done_without_and_told(shop: Shop, track: str) -> None:
    shop.script(track=track)
    job = await shop.process()
    assert job.state == "completed"
    assert job.warnings[0].startswith("eyes were not turned to the lens: ")
    assert job.segments[0].rendition.gaze is not None
    reason = job.segments[0].rendition.gaze.reason
    assert reason is not None
    assert reason in job.warnings[0]
    assert "take.track" not in shop.files()


async def test_a_render_that_fails_over_eyes_leaves_them_alone(shop: Shop) -> None:
    shop.script(while_correcting="abort")
    job = await shop.process()
    assert job.state == "completed"
    assert "in some segments eyes were not turned to the lens: the media child died while" in job.warnings[0]


async def test_a_render_that_dies_whatever_it_leaves_out_ends_the_take(shop: Shop) -> None:
    shop.script(render="abort")
    with pytest.raises(ChildDied):
        await shop.process()
    assert shop.written().state == "failed"


async def test_one_segment_is_made_again_and_the_others_stay(shop: Shop) -> None:
    shop.script()
    first = await shop.process()
    before = shop.files()
    shop.progress.clear()
    job = await shop.again(2, gaze="0.5")
    assert shop.steps == {"render"}  # neither cuts nor faces are looked for again
    assert {name for name, data in shop.files().items() if data != before[name]} == {
        f"take-02{ending}"
        for ending in (".mp4", ".sprite.jpg", ".gaze.jpg")  # its poster shows the same frame
    }
    assert (job.segments[0], job.recipe) == (first.segments[0], RECIPE)
    assert job.segments[1].recipe == Recipe(gaze_strength=0.5)
    assert shop.written() == job
    again = await shop.again(2, 1, look_away_deg="0")
    assert [segment.recipe for segment in again.segments] == [
        Recipe(look_away_deg=0),
        Recipe(gaze_strength=0.5, look_away_deg=0),
    ]
    made = shop.files()
    assert (await shop.process()).segments == again.segments  # a run after it finds all of them finished
    assert shop.files() == made


async def test_a_making_that_fails_leaves_all_as_it_was(shop: Shop) -> None:
    shop.script(padding="x" * 40)
    job = await shop.process()
    before = shop.files()
    shop.change(render="abort")
    with pytest.raises(ChildDied):
        await shop.again(1, gaze="off")
    assert (shop.files(), shop.written()) == (before, job)


async def test_what_no_longer_has_a_picture_of_its_eyes_leaves_none_behind(shop: Shop) -> None:
    shop.script()
    await shop.process(explain=True)
    assert "take-01.explain.png" in shop.files()
    job = await shop.again(1, gaze="off")
    assert (job.segments[0].compare_file, job.segments[0].explain_file) == (None, None)
    assert {"take-01.gaze.jpg", "take-01.explain.png"} & set(shop.files()) == set()
    job = await shop.again(1, gaze="on", explain=True)
    assert job.segments[0].explain_file == "take-01.explain.png"


async def test_faces_are_followed_for_a_segment_where_the_take_did_without(shop: Shop) -> None:
    shop.script()
    await shop.process(Recipe(gaze="off", frame="blur"))
    assert "take.track" not in shop.files()
    job = await shop.again(1, gaze="on")
    assert "take.track" in shop.files()
    assert job.segments[0].rendition.synthetic


async def test_another_strength_for_all_follows_no_faces_again(shop: Shop) -> None:
    shop.script()
    await shop.process()
    shop.progress.clear()
    with pytest.raises(Conflict):
        await shop.process(Recipe(gaze_strength=0.5))
    job = await shop.process(Recipe(gaze_strength=0.5), force=True)
    assert (shop.steps, job.recipe.gaze_strength, len(job.segments)) == ({"render"}, 0.5, 2)
    shop.progress.clear()
    await shop.process(Recipe(segment_s=30), force=True)  # other cuts: everything is looked at anew
    assert shop.steps == {"probe", "plan", "track", "render"}


async def test_what_cannot_be_made_again_says_why(shop: Shop) -> None:
    shop.script()
    with pytest.raises(NotFound, match="holds no segments of this file"):
        await shop.again(1, gaze="off")
    await shop.process()
    with pytest.raises(BadRequest, match="no finished segment 3, 7; there are 1 to 2"):
        await shop.again(1, 3, 7, gaze="off")
    with pytest.raises(BadRecipe, match="snap: no such option"):
        await shop.again(1, snap="none")
    await shop.process(Recipe(video="copy"), force=True)
    with pytest.raises(Conflict, match="was copied as it is"):
        await shop.again(1, gaze="off")
