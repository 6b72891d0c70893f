"""The doctor finds what is wrong, says why anything waits, and mends what is safe."""

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.backup.home import HOUR_MS, Home, put
from tests.store.given import NOW, a_job, a_video
from vidprod.cli import main
from vidprod.config import Config
from vidprod.domain.ids import new_id
from vidprod.services.doctor import Doctor
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.copy import read_database
from vidprod.store.sqlite.homecoming import Homecoming, change_database, let_go_of_sealed
from vidprod.store.sqlite.standing import move_out, need_reauth


@pytest.fixture
async def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "data")
    await home.furnish()
    return home


def doctor_of(home: Home, *, daemon_runs: bool = False, now: int = NOW) -> Doctor:
    config = Config(data_dir=str(home.root), disk_floor_bytes=0)
    return Doctor(config, home.database, now=now, clock=now, daemon_runs=daemon_runs)


def faults(home: Home) -> list[tuple[str, str]]:
    return [(one.code, one.subject) for one in doctor_of(home).look().faults]


def waits(home: Home, *, now: int = NOW) -> dict[str, str]:
    return {one.code: one.message for one in doctor_of(home, now=now).look().findings if one.kind == "waits"}


async def test_where_nothing_is_wrong_it_says_what_it_looked_at(home: Home) -> None:
    seen = doctor_of(home).look()
    assert seen.faults == []
    assert (seen.files, seen.hashed, seen.sealed) == (3, 3, 2)


async def test_a_home_without_any_media_yet_is_well(home: Home) -> None:
    def lose(db: Tables, homecoming: Homecoming) -> None:
        homecoming.lose_source(home.video.id, now=NOW)
        for segment in home.segments:
            homecoming.lose_file(segment.id, message="gone", now=NOW)

    change_database(home.database, lose, now=NOW)
    for name in ("media", "work", "incoming"):
        shutil.rmtree(home.root / name)
    assert faults(home) == []


async def test_a_file_that_is_missing_is_found_and_its_row_mended(home: Home) -> None:
    home.blobs.segment_path(home.job.id, home.segments[0].id, ".mp4").unlink()
    home.blobs.source_path(home.video.id, home.video.extension).unlink()
    missing = {("file_missing", home.video.id), ("file_missing", home.segments[0].id)}
    assert set(faults(home)) == missing
    mended = doctor_of(home).mend()
    assert mended.faults == []
    assert {(one.code, one.subject) for one in mended.findings if one.kind == "fault" and one.mended} == missing
    assert faults(home) == []
    planned = read_database(home.database, lambda db: db.publications.get(home.publications[0].id))
    assert planned.missed_at == NOW


async def test_a_file_that_was_changed_is_found_and_left(home: Home) -> None:
    path = home.blobs.segment_path(home.job.id, home.segments[1].id, ".mp4")
    whole = path.read_bytes()
    path.write_bytes(b"x" + whole[1:])
    assert faults(home) == [("file_changed", home.segments[1].id)]
    path.write_bytes(whole[1:])
    assert faults(home) == [("file_changed", home.segments[1].id)]
    assert [one.code for one in doctor_of(home).mend().faults] == ["file_changed"]


async def test_a_damaged_database_is_told(home: Home) -> None:
    whole = bytearray(home.database.read_bytes())
    for at in range(8192, len(whole), 4096):
        whole[at : at + 200] = bytes(200)
    home.database.write_bytes(whole)
    assert {code for code, _ in faults(home)} <= {"damaged", "unreadable"}
    assert faults(home)


async def test_what_was_left_over_is_removed_and_what_nobody_knows_is_not(home: Home) -> None:
    task = new_id("tsk", now=NOW)
    unknown = home.root / "media" / new_id("vid", now=NOW) / "source.mov"
    upload = home.root / "incoming" / f"{new_id('upl', now=NOW)}.part"
    put(home.root / "work" / task / "x", b"x")
    put(unknown, b"somebody's")
    put(upload, b"half")
    doctor_of(home).mend()
    assert not upload.exists()
    assert not (home.root / "work" / task).exists()
    assert unknown.read_bytes() == b"somebody's"


async def change(home: Home, fn: Callable[[Tables], object]) -> None:
    await asyncio.to_thread(change_database, home.database, lambda db, _: fn(db), now=NOW)


