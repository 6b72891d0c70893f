"""Events at rest: a cursor over them misses nothing and repeats nothing."""

from tests.store.given import NOW, upload
from vidprod.store.sqlite import Store, Tables


async def test_a_cursor_reads_every_event_once_in_order(store: Store) -> None:
    assert await store.read(lambda db: db.events.last_id()) == 0
    jobs = [await upload(store) for _ in range(3)]
    seen = []
    cursor = 0
    while page := await store.read(lambda db: db.events.after(cursor, limit=4)):  # noqa: B023
        seen += page
        cursor = page[-1].id
    assert [event.id for event in seen] == [1, 2, 3, 4, 5, 6]
    assert [event.type for event in seen] == ["video.stored", "job.created"] * 3
    of_second = await store.read(lambda db: db.events.after(0, job_id=jobs[1].id))
    assert of_second == [event for event in seen if event.job_id == jobs[1].id]
    assert of_second[0].data == {"video_id": jobs[1].video_id}
    assert await store.read(lambda db: db.events.last_id()) == 6


async def test_pruning_takes_the_oldest_and_never_gives_a_number_again(store: Store) -> None:
    def record(db: Tables) -> None:
        for n in range(10):
            db.events.record("media.pruned", data={"n": n}, now=NOW + n)

    await store.write(record)
    assert await store.write(lambda db: db.events.prune(before_ms=NOW + 8, limit=5)) == 5
    assert await store.write(lambda db: db.events.prune(before_ms=NOW + 8, limit=5)) == 3
    assert await store.write(lambda db: db.events.prune(before_ms=NOW + 8, limit=5)) == 0
    assert [event.id for event in await store.read(lambda db: db.events.after(0))] == [9, 10]
    assert await store.write(lambda db: db.events.prune(before_ms=NOW + 99, limit=5)) == 2
    assert await store.read(lambda db: db.events.last_id()) == 10
    assert (await store.write(lambda db: db.events.record("job.created", now=NOW))).id == 11
