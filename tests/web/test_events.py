"""Events: the list with its cursor, and the stream that goes on where a client left off."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from tests.web.conftest import Live
from tests.web.made import now_ms
from vidprod.web import events as events_module


class Stream:
    """An EventSource: what came, message by message."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self._lines = answer.aiter_lines()

    async def block(self) -> dict[str, str]:
        """The fields of the next block; a comment is under ''."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(10):
            async for line in self._lines:
                if not line:
                    return fields
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        raise EOFError

    async def event(self) -> tuple[str, int | None, dict[str, Any]]:
        """The next message: type, id, data."""
        while "data" not in (fields := await self.block()):
            continue
        return fields["event"], int(fields["id"]) if "id" in fields else None, json.loads(fields["data"])


@asynccontextmanager
async def listening(live: Live, *, query: str = "", after: int | None = None) -> AsyncIterator[Stream]:
    headers = {"Last-Event-ID": str(after)} if after is not None else {}
    async with live.client.stream("GET", f"/v1/events/stream{query}", headers=headers) as answer:
        stream = Stream(answer)
        assert (await stream.block()).get("retry")  # the first bytes come at once
        yield stream


async def _record(live: Live, event_type: str, **data: Any) -> int:
    event = await live.store.write(lambda db: db.events.record(event_type, data=data, now=now_ms()))
    return event.id


async def test_a_list_goes_on_at_its_cursor(live: Live) -> None:
    job_id = await live.upload()
    for n in range(4):
        await _record(live, "test.counted", n=n)
    first = (await live.client.get("/v1/events?limit=3")).json()
    assert [event["type"] for event in first["events"]] == ["video.stored", "job.created", "test.counted"]
    assert first["events"][1]["job_id"] == job_id
    assert first["events"][1]["at"].endswith("Z")
    rest = (await live.client.get(f"/v1/events?after={first['next']}")).json()
    assert [event["data"].get("n") for event in rest["events"]] == [1, 2, 3]
    end = (await live.client.get(f"/v1/events?after={rest['next']}")).json()
    assert end == {"events": [], "next": rest["next"]}
    of_job = (await live.client.get(f"/v1/events?job_id={job_id}")).json()["events"]
    assert len(of_job) == 2


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=1001", "after=99999999999999999999"])
async def test_a_cursor_that_is_none_is_refused(live: Live, query: str) -> None:
    assert (await live.client.get(f"/v1/events?{query}")).status_code == 400


async def test_a_stream_starts_now_and_tells_what_is_committed(live: Live) -> None:
    await _record(live, "test.before")
    async with listening(live) as stream:
        assert stream.answer.headers["content-type"].startswith("text/event-stream")
        assert stream.answer.headers["cache-control"] == "no-store"
        await asyncio.sleep(0.05)
        job_id = await live.upload(filename="a.mp4")
        kind, event_id, data = await stream.event()
        assert (kind, data["type"], data["job_id"], data["id"]) == ("video.stored", "video.stored", job_id, event_id)
        kind, _, data = await stream.event()
        assert (kind, data["data"]["filename"]) == ("job.created", "a.mp4")


async def test_a_stream_goes_on_after_the_last_event_id_without_gap_or_repeat(live: Live) -> None:
    ids = [await _record(live, "test.counted", n=n) for n in range(3)]
    async with listening(live, after=ids[0]) as stream:
        assert [(await stream.event())[1] for _ in range(2)] == ids[1:]
        later = await _record(live, "test.counted", n=3)
        assert (await stream.event())[1] == later


async def test_a_stream_catches_up_in_many_pages_while_more_is_written(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_module, "_RESUME_PAGE", 3)
    first = await _record(live, "test.counted", n=0)
    for n in range(1, 20):
        await _record(live, "test.counted", n=n)

    async def write_more() -> None:
        for n in range(20, 40):
            await _record(live, "test.counted", n=n)

    writing = asyncio.create_task(write_more())
    async with listening(live, after=first) as stream:
        seen = [(await stream.event())[2]["data"]["n"] for _ in range(39)]
    await writing
    assert seen == list(range(1, 40))


async def test_a_stream_of_one_job_tells_of_no_other(live: Live) -> None:
    job_id = await live.upload()
    async with listening(live, query=f"?job_id={job_id}") as stream:
        await asyncio.sleep(0.05)
        await live.upload()
        await live.client.post(f"/v1/jobs/{job_id}/cancel")
        kind, _, data = await stream.event()
        assert (kind, data["job_id"]) == ("job.cancelled", job_id)


async def test_progress_is_told_without_an_id(live: Live) -> None:
    job_id = await live.upload()
    async with listening(live) as stream:
        await asyncio.sleep(0.05)
        live.store.feed.progress(job_id, {"step": "render", "progress": 41.5, "job_progress": 47.3})
        assert await stream.event() == (
            "progress",
            None,
            {"job_id": job_id, "step": "render", "progress": 41.5, "job_progress": 47.3},
        )


async def test_a_cursor_of_a_lost_database_starts_now(live: Live) -> None:
    async with listening(live, after=1_000_000) as stream:
        await asyncio.sleep(0.05)
        event_id = await _record(live, "test.after")
        assert (await stream.event())[1] == event_id


async def test_silence_is_filled_with_comments(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "HEARTBEAT_S", 0.05)
    async with listening(live) as stream:
        for _ in range(3):
            assert "" in await stream.block()


async def test_a_listener_that_leaves_is_forgotten(live: Live) -> None:
    async with listening(live):
        assert live.store.feed.listeners == 1
    for _ in range(200):
        if not live.store.feed.listeners:
            break
        await asyncio.sleep(0.01)
    assert live.store.feed.listeners == 0


async def test_too_many_listeners_are_told_to_come_back(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "MAX_STREAMS", 1)
    async with listening(live):
        answer = await live.client.get("/v1/events/stream")
        assert answer.status_code == 503
        assert answer.headers["retry-after"]


async def test_a_listener_that_fell_behind_is_ended_and_can_resume(live: Live) -> None:
    async with listening(live) as stream:
        await asyncio.sleep(0.05)
        (subscription,) = live.store.feed._subscriptions
        subscription._limit = 2
        subscription._overflow()
        with pytest.raises(EOFError):
            await stream.block()


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 30, "9" * 5000])
async def test_a_last_event_id_that_is_none_is_refused(live: Live, cursor: str) -> None:
    answer = await live.client.get("/v1/events/stream", headers={"Last-Event-ID": cursor})
    assert answer.status_code == 400
