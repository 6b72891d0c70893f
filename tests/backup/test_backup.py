"""A backup is whole and as of one moment, whatever goes on beside it, and says what it is worth."""

import asyncio
import io
import json
import os
import tarfile
from pathlib import Path

import msgspec
import pytest

from tests.backup.home import Home
from tests.cli.running import vidprod
from tests.store.given import NOW
from vidprod.blobs import archive
from vidprod.blobs.shelf import Folder, shelf_and_name
from vidprod.errors import BadRequest, Conflict, NoSpace, StoreError, Unavailable
from vidprod.services import backup
from vidprod.services.backup import Made, make
from vidprod.store.sqlite import Store
from vidprod.store.sqlite.copy import examine
from vidprod.vault import keys_here, unlock


@pytest.fixture
async def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "data")
    await home.furnish()
    return home


def read(made: Made) -> bytes:
    return Path(made.where).read_bytes()


def members(file: Path) -> dict[str, bytes]:
    with tarfile.open(file) as tar:
        found = {}
        for entry in tar:
            content = tar.extractfile(entry)
            assert content is not None
            found[entry.name] = content.read()
    return found


async def test_a_backup_has_every_row_and_the_media_that_rows_tell_of(home: Home, tmp_path: Path) -> None:
    made = make(home.order(), Folder(tmp_path / "shelf"), now=NOW)
    file = tmp_path / "shelf" / "vidprod-20270115T080000Z.tar"
    found = members(file)
    assert {name: value for name, value in found.items() if name.startswith("media/")} == {
        f"media/{name}": value for name, value in home.files().items()
    }
    manifest = msgspec.json.decode(found[archive.MANIFEST], type=archive.Manifest)
    header = msgspec.json.decode(found[archive.HEADER], type=archive.Header)
    assert manifest.members.keys() == found.keys() - {archive.MANIFEST}
    assert header.counts == examine(home.database).counts
    assert (made.where, made.rows) == (str(file), sum(header.counts.values()))
    assert made.size == os.stat(file).st_size
    assert os.listdir(tmp_path / "shelf") == [file.name]
    assert os.listdir(home.root / backup.SCRATCH) == [".lock"]


async def test_the_keys_are_in_it_only_behind_a_passphrase(home: Home, tmp_path: Path) -> None:
    keys = keys_here(home.root, ())[0].encode()
    bare = make(home.order(), Folder(tmp_path / "bare"), now=NOW)
    assert (bare.keys, bare.sealed) == ("left out", 2)
    assert keys not in read(bare)
    locked = make(home.order(passphrase="correct horse"), Folder(tmp_path / "locked"), now=NOW)
    assert locked.keys == "locked"
    assert keys not in read(locked)
    assert unlock(members(Path(locked.where))[archive.LOCKED_KEYS], passphrase="correct horse").strip() == keys
    assert os.stat(locked.where).st_mode & 0o777 == 0o600


async def test_without_media_it_holds_rows_alone(home: Home, tmp_path: Path) -> None:
    made = make(home.order(media=False), Folder(tmp_path), now=NOW)
    assert members(Path(made.where)).keys() == {archive.HEADER, archive.DATABASE, archive.MANIFEST}


async def test_a_file_that_went_meanwhile_is_named_and_holds_nothing_up(home: Home, tmp_path: Path) -> None:
    gone = home.blobs.segment_path(home.job.id, home.segments[1].id, ".mp4")
    gone.unlink()
    made = make(home.order(), Folder(tmp_path / "shelf"), now=NOW)
    assert made.missing == [str(gone.relative_to(home.root))]


async def test_a_damaged_database_makes_no_backup(home: Home, tmp_path: Path) -> None:
    whole = bytearray(home.database.read_bytes())
    for at in range(8192, len(whole), 4096):
        whole[at : at + 200] = bytes(200)
    home.database.write_bytes(whole)
    with pytest.raises(StoreError):
        make(home.order(), Folder(tmp_path / "shelf"), now=NOW)
    assert not (tmp_path / "shelf").exists()


async def test_where_it_does_not_fit_nothing_is_begun(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NoSpace, match="the copy of the database needs"):
        make(msgspec.structs.replace(home.order(), floor_bytes=1 << 60), Folder(tmp_path / "shelf"), now=NOW)
    monkeypatch.setattr(Folder, "free_bytes", lambda _: 100)
    with pytest.raises(NoSpace, match="the archive needs"):
        make(home.order(), Folder(tmp_path / "shelf"), now=NOW)
    assert not (tmp_path / "shelf").exists()


