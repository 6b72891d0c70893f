"""The deliverer: every event reaches every endpoint that wants it, at the times that were promised, come what may."""

import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook
from structlog.testing import capture_logs

from tests.store.conftest import tmp_path as tmp_path  # in memory: it is not the disk that is tested
from tests.webhooks.post_office import DAY_MS, NOW, PostOffice, post_office
from tests.webhooks.receiver import OK, Receiver, Request, answer, receiving
from vidprod.domain.endpoint import GAPS_S, MAX_ATTEMPTS, MAX_BODY_BYTES, ROTATION_S, place_of
from vidprod.domain.ids import new_id
from vidprod.errors import NoSpace, Unavailable
from vidprod.services import written
from vidprod.services.deliverer import LANES, PLACES, PLACES_OF_FAILING
from vidprod.vault import Vault
from vidprod.webhooks.signing import new_secret

JOB = new_id("job", now=NOW)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[PostOffice]:
    async with post_office(tmp_path) as running:
        yield running


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as listening:
        yield listening


def in_turn(*said: bytes | str) -> "InTurn":
    return InTurn(list(said))


class InTurn:
    """One answer after another; the last one again and again."""

    def __init__(self, said: list[bytes | str]) -> None:
        self.said = said

    def __call__(self, request: Request) -> bytes | str:
        return self.said.pop(0) if len(self.said) > 1 else self.said[0]


async def test_an_event_arrives_signed_as_receivers_libraries_want_it(office: PostOffice, receiver: Receiver) -> None:
    endpoint, secret = await office.endpoint(receiver.url())
    event = await office.happens("job.completed", job_id=JOB, segments=3)
    await office.settled()
    [request] = receiver.requests
    told = Webhook(secret).verify(request.body, request.headers)
    assert told == {
        "type": "job.completed",
        "timestamp": "2027-01-15T08:00:00.000Z",
        "data": {"event_id": event.id, "job_id": JOB, "segments": 3},
    }
    [delivery] = await office.deliveries(endpoint)
    assert (delivery.id, delivery.state, delivery.attempt) == (request.headers["webhook-id"], "delivered", 1)
    [attempt] = await office.attempts(delivery)
    assert (attempt.number, attempt.status, attempt.answer, attempt.error) == (1, 200, "ok", "")


async def test_an_endpoint_hears_of_what_it_wants(office: PostOffice, receiver: Receiver) -> None:
    wants: dict[str, list[str]] = {
        "/all": [],
        "/one": ["job.completed"],
        "/noun": ["segment.*"],
        "/two": ["job.failed", "segment.ready"],
    }
    for path, types in wants.items():
        await office.endpoint(receiver.url(path), types=types)
    await office.endpoint(receiver.url("/job"), job_id=JOB)
    for event_type in ("job.completed", "segment.ready"):
        await office.happens(event_type, job_id=JOB)
    await office.happens("job.failed", job_id=new_id("job", now=NOW))
    await office.settled()
    heard: dict[str, list[str]] = {}
    for request in receiver.requests:
        heard.setdefault(request.path, []).append(json.loads(request.body)["type"])
    assert {path: sorted(types) for path, types in heard.items()} == {
        "/all": ["job.completed", "job.failed", "segment.ready"],
        "/one": ["job.completed"],
        "/noun": ["segment.ready"],
        "/two": ["job.failed", "segment.ready"],
        "/job": ["job.completed", "segment.ready"],
    }


async def test_what_is_told_of_an_endpoint_goes_to_the_others_and_a_test_to_itself(
    office: PostOffice, receiver: Receiver
) -> None:
    one, _ = await office.endpoint(receiver.url("/one"))
    await office.endpoint(receiver.url("/other"))
    picky, _ = await office.endpoint(receiver.url("/picky"), types=["job.completed"])
    await office.happens("endpoint.rotated", endpoint_id=one.id)
    await office.happens("endpoint.test", endpoint_id=one.id)
    await office.happens("endpoint.test", endpoint_id=picky.id)
    await office.settled()
    heard = sorted((request.path, json.loads(request.body)["type"]) for request in receiver.requests)
    assert heard == [("/one", "endpoint.test"), ("/other", "endpoint.rotated"), ("/picky", "endpoint.test")]


async def test_a_body_is_thin_whatever_happened(office: PostOffice, receiver: Receiver) -> None:
    _, secret = await office.endpoint(receiver.url())
    await office.happens("job.failed", job_id=JOB, code="undecodable", output="é" * 60_000, tail="x" * 19_000)
    await office.settled()
    [request] = receiver.requests
    assert len(request.body) <= MAX_BODY_BYTES
    data = Webhook(secret).verify(request.body, request.headers)["data"]
    assert (data["job_id"], data["code"], data["truncated"]) == (JOB, "undecodable", True)
    assert "output" not in data


