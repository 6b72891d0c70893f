"""A quote before the first byte, and the room that is kept for what was admitted."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import Live, mp4, running
from tests.web.made import complete
from tests.web.test_publications import connect
from vidprod.domain.account import AccountSettings
from vidprod.domain.quote import MADE_RATIO, PACE
from vidprod.web.desk import Desk
from vidprod.web.uploads import receive

MIB = 1 << 20
DAY_S = 86_400


async def quote(live: Live, *, status: int = 200, **asked: Any) -> dict[str, Any]:
    answer = await live.client.get("/v1/quote", params=asked)
    assert answer.status_code == status, answer.text
    told: dict[str, Any] = answer.json()
    return told


def full(live: Live, monkeypatch: pytest.MonkeyPatch, *, free: int) -> None:
    """The volume has so many bytes left for uploads."""
    monkeypatch.setattr(live.blobs, "free_bytes", lambda: free + live.blobs.floor_bytes)


async def test_a_take_is_quoted_before_a_byte_of_it_is_sent(live: Live) -> None:
    told = await quote(live, size=200 * MIB, duration_s=600, width=1920, height=1080, rate=MIB, gaze="off")
    assert told["upload_s"] == 200
    assert told["processing_s"] == pytest.approx(1 + 600 * PACE["encode"])
    assert told["processing_low_s"] < told["processing_s"] < told["processing_high_s"]
    assert told["basis"] == {"work": "encode", "jobs": 0}
    assert told["needs_bytes"] == told["source_bytes"] + told["segments_bytes"] + told["working_bytes"]
    assert (told["fits"], told["fits_at"], told["refusal"], told["first_post_at"]) == (True, None, None, None)
    assert live.files() == set()


async def test_what_the_browser_cannot_tell_is_guessed(live: Live) -> None:
    told = await quote(live, size=210 * MIB)
    assert told["duration_guessed"]
    assert 60 < told["duration_s"] < 120
    assert told["upload_s"] is None


async def test_takes_before_it_are_waited_for(live: Live) -> None:
    alone = await quote(live, size=MIB, duration_s=60)
    await live.upload(gaze="off")
    told = await quote(live, size=MIB, duration_s=60)
    assert told["queue_s"] > 0
    assert told["processing_s"] == pytest.approx(alone["processing_s"] + told["queue_s"])


async def test_what_cannot_be_quoted_is_told_what_is_wrong(live: Live) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "size"),
        ({"size": 0}, "size"),
        ({"size": "many"}, "size"),
        ({"size": 1, "duration_s": 0}, "duration_s"),
        ({"size": 1, "rate": "nan"}, "rate"),
        ({"size": 1, "gaze": "sideways"}, "gaze"),
        ({"size": 1, "publish": "acc_x"}, "publish"),
        ({"size": 1, "nothing": "known"}, "nothing"),
    ]
    for asked, says in cases:
        assert says in (await quote(live, status=422, **asked))["detail"]


async def test_the_first_post_is_the_first_slot_after_it_is_made(live: Live) -> None:
    slots = AccountSettings(zone="UTC", slots=["daily 12:00"], automatic=True, approve=True)
    account_id = await connect(live, slots)
    told = await quote(live, size=MIB, duration_s=60, rate=MIB)
    first = datetime.fromisoformat(told["first_post_at"])
    assert (first.hour, first.minute, told["first_post_needs_approval"]) == (12, 0, True)
    assert 0 < (first - datetime.now(UTC)).total_seconds() <= DAY_S + 60
    late = await quote(live, size=MIB, duration_s=60, rate=10, publish=account_id)  # 29 hours of upload
    assert (datetime.fromisoformat(late["first_post_at"]) - first).days >= 1
    assert (await quote(live, size=MIB, duration_s=60, publish="none"))["first_post_at"] is None
    assert (await quote(live, size=10**15, duration_s=10**15, rate=1))["first_post_at"] is None  # nobody plans so far
    await live.client.post("/v1/publishing/pause")
    assert (await quote(live, size=MIB, duration_s=60))["first_post_at"] is None


async def test_what_does_not_fit_is_told_when_it_will(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    full(live, monkeypatch, free=20 * MIB)
    told = await quote(live, size=30 * MIB, duration_s=60, video="copy")
    assert (told["fits"], told["fits_at"], told["free_bytes"]) == (False, None, 20 * MIB)
    assert "too full" in told["refusal"]
    await complete(live, await live.upload(mp4(100_000)))
    full(live, monkeypatch, free=30 * MIB)
    needed = (await quote(live, size=28 * MIB, duration_s=60, video="copy"))["needs_bytes"]
    full(live, monkeypatch, free=needed - 50_000)  # the source that was made goes within a day
    told = await quote(live, size=28 * MIB, duration_s=60, video="copy")
    assert not told["fits"]
    at_s = (datetime.fromisoformat(told["fits_at"]) - datetime.now(UTC)).total_seconds()
    assert DAY_S < at_s <= DAY_S + live.config.prune_every_s


async def test_a_take_over_a_limit_is_refused_in_the_quote(tmp_path: Path) -> None:
    async with running(tmp_path, max_upload_bytes=MIB, max_duration_s=60) as live:
        assert "at most" in (await quote(live, size=2 * MIB))["refusal"]
        assert "longer than 60 s" in (await quote(live, size=MIB, duration_s=61))["refusal"]
        assert (await quote(live, size=MIB, duration_s=60))["fits"]


async def test_a_day_that_is_used_up_is_told_with_its_end(tmp_path: Path) -> None:
    async with running(tmp_path, daily_upload_bytes=MIB) as live:
        await live.upload(mp4(MIB // 2))
        assert (await quote(live, size=MIB // 2, duration_s=1))["fits"]
        told = await quote(live, size=MIB, duration_s=1)
        assert "24 hours" in told["refusal"]
        at_s = (datetime.fromisoformat(told["fits_at"]) - datetime.now(UTC)).total_seconds()
        assert at_s == pytest.approx(DAY_S, abs=60)


async def test_an_upload_without_room_for_its_segments_is_refused_with_a_time(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    full(live, monkeypatch, free=10 * MIB)
    refused = await live.client.put("/upload", content=mp4(9 * MIB))
    assert (refused.status_code, refused.json()["code"]) == (507, "no_space")
    assert int(refused.headers["retry-after"]) > 0
    assert live.files() == set()
    assert (await live.client.put("/upload", content=mp4(7 * MIB))).status_code == 202
    full(live, monkeypatch, free=10 * MIB)  # the segments of the one before have yet to find room
    assert (await live.client.put("/upload", content=mp4(7 * MIB))).status_code == 507


async def test_without_that_hold_two_are_taken_of_which_one_will_find_no_room(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The known-bad twin: the bytes fit, and nobody asks about the segments."""

    async def admit_by_bytes_alone(desk: Desk, expected: int | None) -> None:
        desk.blobs.admit(expected or 0)

    monkeypatch.setattr(receive, "admit_new", admit_by_bytes_alone)
    for _ in range(2):
        full(live, monkeypatch, free=10 * MIB)
        assert (await live.client.put("/upload", content=mp4(9 * MIB))).status_code == 202


async def test_what_is_quoted_to_fit_is_taken(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []
    for size in (5 * MIB, 7 * MIB, 8 * MIB, 9 * MIB):
        full(live, monkeypatch, free=10 * MIB)
        fits.append((await quote(live, size=size, duration_s=0.1))["fits"])
        taken = await live.client.put("/upload", content=mp4(size))
        assert taken.status_code == (202 if fits[-1] else 507)
        if fits[-1]:
            await live.client.post(f"/v1/jobs/{taken.json()['job_id']}/cancel")
    assert fits == [True, True, False, False]


async def test_an_upload_on_its_way_keeps_room_for_its_segments(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    async with live.blobs.receive("upl_" + "0" * 26, expected=4 * MIB):
        full(live, monkeypatch, free=10 * MIB)
        free = (await quote(live, size=MIB, duration_s=1))["free_bytes"]
    assert free == pytest.approx(10 * MIB - 4 * MIB - MADE_RATIO * 4 * MIB, abs=1)
