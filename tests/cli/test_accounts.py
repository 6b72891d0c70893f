"""`vidprod accounts`, on a real database, with and without a daemon beside it."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx
import msgspec
import pytest
from click.testing import CliRunner, Result

from tests.cli.running import command, environment, serving
from tests.services.test_keeper import connected
from vidprod.cli import main
from vidprod.cli.serve import SIMULATED
from vidprod.domain.account import Account
from vidprod.platforms.base import Tokens
from vidprod.platforms.simulators.oauth import pressed
from vidprod.store.sqlite.standing import PAUSED_AT, need_reauth
from vidprod.store.sqlite.store import Store
from vidprod.store.sqlite.tables import Tables
from vidprod.vault import KEY_FILE, open_vault

T = TypeVar("T")

NOW = 1_800_000_000_000
TOKENS = Tokens(access_token="access-0", refresh_token="refresh-0", expires_in_s=7200, refresh_expires_in_s=180 * 86400)
CHANNEL = "UCsim000000000000000001"


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory with two TikTok accounts, Ann and Ann, of which nothing can be reached."""
    for name in [name for name in os.environ if name.startswith("VIDPROD_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    data.mkdir()

    async def fill() -> None:
        async with await Store.open(data / "vidprod.db", now=NOW) as store:
            vault = open_vault(data, ())
            for external_id in ("open-1", "open-2"):
                await connected(store, vault, TOKENS, NOW, external_id=external_id)

    asyncio.run(fill())
    return data


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["accounts", *arguments])


def write(volume: Path, fn: Callable[[Tables], T]) -> T:
    async def wrote() -> T:
        async with await Store.open(volume / "vidprod.db", now=NOW) as store:
            return await store.write(fn)

    return asyncio.run(wrote())


def accounts(volume: Path) -> list[Account]:
    return list(write(volume, lambda db: db.accounts.list(disconnected=True)))


def test_accounts_are_listed_with_what_is_wrong(volume: Path) -> None:
    first, second = accounts(volume)
    write(volume, lambda db: need_reauth(db, first.id, "TikTok does not take its tokens any more.", now=NOW))
    listed = run("list")
    assert listed.exit_code == 0
    assert f"{first.id}  tiktok  Ann  needs reauth\n  TikTok does not take its tokens any more." in listed.stdout
    assert f"{second.id}  tiktok  Ann  connected, until 2027-07-14 08:00+00:00" in listed.stdout
    lines = run("list", "--json").stdout.splitlines()
    assert [msgspec.json.decode(line)["id"] for line in lines] == [first.id, second.id]
    assert "access-0" not in listed.output


def test_an_account_is_paused_by_id_and_resumed(volume: Path) -> None:
    account_id = accounts(volume)[0].id
    assert run("pause", account_id).output == "Ann is paused.\n"
    assert [one.paused_at is not None for one in accounts(volume)] == [True, False]
    assert "connected, paused" in run("list").stdout
    assert run("resume", account_id).output == "Ann is resumed.\n"
    assert [one.paused_at for one in accounts(volume)] == [None, None]


def test_a_name_of_several_accounts_is_not_guessed(volume: Path) -> None:
    ended = run("pause", "ann")
    assert ended.exit_code == 1
    assert "several accounts" in ended.stderr
    assert all(one.id in ended.stderr for one in accounts(volume))
    assert run("pause", "bob").exit_code == 1
    assert run("pause").exit_code == 2
    assert run("pause", "ann", "--all").exit_code == 2


def test_all_publishing_is_paused_by_one_switch(volume: Path) -> None:
    assert run("pause", "--all").output == "All publishing is paused.\n"
    assert write(volume, lambda db: db.facts.get(PAUSED_AT)) is not None
    assert "All publishing is paused since" in run("list").stderr
    run("resume", "--all")
    assert write(volume, lambda db: db.facts.get(PAUSED_AT)) is None


def test_an_account_is_disconnected_after_a_question(volume: Path) -> None:
    first, second = accounts(volume)
    assert run("disconnect", first.id).exit_code == 1  # nobody says yes
    assert run("disconnect", first.id, "--yes").output == "Ann is disconnected.\n"
    assert [one.state for one in accounts(volume)] == ["disconnected", "connected"]
    assert first.id not in run("list").stdout
    assert first.id in run("list", "--all").stdout
    assert run("disconnect", first.id, "--yes").exit_code == 1
    assert second.id in run("list").stdout


def test_keys_are_rotated_without_a_daemon(volume: Path) -> None:
    old = (volume / KEY_FILE).read_text().partition(":")[0]
    rotated = run("rotate-keys")
    new = (volume / KEY_FILE).read_text().partition(":")[0]
    assert rotated.output == (
        f"2 sealed anew with the key {new}.\nNot needed here any more, only by backups made before: {old}.\n"
    )
    assert {
        open_vault(volume, ()).sealed_with(write(volume, lambda db, one=one: db.accounts.tokens(one.id)))  # type: ignore[misc]
        for one in accounts(volume)
    } == {new}


def test_connecting_needs_a_daemon(volume: Path) -> None:
    ended = run("connect", "youtube")
    assert ended.exit_code == 3
    assert "no daemon works on" in ended.stderr
    assert run("connect", "youtube", "--direct").exit_code == 2
    assert run("connect", "tiktok", "--login", "facebook").exit_code == 2


@contextmanager
def simulating(cwd: Path) -> Iterator[str]:
    """Simulated platforms, and their address."""
    process = subprocess.Popen(
        command("simulate", "--port", "0"), cwd=cwd, env=environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line.startswith(SIMULATED)
        yield line.removeprefix(SIMULATED).strip()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_an_account_is_connected_from_the_command_line_to_the_browser_and_back(tmp_path: Path) -> None:
    with simulating(tmp_path) as far, serving(tmp_path, "--simulator-url", far) as (_, address):
        beside = ("--port", address.rpartition(":")[2])
        connecting = subprocess.Popen(
            command("accounts", "connect", "youtube", *beside),
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert connecting.stdout is not None
        page = connecting.stdout.readline().strip()
        assert page.startswith(f"{far}/accounts.google.com/")
        ended = httpx.get(pressed(page, account=CHANNEL), follow_redirects=True)
        assert (ended.status_code, str(ended.url).partition("?")[0]) == (200, f"{address}/oauth/youtube")
        out, said = connecting.communicate(timeout=30)
        assert connecting.returncode == 0, said
        assert out.startswith("Ann Example is connected: acc_")
        assert "audited" in out

        done = subprocess.run(
            command("accounts", "rotate-keys", *beside), cwd=tmp_path, env=environment(), capture_output=True, text=True
        )
        assert done.stdout.startswith("1 sealed anew with the key ")
        (account,) = httpx.get(f"{address}/v1/accounts").json()["accounts"]
        assert account["state"] == "connected"
