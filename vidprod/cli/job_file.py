"""`job.json`: what `vidprod process` knows about one take. Rewritten whole after each step, so that a second run
goes on where the first one ended."""

import hashlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

import msgspec

from vidprod.blobs.incoming import sync_directory
from vidprod.domain.job import Fault
from vidprod.domain.plan import Plan, PlannedSegment
from vidprod.domain.recipe import GAZE_OPTIONS, Recipe
from vidprod.domain.segment import Rendition
from vidprod.domain.step import Tracked
from vidprod.domain.video import MediaInfo
from vidprod.errors import Conflict, NotFound

NAME = "job.json"
WORK = ".work"  # of the media child

_PART = f".{NAME}.part"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Which file it was. A file of another size or time is another take."""

    filename: str
    size: int  # bytes
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> "Source":
        found = path.stat()
        return cls(filename=path.name, size=found.st_size, modified_ns=found.st_mtime_ns)


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A segment whose files are in the directory."""

    index: int
    in_us: int
    out_us: int
    in_s: float
    out_s: float
    file: str
    poster: str | None  # pictures may be missing
    sprite_file: str | None
    compare_file: str | None = None  # before and after
    explain_file: str | None = None  # strips that show what was done to the eyes
    recipe: Recipe | None = None  # what it was made with, where it was made again
    rendition: Rendition

    @property
    def files(self) -> list[str]:
        """All it has, the video first."""
        names = (self.file, self.poster, self.sprite_file, self.compare_file, self.explain_file)
        return [name for name in names if name is not None]


class JobFile(msgspec.Struct, kw_only=True):
    """The content of `job.json`."""

    version: str  # of VidProd
    state: Literal["processing", "completed", "failed"] = "processing"
    source: Source
    recipe: Recipe
    info: MediaInfo | None = None
    plan: Plan | None = None
    tracked: Tracked | None = None  # None: the faces were not followed yet, or need not be
    segments: list[Finished] = []
    warnings: list[str] = []
    error: Fault | None = None

    @property
    def todo(self) -> list[int]:
        """The indexes of the plan's segments that are not finished."""
        done = {segment.index for segment in self.segments}
        return [segment.index for segment in self.plan.segments if segment.index not in done] if self.plan else []

    def add(self, finished: Finished) -> None:
        """`finished` takes the place of what the segment was before."""
        others = [segment for segment in self.segments if segment.index != finished.index]
        self.segments = sorted([*others, finished], key=lambda segment: segment.index)


def track_file(directory: Path) -> Path:
    """Of the take's faces. It stays: segments can be made again without following them anew."""
    return directory / f"{directory.name}.track"


def finished(
    planned: PlannedSegment, rendition: Rendition, *, name: str, suffixes: Collection[str], recipe: Recipe | None = None
) -> Finished:
    """The record of a segment whose files are called `name` and end in `suffixes`."""
    return Finished(
        index=planned.index,
        in_us=planned.in_us,
        out_us=planned.out_us,
        in_s=planned.in_us / 1e6,
        out_s=planned.out_us / 1e6,
        file=f"{name}.mp4",
        poster=f"{name}.jpg" if ".jpg" in suffixes else None,
        sprite_file=f"{name}.sprite.jpg" if ".sprite.jpg" in suffixes else None,
        compare_file=f"{name}.gaze.jpg" if ".gaze.jpg" in suffixes else None,
        explain_file=f"{name}.explain.png" if ".explain.png" in suffixes else None,
        recipe=recipe,
        rendition=rendition,
    )


def begin(directory: Path, *, source: Source, recipe: Recipe, version: str, force: bool) -> JobFile:
    """The job in `directory`: as an earlier run left it when it is this one, else new.

    Raises:
        Conflict: the directory holds something else, and `force` is not given.
    """
    path = directory / NAME
    left = _read(path)
    if left is not None and not force and (left.source, left.recipe, left.version) == (source, recipe, version):
        left.segments = [segment for segment in left.segments if _is_whole(directory, segment)]
        left.state, left.error = "processing", None
        return left
    if not force and _holds_others(directory):
        holds = f"{left.source.filename} with another recipe or version" if left is not None else "other files"
        if left is not None and left.source != source:
            holds = f"the segments of another file, {left.source.filename} of {left.source.size} bytes"
        raise Conflict(f"{directory} already holds {holds}", hint="Choose another -o, or --force to replace them.")
    new = JobFile(version=version, source=source, recipe=recipe)
    if left is None:
        return new
    for segment in left.segments:
        for name in segment.files:
            (directory / Path(name).name).unlink(missing_ok=True)
    if (left.source, left.version) == (source, version) and _differ_in_eyes(left.recipe, recipe):
        new.info, new.plan, new.tracked = left.info, left.plan, left.tracked  # neither cuts nor faces are other ones
    else:
        track_file(directory).unlink(missing_ok=True)
    return new


def again(directory: Path, *, source: Source, version: str) -> JobFile:
    """The job in `directory`, of which segments are to be made again.

    Raises:
        NotFound: there is none, or it is of another file or version.
        Conflict: it has no plan yet.
    """
    left = _read(directory / NAME)
    if left is None or (left.source, left.version) != (source, version):
        raise NotFound(
            f"{directory} holds no segments of this file and version", hint="Make them first, without --segment."
        )
    if left.plan is None:
        raise Conflict(f"{directory} holds no finished segments", hint="Make them first, without --segment.")
    return left


def _differ_in_eyes(one: Recipe, other: Recipe) -> bool:
    """Whether they differ in nothing else, at most."""
    same = {name: getattr(one, name) for name in GAZE_OPTIONS}
    return msgspec.structs.replace(other, **same) == one


def save(job: JobFile, directory: Path) -> None:
    """Write it durably: whole or as it was."""
    whole: dict[str, Any] = msgspec.to_builtins(job)
    part = directory / _PART
    with part.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    part.rename(directory / NAME)
    sync_directory(directory)


def _holds_others(directory: Path) -> bool:
    """Whether anything is in it but what a run leaves that is killed before its first job.json is there."""
    return directory.exists() and any(path.name not in (WORK, _PART) for path in directory.iterdir())


def _read(path: Path) -> JobFile | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=JobFile)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _is_whole(directory: Path, segment: Finished) -> bool:
    try:
        with (directory / segment.file).open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == segment.rendition.sha256
    except FileNotFoundError:
        return False
    return same and all((directory / name).exists() for name in segment.files)
