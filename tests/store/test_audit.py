"""The log of changes, and the ends of links, at rest."""

import pytest

from tests.store.given import NOW
from vidprod.domain.user import OWNER_ID
from vidprod.domain.who import EVERYTHING, Who
from vidprod.errors import StoreError
from vidprod.store.sqlite import Store, Tables

OWNER = Who(kind="owner", user_id=OWNER_ID, session_id="ses_1", scopes=EVERYTHING)
KEY = Who(kind="key", user_id=OWNER_ID, key_id="key_1", scopes=frozenset({"upload"}))
OPEN = Who(kind="open", user_id=OWNER_ID, scopes=EVERYTHING)


def _four(db: Tables) -> None:
    db.audit.record(OWNER, "DELETE /v1/jobs/{job_id}", subject=["job_1"], address="203.0.113.9", status=204, now=NOW)
    db.audit.record(KEY, "POST /upload", subject=["job_2"], status=202, now=NOW + 1)
    db.audit.record(None, "POST /login", address="2001:db8::1", status=401, now=NOW + 2)
    db.audit.record(OPEN, "moved house", subject=["job_1", "job_2"], data={"to": "elsewhere"}, now=NOW + 3)


async def test_what_was_done_is_told_newest_first(store: Store) -> None:
    await store.write(_four)
    found = await store.read(lambda db: db.audit.list(limit=10))
    assert [(one.what, one.kind, one.status) for one in found] == [
        ("moved house", "open", None),
        ("POST /login", "stranger", 401),
        ("POST /upload", "key", 202),
        ("DELETE /v1/jobs/{job_id}", "owner", 204),
    ]
    assert (found[0].data, found[0].subject) == ({"to": "elsewhere"}, ["job_1", "job_2"])
    assert (found[1].user_id, found[1].address) == (None, "2001:db8::1")
    assert (found[2].key_id, found[3].session_id) == ("key_1", "ses_1")


async def test_it_is_read_in_pages_and_by_what_it_is_about(store: Store) -> None:
    await store.write(_four)
    first = await store.read(lambda db: db.audit.list(limit=3))
    rest = await store.read(lambda db: db.audit.list(limit=3, before=first[-1].number))
    assert [one.at - NOW for one in [*first, *rest]] == [3, 2, 1, 0]
    about = await store.read(lambda db: [db.audit.list(limit=9, subject=one) for one in ("job_1", "key_1", "ses_9")])
    assert [[one.at - NOW for one in found] for found in about] == [[3, 0], [1], []]


async def test_what_was_kept_long_enough_goes_the_oldest_first(store: Store) -> None:
    await store.write(_four)
    assert await store.write(lambda db: db.audit.prune(before_ms=NOW + 2, limit=1)) == 1
    assert await store.write(lambda db: db.audit.prune(before_ms=NOW + 2, limit=100)) == 1
    assert await store.write(lambda db: db.audit.prune(before_ms=NOW + 2, limit=100)) == 0
    assert [one.at - NOW for one in await store.read(lambda db: db.audit.list(limit=9))] == [3, 2]


async def test_a_long_address_is_cut_and_not_refused(store: Store) -> None:
    await store.write(lambda db: db.audit.record(OWNER, "POST /upload", address="x" * 500, now=NOW))
    (found,) = await store.read(lambda db: db.audit.list(limit=1))
    assert found.address == "x" * 60


@pytest.mark.parametrize(
    "nonsense",
    ["kind = 'god'", "kind = 'key'", "kind = 'stranger'", "what = ''", "subject = '{}'", "data = '[]'", "status = 42"],
)
async def test_nonsense_is_refused(store: Store, nonsense: str) -> None:
    await store.write(lambda db: db.audit.record(OWNER, "POST /upload", now=NOW))
    with pytest.raises(StoreError):
        await store.write(lambda db: db.audit._run(f"update audit set {nonsense}"))


async def test_links_end_at_a_moment_that_only_moves_on(store: Store) -> None:
    assert await store.read(lambda db: db.links.ended_at("seg_1")) is None
    for at in (5, 9, 7):
        await store.write(lambda db, at=at: db.links.end("seg_1", now=at))  # type: ignore[misc]
    assert await store.read(lambda db: db.links.ended_at("seg_1")) == 9
    assert await store.write(lambda db: db.links.prune(before_ms=9, limit=10)) == 0
    assert await store.write(lambda db: db.links.prune(before_ms=10, limit=10)) == 1
