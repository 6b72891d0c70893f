"""`vidprod audit`, on a real database."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.cli.running import vidprod
from tests.cli.test_dead import write
from vidprod.domain.who import Who
from vidprod.store.sqlite.tables import Tables

NOW = 1_800_000_000_000
KEY = Who(kind="key", user_id="usr_1", key_id="key_1", scopes=frozenset({"upload"}))


def _changes(db: Tables) -> None:
    db.audit.record(KEY, "POST /upload", subject=["job_1"], address="203.0.113.9", status=202, now=NOW)
    db.audit.record(None, "POST /login", address="198.51.100.7", status=401, now=NOW + 60_000)


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    asyncio.run(write(tmp_path / "data/vidprod.db", _changes))
    return tmp_path


def test_it_tells_when_who_from_where_what_and_of_what(volume: Path) -> None:
    done = vidprod("audit", cwd=volume)
    assert done.stdout.splitlines() == [
        "2027-01-15 08:01:00  stranger  198.51.100.7  POST /login  401",
        "2027-01-15 08:00:00  key_1  203.0.113.9  POST /upload  202  job_1",
    ]


def test_it_is_asked_for_one_thing_and_by_programs(volume: Path) -> None:
    done = vidprod("audit", "--json", "--subject", "job_1", cwd=volume)
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["status"] == 202
    assert vidprod("audit", "--subject", "job_9", cwd=volume).stderr == "No changes.\n"
