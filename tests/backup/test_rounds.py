"""Backups while rows are written, killed on the way, restored: nothing that was acknowledged before is missing, and
nothing is half. `cp` in the place of the backup is found out."""

import asyncio
import random
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.backup.home import Home
from tests.cli.running import command, environment
from tests.store.given import NOW
from vidprod.blobs.shelf import Folder
from vidprod.domain.retention import newest
from vidprod.errors import StoreError
from vidprod.place import RESTORING
from vidprod.services.restore import Place, bring_home
from vidprod.store.sqlite import Store
from vidprod.store.sqlite.copy import find_damage, read_database

DURING_MS = (200, 900)  # of a backup's process, within which it is killed; before, Python starts

Copies = Callable[[Home, Path, random.Random], Awaitable[Path]]


async def bad(root: Path, copies: Copies, *, seed: int) -> list[str]:
    """What is wrong with a copy that was taken while rows were written; none: it is good."""
    dice = random.Random(seed)
    home = Home(root / "home")
    await home.furnish()
    over, warm, acknowledged = asyncio.Event(), asyncio.Event(), 0

    async with await Store.open(home.database, now=NOW) as store:
        first = await store.read(lambda db: db.events.last_id())

        async def write_on() -> None:
            nonlocal acknowledged
            while not over.is_set():
                data = {"n": acknowledged + 1, "ballast": dice.randbytes(200).hex()}
                await store.write(lambda db: db.events.record("job.started", data=data, now=NOW))  # noqa: B023
                acknowledged += 1
                if acknowledged == 30:
                    warm.set()
                if warm.is_set():
                    await asyncio.sleep(0.002)  # a core is left for the backup

        writing = asyncio.create_task(write_on())
        try:
            await warm.wait()
            before = acknowledged
            database = await copies(home, root, dice)
        finally:
            over.set()
            await writing
    try:
        faults = find_damage(database)
        numbers = read_database(database, lambda db: [one.data.get("n") for one in db.events.after(first, limit=10**6)])
    except StoreError as error:
        return [str(error)]
    numbers = [number for number in numbers if number is not None]
    if numbers != list(range(1, len(numbers) + 1)):
        faults.append("rows are missing in between")
    if len(numbers) < before:
        faults.append(f"{before} rows were acknowledged before it began, and {len(numbers)} are in it")
    return faults


async def backup_killed_and_restored(home: Home, root: Path, dice: random.Random) -> Path:
    """Begun and killed, made anew, restored somewhere else."""
    shelf = root / "shelf"
    await run(home, shelf, kill_after_s=dice.randrange(*DURING_MS) / 1000)
    for name in Folder(shelf).names():  # what has a name is whole, also after a kill
        if not name.startswith("."):
            restore(shelf / name, root / "early")
            assert Home(root / "early").files() == home.files()
            (shelf / name).unlink()
    await run(home, shelf)
    names = Folder(shelf).names()
    assert len(names) == 1, names  # what the kill left is gone
    restore(shelf / (newest(names) or ""), root / "new")
    assert Home(root / "new").files() == home.files()
    return root / "new" / "vidprod.db"


async def run(home: Home, shelf: Path, *, kill_after_s: float | None = None) -> None:
    process = await asyncio.create_subprocess_exec(
        *command("backup", f"{shelf}/", "--media", "--data-dir", home.root),
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    if kill_after_s is not None:
        try:
            async with asyncio.timeout(kill_after_s):
                await process.wait()
        except TimeoutError:
            process.kill()
        await process.communicate()
        return
    _, told = await process.communicate()
    assert process.returncode == 0, told.decode()


def restore(file: Path, root: Path) -> None:
    root.mkdir()
    place = Place(root=root, database=root / "vidprod.db", staging=root / RESTORING)
    with file.open("rb") as source:
        bring_home(source, place, kind="backup", now=NOW)


async def copied_with_cp(home: Home, root: Path, dice: random.Random) -> Path:
    """As whoever does not know better does it."""
    target = root / "vidprod.db"
    process = await asyncio.create_subprocess_exec("cp", home.database, target)
    assert await process.wait() == 0
    return target


@pytest.mark.parametrize("seed", range(2))
async def test_a_backup_under_load_and_after_a_kill_is_good(tmp_path: Path, seed: int) -> None:
    assert await bad(tmp_path, backup_killed_and_restored, seed=seed) == []


async def test_a_copy_of_the_file_is_found_to_be_bad(tmp_path: Path) -> None:
    assert await bad(tmp_path, copied_with_cp, seed=0) != []


@pytest.mark.soak
@pytest.mark.parametrize("quarter", range(4))
async def test_a_hundred_rounds_are_good(tmp_path: Path, quarter: int) -> None:
    for seed in range(100 + 25 * quarter, 125 + 25 * quarter):
        (tmp_path / str(seed)).mkdir()
        assert await bad(tmp_path / str(seed), backup_killed_and_restored, seed=seed) == [], seed
