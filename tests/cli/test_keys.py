"""`vidprod keys` and `vidprod owner`, on a real database, and beside a daemon that runs."""

import asyncio
import os
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from click.testing import CliRunner, Result

from tests.cli.running import serving, vidprod
from vidprod.cli import main
from vidprod.config import Config
from vidprod.domain.key import is_whole
from vidprod.store.sqlite.store import Store

PASSWORD = "korrekt pferd batterie"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("VIDPROD_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, list(arguments), input=stdin)


def read(here: Path, sql: str) -> Any:
    async def found() -> Any:
        async with await Store.open(here / "data" / "vidprod.db", now=0) as store:
            return await store.read(lambda db: db.users._value(sql))

    return asyncio.run(found())


def test_a_key_is_made_before_there_is_anything_else_and_shown_once(here: Path) -> None:
    made = run("keys", "add", "ci", "--scope", "upload", "--expires", "90d")
    assert made.exit_code == 0, made.output
    key = made.stdout.strip()
    assert is_whole(key)
    assert "ci may upload." in made.stderr
    listed = run("keys", "list").stdout
    assert f"vp_live_{key[8:16]}…  ci  upload  never used  until" in listed
    (line,) = run("keys", "list", "--json").stdout.splitlines()
    assert msgspec.json.decode(line)["scopes"] == ["upload"]
    assert key[20:] not in listed + line
    assert Config().data_dir == "data"
    for path in (here / "data").glob("vidprod.db*"):
        assert key[16:].encode() not in path.read_bytes()


def test_a_key_is_rotated_and_revoked_by_its_public_id_or_name(here: Path) -> None:
    first = run("keys", "add", "ci").stdout.strip()
    second = run("keys", "rotate", "ci", "--keep", "1h").stdout.strip()
    assert is_whole(second)
    assert second != first
    assert run("keys", "rotate", first[:16]).exit_code == 1  # was rotated already
    twice = run("keys", "revoke", "ci")
    assert (twice.exit_code, "is the name of several keys" in twice.output) == (1, True)
    assert run("keys", "revoke", first).exit_code == 0
    assert first[8:16] not in run("keys", "list").stdout
    ended = run("keys", "revoke", "ci")
    assert "asks nobody" in ended.stderr
    assert "revoked" in run("keys", "list", "--all").stdout
    assert run("keys", "revoke", "nothing").exit_code == 1


@pytest.mark.parametrize(
    "wrong", [["keys", "add", " "], ["keys", "add", "a", "--scope", "root"], ["keys", "add", "a", "--expires", "soon"]]
)
def test_wrong_usage_is_told(here: Path, wrong: list[str]) -> None:
    assert run(*wrong).exit_code == 2
    assert not (here / "data").exists()


def test_a_password_is_set_and_forgotten(here: Path) -> None:
    refused = run("owner", "set-password", "--stdin", stdin="password1\n")
    assert (refused.exit_code, "one of the commonest" in refused.output) == (2, True)
    done = run("owner", "set-password", "--name", "Ann", "--stdin", stdin=f"{PASSWORD}\n")
    assert (done.exit_code, "Ann signs in with this password" in done.stdout) == (0, True)
    assert PASSWORD not in done.output
    assert read(here, "select password from user").startswith("$argon2id$")
    assert read(here, "select name from user") == "Ann"
    asked = run("owner", "set-password", stdin=f"{PASSWORD}!\n{PASSWORD}!\n")
    assert "Ann signs in" in asked.stdout  # the name stays
    assert run("owner", "reset", stdin="n\n").exit_code != 0
    assert "no owner any more" in run("owner", "reset", "--yes").stdout
    assert read(here, "select password from user") is None
    assert read(here, "select count(*) from audit where what like 'vidprod owner %'") == 3


def test_beside_a_daemon_all_of_it_works_from_the_next_request_on(here: Path) -> None:
    with serving(here, "--data-dir", "data") as (_, url):
        port = url.rpartition(":")[2]
        assert httpx.get(f"{url}/v1/jobs").status_code == 200  # nobody is asked yet
        made = vidprod("keys", "add", "ci", "--scope", "admin", cwd=here)
        key = made.stdout.strip()
        while httpx.get(f"{url}/v1/jobs").status_code == 200:  # within a second
            pass
        assert httpx.get(f"{url}/v1/jobs", headers={"Authorization": f"Bearer {key}"}).status_code == 200
        stranger = vidprod("accounts", "pause", "--all", "--port", port, cwd=here)
        assert stranger.returncode == 1
        assert "does not know who asks" in stranger.stderr
        assert "VIDPROD_API_KEY" in stranger.stderr
        known = vidprod("accounts", "pause", "--all", "--port", port, cwd=here, VIDPROD_API_KEY=key)
        assert (known.returncode, known.stdout) == (0, "All publishing is paused.\n")
        vidprod("keys", "revoke", "ci", cwd=here)
        vidprod("keys", "add", "other", cwd=here)
        assert httpx.get(f"{url}/v1/jobs", headers={"Authorization": f"Bearer {key}"}).status_code == 401
        assert key not in (here / "log").read_text()
