"""What counts against quotas, what was asked of platforms, and a few values of the whole."""

from tests.store.given import NOW
from tests.store.test_publications import connect, plan
from vidprod.store.sqlite import Store


async def test_units_count_from_a_moment_on(store: Store) -> None:
    for at, units in ((NOW, 1), (NOW + 10, 3), (NOW + 20, 1)):
        await store.write(lambda db, at=at, units=units: db.usage.add("b", units, now=at))  # type: ignore[misc]
    await store.write(lambda db: db.usage.add("other", now=NOW + 30))
    assert await store.read(lambda db: db.usage.times("b", since=NOW + 1)) == [NOW + 10] * 3 + [NOW + 20]
    assert await store.read(lambda db: db.usage.last_at("b")) == NOW + 20
    assert await store.read(lambda db: db.usage.last_at("none")) is None
    await store.write(lambda db: db.usage.give_back("b"))
    assert await store.read(lambda db: db.usage.last_at("b")) == NOW + 10
    assert await store.write(lambda db: db.usage.prune(before_ms=NOW + 10, limit=10)) == 1
    assert await store.read(lambda db: db.usage.times("b", since=0)) == [NOW + 10] * 3


async def test_the_journal_counts_since_somebody_planned_anew(store: Store) -> None:
    publication = await plan(store, await connect(store))
    for at, what in ((NOW, "asked"), (NOW + 1, "failed"), (NOW + 2, "asked")):
        await store.write(lambda db, at=at, what=what: db.journal.write(publication.id, "begin", what, now=at))  # type: ignore[misc]
    assert await store.read(lambda db: db.journal.count(publication.id, "begin", "asked")) == 2
    assert await store.read(lambda db: db.journal.first_at(publication.id, "begin", "asked")) == NOW
    await store.write(lambda db: db.journal.write(publication.id, "plan", "retry", now=NOW + 3))
    assert await store.read(lambda db: db.journal.count(publication.id, "begin", "asked")) == 0
    assert await store.read(lambda db: db.journal.first_at(publication.id, "begin", "asked")) is None
    entries = await store.read(lambda db: db.journal.of(publication.id))
    assert [(entry.at, entry.step, entry.what) for entry in entries] == [
        (NOW, "begin", "asked"),
        (NOW + 1, "begin", "failed"),
        (NOW + 2, "begin", "asked"),
        (NOW + 3, "plan", "retry"),
    ]


async def test_facts_are_kept_by_name(store: Store) -> None:
    assert await store.read(lambda db: db.facts.get("publishing_paused_at")) is None
    await store.write(lambda db: db.facts.set("publishing_paused_at", NOW))
    assert store.feed.publishing.is_set()
    assert await store.read(lambda db: db.facts.get("publishing_paused_at")) == NOW
    await store.write(lambda db: db.facts.set("publishing_paused_at", None))
    assert await store.read(lambda db: db.facts.get("publishing_paused_at")) is None