async def test_what_fails_is_tried_ten_times_in_three_days(office: PostOffice) -> None:
    async with receiving(lambda request: answer(500, b"out of order")) as receiver:
        endpoint, secret = await office.endpoint(receiver.url())
        await office.happens()
        await office.settled()
    [delivery] = await office.deliveries(endpoint)
    assert (delivery.state, delivery.attempt) == ("failed", MAX_ATTEMPTS)
    attempts = await office.attempts(delivery)
    assert {(one.status, one.answer, one.error) for one in attempts} == {
        (500, "out of order", "it answered 500 Internal Server Error")
    }
    gaps_s = [(later.at - earlier.at) / 1000 for earlier, later in itertools.pairwise(attempts)]
    for gap_s, planned_s in zip(gaps_s, GAPS_S, strict=True):
        assert 0.9 * planned_s <= gap_s <= 1.1 * planned_s
    assert any(abs(gap_s - planned_s) > 0.001 * planned_s for gap_s, planned_s in zip(gaps_s, GAPS_S, strict=True))
    assert 0.9 * 75.5 * 3600 < sum(gaps_s) < 1.1 * 75.7 * 3600
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert len({request.body for request in receiver.requests}) == 1
    for request in receiver.requests:
        Webhook(secret).verify(request.body, request.headers)  # each attempt at its own time


async def test_what_works_at_last_is_delivered(office: PostOffice) -> None:
    async with receiving(in_turn("reset", answer(503), answer(302, location="/"), "close", OK)) as receiver:
        endpoint, _ = await office.endpoint(receiver.url())
        await office.happens()
        await office.settled()
    [delivery] = await office.deliveries(endpoint)
    assert (delivery.state, delivery.attempt) == ("delivered", 5)
    assert [one.status for one in await office.attempts(delivery)] == [None, 503, 302, None, 200]
    assert (await office.endpoint_now(endpoint)).failing_since is None


async def test_who_says_410_is_not_asked_again(office: PostOffice, receiver: Receiver) -> None:
    await office.endpoint(receiver.url("/other"), types=["endpoint.*"])
    async with receiving(lambda request: answer(410)) as gone:
        endpoint, _ = await office.endpoint(gone.url())
        await office.happens()
        await office.settled()
        await office.happens()
        await office.settled()
        assert len(gone.requests) == 1
    now = await office.endpoint_now(endpoint)
    assert (now.state, now.disabled_reason) == ("disabled", "it answered 410: it wants no more")
    [delivery] = await office.deliveries(endpoint)
    assert (delivery.state, delivery.attempt) == ("failed", 1)
    assert await office.types() == ["job.completed", "endpoint.disabled", "job.completed"]
    [request] = receiver.requests
    told = json.loads(request.body)["data"]
    assert (told["endpoint_id"], told["reason"]) == (endpoint.id, "it answered 410: it wants no more")


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_who_asks_for_time_gets_it(office: PostOffice, status: int) -> None:
    async with receiving(in_turn(answer(status, retry_after="7200"), OK)) as receiver:
        endpoint, _ = await office.endpoint(receiver.url())
        await office.happens()
        await office.settled()
    [delivery] = await office.deliveries(endpoint)
    first, second = await office.attempts(delivery)
    assert second.at - first.at == 7_200_000


async def test_nobody_gets_more_time_than_a_day_or_less_than_is_planned(office: PostOffice) -> None:
    said = (answer(429, retry_after="9999999"), answer(429, retry_after="1"), OK)
    async with receiving(in_turn(*said)) as receiver:
        endpoint, _ = await office.endpoint(receiver.url())
        await office.happens()
        await office.settled()
    [delivery] = await office.deliveries(endpoint)
    first, second, third = await office.attempts(delivery)
    assert second.at - first.at == DAY_MS
    assert third.at - second.at >= 0.9 * GAPS_S[1] * 1000


async def test_who_asks_for_time_is_left_alone_with_the_rest_too(office: PostOffice) -> None:
    async with receiving(in_turn(answer(429, retry_after="600"), OK)) as receiver:
        endpoint, _ = await office.endpoint(receiver.url())
        await office.happens()
        await office.settled(to=NOW)
        await office.happens()
        await office.settled(to=NOW + 599_999)
        assert len(receiver.requests) == 1
        assert (await office.endpoint_now(endpoint)).held_until == NOW + 600_000
        await office.settled()
        assert len(receiver.requests) == 3
    assert {delivery.state for delivery in await office.deliveries(endpoint)} == {"delivered"}


