"""`vidprod publications`, on a real database, with and without a daemon beside it."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from click.testing import CliRunner, Result

from tests.cli.running import serving
from tests.store.given import a_job, a_rendition, a_segment, a_video
from vidprod.cli import main
from vidprod.domain.account import Account, AccountSettings
from vidprod.domain.ids import new_id
from vidprod.domain.post import Wording
from vidprod.domain.publication import Publication, PublicationError, Wait
from vidprod.place import now_ms
from vidprod.store.sqlite import Store, Tables, planning

T = TypeVar("T")

NOW = now_ms()
WHEN = "2199-06-01T12:00:00+02:00"


@pytest.fixture
def volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("VIDPROD_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    return data


def write(volume: Path, fn: Callable[[Tables], T]) -> T:
    async def wrote() -> T:
        async with await Store.open(volume / "vidprod.db", now=NOW) as store:
            return await store.write(fn)

    return asyncio.run(wrote())


def plan(volume: Path, *, segments: int = 1, approve: bool = False) -> list[str]:
    """So many segments of a take to one account, paused, so that no daemon begins with them."""
    video = a_video(now=NOW)
    job = a_job(video, now=NOW)
    job = msgspec.structs.replace(job, state="completed", started_at=NOW, finished_at=NOW)
    account = Account(
        id=new_id("acc", now=NOW),
        platform="youtube",
        external_id="UC1",
        name="My channel",
        state="connected",
        settings=AccountSettings(zone="Europe/Paris", approve=approve),
        connected_at=NOW,
        paused_at=NOW,
    )

    def rows(db: Tables) -> list[str]:
        db.videos.add(video)
        db.jobs.add(job)
        db.accounts.add(account, b"sealed")
        made = [a_segment(job.id, index=index, now=NOW) for index in range(segments)]
        db.segments.add_all(made)
        planned = []
        for now, one in enumerate(made, NOW):
            db.segments.ready(one.id, a_rendition(), now=now)
            planned.append(planning.plan(db, one.id, account.id, when=WHEN, wording=Wording(caption="c"), now=now).id)
        return planned

    return write(volume, rows)


def get(volume: Path, publication_id: str) -> Publication:
    return write(volume, lambda db: db.publications.get(publication_id))


def reject(volume: Path, publication_id: str) -> None:
    error = PublicationError(at=NOW, step="begin", kind="FIX", code="invalidTitle", message="The title is bad.")
    write(volume, lambda db: db.publications.reject(db.publications.get(publication_id), error))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["publications", *arguments])


def test_publications_are_listed_with_their_time_in_the_accounts_zone(volume: Path) -> None:
    first, second = plan(volume, segments=2)
    listed = run("list")
    assert listed.exit_code == 0
    lines = listed.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [second, first]
    assert "2199-06-01 12:00+02:00  scheduled  youtube My channel  take.mov, segment 1" in lines[1]
    shown = [json.loads(line) for line in run("list", "--json", "--limit", "1").stdout.splitlines()]
    assert [one["publication"]["id"] for one in shown] == [second]
    assert run("list", "--state", "published").stderr == "No publications.\n"
    for wrong in ("--state", "--account", "--job"):  # nothing would be found, without a word
        assert run("list", wrong, "nonsense").exit_code == 2


def test_one_is_shown_with_its_words_and_every_attempt(volume: Path) -> None:
    (one,) = plan(volume)
    reject(volume, one)
    write(volume, lambda db: db.journal.write(one, "begin", "asked", now=NOW))
    shown = run("show", one).stdout
    for words in (
        "rejected",
        "caption  c",
        "privacy  public",
        "begin: FIX invalidTitle: The title is bad.",
        "begin asked",
    ):
        assert words in shown
    assert json.loads(run("show", one, "--json").stdout)["journal"][0]["what"] == "asked"
    missing = run("show", "pub_" + "0" * 26)
    assert missing.exit_code == 1
    assert "there is no publication" in missing.stderr


def test_without_a_daemon_the_database_is_written(volume: Path) -> None:
    first, second = plan(volume, segments=2, approve=True)
    assert "to be approved" in run("list").stdout
    approved = run("approve", first)
    assert approved.stdout == f"{first} is approved; the next daemon sees to it.\n"
    assert get(volume, first).approved_at is not None
    assert run("publish", first).exit_code == 0
    assert get(volume, first).when == "now"
    reject(volume, second)
    assert run("retry", second).exit_code == 0
    assert get(volume, second).state == "scheduled"


def test_what_somebody_saw_at_the_platform_is_what_became_of_it(volume: Path) -> None:
    there, missing = plan(volume, segments=2)

    def unknown(db: Tables) -> None:
        for one in (there, missing):
            begun = db.publications.begin(db.publications.get(one), sha256="ab" * 32, size=1, now=NOW)
            db.journal.write(one, "begin", "asked", now=NOW)
            sending = db.publications.sending(db.publications.begun(begun, b"handle"))
            db.publications.unknown(sending, Wait(code="unknown", message="nobody knows"), run_at=NOW)

    write(volume, unknown)
    url = "https://www.youtube.com/shorts/abc"
    assert run("settle", there).exit_code == run("settle", there, "--not-there", "--there", url).exit_code == 2
    assert run("settle", there, "--there", url).stdout == f"{there} is published, as you saw.\n"
    assert run("settle", missing, "--not-there").exit_code == 0
    assert (get(volume, there).url, get(volume, missing).state) == (url, "rejected")
    rows = write(volume, lambda db: db.audit.list(limit=10))
    assert [(one.what, one.subject) for one in rows] == [
        ("vidprod publications settle", [missing]),
        ("vidprod publications settle", [there]),
    ]


def test_what_cannot_be_done_says_why_and_keeps_no_other_from_it(volume: Path) -> None:
    first, second = plan(volume, segments=2)
    run("cancel", first)
    both = run("cancel", first, second)
    assert both.exit_code == 1
    assert f"{first}: conflict: the publication {first} cannot be cancelled: it is cancelled" in both.stderr
    assert get(volume, second).state == "cancelled"
    assert run("cancel", "take.mov").exit_code == 2
    assert run("check", first).exit_code == 1


def test_what_youtube_has_the_time_of_is_not_called_cancelled_before_it_was_told(volume: Path) -> None:
    (one,) = plan(volume)

    def hand_over(db: Tables) -> None:
        begun = db.publications.begin(db.publications.get(one), sha256="a" * 64, size=1, now=NOW)
        sending = db.publications.sending(db.publications.begun(begun, b"sealed"))
        wait = Wait(code="handed", message="YouTube has its time.")
        db.publications.sent(sending, sealed_handle=b"sealed", run_at=NOW, deadline_at=None, wait=wait)

    write(volume, hand_over)
    said = run("cancel", one).stdout
    assert said == f"{one} will be cancelled once its platform was told; the next daemon sees to it.\n"
    assert get(volume, one).state == "processing"


def test_a_running_daemon_is_asked(volume: Path, tmp_path: Path) -> None:
    first, second = plan(volume, segments=2, approve=True)
    with serving(tmp_path, "--data-dir", "data") as (_, url):
        port = url.rstrip("/").rpartition(":")[2]
        assert run("approve", first, "--port", port).stdout == f"{first} is approved.\n"
        assert run("cancel", second, "--port", port).stdout == f"{second} is cancelled.\n"
        refused = run("retry", second, "--port", port)
    assert refused.exit_code == 1
    assert "it was cancelled: publish the segment anew" in refused.stderr
    assert get(volume, first).approved_at is not None
