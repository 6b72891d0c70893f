"""One take through the pipeline without a server: the same requests to the same media child, results as files."""

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from vidprod import __version__
from vidprod.blobs.incoming import sync_directory
from vidprod.cli import job_file
from vidprod.cli.job_file import JobFile, Source
from vidprod.config import Config
from vidprod.domain.job import Fault
from vidprod.domain.plan import Plan
from vidprod.domain.recipe import GAZE_OPTIONS, Recipe, parse_recipe
from vidprod.domain.segment import segment_name
from vidprod.domain.sniff import HEAD_BYTES, sniff
from vidprod.domain.step import (
    PlanRequest,
    ProbeRequest,
    Progress,
    RenderRequest,
    SegmentDone,
    StepRequest,
    Tracked,
    TrackRequest,
)
from vidprod.domain.task import job_percent
from vidprod.domain.video import MediaInfo
from vidprod.errors import (
    BadRequest,
    ChildDied,
    Conflict,
    NotAVideo,
    NotFound,
    Refused,
    TryLater,
    VidProdError,
)
from vidprod.services import faces
from vidprod.services.child import ChildHost
from vidprod.services.made import file_made, files_made, track_made
from vidprod.services.subject import limits_of, media_s_before_probe
from vidprod.services.watch import kind_of

OnProgress = Callable[[str, float], None]  # what is being done, and percent of the take

_Answer = TypeVar("_Answer")


