"""One home publishes at a time."""

import asyncio
import functools
import subprocess
from pathlib import Path

import msgspec
import pytest

from tests.backup.home import HOUR_MS, Home
from tests.cli.running import command, environment, serving, vidprod
from tests.publishing.stage import Stage
from tests.store.given import NOW
from vidprod.blobs.shelf import Folder
from vidprod.errors import BadArchive, Conflict
from vidprod.place import RESTORING, now_ms
from vidprod.services.backup import make
from vidprod.services.restore import FRESH_MS, Place, Restored, bring_home
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.copy import read_database
from vidprod.store.sqlite.homecoming import undo_move
from vidprod.store.sqlite.standing import (
    PAUSED_AT,
    held_by,
    hold_publishing,
    move_out,
    pause_publishing,
    resume_publishing,
)


@pytest.fixture
async def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "old")
    await home.furnish(due_at=now_ms() + HOUR_MS)
    return home


async def test_it_moves_through_a_pipe_with_keys_and_media_and_the_old_home_is_still(
    home: Home, tmp_path: Path
) -> None:
    def through_a_pipe() -> tuple[bytes, "subprocess.CompletedProcess[bytes]"]:
        out = subprocess.run(
            command("move", "out", "-", "--data-dir", home.root),
            cwd=tmp_path, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
        )  # fmt: skip
        assert out.returncode == 0, out.stderr
        into = subprocess.run(
            command("move", "in", "-", "--data-dir", tmp_path / "new"),
            cwd=tmp_path, env=environment(), input=out.stdout, capture_output=True, timeout=60,
        )  # fmt: skip
        assert into.returncode == 0, into.stderr
        return out.stderr, into

    told, into = await asyncio.to_thread(through_a_pipe)
    assert b"publishes nothing any more" in told
    assert b"Welcome home" in into.stdout
    new = Home(tmp_path / "new")
    assert new.files() == home.files()
    assert (new.root / "secret.keys").read_bytes() == (home.root / "secret.keys").read_bytes()

    def look(db: Tables) -> tuple[object, ...]:
        states = [one.state for one in db.publications.list(limit=9)]
        return held_by(db), db.facts.get(PAUSED_AT), states, db.accounts.get(home.account.id).state

    assert read_database(new.database, look) == (None, None, ["scheduled"] * 2, "connected")
    held = read_database(home.database, held_by)
    assert held is not None
    assert held.why == "moved"


async def test_the_old_home_says_so_over_http_and_does_not_resume(home: Home, tmp_path: Path) -> None:
    async with await Store.open(home.database, now=NOW) as store:
        await store.write(lambda db: move_out(db, now=NOW))

    def ask() -> None:
        import httpx

        with serving(tmp_path, "--data-dir", str(home.root)) as (_, url), httpx.Client(base_url=url) as http:
            assert "moved to another machine" in http.get("/v1/accounts").json()["publishing"]["held"]
            refusal = http.post("/v1/publishing/resume")
            assert (refusal.status_code, refusal.json()["code"]) == (409, "moved")
            gone = http.delete(f"/v1/accounts/{home.account.id}")
            assert (gone.status_code, gone.json()["code"]) == (409, "moved")

    await asyncio.to_thread(ask)


async def test_a_running_daemon_moves_out_too(home: Home, tmp_path: Path) -> None:
    def move() -> None:
        with serving(tmp_path, "--data-dir", str(home.root)) as (_, url):
            port = url.rpartition(":")[2]
            file = tmp_path / "house.tar"
            done = vidprod("move", "out", file, "--data-dir", str(home.root), "--port", port, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            assert file.stat().st_mode & 0o777 == 0o600

    await asyncio.to_thread(move)
    assert read_database(home.database, held_by) is not None


async def test_nothing_is_asked_of_a_platform_while_it_is_held(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    async with stage.open():
        account = await stage.connect()
        publications = await stage.plan(account, n=2)
        await stage.store.write(lambda db: hold_publishing(db, "moved", "moved", now=stage.clock.now()))
        await stage.start()
        await stage.settle(until=stage.clock.now() + 100 * HOUR_MS)
        assert [stage.posted(one) for one in publications] == [0, 0]
        assert [(await stage.get(one)).state for one in publications] == ["scheduled"] * 2


async def test_undone_it_is_a_home_again_and_doubts_what_came_due(home: Home) -> None:
    async with await Store.open(home.database, now=NOW) as store:
        await store.write(lambda db: move_out(db, now=NOW))
    later = home.publications[0].due_at + 1
    assert undo_move(home.database, now=later) == 1

    def look(db: Tables) -> tuple[object, ...]:
        missed = [one.missed_at for one in db.publications.list(limit=9)]
        return held_by(db), db.facts.get(PAUSED_AT), sorted(missed, key=str)

    assert read_database(home.database, look) == (None, None, [later, None])
    assert undo_move(home.database, now=later) is None


async def test_a_pause_from_before_is_one_afterwards(home: Home) -> None:
    async with await Store.open(home.database, now=NOW) as store:
        await store.write(lambda db: pause_publishing(db, now=NOW - 5))
        await store.write(lambda db: move_out(db, now=NOW))
        with pytest.raises(Conflict, match="moved to another machine"):
            await store.write(lambda db: resume_publishing(db, now=NOW))
    undo_move(home.database, now=NOW)
    assert read_database(home.database, lambda db: (held_by(db), db.facts.get(PAUSED_AT))) == (None, NOW - 5)


async def test_what_is_old_moves_in_as_a_backup_and_a_backup_does_not_move_in(home: Home, tmp_path: Path) -> None:
    async with await Store.open(home.database, now=NOW) as store:
        await store.write(lambda db: move_out(db, now=NOW))
    for kind in ("move", "backup"):
        root = tmp_path / kind
        root.mkdir()
        order = msgspec.structs.replace(home.order(), kind=kind)
        file = Path(make(order, Folder(tmp_path), name=f"{kind}.tar", now=NOW).where)
        moved = functools.partial(
            move_in, file, Place(root=root, database=root / "vidprod.db", staging=root / RESTORING)
        )
        if kind == "backup":
            with pytest.raises(BadArchive, match="it is a backup"):
                moved(now=NOW)
        else:
            assert moved(now=NOW + FRESH_MS).held
            held = read_database(root / "vidprod.db", held_by)
            assert held is not None
            assert held.why == "restored"


def move_in(file: Path, place: Place, *, now: int) -> Restored:
    with file.open("rb") as source:
        return bring_home(source, place, kind="move", now=now)
