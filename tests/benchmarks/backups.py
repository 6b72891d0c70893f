"""How long a backup takes, how large it is, and how long its restore: of a year of publishing.

    python -m tests.benchmarks.backups [PUBLICATIONS]

Rows as they are after that many publications were published: their segments, jobs, journal, receipts and events.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import apsw
import msgspec

from tests.cli.running import command, environment
from tests.store.given import NOW, a_job, a_publication, a_rendition, a_segment, a_video, an_account, an_info
from vidprod.domain.ids import new_id
from vidprod.store.sqlite.connection import open_database, transaction
from vidprod.store.sqlite.migrate import migrate
from vidprod.store.sqlite.table import Outcome
from vidprod.store.sqlite.tables import Tables

A_TAKE = 12  # segments
EVENTS = 6  # of a publication
BEGAN = 1_690_000_000_000  # in July 2023: all of it is over


def furnish(root: Path, publications: int) -> None:
    """A database of that many, all published."""
    connection = open_database(root / "vidprod.db")
    migrate(connection, now=NOW)
    account = an_account()
    transaction(connection, lambda: Tables(connection, Outcome()).accounts.add(account, b"1sealed"))
    for first in range(0, publications, A_TAKE):
        transaction(connection, lambda: _add_take(Tables(connection, Outcome()), account, first))  # noqa: B023
    connection.close()


def _add_take(db: Tables, account: object, first: int) -> None:
    now = BEGAN + first * 3_600_000
    video = db.videos.add(msgspec.structs.replace(a_video(now=now), info=an_info()))
    job = db.jobs.add(a_job(video, now=now))
    db.segments.add_all(a_segment(job.id, index=index, now=now) for index in range(A_TAKE))
    for segment in db.segments.of_job(job.id):
        ready = db.segments.ready(segment.id, a_rendition(), now=now)
        planned = msgspec.structs.replace(a_publication(ready, account), id=new_id("pub", now=now))  # type: ignore[arg-type]
        one = db.publications.begin(db.publications.add(planned), sha256="ab" * 32, size=12345, now=now)
        one = db.publications.sending(db.publications.begun(one, b"1" + b"sealed" * 30))
        for step, what in (("begin", "asked"), ("send", "asked"), ("send", "done"), ("state", "published")):
            db.journal.write(one.id, step, what, now=now)  # type: ignore[arg-type]
        one = db.publications.live(
            one, remote_id=one.id[-11:], url=f"https://youtu.be/{one.id[-11:]}", said="", privacy="public", now=now
        )
        db.receipts.add(one.id, {"publication": {"id": one.id, "url": one.url}, "output": {"sha256": one.sha256}})
        for _ in range(EVENTS):
            db.events.record(
                "publication.changed", job_id=job.id, data={"publication_id": one.id, "url": one.url}, now=now
            )
    db.jobs.start(job.id, now=now)
    db.jobs.complete(job.id, [], now=now)
    db.videos.mark_deleted(video.id, now=now)
    db.jobs.mark_media_deleted(job.id, now=now)
    db.segments.mark_deleted(job.id, now=now)


def timed(*arguments: str | Path) -> tuple[float, str]:
    began = time.monotonic()
    done = subprocess.run(command(*arguments), env=environment(), capture_output=True, text=True, check=True)
    return time.monotonic() - began, done.stdout


def main() -> None:
    publications = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        old, new, file = Path(folder) / "old", Path(folder) / "new", Path(folder) / "one.tar"
        old.mkdir()
        furnish(old, publications)
        size = (old / "vidprod.db").stat().st_size
        settings = ("--disk-floor-bytes", "0")
        backup_s, out = timed("backup", file, "--json", "--data-dir", old)
        restore_s, _ = timed("restore", file, "--data-dir", new)
        doctor_s, _ = timed("doctor", "--data-dir", new, *settings)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"SQLite {apsw.sqlite_lib_version()}, {publications} publications, {json.loads(out)['rows']} rows")
        print(f"database {size / 1e6:.1f} MB, backup {file.stat().st_size / 1e6:.1f} MB")
        print(f"backup {backup_s:.2f} s, restore {restore_s:.2f} s, doctor {doctor_s:.2f} s, peak memory {peak:.0f} MB")


if __name__ == "__main__":
    main()
