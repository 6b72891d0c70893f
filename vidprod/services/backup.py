"""Making a backup: the database as of one moment, with the vault's keys and the media where they are wanted, as one
archive on a shelf; and taking away old ones.

For a process of its own, beside a daemon that writes on. The copy is checked before it is packed, and the archive is
read again before it counts.
"""

import fcntl
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from vidprod import __version__
from vidprod.blobs import archive
from vidprod.blobs.disk import SEGMENT_SUFFIXES, DiskBlobs, amount
from vidprod.blobs.shelf import Shelf
from vidprod.domain.retention import name_of, to_remove
from vidprod.errors import NoSpace, Unavailable
from vidprod.store.sqlite.copy import copy_database, read_database
from vidprod.vault import Vault, lock_away

SCRATCH = "backup"  # in the data directory; what is there is nobody's when nobody holds its lock
_LOCK = ".lock"
_KEYS_BYTES = 1 << 16


Keys = Literal["none", "left out", "locked", "open"]  # none: nothing is sealed


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be put into an archive."""

    root: Path  # the data directory
    database: Path
    kind: archive.Kind = "backup"
    media: bool = False
    keys: list[str] = []  # of the vault; none go into a backup without a passphrase
    passphrase: str = ""
    floor_bytes: int = 0  # of the volume; kept free


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """An archive that is there, was read again and is sound."""

    where: str
    size: int
    made_at: int  # unix ms
    rows: int
    schema: int
    files: int  # of media
    missing: list[str]  # files that rows told of and that were not there
    keys: Keys
    sealed: int  # values that only the keys open
    removed: list[str] = []  # older archives
    seconds: float


def make(order: Order, shelf: Shelf, *, name: str = "", now: int, reads_back: bool = True) -> Made:
    """A new archive on the shelf. Blocking, for seconds to hours.

    Args:
        name: of the archive; one with the time when none is given.
        now: unix ms.
        reads_back: afterwards, to see that it is sound; a stream cannot be.
    Raises:
        Unavailable: another backup of this data directory is being made.
        NoSpace: there is no room here for the copy, or there for the archive.
        StoreError, OSError, VidProdError: it cannot be made, and nothing is left of it.
    """
    began_s = time.monotonic()
    name = name or name_of(now)
    with _scratch(order.root) as scratch:
        _refuse_full(order, scratch)
        copy, packed = scratch / "copy.db", scratch / "copy.db.gz"
        examined = copy_database(order.database, copy, thorough=True)
        sealed = read_database(copy, lambda db: list(db.kept.sealed()))
        header = archive.Header(
            kind=order.kind,
            made_at=now,
            program=__version__,
            schema=examined.schema,
            counts=examined.counts,
            database_bytes=copy.stat().st_size,
            media=order.media,
            sealed_with=sorted({Vault.sealed_with(value) for _, value in sealed}),
        )
        media = _media(order, copy)
        archive.pack(copy, packed)
        copy.unlink()
        _refuse_no_room_there(shelf, packed, media)

        def write(out: BinaryIO) -> tuple[archive.Manifest, int]:
            writer = archive.Writer(out, header)
            writer.add(archive.DATABASE, packed)
            _add_keys(writer, order)
            for member, path in media:
                writer.add(member, path)
            return writer.finish(), writer.size

        manifest, size = shelf.put(name, write)
    if reads_back:
        with shelf.open(name) as file:
            archive.verify(file)
    return Made(
        where=shelf.where(name),
        size=size,
        made_at=now,
        rows=sum(examined.counts.values()),
        schema=examined.schema,
        files=sum(one.startswith("media/") for one in manifest.members),
        missing=[one for one in manifest.missing if one.endswith(".mp4") or "/source." in one],
        keys=_what_of_keys(order, len(sealed)),
        sealed=len(sealed),
        seconds=round(time.monotonic() - began_s, 2),
    )


def remove_old(shelf: Shelf, *, daily: int, weekly: int) -> list[str]:
    """Take away what is not to be kept any more. Their names."""
    removed = to_remove(shelf.names(), daily=daily, weekly=weekly)
    for name in removed:
        shelf.remove(name)
    return removed


@contextmanager
def _scratch(root: Path) -> Iterator[Path]:
    folder = root / SCRATCH
    folder.mkdir(mode=0o700, exist_ok=True)
    with open(folder / _LOCK, "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Unavailable("another backup of this data directory is being made", hint="Wait for it.") from None
        _empty(folder)  # what a kill left
        try:
            yield folder
        finally:
            _empty(folder)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != _LOCK:
            path.unlink()


def _refuse_full(order: Order, scratch: Path) -> None:
    size = order.database.stat().st_size if order.database.is_file() else 0
    log = Path(f"{order.database}-wal")
    needed = 2 * (size + (log.stat().st_size if log.is_file() else 0))  # the copy, and packed at worst
    free = shutil.disk_usage(scratch).free - order.floor_bytes
    if free < needed:
        raise NoSpace(
            f"the copy of the database needs {amount(needed)} in {scratch}, and {amount(max(0, free))} are free for it"
        )


def _refuse_no_room_there(shelf: Shelf, packed: Path, media: Sequence[tuple[str, Path]]) -> None:
    free = shelf.free_bytes()
    needed = packed.stat().st_size + _KEYS_BYTES + 1024 * len(media)
    needed += sum(path.stat().st_size for _, path in media if path.exists())
    if free is not None and free < needed:
        raise NoSpace(f"the archive needs {amount(needed)} at {shelf.where('')}, and {amount(free)} are free there")


def _media(order: Order, copy: Path) -> list[tuple[str, Path]]:
    """What the rows say that lies on the volume: names in the archive, and where each is here."""
    if not order.media:
        return []
    blobs = DiskBlobs(order.root, floor_bytes=0)
    sources, files = read_database(copy, lambda db: (db.kept.sources(), db.kept.files()))
    paths = []
    for source in sources:
        paths.append(blobs.source_path(source.video_id, source.extension))
        paths += _if_there(blobs.track_path(source.video_id))
    for file in files:
        for suffix in SEGMENT_SUFFIXES:
            path = blobs.segment_path(file.job_id, file.segment_id, suffix, making=file.making)
            paths += [path] if suffix == ".mp4" else _if_there(path)
    return [(str(path.relative_to(order.root)), path) for path in paths]


def _if_there(path: Path) -> list[Path]:
    return [path] if path.is_file() else []


def _add_keys(writer: archive.Writer, order: Order) -> None:
    lines = "".join(f"{key}\n" for key in order.keys).encode()
    if not lines:
        return
    if order.kind == "move":
        writer.add_bytes(archive.KEYS, lines)
    elif order.passphrase:
        writer.add_bytes(archive.LOCKED_KEYS, lock_away(lines, passphrase=order.passphrase))


def _what_of_keys(order: Order, sealed: int) -> Keys:
    if order.keys and order.kind == "move":
        return "open"
    if order.keys and order.passphrase:
        return "locked"
    return "left out" if sealed else "none"
