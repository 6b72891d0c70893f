"""What is restored is whole, overwrites nothing, and posts nothing again that went out since the backup."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.backup.home import HOUR_MS, Home
from tests.store.given import NOW, a_job, a_publication, a_video, an_account
from vidprod.blobs.shelf import Folder
from vidprod.cli import main
from vidprod.daemon import refuse_foreign_volume
from vidprod.domain.publication import Publication, Wait
from vidprod.errors import BadArchive, Conflict, ForeignVolume, NoSpace, SealBroken
from vidprod.place import RESTORING, only_daemon
from vidprod.services.backup import make
from vidprod.services.restore import Place, Restored, bring_home
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.copy import find_damage, read_database
from vidprod.store.sqlite.standing import HELD, PAUSED_AT, held_by, resume_publishing
from vidprod.vault import open_vault

LATER = NOW + 24 * HOUR_MS
PHRASE = "correct horse"


@pytest.fixture
async def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "old")
    await home.furnish()
    return home


def backed_up(home: Home, *, now: int = NOW, **order: Any) -> Path:
    return Path(make(home.order(**order), Folder(home.root.parent / "shelf"), now=now).where)


def restored(file: Path, root: Path, *, now: int = LATER, **asked: Any) -> Restored:
    root.mkdir(exist_ok=True)
    place = Place(root=root, database=root / "vidprod.db", staging=root / RESTORING)
    with file.open("rb") as source:
        return bring_home(source, place, kind="backup", now=now, **asked)


def vidprod(*arguments: str) -> Result:
    """In this process, from a thread of its own."""
    return CliRunner().invoke(main, [*arguments])


def publications(root: Path) -> list[Publication]:
    return sorted(
        read_database(root / "vidprod.db", lambda db: db.publications.list(limit=100)), key=lambda one: one.due_at
    )


async def test_rows_files_and_keys_come_back(home: Home, tmp_path: Path) -> None:
    new = tmp_path / "new"
    done = restored(backed_up(home, passphrase=PHRASE), new, passphrase=PHRASE)
    assert (done.files, done.lost_takes, done.lost_segments, done.accounts) == (5, 0, 0, [])
    assert {path: (new / "media" / path).read_bytes() for path in home.files()} == home.files()
    assert (new / "secret.keys").read_text() == (home.root / "secret.keys").read_text()
    assert find_damage(new / "vidprod.db") == []
    tokens = read_database(new / "vidprod.db", lambda db: db.accounts.tokens(home.account.id))
    assert open_vault(new, ()).open(tokens, place=f"account|{home.account.id}|tokens") == b'{"access_token":"secret"}'
    assert sorted(os.listdir(new)) == ["media", "secret.keys", "vidprod.db"]


async def test_what_came_due_since_waits_for_a_word_and_the_rest_for_the_resume(home: Home, tmp_path: Path) -> None:
    later = await add_publication_due(home, LATER + HOUR_MS)
    done = restored(backed_up(home), tmp_path / "new")
    assert (done.missed, done.held) == (2, True)
    *due, to_come = publications(tmp_path / "new")
    assert [one.missed_at for one in due] == [LATER, LATER]
    assert "may be public" in (due[0].wait or Wait(code="", message="")).message
    assert (to_come.id, to_come.missed_at, to_come.state) == (later, None, "scheduled")
    paused_at, held = read_database(tmp_path / "new/vidprod.db", lambda db: (db.facts.get(PAUSED_AT), held_by(db)))
    assert paused_at == LATER
    assert held is not None
    assert "2027-01-15T08:00:00Z" in held.message


async def add_publication_due(home: Home, due_at: int) -> str:
    """Of a segment whose file is there, on another account."""
    other = an_account(external_id="UC2", name="Bob")

    def write(db: Tables) -> str:
        db.accounts.add(other, b"sealed")
        return db.publications.add(a_publication(home.segments[0], other, due_at=due_at)).id

    async with await Store.open(home.database, now=NOW) as store:
        return await store.write(write)


@pytest.mark.parametrize("sends", [False, True])
async def test_what_was_under_way_is_read_and_never_begun_anew_without_approval(
    home: Home, tmp_path: Path, sends: bool
) -> None:
    sealed = open_vault(home.root, ()).seal(b"{}", place=f"publication|{home.publications[0].id}|handle")

    def begin(db: Tables) -> None:
        begun = db.publications.begin(home.publications[0], sha256="ab" * 32, size=1, now=NOW)
        if sends:
            db.publications.sending(db.publications.begun(begun, sealed))

    async with await Store.open(home.database, now=NOW) as store:
        await store.write(begin)
    done = restored(backed_up(home, passphrase=PHRASE), tmp_path / "new", passphrase=PHRASE)
    assert done.under_way == 1
    one = publications(tmp_path / "new")[0]
    assert (one.state, one.phase) == ("unknown", "send" if sends else "begin")
    assert (one.needs_approval, one.approved_at) == (True, None)


async def test_resuming_is_a_person_s_word(home: Home, tmp_path: Path) -> None:
    restored(backed_up(home), tmp_path / "new")
    async with await Store.open(tmp_path / "new/vidprod.db", now=LATER) as store:
        await store.write(lambda db: resume_publishing(db, now=LATER))
        assert await store.read(lambda db: (db.facts.get(HELD), db.facts.get(PAUSED_AT))) == (None, None)
        assert await store.read(lambda db: db.publications.due(LATER + 100 * HOUR_MS, 10)) == []


async def test_a_job_that_was_not_over_does_not_plan_its_posts_again(home: Home, tmp_path: Path) -> None:
    async with await Store.open(home.database, now=NOW) as store:

        def write(db: Tables) -> str:
            video = db.videos.add(a_video(now=NOW + 1))
            job = db.jobs.add(a_job(video, now=NOW + 1))
            db.tasks.enqueue("probe", job_id=job.id, priority="normal", run_at=NOW, max_attempts=3, now=NOW)
            return job.id

        job_id = await store.write(write)
    done = restored(backed_up(home), tmp_path / "new")
    assert done.ended_jobs == [job_id]
    state, depth = read_database(
        tmp_path / "new/vidprod.db", lambda db: (db.jobs.get(job_id).state, db.tasks.next_due_at())
    )
    assert (state, depth) == ("cancelled", None)


async def test_without_media_nothing_dangles(home: Home, tmp_path: Path) -> None:
    new = tmp_path / "new"
    done = restored(backed_up(home, media=False), new)
    assert (done.lost_takes, done.lost_segments, done.without_file) == (1, 2, 2)

    def look(db: Tables) -> tuple[Any, ...]:
        job = db.jobs.get(home.job.id)
        return db.kept.sources(), db.kept.files(), job.media_deleted_at, db.videos.get(home.video.id).state

    assert read_database(new / "vidprod.db", look) == ([], [], LATER, "deleted")
    assert {"did not come along" in (one.wait.message if one.wait else "") for one in publications(new)} == {True}


async def test_without_the_keys_everybody_who_can_give_them_anew_is_asked(home: Home, tmp_path: Path) -> None:
    def subscribe(db: Tables) -> None:
        db.subscriptions.keep_key(b"1sealed with a key", now=NOW)

    async with await Store.open(home.database, now=NOW) as store:
        await store.write(subscribe)
    done = restored(backed_up(home), tmp_path / "new")
    assert (done.accounts, done.endpoints) == (["Ann"], ["https://receiver.example/hook"])
    assert done.notifications_off
    assert read_database(tmp_path / "new/vidprod.db", lambda db: db.subscriptions.key()) is None
    account, endpoint = read_database(
        tmp_path / "new/vidprod.db", lambda db: (db.accounts.get(home.account.id), db.endpoints.list()[0])
    )
    assert (account.state, endpoint.state) == ("needs_reauth", "disabled")


async def test_keys_that_were_kept_apart_are_used(home: Home, tmp_path: Path) -> None:
    new = tmp_path / "new"
    new.mkdir()
    shutil.copy(home.root / "secret.keys", new)
    assert restored(backed_up(home), new).accounts == []


async def test_locked_keys_want_their_passphrase(home: Home, tmp_path: Path) -> None:
    file = backed_up(home, passphrase=PHRASE)
    with pytest.raises(SealBroken, match="locked with a passphrase"):
        restored(file, tmp_path / "new")
    with pytest.raises(SealBroken, match="not the passphrase"):
        restored(file, tmp_path / "new", passphrase="wrong")
    assert os.listdir(tmp_path / "new") == []
    assert restored(file, tmp_path / "new", without_keys=True).accounts == ["Ann"]


async def test_what_is_there_is_not_overwritten_but_put_aside_when_asked(home: Home, tmp_path: Path) -> None:
    file, new = backed_up(home), Home(tmp_path / "new")
    await new.furnish(segments=1)
    before = new.files()
    with pytest.raises(Conflict, match=r"is not empty: .*vidprod\.db"):
        restored(file, new.root)
    assert new.files() == before
    done = restored(file, new.root, force=True)
    aside = Home(new.root / os.path.basename(done.aside))
    assert aside.files() == before
    assert find_damage(aside.database) == []
    assert len(publications(new.root)) == 2


async def test_a_damaged_archive_changes_nothing(home: Home, tmp_path: Path) -> None:
    file = backed_up(home)
    whole = file.read_bytes()
    for broken in (whole[: len(whole) // 2], whole.replace(b"segment 1", b"segment 7"), b"", b"x" * 9999):
        file.write_bytes(broken)
        with pytest.raises(BadArchive):
            restored(file, tmp_path / "new")
        assert os.listdir(tmp_path / "new") == []


async def test_it_does_not_begin_where_it_does_not_fit(home: Home, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    place = Place(
        root=tmp_path / "new", database=tmp_path / "new/vidprod.db", staging=tmp_path / "new" / RESTORING,
        floor_bytes=1 << 60,
    )  # fmt: skip
    with backed_up(home).open("rb") as source, pytest.raises(NoSpace):
        bring_home(source, place, kind="backup", now=LATER)


async def test_a_restore_that_was_cut_short_keeps_the_daemon_from_starting(home: Home, tmp_path: Path) -> None:
    (home.root / RESTORING).mkdir()
    with pytest.raises(ForeignVolume, match="was being restored"):
        refuse_foreign_volume(home.root, home.blobs, database=home.database)
    restored(backed_up(home), home.root, force=True)
    refuse_foreign_volume(home.root, home.blobs, database=home.database)


async def test_the_command_refuses_under_a_daemon_and_says_what_differs(home: Home, tmp_path: Path) -> None:
    file, new = backed_up(home, media=False), tmp_path / "new"
    new.mkdir()
    with only_daemon(new):
        busy = await asyncio.to_thread(vidprod, "restore", str(file), "--data-dir", str(new))
    assert (busy.exit_code, "another daemon" in busy.stderr) == (3, True)
    done = await asyncio.to_thread(vidprod, "restore", str(file.parent), "--data-dir", str(new))
    assert done.exit_code == 0, done.stderr
    for words in ("Restored:", "To be connected again", "Nothing is published until you resume"):
        assert words in done.stdout
    listed = await asyncio.to_thread(vidprod, "accounts", "list", "--data-dir", str(new))
    assert "restored from a backup of 2027-01-15" in listed.stderr
