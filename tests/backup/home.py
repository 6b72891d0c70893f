"""A home: a data directory with takes, segments, accounts and planned publications, as a daemon leaves it."""

import hashlib
from pathlib import Path

import msgspec

from tests.store.given import NOW, a_job, a_publication, a_rendition, a_segment, a_video, an_account, an_info
from vidprod.blobs.disk import DiskBlobs
from vidprod.domain.account import Account
from vidprod.domain.endpoint import Endpoint
from vidprod.domain.ids import new_id
from vidprod.domain.job import Job
from vidprod.domain.publication import Publication
from vidprod.domain.segment import Segment
from vidprod.domain.video import Video
from vidprod.services.backup import Order
from vidprod.store.sqlite import Store, Tables
from vidprod.vault import keys_here, open_vault

HOUR_MS = 3_600_000


class Home:
    """`await home.furnish()` fills it; `root` is the data directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.database = root / "vidprod.db"
        self.blobs = DiskBlobs(root, floor_bytes=0)
        self.account: Account
        self.job: Job
        self.video: Video
        self.segments: list[Segment] = []
        self.publications: list[Publication] = []

    async def furnish(self, *, segments: int = 2, due_at: int = NOW + HOUR_MS) -> None:
        """A finished job of one take, its segments planned for one account an hour apart from `due_at` on."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.blobs.open()
        self.blobs.close()
        vault = open_vault(self.root, ())
        account, take = an_account(), b"a take" * 200
        self.account = account
        video = self.video = msgspec.structs.replace(
            a_video(), size=len(take), info=msgspec.structs.replace(an_info(), sha256=_sha256(take))
        )
        put(self.blobs.source_path(video.id, video.extension), take)

        def write(db: Tables) -> None:
            db.videos.add(video)
            self.job = db.jobs.add(a_job(video))
            db.accounts.add(account, vault.seal(b'{"access_token":"secret"}', place=f"account|{account.id}|tokens"))
            db.segments.add_all(a_segment(self.job.id, index=index) for index in range(segments))
            for index, segment in enumerate(db.segments.of_job(self.job.id)):
                made = f"segment {index}".encode() * 100
                path = self.blobs.segment_path(self.job.id, segment.id, ".mp4")
                put(path, made)
                put(path.with_suffix(".jpg"), b"poster")
                rendition = msgspec.structs.replace(a_rendition(), size=len(made), sha256=_sha256(made))
                ready = db.segments.ready(segment.id, rendition, now=NOW)
                self.segments.append(ready)
                publication = a_publication(ready, account, due_at=due_at + index * HOUR_MS)
                self.publications.append(db.publications.add(publication))
            db.tasks.enqueue("probe", job_id=self.job.id, priority="normal", run_at=NOW, max_attempts=3, now=NOW)
            task = db.tasks.claim(boot_id="boot", token="token", lease_ms=1000, now=NOW)
            assert task is not None
            db.tasks.complete(task, now=NOW)
            db.jobs.start(self.job.id, now=NOW)
            self.job = db.jobs.complete(self.job.id, [], now=NOW)
            endpoint = Endpoint(
                id=new_id("end", now=NOW), url="https://receiver.example/hook", state="enabled", created_at=NOW
            )
            db.endpoints.add(endpoint, vault.seal(b"{}", place=f"endpoint|{endpoint.id}|secrets"))

        async with await Store.open(self.database, now=NOW) as store:
            await store.write(write)

    def order(self, *, media: bool = True, passphrase: str = "") -> Order:
        """To back it up."""
        return Order(
            root=self.root,
            database=self.database,
            media=media,
            keys=keys_here(self.root, ()),
            passphrase=passphrase,
        )

    def files(self) -> dict[str, bytes]:
        """Its media, by name."""
        media = self.root / "media"
        return {str(path.relative_to(media)): path.read_bytes() for path in media.rglob("*") if path.is_file()}


def put(path: Path, value: bytes) -> None:
    """A file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(value)


def _sha256(value: bytes) -> str:
    return hashlib.sha256(value).hexdigest()