async def test_one_at_a_time_and_none_over_another(home: Home, tmp_path: Path) -> None:
    with backup._scratch(home.root), pytest.raises(Unavailable, match="another backup"):
        make(home.order(), Folder(tmp_path), now=NOW)
    make(home.order(), Folder(tmp_path), name="mine.tar", now=NOW)
    with pytest.raises(Conflict, match="is there already"):
        make(home.order(), Folder(tmp_path), name="mine.tar", now=NOW)


async def test_what_fails_while_it_is_written_leaves_nothing(home: Home, tmp_path: Path) -> None:
    source = home.blobs.source_path(home.video.id, home.video.extension)
    source.unlink()
    source.mkdir()  # it cannot be read
    with pytest.raises(OSError, match="directory"):
        make(home.order(), Folder(tmp_path / "shelf"), now=NOW)
    assert os.listdir(tmp_path / "shelf") == []


async def test_a_backup_beside_a_store_that_writes_is_of_one_moment(home: Home, tmp_path: Path) -> None:
    begun, over, acknowledged = asyncio.Event(), asyncio.Event(), 0

    async with await Store.open(home.database, now=NOW) as store:
        first = await store.read(lambda db: db.events.last_id())

        async def write_on() -> None:
            nonlocal acknowledged
            while not over.is_set():
                await store.write(lambda db: db.events.record("job.started", data={"n": acknowledged + 1}, now=NOW))  # noqa: B023
                acknowledged += 1
                if acknowledged == 20:
                    begun.set()

        writing = asyncio.create_task(write_on())
        await begun.wait()
        before = acknowledged
        done = await asyncio.to_thread(
            vidprod, "backup", str(tmp_path / "shelf"), "--json", "--data-dir", str(home.root), cwd=tmp_path
        )
        over.set()
        await writing
    assert done.returncode == 0, done.stderr
    made = msgspec.json.decode(done.stdout, type=Made)
    copy = tmp_path / "copy.db"
    unpack(Path(made.where), copy)
    async with await Store.open(copy, now=NOW) as store:
        events = await store.read(lambda db: db.events.after(first, limit=10**6))
    assert [event.data["n"] for event in events] == list(range(1, len(events) + 1))
    assert before <= len(events) <= acknowledged
    assert acknowledged > before


def unpack(file: Path, target: Path) -> None:
    with file.open("rb") as packed:
        reader = archive.Reader(packed)
        for entry in reader.members():
            with target.open("wb") if entry.name == archive.DATABASE else io.BytesIO() as out:
                reader.unpack(entry, out)


async def test_the_command_says_what_the_backup_is_not_worth(home: Home, tmp_path: Path) -> None:
    done = vidprod("backup", str(tmp_path / "one.tar"), "--data-dir", str(home.root), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "read again and sound" in done.stdout
    assert "accounts have to be connected again" in done.stderr
    assert "Takes and segments are not in it" in done.stderr
    nowhere = vidprod("backup", "--data-dir", str(home.root), cwd=tmp_path)
    assert (nowhere.returncode, "name where to put it" in nowhere.stderr) == (2, True)
    none = vidprod("backup", str(tmp_path), "--data-dir", str(tmp_path / "none"), cwd=tmp_path)
    assert (none.returncode, "there is no database" in none.stderr) == (3, True)


async def test_rotating_takes_away_what_is_old(home: Home, tmp_path: Path) -> None:
    for day in range(1, 10):
        (tmp_path / f"vidprod-2026010{day}T033000Z.tar").write_bytes(b"")
    (tmp_path / "letter.txt").write_bytes(b"")
    done = vidprod(
        "backup", str(tmp_path), "--rotate", "--json", "--data-dir", str(home.root), cwd=tmp_path,
        VIDPROD_BACKUP_DAILY="3", VIDPROD_BACKUP_WEEKLY="0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["removed"]) == 7
    left = sorted(name for name in os.listdir(tmp_path) if name != "data")
    assert [name[:16] for name in left[:3]] == ["letter.txt", "vidprod-20260108", "vidprod-20260109"]


def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(BadRequest, match="gs://"):
        shelf_and_name("gs://bucket")