async def test_who_enables_or_tests_it_does_not_wait_for_that(office: PostOffice) -> None:
    async with receiving(in_turn(answer(503, retry_after="3600"), OK)) as receiver:
        endpoint, _ = await office.endpoint(receiver.url())
        await office.happens()
        await office.settled(to=NOW)
        await office.store.write(lambda db: db.endpoints.release(endpoint.id))
        await office.happens("endpoint.test", endpoint_id=endpoint.id)
        await office.settled(to=NOW)
        assert [json.loads(request.body)["type"] for request in receiver.requests] == ["job.completed", "endpoint.test"]
        await office.settled()
        assert len(receiver.requests) == 3


async def test_who_asks_for_one_again_does_not_wait_for_that(office: PostOffice) -> None:
    async with receiving(in_turn(answer(429, retry_after="3600"), OK)) as receiver:
        endpoint, _ = await office.endpoint(receiver.url())
        await office.happens()
        await office.settled(to=NOW)
        [waits] = await office.deliveries(endpoint)
        await office.store.write(lambda db: db.deliveries.replay(waits.id, now=office.clock.now()))
        await office.settled(to=NOW)
    assert [one.state for one in await office.deliveries(endpoint)] == ["delivered"]


async def test_after_120_hours_of_nothing_but_failures_it_is_disabled(office: PostOffice) -> None:
    async with receiving(lambda request: answer(500)) as receiver:
        endpoint, _ = await office.endpoint(receiver.url())
        for day in range(6):
            await office.settled(to=NOW + day * DAY_MS)
            assert (await office.endpoint_now(endpoint)).state == "enabled"
            await office.happens()
        await office.settled()
    now = await office.endpoint_now(endpoint)
    assert (now.state, now.disabled_reason) == ("disabled", "nothing could be delivered for 120 hours")
    assert (await office.types())[-1] == "endpoint.disabled"
    disabled_at = office.clock.now() - NOW
    assert 120 * 3_600_000 <= disabled_at <= 1.1 * 144 * 3_600_000


async def test_one_success_begins_the_120_hours_anew(office: PostOffice) -> None:
    failing = [answer(500)] * 20
    async with receiving(in_turn(*failing, OK, *failing, OK)) as receiver:
        endpoint, _ = await office.endpoint(receiver.url())
        for day in range(9):
            await office.settled(to=NOW + day * DAY_MS)
            await office.happens()
        await office.settled()
    assert (await office.endpoint_now(endpoint)).state == "enabled"


async def test_a_failure_long_after_another_disables_nothing(office: PostOffice) -> None:
    """Between them nothing was tried: that is silence, not failure."""
    async with receiving(lambda request: answer(500)) as receiver:
        endpoint, _ = await office.endpoint(receiver.url())
        await office.happens()
        await office.settled()
        office.clock.at += 30 * DAY_MS
        await office.happens()
        await office.settled(to=office.clock.at)
        assert (await office.endpoint_now(endpoint)).state == "enabled"
        assert (await office.endpoint_now(endpoint)).failing_since == office.clock.at


async def test_what_waits_for_a_disabled_endpoint_comes_when_it_is_enabled(
    office: PostOffice, receiver: Receiver
) -> None:
    await office.stop()
    endpoint, _ = await office.endpoint(receiver.url())
    await office.happens("job.created")
    await office.store.write(lambda db: db.endpoints.disable(endpoint.id, "by hand"))
    await office.happens("job.completed")  # it never hears of this
    office.start()
    await office.settled()
    assert receiver.requests == []
    await office.store.write(lambda db: db.endpoints.enable(endpoint.id))
    await receiver.received(1)
    await office.settled()
    assert [json.loads(request.body)["type"] for request in receiver.requests] == ["job.created"]


@pytest.mark.parametrize("in_between", ["a start", "nothing"])
async def test_what_a_clock_that_was_ahead_put_off_is_tried_when_it_is_right_again(
    office: PostOffice, in_between: str
) -> None:
    async with receiving(in_turn(answer(503, retry_after="3600"), OK)) as receiver:
        endpoint, _ = await office.endpoint(receiver.url())
        office.clock.at = NOW + 400 * DAY_MS
        await office.happens()
        await office.settled(to=office.clock.at)
        office.clock.at = NOW
        if in_between == "a start":
            await office.stop()
            office.start()
        await office.settled(to=NOW)
    assert [one.state for one in await office.deliveries(endpoint)] == ["delivered"]


