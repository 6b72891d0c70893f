"""Answers at rest: a repeat gets the first answer."""

import pytest

from tests.store.given import NOW, a_job_alone
from vidprod.errors import Conflict
from vidprod.store.sqlite import Answer, Store, Tables


async def test_the_first_answer_to_a_key_stays(store: Store) -> None:
    job = await a_job_alone(store)
    answer = Answer(key="k-1", fingerprint="sha256:1", made_id=job.id, created_at=NOW)
    assert await store.read(lambda db: db.answers.find("k-1")) is None
    await store.write(lambda db: db.answers.add(answer))
    with pytest.raises(Conflict):
        await store.write(lambda db: db.answers.add(answer))
    await store.write(lambda db: db.jobs.delete(job.id))
    assert await store.read(lambda db: db.answers.find("k-1")) == answer


async def test_answers_are_forgotten_oldest_first(store: Store) -> None:
    def add(db: Tables) -> None:
        for n in range(5):
            db.answers.add(Answer(key=f"k-{n}", fingerprint="", made_id="job", created_at=NOW + n))

    await store.write(add)
    assert await store.write(lambda db: db.answers.prune(before_ms=NOW + 3, limit=2)) == 2
    assert await store.read(lambda db: db.answers.find("k-1")) is None
    assert await store.write(lambda db: db.answers.prune(before_ms=NOW + 3, limit=2)) == 1
    assert await store.write(lambda db: db.answers.prune(before_ms=NOW + 3, limit=2)) == 0
    assert await store.read(lambda db: db.answers.find("k-3")) is not None
