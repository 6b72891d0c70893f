"""A stage: a data directory with ready segments and connected accounts, and a publisher that can be crashed.

Its clock stands still while anybody works and jumps to the next thing to do when nobody does: a day takes a moment,
and every run of a seed meets the same times.
"""

import asyncio
import contextlib
import hashlib
import random
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import msgspec

from tests.publishing.far import FakePlatforms, Far, Right
from tests.store.given import a_job, a_rendition, a_segment, a_video, an_info, prepared
from vidprod.blobs.disk import DiskBlobs
from vidprod.config import Config
from vidprod.domain.account import Account, AccountSettings, Platform
from vidprod.domain.event import Event
from vidprod.domain.ids import new_id
from vidprod.domain.post import Post
from vidprod.domain.publication import Publication
from vidprod.services.clock import Clock
from vidprod.services.publisher import Publisher
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.connection import Connection, transaction
from vidprod.store.sqlite.table import Outcome
from vidprod.vault import Vault

START = 1_795_000_000_000  # 18 November 2026, 11:06:40 UTC
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
FOREVER = START + 3650 * DAY_MS


class Jumping(Clock):
    """Publishing's clock, which jumps."""

    def __init__(self) -> None:
        super().__init__()
        self.time = START
        self.until = FOREVER  # it does not jump beyond
        self.is_busy: Callable[[], bool] = lambda: False
        self.quiet = asyncio.Event()  # nothing is to be done before `until`

    def now(self) -> int:
        return self.time

    async def wait(self, event: asyncio.Event, *, until: int | None = None) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        if event.is_set():
            return
        if self.is_busy():
            await event.wait()
        elif until is None or until > self.until:
            self.quiet.set()
            await event.wait()
        else:
            self.time = max(self.time, until)


class Ticking(Store):
    """A store that counts what passes through it, and holds up the loop meanwhile, so that a seed meets the same order
    again."""

    tick: Callable[[], None] = staticmethod(lambda: None)

    async def write(self, fn: Callable[[Tables], Any], *, urgent: bool = False) -> Any:
        self.tick()
        await asyncio.sleep(0)
        result = _at_once(self._writer, lambda connection: self._write(connection, fn, urgent=urgent))
        self.tick()
        return result

    async def read(self, fn: Callable[[Tables], Any]) -> Any:
        self.tick()
        await asyncio.sleep(0)
        return _at_once(
            self._readers[0],
            lambda connection: transaction(connection, lambda: fn(Tables(connection, Outcome())), begin="begin"),
        )


def _at_once(connection: Connection, fn: Callable[[Any], Any]) -> Any:
    done: Future[Any] = Future()

    def work(opened: Any) -> None:
        try:
            done.set_result(fn(opened))
        except Exception as error:
            done.set_exception(error)

    connection.later(work)
    return done.result()