async def test_an_endpoint_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    async with post_office(tmp_path) as office, receiving(lambda request: "hang") as hangs, receiving() as well:
        for _ in range(3):
            await office.endpoint(hangs.url())
        await office.endpoint(well.url())
        for _ in range(40):
            await office.happens()
        await well.received(40)
        assert hangs.most_open <= 3 * LANES


async def test_no_more_than_so_many_are_under_way(office: PostOffice) -> None:
    async with receiving(lambda request: "hang") as hangs:
        for _ in range(PLACES):
            await office.endpoint(hangs.url())
        for _ in range(3):
            await office.happens()
        await hangs.received(PLACES)
        assert office.deliverer.under_way == PLACES
        assert hangs.connections == PLACES


async def test_those_who_hang_leave_places_to_those_who_do_not(office: PostOffice, receiver: Receiver) -> None:
    async with receiving(lambda request: "hang") as hangs:
        for _ in range(PLACES):
            endpoint, _ = await office.endpoint(hangs.url())
            await office.store.write(lambda db, of=endpoint: db.endpoints.fails(of.id, now=NOW))  # type: ignore[misc]
        await office.happens()
        await hangs.received(PLACES_OF_FAILING)
        await office.endpoint(receiver.url())
        await office.happens()
        await receiver.received(1)
        assert hangs.connections == PLACES_OF_FAILING


async def test_to_who_fails_only_one_is_under_way(office: PostOffice) -> None:
    under_way: list[int] = []

    def fail(request: Request) -> bytes:
        under_way.append(office.deliverer.under_way)
        return answer(500)

    async with receiving(fail) as fails:
        await office.endpoint(fails.url())
        await office.happens()
        await office.settled(to=NOW)
        for _ in range(20):
            await office.happens()
        await fails.received(21)
        assert set(under_way) == {1}


async def test_a_crash_between_the_answer_and_its_row_delivers_again_under_the_same_id(
    tmp_path: Path,
) -> None:
    async with post_office(tmp_path) as office, receiving(in_turn("hang", OK)) as receiver:
        endpoint, _ = await office.endpoint(receiver.url())
        await office.happens()
        await receiver.received(1)  # it has it, and we do not know
        await office.stop()
        office.start()
        await office.settled()
        first, second = receiver.requests
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        [delivery] = await office.deliveries(endpoint)
        assert (delivery.state, delivery.attempt) == ("delivered", 1)


async def test_what_was_due_while_nothing_ran_is_delivered_at_the_start(tmp_path: Path, receiver: Receiver) -> None:
    async with post_office(tmp_path) as office:
        await office.stop()
        await office.endpoint(receiver.url())
        for _ in range(5):
            await office.happens()
    async with post_office(tmp_path) as office:
        await office.settled()
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == len(receiver.requests) == 5


async def test_after_a_rotation_both_secrets_verify_for_a_day(office: PostOffice, receiver: Receiver) -> None:
    endpoint, old = await office.endpoint(receiver.url())
    new = new_secret()
    sealed = office.sealed(endpoint.id, new, old, until=NOW + ROTATION_S * 1000)
    was = await office.store.read(lambda db: db.endpoints.secrets(endpoint.id))
    await office.store.write(lambda db: db.endpoints.rotate(endpoint.id, sealed, was=was, now=NOW))
    await office.happens()
    await office.settled()
    [request] = receiver.requests
    for secret in (old, new):
        Webhook(secret).verify(request.body, request.headers)
    office.clock.at += ROTATION_S * 1000
    await office.happens()
    await office.settled()
    later = receiver.requests[1]
    assert len(later.headers["webhook-signature"].split()) == 1
    Webhook(new).verify(later.body, later.headers)


async def test_a_key_that_is_missing_fails_an_attempt_and_not_the_deliverer(
    office: PostOffice, receiver: Receiver
) -> None:
    endpoint, _ = await office.endpoint(receiver.url())
    await office.stop()
    whole, office.vault = office.vault, Vault({"key2": bytes(32)})
    office.start()
    await office.happens()
    await office.settled(to=NOW)
    [delivery] = await office.deliveries(endpoint)
    [attempt] = await office.attempts(delivery)
    assert "sealed with the key 'key1', which is not in secret_keys" in attempt.error
    await office.stop()
    office.vault = whole
    office.start()
    await office.settled()
    assert (await office.deliveries(endpoint))[0].state == "delivered"