class Take:
    """A take, its recipe, and the directory its segments go to."""

    def __init__(self, path: Path, *, directory: Path, recipe: Recipe, config: Config, explain: bool = False) -> None:
        """`explain`: strips that show what was done to the eyes are made beside the segments."""
        self._path = path.resolve()  # the child stands elsewhere
        self._directory = directory.resolve()
        self._track = job_file.track_file(self._directory)
        self._recipe = recipe
        self._config = config
        self._explain = explain
        self._limits = limits_of(config)

    async def process(self, host: ChildHost, on_progress: OnProgress, *, force: bool = False) -> JobFile:
        """Make every segment that is not there yet. Cancelled, the next run goes on from here.

        Raises:
            NotAVideo, Refused: of this file, and never to be otherwise; also told in job.json.
            Conflict: the directory holds something else.
            OSError: the directory cannot be written.
        """
        _sniff(self._path)
        job = job_file.begin(
            self._directory,
            source=Source.of(self._path),
            recipe=self._recipe,
            version=__version__,
            force=force,
        )
        self._directory.mkdir(parents=True, exist_ok=True)
        job_file.save(job, self._directory)  # from here on the directory says whose it is
        ask = _Asking(host, on_progress, crashes=self._config.max_crashes, recipe=self._recipe)
        with self._work_dir() as work_dir:
            try:
                await self._steps(job, ask, work_dir)
            except VidProdError as error:
                job.state, job.error = "failed", Fault(code=error.code, message=str(error), hint=error.hint)
                with contextlib.suppress(OSError):  # on a full volume `error` says more than this would
                    job_file.save(job, self._directory)
                raise
        job_file.save(job, self._directory)
        return job

    async def make_again(
        self, host: ChildHost, on_progress: OnProgress, *, indexes: Sequence[int], asked: Mapping[str, Any]
    ) -> JobFile:
        """Make these finished segments again. Each stays as it is until its new files are whole.

        Args:
            asked: of `GAZE_OPTIONS`; what is not named stays as the segment was made with.
        Raises:
            NotFound, Conflict: they were not made here, or their picture was copied.
            BadRequest: there is no such segment.
            OSError: the directory cannot be written.
        """
        _sniff(self._path)
        job = job_file.again(self._directory, source=Source.of(self._path), version=__version__)
        recipes = _recipes(job, indexes, asked)
        with self._work_dir() as work_dir:
            for recipe in dict.fromkeys(recipes.values()):
                todo = [index for index, of in recipes.items() if of == recipe]
                ask = _Asking(host, on_progress, crashes=self._config.max_crashes, recipe=recipe)
                await self._follow(job, ask, work_dir, again=True)
                await self._render(job, ask, work_dir, todo=todo, again=True)
        return job

    async def _steps(self, job: JobFile, ask: "_Asking", work_dir: Path) -> None:
        source, work = str(self._path), str(work_dir)
        if job.info is None:
            probe = ProbeRequest(source=source, work_dir=work, limits=self._limits)
            job.info = await ask(lambda: probe, MediaInfo, media_s=media_s_before_probe(job.source.size, self._config))
            job_file.save(job, self._directory)
        info = ask.info = job.info
        if job.plan is None:
            plan = PlanRequest(source=source, work_dir=work, limits=self._limits, info=info, recipe=self._recipe)
            job.plan = await ask(lambda: plan, Plan, media_s=info.duration_us / 1e6)
            job.info = job.plan.heard(info)
            job_file.save(job, self._directory)
        if job.todo:
            await self._follow(job, ask, work_dir)
            await self._render(job, ask, work_dir, todo=job.todo)
            told = faces.warnings(self._recipe, info, job.tracked, without=ask.without)
            job.warnings = [*info.warnings, *job.plan.warnings, *told]
        job.state = "completed"

    async def _follow(self, job: JobFile, ask: "_Asking", work_dir: Path, *, again: bool = False) -> None:
        """Find and follow the faces, once for a take. That it cannot be done costs only the faces.

        Args:
            again: also where it could not be done before.
        """
        assert job.info is not None
        assert job.plan is not None
        is_tried = job.tracked is not None and (self._track.is_file() or (job.tracked.reason is not None and not again))
        if is_tried or not ask.recipe.tracks(job.info):
            return
        request = TrackRequest(
            source=str(self._path),
            work_dir=str(work_dir),
            limits=self._limits,
            info=job.info,
            recipe=ask.recipe,
            plan=job.plan,
            time_factor=self._config.gaze_time_factor,
        )
        try:
            job.tracked = await ask(lambda: request, Tracked, media_s=job.info.duration_us / 1e6, tries=1)
            if job.tracked.reason is None:
                track_made(work_dir).rename(self._track)
                sync_directory(self._directory)
        except (TryLater, Refused) as error:
            if faces.nothing_was_tried(error):
                raise
            job.tracked = Tracked(faces=0, pictures=0, with_face=0, reason=faces.gave_up(str(error)))
        job_file.save(job, self._directory)

    async def _render(
        self, job: JobFile, ask: "_Asking", work_dir: Path, *, todo: Sequence[int], again: bool = False
    ) -> None:
        """Make the segments `todo`; one whose files are whole is not made twice.

        Args:
            again: they take the place of what is there.
        """
        assert job.info is not None
        assert job.plan is not None
        info, plan, left = job.info, job.plan, list(todo)
        reason = job.tracked.reason if job.tracked is not None else None

        def request() -> RenderRequest:  # asked anew after a crash, for what is still to do
            return RenderRequest(
                source=str(self._path),
                work_dir=str(work_dir),
                limits=self._limits,
                info=info,
                recipe=ask.recipe,
                plan=plan,
                todo=left,
                time_factor=self._config.gaze_time_factor,
                explain=self._explain,
                **faces.given(ask.recipe, info, track=self._track, reason=reason, without=ask.without),
            )

        def adopt(done: SegmentDone) -> None:
            if done.index not in left:
                raise ChildDied(f"the media child made segment {done.index}, which it was not asked for")
            self._adopt(job, done, work_dir, recipe=ask.recipe if again else None)
            left.remove(done.index)

        ask.info = info
        await ask(request, dict[str, Any], media_s=info.duration_us / 1e6, on_segment=adopt)
        if left:
            raise TryLater(f"the media child ended without the segments {left}", code="child_incomplete")

    def _adopt(self, job: JobFile, done: SegmentDone, work_dir: Path, *, recipe: Recipe | None) -> None:
        """The segment's files, whole and synced, get their names; then job.json says so."""
        assert job.plan is not None
        planned = next(segment for segment in job.plan.segments if segment.index == done.index)
        name = segment_name(self._directory.name, done.index, of=len(job.plan.segments))
        files: dict[str, Path] = dict(files_made(work_dir, done.stem).items())
        if self._explain and (strips := file_made(work_dir, f"{done.stem}.explain.png")) is not None:
            files[".explain.png"] = strips
        for suffix, path in reversed(files.items()):  # the video last: where it is, the rest is
            path.rename(self._directory / f"{name}{suffix}")
        segment = job_file.finished(planned, done.rendition, name=name, suffixes=files, recipe=recipe)
        before = next((other for other in job.segments if other.index == done.index), None)
        for stale in set(before.files if before else []).difference(segment.files):
            (self._directory / Path(stale).name).unlink(missing_ok=True)
        sync_directory(self._directory)
        job.add(segment)
        job_file.save(job, self._directory)

    @contextlib.contextmanager
    def _work_dir(self) -> Iterator[Path]:
        """On the same volume as the segments, so that a finished file only changes its name."""
        work_dir = self._directory / job_file.WORK
        shutil.rmtree(work_dir, ignore_errors=True)
        work_dir.mkdir()
        try:
            yield work_dir
        finally:
            shutil.rmtree(work_dir, ignore_errors=True)


