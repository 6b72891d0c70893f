"""Coming home: a data directory is filled from an archive, checked before anything is in its place.

What is restored is a copy of some time ago. It neither publishes nor touches a platform until a person says so, and
what came due or was under way since waits for a word about each. What moves house comes with its keys, is as of this
moment, and goes on; the home it left publishes nothing any more.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from vidprod.blobs import archive
from vidprod.blobs.disk import DiskBlobs, amount
from vidprod.blobs.incoming import sync_directory
from vidprod.errors import BadArchive, Conflict, NoSpace, SealBroken, StoreError
from vidprod.store.sqlite import Tables
from vidprod.store.sqlite.copy import examine
from vidprod.store.sqlite.homecoming import Homecoming, change_database, doubt, let_go_of_sealed, moment
from vidprod.store.sqlite.lifecycle import cancel_job
from vidprod.store.sqlite.standing import release_publishing
from vidprod.vault import KEY_FILE, keys_here, open_vault, put_keys, unlock

_STAGED = ".restore.db"
_KEPT_BACK = frozenset({"daemon.lock", "lost+found", ".restore", _STAGED, "backup", "reserve.bin", KEY_FILE})
_ASIDE = "before-"
FRESH_MS = 24 * 3_600_000  # what moves house is believed to be as of now for so long; later it is as good as a backup
_MEDIA = "media"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where it goes."""

    root: Path  # the data directory; its lock is held
    database: Path
    staging: Path  # in it; while it is there, no daemon starts
    keys: tuple[str, ...] = ()  # of the setting
    floor_bytes: int = 0


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it, and what is not as it was."""

    kind: archive.Kind
    made_at: int  # unix ms: the copy is as of then
    rows: int
    files: int
    held: bool  # nothing is published until a person resumes
    missed: int  # planned publications that somebody is asked about
    under_way: int  # publications whose platforms are read, once that may be
    without_file: int  # planned publications whose file did not come along
    lost_takes: int
    lost_segments: int
    ended_jobs: list[str]
    accounts: list[str]  # to be connected again
    endpoints: list[str]  # to be given new secrets
    second_factor_off: bool
    notifications_off: bool
    aside: str  # where what was there before is now; empty: there was nothing


def bring_home(
    source: BinaryIO,
    place: Place,
    *,
    kind: archive.Kind,
    passphrase: str = "",
    without_keys: bool = False,
    force: bool = False,
    now: int,
) -> Restored:
    """Fill the data directory. Blocking. Where it raises, what was there is as it was.

    Args:
        kind: what is expected; what moves house may be restored as if it were a backup, but not the other way round.
        without_keys: leave keys that are locked where they are.
        force: put what is there aside.
        now: unix ms of publishing's clock.
    Raises:
        Conflict: there is something already.
        BadArchive: it is damaged, cut off, or no archive of this kind.
        SealBroken: its keys are locked, with another passphrase or with one when none was given.
        StoreError: its database is not sound or of a newer version.
        NoSpace: it does not fit.
    """
    there = _what_is_there(place)
    if there and not force:
        raise Conflict(
            f"{place.root} is not empty: {', '.join(there[:3])}{' …' if there[3:] else ''}",
            hint="Choose another --data-dir, or say --force: what is there is put aside, not deleted.",
        )
    with _staged(place) as staged_database:
        reader = archive.Reader(source)
        if kind == "move" and reader.header.kind != "move":
            raise BadArchive("it is a backup", hint="`vidprod restore` takes it, and holds publishing.")
        _refuse_full(place, reader.header)
        keys = _unpack(reader, place, staged_database, passphrase=passphrase, without_keys=without_keys)
        examined = examine(staged_database)
        if examined.counts != reader.header.counts:
            raise BadArchive("its database does not hold the rows that it says")
        keys = list(dict.fromkeys([*keys, *keys_here(place.root, ())]))
        restored = _settle(reader, place, staged_database, keys=keys, kind=kind, now=now)
        _sync(staged_database)
        aside = _put_aside(place, now=now) if there else ""
        _put_in_place(place, staged_database, keys)
    return msgspec.structs.replace(restored, rows=sum(examined.counts.values()), aside=aside)


# what is there


def _what_is_there(place: Place) -> list[str]:
    """Names of what a restore would mix with: files, and directories that hold any."""
    found = (
        [path for path in sorted(place.root.iterdir()) if path.name not in _KEPT_BACK] if place.root.is_dir() else []
    )
    found = [path for path in found if not path.name.startswith(_ASIDE) and _holds_anything(path)]
    elsewhere = [path for path in _database_files(place.database) if path.exists() and path.parent != place.root]
    return [path.name for path in [*found, *elsewhere]]


def _holds_anything(path: Path) -> bool:
    return not path.is_dir() or any(names for _, _, names in os.walk(path))


def _database_files(database: Path) -> list[Path]:
    return [Path(f"{database}{suffix}") for suffix in ("", "-wal", "-shm")]


def _put_aside(place: Place, *, now: int) -> str:
    """Into a directory beside, on the same volumes: nothing is copied, nothing deleted."""
    stamp = datetime.fromtimestamp(now / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = place.root / f"{_ASIDE}{stamp}"
    aside.mkdir(mode=0o700)
    for path in _database_files(place.database):  # first: without it no daemon takes the rest for whole
        if path.exists():
            target = aside if path.parent == place.root else path.parent / aside.name
            target.mkdir(mode=0o700, exist_ok=True)
            path.rename(target / path.name)
    for path in sorted(place.root.iterdir()):
        if path.name not in _KEPT_BACK and not path.name.startswith(_ASIDE):
            path.rename(aside / path.name)
    sync_directory(place.root)
    return str(aside)


# unpacking


@contextmanager
def _staged(place: Place) -> Iterator[Path]:
    """A directory to unpack into, and where the database goes meanwhile: on the volume that it is for."""
    staged = place.database.with_name(_STAGED)
    _clear(place, staged)
    place.staging.mkdir(mode=0o700)
    place.database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield staged
    finally:
        _clear(place, staged)


def _clear(place: Place, staged: Path) -> None:
    for path in _database_files(staged):
        path.unlink(missing_ok=True)
    if place.staging.exists():
        shutil.rmtree(place.staging)


def _refuse_full(place: Place, header: archive.Header) -> None:
    free = shutil.disk_usage(place.database.parent).free - place.floor_bytes
    if free < header.database_bytes:
        raise NoSpace(f"its database needs {amount(header.database_bytes)}, and {amount(max(0, free))} are free for it")


def _unpack(reader: archive.Reader, place: Place, database: Path, *, passphrase: str, without_keys: bool) -> list[str]:
    """All of it, synced, beside its place. The keys."""
    keys: list[str] = []
    for entry in reader.members():
        if entry.name == archive.KEYS:
            keys = reader.read(entry).decode().split()
        elif entry.name == archive.LOCKED_KEYS:
            locked = reader.read(entry)
            if not without_keys:
                keys = _unlocked(locked, passphrase).decode().split()
        else:
            target = database if entry.name == archive.DATABASE else place.staging / entry.name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as out:
                reader.unpack(entry, out)
                out.flush()
                os.fsync(out.fileno())
    if not database.exists():
        raise BadArchive("it holds no database")
    return keys


def _unlocked(locked: bytes, passphrase: str) -> bytes:
    if not passphrase:
        raise SealBroken(
            "its keys are locked with a passphrase",
            hint="Set VIDPROD_BACKUP_PASSPHRASE, or say --without-keys: then accounts have to be connected again.",
        )
    return unlock(locked, passphrase=passphrase)


# rows


def _settle(
    reader: archive.Reader, place: Place, database: Path, *, keys: Sequence[str], kind: archive.Kind, now: int
) -> Restored:
    """The rows as they may go on from here."""
    header = reader.header
    moved = kind == "move" and now - header.made_at < FRESH_MS
    blobs = DiskBlobs(place.staging, floor_bytes=0)
    lines = list(place.keys or keys)
    vault = open_vault(place.root, lines) if lines else None

    def opens(where: str, sealed: bytes) -> bool:
        try:
            return vault is not None and vault.open(sealed, place=where) is not None
        except SealBroken:
            return False

    def settle(db: Tables, home: Homecoming) -> Restored:
        home.forget_arrivals()
        ended = [] if moved else home.jobs_not_over()
        lost_sources = [
            one.video_id for one in db.kept.sources() if not blobs.source_path(one.video_id, one.extension).is_file()
        ]
        ended += [job_id for video_id in lost_sources for job_id in home.jobs_of(video_id) if job_id not in ended]
        for job_id in ended:
            cancel_job(db, db.jobs.get(job_id), now=now)
        for video_id in lost_sources:
            home.lose_source(video_id, now=now)
        missed = under_way = 0
        if moved:
            release_publishing(db, now=now)
        else:
            missed, under_way = doubt(db, home, as_of=header.made_at, now=now)
            home.forget_sessions()
        lost_files = [
            one.segment_id
            for one in db.kept.files()
            if not blobs.segment_path(one.job_id, one.segment_id, ".mp4", making=one.making).is_file()
        ]
        without_file = sum(home.lose_file(segment_id, message=_NO_FILE, now=now) for segment_id in lost_files)
        closed = let_go_of_sealed(db, home, opens, now=now)
        db.events.record("backup.restored", data={"kind": header.kind, "made_at": moment(header.made_at)}, now=now)
        return Restored(
            kind=header.kind,
            made_at=header.made_at,
            rows=0,
            files=sum(name.startswith(f"{_MEDIA}/") for name in reader.manifest.members),
            held=not moved,
            missed=missed,
            under_way=under_way,
            without_file=without_file,
            lost_takes=len(lost_sources),
            lost_segments=len(lost_files),
            ended_jobs=ended,
            accounts=[db.accounts.get(one).name for one in closed.accounts],
            endpoints=[db.endpoints.get(one).url for one in closed.endpoints],
            second_factor_off=bool(closed.second_factors),
            notifications_off=closed.notifications,
            aside="",
        )

    return change_database(database, settle, now=now)


_NO_FILE = "Its file is not here: it did not come along. Upload the take again, or cancel it."


# into its place


def _sync(database: Path) -> None:
    if leftovers := [path.name for path in _database_files(database)[1:] if path.exists()]:
        raise StoreError(f"the database was not closed: {leftovers}")
    with database.open("rb+") as file:
        os.fsync(file.fileno())


def _put_in_place(place: Place, database: Path, keys: Sequence[str]) -> None:
    """The database last, and then the mark that it is not whole goes: a kill in between leaves a directory that no
    daemon takes, and that a restore with `force` puts aside."""
    for path in sorted(place.staging.rglob("*")):
        if path.is_dir():
            sync_directory(path)
    media = place.root / _MEDIA
    if (place.staging / _MEDIA).is_dir():
        if media.is_dir():
            shutil.rmtree(media)  # empty directories, see `_what_is_there`
        (place.staging / _MEDIA).rename(media)
    if keys and not place.keys:
        put_keys(place.root, keys)
    database.rename(place.database)
    sync_directory(place.database.parent)
    sync_directory(place.root)
