"""A shelf: where archives are put, under names of ours. A folder here; `s3.py` is one elsewhere.

An archive is on the shelf whole or not at all, whatever ends the process that puts it there.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from vidprod.blobs.incoming import sync_directory
from vidprod.errors import BadRequest, Conflict, NotFound

T = TypeVar("T")

ENDING = ".tar"
_PART = ".part"


class Shelf(Protocol):
    """Blocking. What cannot be done raises OSError or a VidProdError."""

    def put(self, name: str, write: Callable[[BinaryIO], T]) -> T:
        """A new archive, of what `write` writes. Where it raises, there is none."""

    def open(self, name: str) -> BinaryIO:
        """To be read from its beginning. Raises NotFound."""

    def names(self) -> list[str]:
        """Of all that lies there, whoever put it there."""

    def remove(self, name: str) -> None:
        """That it is gone already is no error."""

    def where(self, name: str) -> str:
        """For people; no secret is in it."""

    def free_bytes(self) -> int | None:
        """None: as much as one likes."""


def shelf_and_name(dest: str, *, endpoint: str = "", region: str = "") -> tuple[Shelf, str]:
    """Where an archive is to be put, and its name; no name: one of our own.

    Args:
        dest: a folder, a file, s3://bucket/prefix/ or s3://bucket/prefix/name.tar.
        endpoint, region: of S3, where they are not those of its own settings.
    Raises:
        BadRequest: it is an address of another kind.
    """
    if dest.startswith("s3://"):
        from vidprod.blobs.s3 import Bucket  # boto3 takes a third of a second and 30 MB

        bucket, _, key = dest.removeprefix("s3://").partition("/")
        prefix, _, name = key.rpartition("/")
        if not name.endswith(ENDING):
            prefix, name = key, ""
        return Bucket(bucket, prefix.strip("/"), endpoint=endpoint, region=region), name
    if "://" in dest:
        raise BadRequest(f"{dest.partition('://')[0]}:// is not known: name a folder, a file or s3://bucket/prefix")
    path = Path(dest).absolute()
    if path.is_dir() or dest.endswith("/") or path.suffix != ENDING:
        return Folder(path), ""
    return Folder(path.parent), path.name


class Stream:
    """What is put there is gone: a pipe to another program."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def put(self, name: str, write: Callable[[BinaryIO], T]) -> T:
        result = write(self._out)
        self._out.flush()
        return result

    def open(self, name: str) -> BinaryIO:
        raise NotFound("what went through a pipe cannot be read again")

    def names(self) -> list[str]:
        return []

    def remove(self, name: str) -> None:
        return

    def where(self, name: str) -> str:
        return "the pipe"

    def free_bytes(self) -> int | None:
        return None


class Folder:
    """A shelf that is a directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, name: str, write: Callable[[BinaryIO], T]) -> T:
        """Raises Conflict: there is one of this name."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._sweep()
        part, target = self.path / f".{name}{_PART}", self.path / name
        if target.exists():
            raise Conflict(f"{target} is there already", hint="Give another name, or the name of a folder.")
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # whoever sweeps sees that somebody writes
            try:
                result = write(file)
                file.flush()
                os.fsync(file.fileno())
                part.rename(target)
            except BaseException:
                part.unlink(missing_ok=True)
                raise
        sync_directory(self.path)
        return result

    def open(self, name: str) -> BinaryIO:
        try:
            return (self.path / name).open("rb")
        except FileNotFoundError:
            raise NotFound(f"there is no {self.path / name}") from None

    def names(self) -> list[str]:
        return sorted(os.listdir(self.path)) if self.path.is_dir() else []

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def where(self, name: str) -> str:
        return str(self.path / name)

    def free_bytes(self) -> int | None:
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        volume = os.statvfs(self.path)
        return volume.f_bavail * volume.f_frsize

    def _sweep(self) -> None:
        """Remove what a kill left half written."""
        for path in self.path.glob(f".*{_PART}"):
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:  # it is being written
                    continue
                path.unlink(missing_ok=True)