def _recipes(job: JobFile, indexes: Sequence[int], asked: Mapping[str, Any]) -> dict[int, Recipe]:
    """What each of the segments is made again with."""
    if job.recipe.video == "copy":
        raise Conflict("the picture of this take was copied as it is: nothing in it is turned")
    made = {segment.index: segment for segment in job.segments}
    if strangers := [str(index + 1) for index in indexes if index not in made]:
        raise BadRequest(f"there is no finished segment {', '.join(strangers)}; there are 1 to {len(made)}")
    return {
        i: parse_recipe(asked, base=made[i].recipe or job.recipe, options=GAZE_OPTIONS) for i in sorted(set(indexes))
    }


class _Asking:
    """Asks the child, again when it died at work, and tells how far the take is."""

    def __init__(self, host: ChildHost, on_progress: OnProgress, *, crashes: int, recipe: Recipe) -> None:
        self.recipe = recipe
        self.info: MediaInfo | None = None  # None: not known yet
        self.without: list[str] = []  # why it does less than was asked, as `Task.without`
        self._host = host
        self._on_progress = on_progress
        self._crashes = crashes

    async def __call__(
        self,
        request: Callable[[], StepRequest],
        answer: type[_Answer],
        *,
        media_s: float,
        on_segment: Callable[[SegmentDone], None] = lambda done: None,
        tries: int | None = None,
    ) -> _Answer:
        deaths = 0
        while True:
            asked = request()
            try:
                return msgspec.convert(await self._once(asked, media_s=media_s, on_segment=on_segment), answer)
            except TryLater as error:
                if less := faces.less_after(error, asked):
                    self.without += less
                    continue
                deaths += 1
                if not isinstance(error, ChildDied) or deaths == (tries or self._crashes):
                    raise

    async def _once(
        self, request: StepRequest, *, media_s: float, on_segment: Callable[[SegmentDone], None]
    ) -> dict[str, Any]:
        kind = kind_of(request)
        tracks = self.recipe.tracks(self.info)
        self._on_progress(kind, job_percent(kind, 0.0, tracks=tracks))

        async def hear(message: Progress | SegmentDone) -> None:
            if isinstance(message, SegmentDone):
                on_segment(message)
            else:
                self._on_progress(kind, job_percent(kind, message.fraction, tracks=tracks))

        data = await self._host.run(request, hear, media_s=media_s)
        self._on_progress(kind, job_percent(kind, 1.0, tracks=tracks))
        return data


def _sniff(path: Path) -> None:
    """Raises NotAVideo, or NotFound when there is no such file to read."""
    if path.is_dir():
        raise NotAVideo("it is a directory")
    try:
        with path.open("rb") as file:
            sniff(file.read(HEAD_BYTES))
    except OSError as error:
        raise NotFound(f"cannot be read: {error.strerror}") from error