async def test_a_job_that_nothing_is_left_to_do_for_is_found_and_cancelled(home: Home) -> None:
    jobs: list[str] = []

    def write(db: Tables) -> None:
        video = db.videos.add(a_video(now=NOW + 5))
        put(home.blobs.source_path(video.id, video.extension), bytes(video.size))
        jobs.append(db.jobs.add(a_job(video, now=NOW + 5)).id)

    await change(home, write)
    assert faults(home) == [("job_without_task", jobs[0])]
    assert doctor_of(home).mend().faults == []
    assert read_database(home.database, lambda db: db.jobs.get(jobs[0]).state) == "cancelled"
    assert faults(home) == []


async def test_what_was_published_without_a_receipt_is_found_and_left(home: Home) -> None:
    def publish(db: Tables) -> None:
        one = home.publications[0]
        one = db.publications.begun(db.publications.begin(one, sha256="ab" * 32, size=1, now=NOW), b"1handle")
        db.publications.live(
            db.publications.sending(one), remote_id="v", url="https://x", said="", privacy="public", now=NOW
        )

    await change(home, publish)
    assert set(faults(home)) == {
        ("published_without_receipt", home.publications[0].id),
        ("begun_without_journal", home.publications[0].id),
    }
    assert len(doctor_of(home).mend().faults) == 2


async def test_secrets_that_do_not_open_are_named_without_their_values(home: Home) -> None:
    (home.root / "secret.keys").unlink()
    found = doctor_of(home).look().faults
    assert {one.subject.partition("|")[0] for one in found} == {"account", "endpoint"}
    assert not (home.root / "secret.keys").exists()  # looking makes no new one


async def test_a_secret_that_somebody_is_asked_for_anew_is_no_fault(home: Home) -> None:
    (home.root / "secret.keys").unlink()
    change_database(home.database, lambda db, own: let_go_of_sealed(db, own, lambda *_: False, now=NOW), now=NOW)
    assert faults(home) == []


async def test_a_clock_that_was_set_back_is_told(home: Home) -> None:
    def record(db: Tables) -> None:
        db.events.record("job.started", now=NOW + HOUR_MS)

    await change(home, record)
    assert faults(home) == [("clock", "the clock")]


async def test_it_says_why_anything_waits(home: Home) -> None:
    def stand_still(db: Tables) -> None:
        need_reauth(db, home.account.id, "Its tokens are dead: connect it again.", now=NOW)
        video = db.videos.add(a_video(now=NOW + 5))
        put(home.blobs.source_path(video.id, video.extension), bytes(video.size))
        job = db.jobs.add(a_job(video, now=NOW + 5))
        db.tasks.enqueue("probe", job_id=job.id, priority="normal", run_at=NOW, max_attempts=3, now=NOW)
        move_out(db, now=NOW)

    await change(home, stand_still)
    found = waits(home, now=NOW + 2 * HOUR_MS)
    assert found["account_reauth"] == "Its tokens are dead: connect it again."
    assert "moved to another machine" in found["publishing_moved"]
    assert "waits for its turn" in found["job_queued"]
    assert "It is due" in found["publication_due"]
    assert "delivery_enabled" in found
    assert "No daemon runs" in found["no_daemon"]


async def test_the_command_tells_by_its_exit_code(home: Home) -> None:
    def run(*more: str) -> tuple[int, str]:
        done = CliRunner().invoke(main, ["doctor", "--data-dir", str(home.root), "--disk-floor-bytes", "0", *more])
        return done.exit_code, done.output

    code, told = await asyncio.to_thread(run)
    assert (code, "all is well" in told) == (0, True), told
    home.blobs.segment_path(home.job.id, home.segments[0].id, ".mp4").unlink()
    code, told = await asyncio.to_thread(run, "--json")
    assert code == 1
    assert [one["code"] for one in json.loads(told)["findings"] if one["kind"] == "fault"] == ["file_missing"]
    code, told = await asyncio.to_thread(run, "--fix")
    assert (code, "it counts as deleted" in told) == (0, True), told


async def test_beside_a_store_that_works_it_looks_and_mends_nothing(home: Home) -> None:
    async with await Store.open(home.database, now=NOW) as store:
        seen = await asyncio.to_thread(doctor_of(home, daemon_runs=True).look)
        assert seen.faults == []
        await store.write(lambda db: db.events.record("job.cancelled", job_id=home.job.id, now=NOW))