class Inline(ThreadPoolExecutor):
    """Does at once what is for a thread: threads end in no order."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **more))
        except Exception as error:
            done.set_exception(error)
        return done


class FakeKeeper:
    """Gives rights out, of any account."""

    def __init__(self, stage: "Stage") -> None:
        self._stage = stage

    async def grant(self, account_id: str) -> Right:
        account = await self._stage.store.read(lambda db: db.accounts.get(account_id))
        return Right(account_id=account_id, far=self._stage.far, settings=account.settings)


class Stage:
    """Everything of one test."""

    store: Ticking
    publisher: Publisher

    def __init__(self, root: Path, *, seed: int = 0, chance: float = 0.0, **settings: Any) -> None:
        self.root = root
        self.clock = Jumping()
        self.far = Far(now=self.clock.now, seed=seed, chance=chance)
        self.platforms: Any = FakePlatforms(self.far)
        self.dice = random.Random(seed)
        self.vault = Vault({"k": b"k" * 32})
        self.config = Config(data_dir=str(root), **settings)
        self.blobs = DiskBlobs(root, floor_bytes=0)
        self.forgets = False  # the twin without a journal: what it had begun before a crash it does not know
        self.lets_finish_s = 0.0  # it ends as if it had crashed
        self.crashes = 0
        self._running: asyncio.Task[None] | None = None

    def make_keeper(self) -> Any:
        """Who has the tokens: another one after each crash."""
        return FakeKeeper(self)

    def posted(self, publication: Publication) -> int:
        """How often the far end has it."""
        return self.far.posts[publication.account_id, publication.post.title]

    def calm(self) -> None:
        """From now on nothing fails by chance."""
        self.far.chance = 0.0

    def file_of(self, index: int, segment_id: str) -> bytes:
        """What a segment's file holds."""
        return segment_id.encode() * 40

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        asyncio.get_running_loop().set_default_executor(Inline(1))
        self.blobs.open()
        try:
            await self._open()
            try:
                yield self
            finally:  # also of a test that fails: who waits for a store that is closed waits for ever
                await self.stop()
                await self.store.close()
        finally:
            self.blobs.close()

    async def _open(self) -> None:
        opened = await Ticking.open(prepared(self.root / "vidprod.db"), now=START, reserve_bytes=0)
        assert isinstance(opened, Ticking)
        self.store = opened
        if self.forgets:
            await self.store.write(_forget)

    async def start(self) -> None:
        self.publisher = Publisher(
            self.store,
            self.blobs,
            self.make_keeper(),
            self.platforms,
            self.vault,
            self.config,
            self.clock,
            dice=self.dice.random,
            lets_finish_s=self.lets_finish_s,
        )
        self.clock.is_busy = lambda: bool(self.publisher._busy)
        self._running = asyncio.create_task(self.publisher.run())

    async def stop(self) -> None:
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running
            self._running = None

    async def crash_after(self, ticks: int) -> bool:
        """Work; after so many passes of the store and of platforms end wherever it is, and open the store anew. Whether
        there was so much to do."""
        await self.stop()
        self.clock.until = FOREVER
        await self.start()
        running = self._running
        assert running is not None

        def tick() -> None:
            nonlocal ticks
            ticks -= 1
            if ticks <= 0:
                running.cancel()
                raise asyncio.CancelledError  # here, and wherever else it goes on: a crash finishes nothing

        self.ticked_by(tick)
        self.clock.quiet.clear()
        quiet = asyncio.create_task(self.clock.quiet.wait())
        await asyncio.wait({quiet, running}, return_when=asyncio.FIRST_COMPLETED)
        quiet.cancel()
        self.ticked_by(lambda: None)
        await self.crash()
        return ticks <= 0

    def ticked_by(self, tick: Callable[[], None]) -> None:
        """Each pass of the store and of platforms is told to it."""
        self.store.tick = self.far.tick = tick

    async def crash(self) -> None:
        """End here, and open the store anew."""
        self.crashes += 1
        await self.stop()
        await self.store.close()
        await self._open()

    async def settle(self, *, until: int | None = None) -> None:
        """Until nothing is to be done before `until`."""
        self.clock.until = until or FOREVER
        if self._running is None:
            await self.start()
        assert self._running is not None
        self.clock.quiet.clear()
        self.store.feed.publishing.set()
        quiet: asyncio.Task[Any] = asyncio.create_task(self.clock.quiet.wait())
        done, _ = await asyncio.wait({quiet, self._running}, return_when=asyncio.FIRST_COMPLETED)
        if self._running in done:
            await self._running
        if until is not None:
            self.clock.time = max(self.clock.time, until)

    # what is there

    async def connect(self, platform: Platform = "youtube", name: str = "ann", **settings: Any) -> Account:
        account = Account(
            id=new_id("acc", now=START, entropy=hashlib.sha256(f"{platform}{name}".encode()).digest()[:10]),
            platform=platform,
            external_id=f"{platform}-{name}",
            name=name,
            state="connected",
            settings=AccountSettings(**settings),
            connected_at=START,
        )
        await self.store.write(lambda db: db.accounts.add(account, b"sealed"))
        return account

    async def plan(
        self, accounts: Account | Iterable[Account], *, n: int = 1, due_at: int = START, apart_ms: int = 0, **more: Any
    ) -> list[Publication]:
        """`n` segments of a job, each to go to each of the accounts."""
        accounts = [accounts] if isinstance(accounts, Account) else list(accounts)
        video = msgspec.structs.replace(a_video(now=START), info=an_info())
        job = a_job(video, now=START)
        segments = [a_segment(job.id, index=index, now=START) for index in range(n)]
        folder = self.blobs.segment_path(job.id, segments[0].id, ".mp4").parent
        folder.mkdir()
        renditions = []
        for segment in segments:
            data = self.file_of(segment.index, segment.id)
            (folder / f"{segment.id}.mp4").write_bytes(data)
            renditions.append(
                msgspec.structs.replace(
                    a_rendition(), size=len(data), sha256=hashlib.sha256(data).hexdigest(), duration_us=12_000_000
                )
            )

        def write(db: Tables) -> list[Publication]:
            db.videos.add(video)
            db.jobs.add(job)
            db.segments.add_all(segments)
            planned = []
            for index, (segment, rendition) in enumerate(zip(segments, renditions, strict=True)):
                db.segments.ready(segment.id, rendition, now=START)
                for account in accounts:
                    publication = Publication(
                        id=new_id("pub", now=START, entropy=self.dice.randbytes(10)),
                        segment_id=segment.id,
                        job_id=job.id,
                        account_id=account.id,
                        platform=account.platform,
                        state="scheduled",
                        post=Post(title=f"part {index}", caption=f"part {index}"),
                        when="at",
                        due_at=due_at + index * apart_ms,
                        run_at=due_at + index * apart_ms,
                        created_at=START,
                    )
                    planned.append(db.publications.add(msgspec.structs.replace(publication, **more)))
            return planned

        planned: list[Publication] = await self.store.write(write)
        return planned

    async def reconnect(self, account_id: str) -> None:
        """Somebody connects the account again."""
        self.far.dead.discard(account_id)
        account = await self.store.read(lambda db: db.accounts.get(account_id))
        await self.store.write(lambda db: db.accounts.add(account, b"sealed"))

    async def get(self, publication: Publication) -> Publication:
        found: Publication = await self.store.read(lambda db: db.publications.get(publication.id))
        return found

    async def all(self) -> list[Publication]:
        return list(await self.store.read(lambda db: db.publications.list(limit=100_000)))

    async def events(self, prefix: str = "publication.") -> list[Event]:
        found = await self.store.read(lambda db: db.events.after(0, limit=100_000))
        return [event for event in found if event.type.startswith(prefix)]


def _forget(db: Tables) -> None:
    db.publications._run(
        """
        update publication
        set state = 'scheduled', phase = null, handle = null, wait = null, deadline_at = null
        where state in ('uploading', 'processing', 'unknown')
        """
    )