async def test_a_delivery_that_failed_is_delivered_again_with_the_whole_schedule_before_it(office: PostOffice) -> None:
    async with receiving(in_turn(*[answer(500)] * (MAX_ATTEMPTS + 3), OK)) as receiver:
        endpoint, _ = await office.endpoint(receiver.url())
        await office.happens()
        await office.settled()
        [failed] = await office.deliveries(endpoint)
        assert failed.state == "failed"
        await office.store.write(lambda db: db.deliveries.replay(failed.id, now=office.clock.now()))
        await office.settled()
        [delivery] = await office.deliveries(endpoint)
        assert (delivery.id, delivery.state, delivery.attempt) == (failed.id, "delivered", MAX_ATTEMPTS + 4)
        attempts = await office.attempts(delivery)
        assert [one.number for one in attempts] == list(range(1, MAX_ATTEMPTS + 5))
        assert attempts[MAX_ATTEMPTS + 1].at - attempts[MAX_ATTEMPTS].at <= 1.1 * GAPS_S[0] * 1000
        assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1


async def test_what_happened_in_a_time_is_delivered_again(office: PostOffice, receiver: Receiver) -> None:
    endpoint, _ = await office.endpoint(receiver.url())
    for hour in range(6):
        office.clock.at = NOW + hour * 3_600_000
        await office.happens()
        await office.settled(to=office.clock.at)
    since, until = NOW + 1 * 3_600_000, NOW + 4 * 3_600_000
    found = await office.store.read(
        lambda db: db.deliveries.over_between(endpoint.id, since=since, until=until, states=["delivered", "failed"])
    )
    assert len(found) == 3
    assert await office.store.write(lambda db: db.deliveries.replay_over(found, now=office.clock.now())) == 3
    await office.settled()
    ids = [request.headers["webhook-id"] for request in receiver.requests]
    assert (len(ids), len(set(ids))) == (9, 6)
    assert sorted(ids[6:]) == sorted(found)


async def test_an_endpoint_that_is_deleted_during_an_attempt_is_gone(tmp_path: Path) -> None:
    async with post_office(tmp_path, whole_s=0.2) as office, receiving(lambda request: "hang") as hangs:
        endpoint, _ = await office.endpoint(hangs.url())
        await office.happens()
        await hangs.received(1)
        with capture_logs() as logs:
            await office.store.write(lambda db: db.endpoints.delete(endpoint.id))
            await office.settled()
        assert [line for line in logs if line["log_level"] == "error"] == []


async def test_on_a_full_volume_nothing_is_sent_twice(
    office: PostOffice, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(written, "PAUSE_S", 0.01)
    endpoint, _ = await office.endpoint(receiver.url())
    await office.happens()
    write, refusals = office.store.write, iter([NoSpace(), NoSpace(), Unavailable()])

    async def full_at_first(fn: Any, *, urgent: bool = False) -> Any:
        for refusal in refusals:
            raise refusal
        return await write(fn, urgent=urgent)

    monkeypatch.setattr(office.store, "write", full_at_first)
    with capture_logs() as logs:
        await office.settled()
    [delivery] = await office.deliveries(endpoint)
    assert (delivery.state, delivery.attempt, len(receiver.requests)) == ("delivered", 1, 1)
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["a delivery cannot be written down"]


async def test_a_fault_nobody_foresaw_stops_neither_the_rest_nor_itself_for_ever(
    office: PostOffice, receiver: Receiver
) -> None:
    other, _ = await office.endpoint(receiver.url("/other"))
    broken = office.vault.seal(b"no JSON", place=place_of(other.id))
    await office.store.write(
        lambda db: db.endpoints.rotate(other.id, broken, was=db.endpoints.secrets(other.id), now=NOW)
    )
    await office.endpoint(receiver.url())
    with capture_logs() as logs:
        await office.happens()
        await receiver.received(1)
        await office.settled(to=NOW)
    assert [request.path for request in receiver.requests] == ["/hook"]
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["an attempt to deliver ended early"]
    whole = office.sealed(other.id, new_secret())
    await office.store.write(lambda db: db.endpoints.rotate(other.id, whole, was=broken, now=NOW))
    await office.settled()
    assert [request.path for request in receiver.requests] == ["/hook", "/other"]


async def test_neither_secrets_nor_addresses_are_logged(office: PostOffice) -> None:
    async with receiving(in_turn(answer(410))) as receiver:
        with capture_logs() as logs:
            _, secret = await office.endpoint(receiver.url("/T0/B0/hush"))
            await office.happens()
            await office.settled()
    told = repr(logs)
    assert "endpoint disabled" in told
    assert "hush" not in told
    assert secret not in told
