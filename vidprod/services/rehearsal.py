"""A rehearsal: the real scheduler and publisher, for some days of a clock that jumps, on a copy of the database,
against simulated platforms. What would go out, when, and which rules that would break.

Nothing of the original is changed, and nothing leaves this process: the copy's accounts get tokens of the simulators.
"""

import asyncio
import contextlib
import secrets
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path

import msgspec

from vidprod.blobs.disk import DiskBlobs
from vidprod.config import Config
from vidprod.domain.account import Account
from vidprod.domain.publication import ACTIVE, OVER, Publication
from vidprod.domain.schedule import local_day, zone_of
from vidprod.domain.segment import Segment
from vidprod.platforms.registry import Platforms
from vidprod.services.clock import JumpingClock
from vidprod.services.keeper import Keeper
from vidprod.services.publisher import Publisher
from vidprod.services.scheduler import Scheduler
from vidprod.services.tokens import ends, seal
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.copy import copy_database
from vidprod.vault import Vault

_DAY_MS = 86_400_000
_LOOKS_EVERY_S = 3600.0  # at what was missed; the daemon does so each minute
_SHELF = "https://rehearsal.invalid"  # where the simulated Instagram fetches


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that was broken: of the account, of its platform, or of ours."""

    publication_id: str | None
    rule: str  # twice, gap, cap, early, late, missed, rejected, unknown, waits
    message: str


class Rehearsed(msgspec.Struct, frozen=True, kw_only=True):
    """What would come of the next days. Times are unix milliseconds."""

    since: int
    until: int
    publications: list[Publication]  # that had something to do in that time, in the order of their going out
    accounts: dict[str, Account]
    broken: list[Broken]
    left_out: int  # publications that are at a platform already: only the real one knows what becomes of them


async def rehearse(
    config: Config, database: Path, *, days: float, now: int, seed: int = 0, chance: float = 0.0, approve: bool = False
) -> Rehearsed:
    """
    Args:
        database: read only; a daemon may be working on it.
        days: of the clock.
        chance: of a fault at each point where the platforms can fail; the same seed, the same faults.
        approve: as if somebody approved all that waits for it.
    """
    until = now + int(days * _DAY_MS)
    with tempfile.TemporaryDirectory(prefix="vidprod-rehearsal-") as folder:
        copy = Path(folder) / "vidprod.db"
        await asyncio.to_thread(copy_database, database, copy)
        async with await Store.open(copy, now=now, reserve_bytes=0) as store:
            at_platforms = await store.read(
                lambda db: [one.id for one in db.publications.list(states=ACTIVE, limit=10**6)]
            )
            if approve:
                await store.write(lambda db: _approve_all(db, now=now))
            stage = _Stage(store, config, JumpingClock(since=now), seed=seed, chance=chance)
            await stage.run(until=until)
            return await store.read(lambda db: stage.told(db, since=now, until=until, but=set(at_platforms)))


class _Stage:
    """The near end as the daemon has it, and a far end of our own."""

    def __init__(self, store: Store, config: Config, clock: JumpingClock, *, seed: int, chance: float) -> None:
        # here, not above: a daemon imports neither HTTP client nor simulators
        from vidprod.platforms.simulators.app import far_end, simulators
        from vidprod.platforms.simulators.transport import SimTransport
        from vidprod.platforms.simulators.world import World
        from vidprod.platforms.wire import Wire

        self._store, self._clock = store, clock
        self._config = msgspec.structs.replace(config, simulator_url="http://simulators", publish_bytes_per_s=0)
        self._blobs = DiskBlobs(Path(config.data_dir).absolute(), floor_bytes=0)
        self._world = World(wall=clock.now, seed=seed, chance=chance, base_url=self._config.simulator_url)
        self._shelf = _Shelf(self._blobs)
        self._far = far_end(self._world, files=self._shelf.file)
        self._far.tiktok.rules.finishes_s = 3600  # people do finish their drafts
        wire = Wire(simulator_url=self._config.simulator_url, transport=SimTransport(simulators(self._far)))
        self._vault = Vault({"rehearse": secrets.token_bytes(32)})
        self._platforms = Platforms(self._config, now=clock.now, wire=wire)

    async def run(self, *, until: int) -> None:
        await self._store.write(self._connect)
        keeper = Keeper(self._store, self._vault, self._platforms, self._clock)
        publisher = Publisher(
            self._store,
            self._blobs,
            keeper,
            self._platforms,
            self._vault,
            self._config,
            self._clock,
            public=self._shelf,
        )
        working = [asyncio.create_task(one) for one in (publisher.run(), self._look())]
        try:
            passing = asyncio.create_task(self._clock.run(until=until))
            await asyncio.wait([passing, *working], return_when=asyncio.FIRST_COMPLETED)
            for one in (passing, *working):
                if one.done():
                    one.result()
        finally:
            for one in (passing, *working):
                one.cancel()
            await asyncio.gather(passing, *working, return_exceptions=True)
            await keeper.close()
            await self._platforms.close()

    def told(self, db: Tables, *, since: int, until: int, but: set[str]) -> Rehearsed:
        accounts = {account.id: account for account in db.accounts.list(disconnected=True)}
        found = [
            one
            for one in db.publications.list(limit=10**6)
            if one.id not in but
            and one.due_at < until
            and not (one.finalized_at is not None and one.finalized_at < since)
        ]
        found.sort(key=lambda one: (one.published_at or one.due_at, one.id))
        broken = [
            Broken(publication_id=None, rule="twice", message=f"{sha256[:12]} got to {account} of {platform} twice.")
            for platform, account, sha256 in self._far.twice()
        ]
        for one in found:
            broken += _broken_by(one, until=until, late_ms=self._config.publish_late_s * 1000)
        for account in accounts.values():
            broken += _spacing(account, sorted(_begun(db, [one for one in found if one.account_id == account.id])))
        return Rehearsed(
            since=since, until=until, publications=found, accounts=accounts, broken=broken, left_out=len(but)
        )

    def _connect(self, db: Tables) -> None:
        now = self._clock.now()
        for account in db.accounts.list():
            if account.state != "connected":
                continue  # it waits to be connected again here too
            tokens = self._far.welcome(account)
            access, refresh = ends(tokens, now=now)
            account = msgspec.structs.replace(
                account,
                scopes=list(tokens.scopes),
                access_expires_at=access,
                refresh_expires_at=refresh,
                refreshed_at=now,
            )
            db.accounts.add(account, seal(self._vault, account.id, tokens))

    async def _look(self) -> None:
        scheduler = Scheduler(self._store, self._config, self._clock)
        while True:
            with self._clock.working():
                await scheduler.look()
            await self._clock.sleep(_LOOKS_EVERY_S)


class _Shelf:
    """Where the simulated Instagram fetches files from: `publisher.Public`."""

    def __init__(self, blobs: DiskBlobs) -> None:
        self._blobs = blobs
        self._paths: dict[str, Path] = {}

    def url_of(self, segment: Segment) -> str | None:
        url = f"{_SHELF}/{segment.id}.{segment.making}.mp4"
        self._paths[url] = self._blobs.segment_path(segment.job_id, segment.id, ".mp4", making=segment.making)
        return url

    async def check(self, url: str, *, size: int) -> None:
        """It is there: this very process gives it."""

    def file(self, url: str) -> bytes | None:
        with contextlib.suppress(KeyError, FileNotFoundError):
            return self._paths[url].read_bytes()
        return None


def _approve_all(db: Tables, *, now: int) -> None:
    for one in db.publications.list(states=("scheduled",), limit=10**6):
        if one.needs_approval and one.approved_at is None:
            db.publications.approve(one, now=now)


def _begun(db: Tables, publications: Sequence[Publication]) -> Iterator[tuple[int, str]]:
    """When each was first asked for at its platform."""
    for one in publications:
        asked = [entry.at for entry in db.journal.of(one.id) if (entry.step, entry.what) == ("begin", "asked")]
        if asked:
            yield min(asked), one.id


def _broken_by(one: Publication, *, until: int, late_ms: int) -> Iterator[Broken]:
    """What one publication did that it must not."""

    def broken(rule: str, message: str) -> Broken:
        return Broken(publication_id=one.id, rule=rule, message=message)

    last = one.errors[-1].message if one.errors else one.said
    if one.state == "published":
        assert one.published_at is not None
        if one.published_at < one.due_at and not one.said:
            yield broken("early", "It went out before its time.")
        if one.published_at > one.due_at + late_ms:
            yield broken("late", f"It went out {(one.published_at - one.due_at) // 60_000} minutes after its time.")
    elif one.missed_at is not None and one.state == "scheduled":
        yield broken("missed", "It came due while nothing could be published; somebody has to decide.")
    elif one.state in ("rejected", "unknown"):
        yield broken(one.state, last or "The platform does not tell what became of it.")
    elif one.state not in OVER and one.due_at + late_ms < until:
        yield broken("waits", one.wait.message if one.wait is not None else f"It is {one.state} still.")


def _spacing(account: Account, begun: Sequence[tuple[int, str]]) -> Iterator[Broken]:
    """Whether an account's gap and daily cap were kept.

    Args:
        begun: when its publications were begun, and their ids, in order.
    """
    settings, zone = account.settings, zone_of(account.settings.zone)
    for (before, _), (after, publication_id) in pairwise(begun):
        if after - before < settings.gap_s * 1000:
            message = f"{(after - before) / 60_000:.0f} minutes after the one before it, not {settings.gap_s / 60:.0f}."
            yield Broken(publication_id=publication_id, rule="gap", message=message)
    days: Counter[date] = Counter()
    for at, publication_id in begun:
        day = local_day(at, zone)
        days[day] += 1
        if settings.daily_cap is not None and days[day] > settings.daily_cap:
            message = f"Number {days[day]} of {day}, of at most {settings.daily_cap}."
            yield Broken(publication_id=publication_id, rule="cap", message=message)
