"""One take through the pipeline without a server: the same requests to the same media child, results as files."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
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
from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import segment_name
from vidprod.domain.sniff import HEAD_BYTES, sniff
from vidprod.domain.step import PlanRequest, ProbeRequest, Progress, RenderRequest, SegmentDone, StepRequest
from vidprod.domain.task import job_percent
from vidprod.domain.video import MediaInfo
from vidprod.errors import ChildDied, NotAVideo, NotFound, VidProdError
from vidprod.services.attempt import limits_of, media_s_before_probe
from vidprod.services.child import ChildHost
from vidprod.services.made import files_made
from vidprod.services.watch import kind_of

OnProgress = Callable[[str, float], None]  # what is being done, and percent of the take

_Answer = TypeVar("_Answer")


class Take:
    """A take, its recipe, and the directory its segments go to."""

    def __init__(self, path: Path, *, directory: Path, recipe: Recipe, config: Config) -> None:
        self._path = path.resolve()  # the child stands elsewhere
        self._directory = directory.resolve()
        self._recipe = recipe
        self._config = config
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
        with self._work_dir() as work_dir:
            try:
                await self._steps(job, host, on_progress, work_dir)
            except VidProdError as error:
                job.state, job.error = "failed", Fault(code=error.code, message=str(error), hint=error.hint)
                with contextlib.suppress(OSError):  # on a full volume `error` says more than this would
                    job_file.save(job, self._directory)
                raise
        job_file.save(job, self._directory)
        return job

    async def _steps(self, job: JobFile, host: ChildHost, on_progress: OnProgress, work_dir: Path) -> None:
        source, work = str(self._path), str(work_dir)
        ask = _Asking(host, on_progress, crashes=self._config.max_crashes)
        if job.info is None:
            probe = ProbeRequest(source=source, work_dir=work, limits=self._limits)
            job.info = await ask(lambda: probe, MediaInfo, media_s=media_s_before_probe(job.source.size, self._config))
            job_file.save(job, self._directory)
        info, media_s = job.info, job.info.duration_us / 1e6
        if job.plan is None:
            plan = PlanRequest(source=source, work_dir=work, limits=self._limits, info=info, recipe=self._recipe)
            job.plan = await ask(lambda: plan, Plan, media_s=media_s)
            job.info = job.plan.heard(info)
            job.warnings = [*info.warnings, *job.plan.warnings]
            job_file.save(job, self._directory)
        whole = job.plan

        def render() -> RenderRequest:  # asked anew after a crash, for what is still to do
            return RenderRequest(
                source=source,
                work_dir=work,
                limits=self._limits,
                info=info,
                recipe=self._recipe,
                plan=whole,
                todo=job.todo,
            )

        if job.todo:
            await ask(render, dict[str, Any], media_s=media_s, on_segment=lambda done: self._adopt(job, done, work_dir))
        job.state = "completed"

    def _adopt(self, job: JobFile, done: SegmentDone, work_dir: Path) -> None:
        """The segment's files, whole and synced, get their names; then job.json says so."""
        assert job.plan is not None
        planned = next(segment for segment in job.plan.segments if segment.index == done.index)
        name = segment_name(self._directory.name, done.index, of=len(job.plan.segments))
        files = files_made(work_dir, done.stem)
        for suffix, path in reversed(files.items()):  # the video last: where it is, the rest is
            path.rename(self._directory / f"{name}{suffix}")
        segment = job_file.finished(planned, done.rendition, name=name, suffixes=files)
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


class _Asking:
    """Asks the child, again when it died at work, and tells how far the take is."""

    def __init__(self, host: ChildHost, on_progress: OnProgress, *, crashes: int) -> None:
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
    ) -> _Answer:
        for attempt in range(1, self._crashes + 1):
            try:
                data = await self._once(request(), media_s=media_s, on_segment=on_segment)
            except ChildDied:
                if attempt == self._crashes:
                    raise
            else:
                return msgspec.convert(data, answer)
        raise AssertionError("there is at least one attempt")

    async def _once(
        self, request: StepRequest, *, media_s: float, on_segment: Callable[[SegmentDone], None]
    ) -> dict[str, Any]:
        kind = kind_of(request)
        self._on_progress(kind, job_percent(kind, 0.0))

        async def hear(message: Progress | SegmentDone) -> None:
            if isinstance(message, SegmentDone):
                on_segment(message)
            else:
                self._on_progress(kind, job_percent(kind, message.fraction))

        data = await self._host.run(request, hear, media_s=media_s)
        self._on_progress(kind, job_percent(kind, 1.0))
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
