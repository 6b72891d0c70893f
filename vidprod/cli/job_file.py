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
from vidprod.domain.recipe import Recipe
from vidprod.domain.segment import Rendition
from vidprod.domain.video import MediaInfo
from vidprod.errors import Conflict

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
    rendition: Rendition


class JobFile(msgspec.Struct, kw_only=True):
    """The content of `job.json`."""

    version: str  # of VidProd
    state: Literal["processing", "completed", "failed"] = "processing"
    source: Source
    recipe: Recipe
    info: MediaInfo | None = None
    plan: Plan | None = None
    segments: list[Finished] = []
    warnings: list[str] = []
    error: Fault | None = None

    @property
    def todo(self) -> list[int]:
        """The indexes of the plan's segments that are not finished."""
        done = {segment.index for segment in self.segments}
        return [segment.index for segment in self.plan.segments if segment.index not in done] if self.plan else []

    def add(self, finished: Finished) -> None:
        self.segments = sorted([*self.segments, finished], key=lambda segment: segment.index)


def finished(planned: PlannedSegment, rendition: Rendition, *, name: str, suffixes: Collection[str]) -> Finished:
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
    if left is not None:
        for segment in left.segments:
            for name in filter(None, (segment.file, segment.poster, segment.sprite_file)):
                (directory / Path(name).name).unlink(missing_ok=True)
    return JobFile(version=version, source=source, recipe=recipe)


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
    return same and all((directory / name).exists() for name in (segment.poster, segment.sprite_file) if name)
