"""The doctor: says in words why anything waits, looks whether everything that must hold does, and puts right what is
safe to put right.

It reads beside a running daemon, in a process of its own. What it mends it mends only where none runs. It never
guesses: what may be public, what cannot be opened and what is not known to be ours is told, and left.
"""

import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from vidprod.blobs.disk import DiskBlobs, amount
from vidprod.blobs.volume import apart
from vidprod.config import Config
from vidprod.domain import receipt
from vidprod.domain.backup import in_words
from vidprod.domain.ids import is_id
from vidprod.errors import BadConfig, NotFound, SchemaTooNew, SchemaTooOld, SealBroken, StoreError
from vidprod.store.sqlite import Tables
from vidprod.store.sqlite.copy import find_damage, read_database
from vidprod.store.sqlite.homecoming import Homecoming, change_database
from vidprod.store.sqlite.invariants import Broken, Waiting
from vidprod.store.sqlite.kept import File, Source
from vidprod.store.sqlite.lifecycle import cancel_job
from vidprod.store.sqlite.standing import held_by
from vidprod.vault import Vault, keys_here, read_keys

Kind = Literal["fault", "waits", "note"]

_SET_BACK_MS = 5 * 60_000  # an event may be so much newer than the clock, of two processes
_YOUNG_S = 3600.0  # a directory so new may belong to a row that is about to be written
_PIECE = 1 << 20


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing. A fault is what must not be; what waits may be as it should."""

    kind: Kind
    code: str
    subject: str  # an id, a path, or a few words
    message: str
    mended: str = ""  # what was done about it


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """All that was found, and how much was looked at."""

    findings: list[Finding]
    files: int
    hashed: int
    receipts: int
    sealed: int
    seconds: float

    @property
    def faults(self) -> list[Finding]:
        """Those that nobody mended."""
        return [one for one in self.findings if one.kind == "fault" and not one.mended]


class Doctor:
    """Of one data directory."""

    def __init__(
        self, config: Config, database: Path, *, now: int, clock: int, daemon_runs: bool, sample: int | None = 20
    ) -> None:
        """
        Args:
            now: unix ms; clock: of publishing.
            sample: so many files, the newest, are read and hashed; None: all.
        """
        self._config = config
        self._root = Path(config.data_dir).absolute()
        self._database = database
        self._blobs = DiskBlobs(self._root, floor_bytes=config.disk_floor_bytes)
        self._now, self._clock = now, clock
        self._daemon_runs = daemon_runs
        self._sample = sample
        self._files = self._hashed = self._receipts = self._sealed = 0
        self._lost: list[Source | File] = []
        self._broken: list[Broken] = []
        self._leftovers: list[Path] = []

    def look(self) -> Seen:
        """Blocking; nothing is changed."""
        began_s = time.monotonic()
        findings = list(self._machine())
        try:
            damage = [_fault("damaged", self._database.name, told) for told in find_damage(self._database)]
            findings += damage or [*self._rows(), *self._volume(), *self._secrets(), *self._waits()]
        except (SchemaTooOld, SchemaTooNew) as error:
            findings.append(_fault(error.code, self._database.name, f"{error}. {error.hint}"))
        except StoreError as error:
            findings.append(_fault("unreadable", self._database.name, f"{error}. Restore a backup."))
        return Seen(
            findings=findings,
            files=self._files,
            hashed=self._hashed,
            receipts=self._receipts,
            sealed=self._sealed,
            seconds=round(time.monotonic() - began_s, 2),
        )

    def mend(self) -> Seen:
        """Look, and put right what is safe to; no daemon may run. Blocking."""
        seen = self.look()
        done: dict[tuple[str, str], str] = {}
        if self._broken or self._lost:
            done = change_database(self._database, self._mend_rows, now=self._now)
        for path in self._leftovers:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            done["leftover", str(path.relative_to(self._root))] = "it is removed"
        mended = [msgspec.structs.replace(one, mended=done.get((one.code, one.subject), "")) for one in seen.findings]
        return msgspec.structs.replace(seen, findings=mended)

    # the machine

    def _machine(self) -> Iterator[Finding]:
        free, floor = self._blobs.free_bytes(), self._config.disk_floor_bytes
        if free <= floor:
            words = (
                f"{amount(free)} are free and {amount(floor)} are kept for the database: uploads and media work wait."
            )
            yield Finding(kind="waits", code="disk_full", subject="the volume", message=words)
        elif free < 4 * floor:
            yield _note("disk_low", "the volume", f"{amount(free)} are free, {amount(floor)} of them for the database.")
        database = apart(self._database.parent, root=self._root)
        if database is not None and database.free_bytes <= floor // 2:  # the mark of domain/pressure.py
            words = f"{amount(database.free_bytes)} are free: uploads and media work wait."
            yield Finding(kind="waits", code="database_disk_full", subject="the database's own volume", message=words)
        if not self._daemon_runs:
            yield Finding(
                kind="waits", code="no_daemon", subject=str(self._root), message="No daemon runs: nothing goes on."
            )
        for path in sorted(self._root.glob("before-*")):
            yield _note(
                "put_aside", path.name, f"{amount(_size(path))} that a restore put aside: delete it when all is well."
            )
        if (self._root / ".restore").exists():
            yield _fault("half_restored", ".restore", "A restore was cut short: run it again with --force.")

    # rows

    def _rows(self) -> Iterator[Finding]:
        def read(db: Tables) -> tuple[list[Broken], list[receipt.Receipt], int]:
            return db.invariants.broken(), db.receipts.after(0, limit=1 << 40), db.waits.newest_event_at()

        self._broken, receipts, newest = read_database(self._database, read)
        self._receipts = len(receipts)
        for invariant, subject in self._broken:
            yield _fault(invariant.name, subject, invariant.words)
        for told in receipt.faults(receipts, whole=True):
            yield _fault("receipts", "the chain", told)
        if newest > self._now + _SET_BACK_MS:
            ahead = (newest - self._now) / 60_000
            yield _fault(
                "clock", "the clock", f"It is {ahead:.0f} min behind what was recorded before: was it set back?"
            )

    def _mend_rows(self, db: Tables, home: Homecoming) -> dict[tuple[str, str], str]:
        done = {}
        for broken in self._broken:
            if db.invariants.mend(broken, now=self._now):
                done[broken.invariant.name, broken.subject] = broken.invariant.mended
        for one in self._lost:
            if isinstance(one, Source):
                for job_id in home.jobs_of(one.video_id):
                    cancel_job(db, db.jobs.get(job_id), now=self._now)
                home.lose_source(one.video_id, now=self._now)
                done["file_missing", one.video_id] = "it counts as deleted; jobs that need it are cancelled"
            else:
                home.lose_file(one.segment_id, message="Its file was lost: upload the take again.", now=self._clock)
                done["file_missing", one.segment_id] = "it counts as deleted; what is planned of it is marked as missed"
        return done

    # the volume

    def _volume(self) -> Iterator[Finding]:
        sources, files, jobs, videos, arriving, working = self._read_kept()
        yield from self._check_files(sources, files)
        there = set[str]()
        if (self._root / "media").is_dir():  # the daemon makes it, at its first start here
            there = self._blobs.stored_videos() | self._blobs.stored_jobs()
        for name in sorted(there - jobs - videos):
            path = self._root / "media" / name
            if self._daemon_runs and time.time() - path.stat().st_mtime < _YOUNG_S:
                continue
            known = self._is_known(name)
            size = amount(_size(path))
            if known:
                self._leftovers.append(path)
                yield _note("leftover", f"media/{name}", f"{size} of what was deleted.")
            else:
                yield _note(
                    "unknown_media", f"media/{name}", f"{size} that no row knows; the daemon removes a few such."
                )
        if self._daemon_runs:
            return
        for path in sorted((self._root / "incoming").glob("upl_*.part")):
            if path.stem not in arriving and is_id(path.stem, "upl"):
                self._leftovers.append(path)
                yield _note(
                    "leftover", f"incoming/{path.name}", f"{amount(path.stat().st_size)} of an upload that is over."
                )
        for name in sorted(self._blobs.work_dirs() - working if (self._root / "work").is_dir() else ()):
            self._leftovers.append(self._root / "work" / name)
            yield _note("leftover", f"work/{name}", "of a task that is over.")

    def _read_kept(self) -> tuple[list[Source], list[File], set[str], set[str], set[str], set[str]]:
        return read_database(
            self._database,
            lambda db: (
                db.kept.sources(),
                db.kept.files(),
                db.jobs.ids(),
                db.videos.ids(),
                db.waits.arriving(),
                db.kept.tasks_not_over(),
            ),
        )

    def _is_known(self, name: str) -> bool:
        def known(db: Tables) -> bool:
            try:
                db.videos.get(name) if name.startswith("vid_") else db.jobs.get(name)
            except NotFound:
                return False
            return True

        return read_database(self._database, known)

    def _check_files(self, sources: Sequence[Source], files: Sequence[File]) -> Iterator[Finding]:
        kept: list[Source | File] = [*sources, *files]
        wrong = [(one, told) for one in kept if (told := self._wrong(one))]
        self._files = len(kept)
        if wrong:  # the daemon may have let some go meanwhile
            sources, files, *_ = self._read_kept()
            still = {one.video_id for one in sources} | {one.segment_id for one in files}
            wrong = [(one, told) for one, told in wrong if _name(one) in still]
        for one, told in wrong:
            if told == _MISSING:
                self._lost.append(one)
            yield _fault("file_missing" if told == _MISSING else "file_changed", _name(one), told)
        newest = sorted(kept, key=_name, reverse=True)
        for one in newest[: self._sample]:
            if one.sha256 is not None and not any(one is other for other, _ in wrong):
                self._hashed += 1
                if _sha256(self._path(one)) not in (one.sha256, _MISSING):
                    yield _fault("file_changed", _name(one), "its file is not what was made: it was changed or damaged")

    def _wrong(self, one: Source | File) -> str:
        try:
            size = self._path(one).stat().st_size
        except FileNotFoundError:
            return _MISSING
        return "" if size == one.size else f"its file has {size} bytes, and {one.size} were written"

    def _path(self, one: Source | File) -> Path:
        if isinstance(one, Source):
            return self._blobs.source_path(one.video_id, one.extension)
        return self._blobs.segment_path(one.job_id, one.segment_id, ".mp4", making=one.making)

    # secrets

    def _secrets(self) -> Iterator[Finding]:
        sealed, given_up = read_database(self._database, lambda db: (list(db.kept.sealed()), db.kept.sealed_in_vain()))
        self._sealed = len(sealed)
        try:
            keys = keys_here(self._root, self._config.secret_keys)
            vault = Vault(read_keys(self._root, keys)) if keys else None
        except BadConfig as error:
            yield _fault("keys", "secret_keys", f"{error}. {error.hint}")
            return
        for place, value in sealed:
            try:
                if vault is None:
                    raise SealBroken(f"{place} is sealed, and there are no keys here")
                vault.open(value, place=place)
            except SealBroken as error:
                if place in given_up:  # somebody is asked for another one already, or nobody needs it
                    continue
                yield _fault(
                    "sealed", place.rpartition("|")[0], f"{error}. Bring the key back, or give the secret anew."
                )

    # what waits

    def _waits(self) -> Iterator[Finding]:
        def read(db: Tables) -> Iterator[Finding]:
            waits = db.waits
            if (held := held_by(db)) is not None:
                yield _wait("publishing", Waiting(held.why, held.message, 0, "all publishing"))
            elif db.facts.get("publishing_paused_at") is not None:
                message = "It is paused: `vidprod accounts resume --all`, or the page."
                yield _wait("publishing", Waiting("paused", message, 0, "all publishing"))
            for account in db.accounts.list():
                if account.state == "needs_reauth":
                    yield _wait("account", Waiting("reauth", account.fault or "Connect it again.", 0, account.name))
                elif account.paused_at is not None:
                    message = "It is paused: `vidprod accounts resume`."
                    yield _wait("account", Waiting("paused", message, 0, account.name))
                elif account.parked_until is not None and account.parked_until > self._clock:
                    message = "Its platform takes no more of it for now."
                    yield _wait("account", Waiting("quota", message, 0, account.name))
            yield from (_wait("job", one) for one in waits.tasks(now=self._now))
            yield from (_wait("publication", one) for one in waits.publications(now=self._clock))
            yield from (_wait("delivery", one) for one in waits.deliveries())
            yield from (_wait("upload", one) for one in waits.uploads())
            if dead := waits.dead():
                message = f"{dead} tasks were given up: `vidprod dead list` shows why."
                yield Finding(kind="waits", code="dead_letters", subject="dead letters", message=message)
            if self._config.backup_to and (standing := db.facts.backup()) is not None:
                bad = standing.trouble(now=self._now) is not None
                told = in_words(standing, now=self._now)
                yield Finding(kind="fault" if bad else "note", code="backup", subject="nightly backup", message=told)
            elif not self._config.backup_to:
                yield _note("backup", "nightly backup", "None is made: set backup_to.")

        yield from read_database(self._database, lambda db: list(read(db)))


_MISSING = "its file is not there"


def _fault(code: str, subject: str, message: str) -> Finding:
    return Finding(kind="fault", code=code, subject=subject, message=message)


def _note(code: str, subject: str, message: str) -> Finding:
    return Finding(kind="note", code=code, subject=subject, message=message)


def _wait(noun: str, one: Waiting) -> Finding:
    words = _USUAL.get((noun, one.code), one.message) or one.message
    several = f"{one.count} of them: " if one.count > 1 else ""
    return Finding(kind="waits", code=f"{noun}_{one.code}", subject=one.subject, message=f"{several}{words}")


_USUAL = {  # what rows do not say themselves
    ("job", "queued"): "It waits for its turn: media children are at work, or none can start.",
    (
        "publication",
        "due",
    ): "It is due, and its turn has not come: others of the account are before it, or no daemon runs.",
    ("publication", "uploading"): "It is being sent.",
    ("delivery", "enabled"): "",
    ("upload", "unfinished"): "It waits for its next byte; it expires if none comes.",
}


def _name(one: Source | File) -> str:
    return one.video_id if isinstance(one, Source) else one.segment_id


def _size(path: Path) -> int:
    return sum(os.lstat(os.path.join(at, name)).st_size for at, _, names in os.walk(path) for name in names)


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                found.update(piece)
    except FileNotFoundError:
        return _MISSING
    return found.hexdigest()
