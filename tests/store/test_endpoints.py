"""Endpoints and deliveries at rest: what a transaction leaves, and what it costs."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.store.given import NOW, upload
from tests.store.test_plans import plan
from vidprod.domain.endpoint import SILENCE_S, DeliveryAttempt, Endpoint, check_types
from vidprod.domain.event import Event
from vidprod.domain.ids import new_id
from vidprod.errors import BadRequest, Conflict, NotFound, StoreError
from vidprod.store.sqlite import Store, Tables

END = "end_" + "0" * 26
DAY_MS = 86_400_000


def an_endpoint(*, now: int = NOW, **values: Any) -> Endpoint:
    return Endpoint(**{"id": new_id("end", now=now), "url": "https://receiver.example/", "created_at": now, **values})


async def add(store: Store, **values: Any) -> Endpoint:
    return await store.write(lambda db: db.endpoints.add(an_endpoint(**values), b"sealed"))


async def happens(store: Store, event_type: str = "job.completed", *, now: int = NOW, **values: Any) -> Event:
    return await store.write(lambda db: db.events.record(event_type, now=now, **values))


def an_attempt(delivery_id: str, number: int = 1) -> DeliveryAttempt:
    return DeliveryAttempt(delivery_id=delivery_id, number=number, at=NOW, took_ms=5, status=200)


async def test_a_delivery_is_written_with_its_event_or_not_at_all(store: Store) -> None:
    endpoint = await add(store)

    def fails(db: Tables) -> None:
        db.events.record("job.completed", now=NOW)
        raise Conflict

    with pytest.raises(Conflict):
        await store.write(fails)
    assert await store.read(lambda db: db.deliveries.list(endpoint.id, limit=10)) == []
    assert not store.feed.delivering.is_set()
    event = await happens(store)
    [delivery] = await store.read(lambda db: db.deliveries.list(endpoint.id, limit=10))
    assert (delivery.event_id, delivery.state, delivery.run_at) == (event.id, "pending", NOW)
    assert store.feed.delivering.is_set()


async def test_who_wants_nothing_of_it_leaves_no_trace_and_wakes_nobody(store: Store) -> None:
    endpoint = await add(store, types=["publication.*"])
    await happens(store)
    assert await store.read(lambda db: db.deliveries.list(endpoint.id, limit=10)) == []
    assert not store.feed.delivering.is_set()


async def test_the_longest_due_come_first_a_few_of_each(store: Store) -> None:
    first, second = await add(store), await add(store)
    for n in range(4):
        await happens(store, now=NOW + n)
    await happens(store, now=NOW + 100)

    def due(**values: Any) -> Callable[[Tables], list[tuple[str, int]]]:
        asked = {"now": NOW + 50, "lanes": 2, "limit": 10, **values}
        return lambda db: [(one.delivery.endpoint_id, one.delivery.run_at - NOW) for one in db.outbox.due(**asked)]

    found = await store.read(due())
    assert sorted(found) == sorted((one.id, n) for one in (first, second) for n in (0, 1))
    assert [at for _, at in found] == [0, 0, 1, 1]
    assert await store.read(due(held=[first.id])) == [(second.id, 0), (second.id, 1)]
    assert len(await store.read(due(limit=3))) == 3
    heads = await store.read(lambda db: db.outbox.due(now=NOW, lanes=2, limit=10))
    under_way = [one.delivery.id for one in heads]
    assert {at for _, at in await store.read(due(under_way=under_way))} == {1, 2}
    assert await store.read(lambda db: db.outbox.next_due_at(under_way=under_way)) == NOW + 1
    assert await store.read(lambda db: db.outbox.next_due_at(held=[first.id, second.id])) is None


async def test_what_is_over_is_not_ended_twice(store: Store) -> None:
    await add(store)
    await happens(store)
    [due] = await store.read(lambda db: db.outbox.due(now=NOW, lanes=1, limit=1))
    delivery = due.delivery
    assert await store.write(lambda db: db.outbox.delivered(delivery, an_attempt(delivery.id), now=NOW))
    assert not await store.write(lambda db: db.outbox.fail(delivery, an_attempt(delivery.id, 2), now=NOW))
    assert not await store.write(lambda db: db.outbox.retry(delivery, an_attempt(delivery.id, 2), run_at=NOW))
    assert len(await store.read(lambda db: db.deliveries.attempts(delivery.id))) == 1


async def test_what_is_replayed_keeps_its_id_and_starts_its_schedule_anew(store: Store) -> None:
    endpoint = await add(store)
    await happens(store)
    [due] = await store.read(lambda db: db.outbox.due(now=NOW, lanes=1, limit=1))
    delivery = due.delivery
    waits = await store.write(lambda db: db.deliveries.replay(delivery.id, now=NOW + 5))
    assert (waits.state, waits.run_at, waits.earlier) == ("pending", NOW + 5, 0)
    await store.write(lambda db: db.outbox.fail(delivery, an_attempt(delivery.id), now=NOW))
    again = await store.write(lambda db: db.deliveries.replay(delivery.id, now=NOW + 9))
    assert (again.id, again.state, again.run_at, again.attempt, again.earlier) == (
        delivery.id,
        "pending",
        NOW + 9,
        1,
        1,
    )
    await store.write(lambda db: db.endpoints.disable(endpoint.id, "by hand"))
    with pytest.raises(Conflict, match="disabled: by hand"):
        await store.write(lambda db: db.deliveries.replay(delivery.id, now=NOW))


async def test_failures_count_from_the_first_until_something_is_delivered(store: Store) -> None:
    endpoint = await add(store)

    async def fails(now: int) -> Endpoint:
        found = await store.write(lambda db: db.endpoints.fails(endpoint.id, now=now))
        assert found is not None
        return found

    assert (await fails(NOW)).failing_since == NOW
    assert (await fails(NOW + DAY_MS)).failing_since == NOW
    after_silence = NOW + DAY_MS + SILENCE_S * 1000 + 1
    assert (await fails(after_silence)).failing_since == after_silence
    await store.write(lambda db: db.endpoints.works(endpoint.id))
    assert (await store.read(lambda db: db.endpoints.get(endpoint.id))).failing_since is None
    assert (await fails(after_silence + 1)).failing_since == after_silence + 1


async def test_a_clock_that_was_ahead_leaves_no_failure_in_the_future(store: Store) -> None:
    endpoint = await add(store)
    await store.write(lambda db: db.endpoints.fails(endpoint.id, now=NOW + 400 * DAY_MS))
    failing = await store.write(lambda db: db.endpoints.fails(endpoint.id, now=NOW))
    assert failing is not None
    assert (failing.failing_since, failing.failed_at) == (NOW, NOW)


async def test_at_another_address_it_has_neither_failed_nor_asked_for_time(store: Store) -> None:
    endpoint = await add(store)

    def fails(db: Tables) -> Endpoint:
        db.endpoints.fails(endpoint.id, now=NOW)
        db.endpoints.hold(endpoint.id, until=NOW + DAY_MS)
        return db.endpoints.get(endpoint.id)

    failing = await store.write(fails)
    described = await store.write(lambda db: db.endpoints.edit(msgspec.structs.replace(failing, description="mine")))
    assert (described.failing_since, described.held_until) == (NOW, NOW + DAY_MS)
    moved = msgspec.structs.replace(failing, url="https://other.example/")
    store.feed.delivering.clear()
    edited = await store.write(lambda db: db.endpoints.edit(moved))
    assert (edited.url, edited.failing_since, edited.failed_at, edited.held_until) == (moved.url, None, None, None)
    assert store.feed.delivering.is_set()


async def test_secrets_change_only_from_what_was_read(store: Store) -> None:
    endpoint = await add(store)
    await store.write(lambda db: db.endpoints.rotate(endpoint.id, b"newer", was=b"sealed", now=NOW))
    with pytest.raises(Conflict):
        await store.write(lambda db: db.endpoints.rotate(endpoint.id, b"newest", was=b"sealed", now=NOW))
    assert await store.read(lambda db: db.endpoints.secrets(endpoint.id)) == b"newer"
    with pytest.raises(NotFound):
        await store.write(lambda db: db.endpoints.rotate(END, b"newest", was=b"newer", now=NOW))


async def test_the_endpoint_of_a_job_goes_after_the_job_and_its_log(store: Store) -> None:
    job = await upload(store)
    endpoint = await add(store, job_id=job.id)
    await add(store)
    await happens(store, job_id=job.id)

    async def prune(before: int) -> int:
        await store.write(lambda db: db.deliveries.prune(before_ms=before, limit=10))
        return await store.write(lambda db: db.endpoints.prune(limit=10))

    assert await prune(NOW + 1) == 0
    await store.write(lambda db: db.jobs.delete(job.id))
    assert await prune(NOW + 1) == 0  # what waits is still to be told
    [due] = await store.read(
        lambda db: [one for one in db.outbox.due(now=NOW, lanes=1, limit=9) if one.delivery.endpoint_id == endpoint.id]
    )
    await store.write(lambda db: db.outbox.delivered(due.delivery, an_attempt(due.delivery.id), now=NOW))
    assert await prune(NOW) == 0
    assert await prune(NOW + 1) == 1
    assert len(await store.read(lambda db: db.endpoints.list())) == 1


async def test_what_waits_for_who_is_disabled_is_forgotten_in_the_end(store: Store) -> None:
    endpoint = await add(store)
    await happens(store)
    assert await store.write(lambda db: db.deliveries.prune_unheard(before_ms=NOW + 1, limit=10)) == 0
    await store.write(lambda db: db.endpoints.disable(endpoint.id, "by hand"))
    assert await store.write(lambda db: db.deliveries.prune_unheard(before_ms=NOW, limit=10)) == 0
    assert await store.write(lambda db: db.deliveries.prune_unheard(before_ms=NOW + 1, limit=10)) == 1


async def test_an_endpoint_takes_its_deliveries_and_their_log_along(store: Store) -> None:
    endpoint = await add(store)
    await happens(store)
    [due] = await store.read(lambda db: db.outbox.due(now=NOW, lanes=1, limit=1))
    await store.write(lambda db: db.outbox.retry(due.delivery, an_attempt(due.delivery.id), run_at=NOW + 5))
    await store.write(lambda db: db.endpoints.delete(endpoint.id))
    for table in ("delivery", "delivery_attempt"):
        assert await store.read(lambda db, table=table: db.jobs._value(f"select count(*) from {table}")) == 0  # type: ignore[misc]
    with pytest.raises(NotFound):
        await store.write(lambda db: db.endpoints.delete(endpoint.id))


async def test_deliveries_of_an_endpoint_are_forgotten_some_at_a_time(store: Store) -> None:
    endpoint, other = await add(store), await add(store)
    for _ in range(3):
        await happens(store)
    taken = [await store.write(lambda db: db.deliveries.forget(endpoint.id, limit=2)) for _ in range(3)]
    assert taken == [2, 1, 0]
    assert len(await store.read(lambda db: db.deliveries.list(other.id, limit=10))) == 3


NONSENSE = [
    ("endpoint", "state = 'paused'"),
    ("endpoint", "state = 'disabled'"),  # without a reason
    ("endpoint", "disabled_reason = 'no'"),
    ("endpoint", "failing_since = 5"),
    ("endpoint", "url = ''"),
    ("endpoint", "types = '{}'"),
    ("endpoint", "secrets = null"),
    ("endpoint", "id = 'end_../../../../../../../etc/12'"),
    ("delivery", "state = 'lost'"),
    ("delivery", "state = 'delivered'"),
    ("delivery", "finalized_at = 5"),
    ("delivery", "earlier = 1"),
    ("delivery", "attempt = -1"),
    ("delivery", "endpoint_id = 'end_1'"),
    ("delivery", "id = 'msg_1'"),
]


@pytest.mark.parametrize(("table", "nonsense"), NONSENSE)
async def test_nonsense_is_refused(store: Store, table: str, nonsense: str) -> None:
    await add(store)
    await happens(store)
    with pytest.raises((StoreError, Conflict)):
        await store.write(lambda db: db.jobs._run(f"update {table} set {nonsense}"))


SMALL = (
    "SCAN step",
    "SCAN holder",
    "SCAN json_each",
    "SCAN wanted",
    "SCAN endpoint",
    "SCAN subscription",
    "SEARCH holder",
)
HOT: dict[str, Callable[[Tables], object]] = {
    "due": lambda db: db.outbox.due(now=NOW, lanes=2, limit=32),
    "bring_back": lambda db: db.outbox.bring_back(now=NOW),
    "next_due_at": lambda db: db.outbox.next_due_at(),
    "record": lambda db: db.events.record("job.completed", job_id="job_" + "0" * 26, now=NOW),
    "list": lambda db: db.deliveries.list(END, limit=50),
    "waiting": lambda db: db.deliveries.waiting(END),
    "over_between": lambda db: db.deliveries.over_between(END, since=0, until=NOW, states=["failed"]),
    "prune": lambda db: db.deliveries.prune(before_ms=NOW, limit=100),
    "prune_unheard": lambda db: db.deliveries.prune_unheard(before_ms=NOW, limit=100),
    "forget": lambda db: db.deliveries.forget(END, limit=100),
    "endpoints prune": lambda db: db.endpoints.prune(limit=100),
    "endpoint delete": lambda db: db.endpoints.delete(END),
}


@pytest.mark.parametrize("name", HOT)
async def test_no_hot_statement_reads_all_deliveries(store: Store, name: str) -> None:
    steps = await plan(store, HOT[name])
    assert steps
    for step in steps:
        assert not step.startswith("SCAN") or step.startswith(SMALL), steps


async def test_what_is_due_costs_the_same_however_much_waits(store: Store) -> None:
    """Of an endpoint with a long queue a few are looked at."""
    for _ in range(3):
        await add(store)

    async def steps() -> int:
        def counted(db: Tables) -> int:
            connection, taken = db.jobs._connection, 0

            def step() -> bool:
                nonlocal taken
                taken += 1
                return False

            connection.set_progress_handler(step, 1)
            try:
                db.outbox.due(now=NOW, lanes=2, limit=32)
                db.outbox.next_due_at()
            finally:
                connection.set_progress_handler(None)
            return taken

        return await store.write(counted)

    def many(db: Tables) -> None:
        for _ in range(1000):
            db.events.record("job.completed", now=NOW)

    await happens(store)
    await happens(store)
    few = await steps()
    await store.write(many)
    assert await steps() == few


@pytest.mark.parametrize(
    "wrong", ["job", "jobs.completed", "job.complete", "job.", ".completed", "*", "job.*.x", "Job.completed", ""]
)
def test_a_type_nobody_ever_tells_of_is_refused(wrong: str) -> None:
    with pytest.raises(BadRequest):
        check_types(["job.completed", wrong])


def test_types_are_kept_once() -> None:
    assert check_types(["job.*", "segment.ready", "job.*"]) == ["job.*", "segment.ready"]
