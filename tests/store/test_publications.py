"""Publications at rest: moved by who saw them last, looked at when their time has come."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from tests.store.given import NOW, a_job_alone, a_publication, a_rendition, a_segment
from vidprod.domain.account import Account, AccountSettings
from vidprod.domain.ids import new_id
from vidprod.domain.post import Post
from vidprod.domain.publication import Publication, PublicationError, Wait
from vidprod.errors import Conflict, NotFound, StoreError
from vidprod.store.sqlite import Store, Tables

SHA = "ab" * 32
WAIT = Wait(code="retry", message="again soon", until=NOW + 1)


def an_account(name: str = "ann") -> Account:
    return Account(
        id=new_id("acc", now=NOW),
        platform="youtube",
        external_id=f"UC{name}",
        name=name,
        state="connected",
        settings=AccountSettings(),
        connected_at=NOW,
    )


async def connect(store: Store, name: str = "ann") -> Account:
    account = an_account(name)
    return await store.write(lambda db: db.accounts.add(account, b"sealed"))


async def plan(store: Store, account: Account, *, due_at: int = NOW, **values: Any) -> Publication:
    """A segment of its own, ready, and a publication of it."""
    job = await a_job_alone(store)
    segment = a_segment(job.id)

    def write(db: Tables) -> Publication:
        db.segments.add_all([segment])
        db.segments.ready(segment.id, a_rendition(), now=NOW)
        return db.publications.add(msgspec.structs.replace(a_publication(segment, account, due_at=due_at), **values))

    return await store.write(write)


async def begin(store: Store, publication: Publication) -> Publication:
    return await store.write(
        lambda db: db.publications.begin(publication, sha256=SHA, size=10, deadline_at=NOW + 100, now=NOW)
    )


async def begun(store: Store, publication: Publication) -> Publication:
    publication = await begin(store, publication)
    return await store.write(lambda db: db.publications.begun(publication, b"handle"))


async def sent(store: Store, publication: Publication) -> Publication:
    publication = await begun(store, publication)

    def write(db: Tables) -> Publication:
        sending = db.publications.sending(publication)
        return db.publications.sent(sending, sealed_handle=b"more", run_at=NOW + 5, deadline_at=NOW + 200, wait=WAIT)

    return await store.write(write)


async def due(store: Store, now: int = NOW) -> list[str]:
    return [one.id for one in await store.read(lambda db: db.publications.due(now, 100))]


def an_error(code: str = "no") -> PublicationError:
    return PublicationError(at=NOW + 7, step="send", kind="FIX", code=code, message="it will not do")


async def test_a_publication_goes_from_scheduled_to_published(store: Store) -> None:
    publication = await plan(store, await connect(store))
    assert await store.read(lambda db: db.publications.get(publication.id)) == publication
    publication = await begin(store, publication)
    assert (publication.state, publication.phase, publication.attempt) == ("uploading", "begin", 1)
    assert (publication.sha256, publication.size, publication.deadline_at) == (SHA, 10, NOW + 100)
    assert await store.read(lambda db: db.publications.handle(publication.id)) is None
    publication = await store.write(lambda db: db.publications.begun(publication, b"handle"))
    assert (publication.state, publication.phase) == ("uploading", None)
    assert await store.read(lambda db: db.publications.handle(publication.id)) == b"handle"
    publication = await store.write(lambda db: db.publications.sending(publication))
    assert publication.phase == "send"
    publication = await store.write(
        lambda db: db.publications.sent(
            publication, sealed_handle=b"more", run_at=NOW + 5, deadline_at=NOW + 200, wait=WAIT
        )
    )
    assert (publication.state, publication.phase, publication.run_at, publication.wait) == (
        "processing",
        None,
        NOW + 5,
        WAIT,
    )
    publication = await store.write(lambda db: db.publications.publishing(publication))
    assert publication.phase == "publish"
    live = await store.write(
        lambda db: db.publications.live(
            publication, remote_id="vid1", url="https://example.com/1", said="ok", privacy="public", now=NOW + 9
        )
    )
    assert (live.state, live.remote_id, live.url, live.published_at, live.finalized_at) == (
        "published",
        "vid1",
        "https://example.com/1",
        NOW + 9,
        NOW + 9,
    )
    assert await store.read(lambda db: db.publications.handle(publication.id)) is None


async def test_who_looked_at_it_before_another_moved_it_moves_it_no_more(store: Store) -> None:
    publication = await plan(store, await connect(store))
    cancelled = await store.write(lambda db: db.publications.cancel(publication, now=NOW + 1))
    assert (cancelled.state, cancelled.finalized_at) == ("cancelled", NOW + 1)
    with pytest.raises(Conflict, match="is cancelled: it cannot be begun now"):
        await begin(store, publication)
    other = await plan(store, await connect(store, "bob"))
    await begin(store, other)
    for move in (
        lambda db: db.publications.begin(other, sha256=SHA, size=1, now=NOW),
        lambda db: db.publications.edit(other, Post()),
        lambda db: db.publications.reschedule(other, due_at=NOW, when="now"),
        lambda db: db.publications.approve(other, now=NOW),
        lambda db: db.publications.cancel(other, now=NOW),
        lambda db: db.publications.wait(other, WAIT, run_at=NOW),
        lambda db: db.publications.miss(other, now=NOW),
        lambda db: db.publications.reject(other, an_error()),
    ):
        with pytest.raises(Conflict, match="is uploading"):
            await store.write(move)
    with pytest.raises(NotFound):
        await store.read(lambda db: db.publications.get("pub_" + "0" * 26))


async def test_a_published_publication_never_changes(store: Store) -> None:
    publication = await sent(store, await plan(store, await connect(store)))
    live = await store.write(lambda db: db.publications.live(publication, remote_id="1", url=None, now=NOW))
    for move in (
        lambda db: db.publications.cancel(live, now=NOW),
        lambda db: db.publications.retry(live, now=NOW),
        lambda db: db.publications.reschedule(live, due_at=NOW + 5, when="at"),
        lambda db: db.publications.reject(live, an_error()),
        lambda db: db.publications.check(live, now=NOW),
    ):
        with pytest.raises(Conflict, match="is published"):
            await store.write(move)
    for sql in ("update publication set due_at = due_at + 1", "delete from publication"):
        with pytest.raises(StoreError, match="never"):
            await store.write(lambda db, sql=sql: db.publications._run(sql))  # type: ignore[misc]


async def test_a_segment_goes_to_an_account_once(store: Store) -> None:
    account = await connect(store)
    first = await plan(store, account)
    again = msgspec.structs.replace(first, id=new_id("pub", now=NOW))
    with pytest.raises(Conflict, match="on its way"):
        await store.write(lambda db: db.publications.add(again))
    rejected = await store.write(lambda db: db.publications.reject(first, an_error()))
    assert (rejected.said, rejected.finalized_at, rejected.errors) == ("it will not do", NOW + 7, [an_error()])
    second = await store.write(lambda db: db.publications.add(again))
    with pytest.raises(Conflict, match="on its way"):  # both are of the same segment
        await store.write(lambda db: db.publications.retry(rejected, now=NOW))
    second = await sent(store, second)
    await store.write(lambda db: db.publications.live(second, remote_id="1", url=None, now=NOW))
    with pytest.raises(Conflict, match="was published") as told:
        await store.write(lambda db: db.publications.retry(rejected, now=NOW))
    assert told.value.code == "published_already"
    assert len(await store.read(lambda db: db.publications.of_segment(first.segment_id))) == 2


async def test_what_is_due_is_looked_at_and_nothing_before(store: Store) -> None:
    account = await connect(store)
    late = await plan(store, account, due_at=NOW + 20)
    soon = await plan(store, account, due_at=NOW + 10)
    assert await due(store, NOW + 9) == []
    assert await store.read(lambda db: db.publications.next_run_at()) == NOW + 10
    assert await store.read(lambda db: db.publications.next_run_at(but=[account.id])) is None
    assert await due(store, NOW + 20) == [soon.id, late.id]
    assert await store.read(lambda db: db.publications.due(NOW + 20, 1)) == [soon]
    assert await store.read(lambda db: db.publications.due(NOW + 20, 9, but=[account.id])) == []


async def test_the_next_of_an_account_waits_for_the_one_under_way(store: Store) -> None:
    account = await connect(store)
    first, second = await plan(store, account, due_at=NOW), await plan(store, account, due_at=NOW + 1)
    elsewhere = await plan(store, await connect(store, "bob"), due_at=NOW + 2)
    first = await begin(store, first)
    assert await due(store, NOW + 9) == [first.id, elsewhere.id]
    first = await store.write(lambda db: db.publications.anew(first, WAIT, run_at=NOW + 50, error=an_error()))
    assert (first.state, first.failures, first.wait) == ("scheduled", 1, WAIT)
    assert await due(store, NOW + 9) == [elsewhere.id]  # the first is tried again before the second
    first = await begin(store, first)
    first = await store.write(lambda db: db.publications.unknown(first, WAIT, run_at=NOW + 60))
    assert await due(store, NOW + 9) == [second.id, elsewhere.id]  # what is unknown holds up none


async def test_what_was_told_to_wait_for_somebody_is_due_when_they_did_something(store: Store) -> None:
    account = await connect(store)
    publication = await plan(store, account, needs_approval=True)
    assert await due(store) == [publication.id]

    async def waits(code: str) -> None:
        found = await store.read(lambda db: db.publications.get(publication.id))
        await store.write(lambda db: db.publications.wait(found, Wait(code=code, message="…"), run_at=NOW))

    await waits("approval")
    assert await due(store) == []
    found = await store.read(lambda db: db.publications.get(publication.id))
    approved = await store.write(lambda db: db.publications.approve(found, now=NOW + 1))
    assert (approved.approved_at, approved.wait) == (NOW + 1, None)
    assert await due(store) == [publication.id]

    await waits("paused")
    assert await due(store) == [publication.id]  # nothing is paused
    await store.write(lambda db: db.accounts.pause(account.id, now=NOW))
    assert await due(store) == []
    await store.write(lambda db: db.accounts.resume(account.id))
    await store.write(lambda db: db.facts.set("publishing_paused_at", NOW))
    assert await due(store) == []
    await store.write(lambda db: db.facts.set("publishing_paused_at", None))
    assert await due(store) == [publication.id]

    await waits("reauth")
    assert await due(store) == [publication.id]
    await store.write(lambda db: db.accounts.need_reauth(account.id, "revoked"))
    assert await due(store) == []
    assert await store.read(lambda db: db.publications.next_run_at()) is None


async def test_an_edited_post_needs_its_approval_again(store: Store) -> None:
    publication = await plan(store, await connect(store), needs_approval=True)
    publication = await store.write(lambda db: db.publications.approve(publication, now=NOW))
    publication = await store.write(lambda db: db.publications.edit(publication, Post(title="other")))
    assert (publication.approved_at, publication.post.title) == (None, "other")


async def test_a_missed_one_waits_until_somebody_gives_it_a_time(store: Store) -> None:
    publication = await plan(store, await connect(store))
    publication = await store.write(lambda db: db.publications.miss(publication, now=NOW + 5))
    assert publication.missed_at == NOW + 5
    assert publication.wait is not None
    assert publication.wait.code == "missed"
    assert await due(store, NOW + 9) == []
    with pytest.raises(Conflict):
        await begin(store, publication)
    publication = await store.write(lambda db: db.publications.reschedule(publication, due_at=NOW + 30, when="at"))
    assert (publication.missed_at, publication.wait, publication.run_at) == (None, None, NOW + 30)
    assert await due(store, NOW + 30) == [publication.id]


async def test_what_may_be_public_is_neither_cancelled_nor_retried(store: Store) -> None:
    account = await connect(store)
    publication = await begun(store, await plan(store, account))
    sending = await store.write(lambda db: db.publications.sending(publication))
    with pytest.raises(Conflict, match="bytes are on their way"):
        await store.write(lambda db: db.publications.cancel(sending, now=NOW))
    unknown = await store.write(lambda db: db.publications.unknown(sending, WAIT, run_at=NOW + 9, error=an_error()))
    assert (unknown.state, unknown.phase, unknown.deadline_at, unknown.errors) == (
        "unknown",
        "send",
        None,
        [an_error()],
    )
    for move in (
        lambda db: db.publications.cancel(unknown, now=NOW),
        lambda db: db.publications.retry(unknown, now=NOW),
    ):
        with pytest.raises(Conflict, match="may be public"):
            await store.write(move)
    looked = await store.write(lambda db: db.publications.check(unknown, now=NOW + 2))
    assert looked.run_at == NOW + 2


async def test_what_nothing_was_sent_of_is_cancelled_and_retried(store: Store) -> None:
    account = await connect(store)
    waiting = await begun(store, await plan(store, account))
    assert (await store.write(lambda db: db.publications.cancel(waiting, now=NOW))).state == "cancelled"
    asked = await begin(store, await plan(store, account))
    unknown = await store.write(lambda db: db.publications.unknown(asked, WAIT, run_at=NOW + 9))
    retried = await store.write(lambda db: db.publications.retry(unknown, now=NOW + 3))
    assert (retried.state, retried.due_at, retried.run_at, retried.when, retried.phase, retried.wait) == (
        "scheduled",
        NOW + 3,
        NOW + 3,
        "now",
        None,
        None,
    )


async def test_reading_the_platform_leads_out_of_unknown(store: Store) -> None:
    account = await connect(store)
    publication = await begun(store, await plan(store, account))
    publication = await store.write(lambda db: db.publications.sending(publication))
    publication = await store.write(lambda db: db.publications.unknown(publication, WAIT, run_at=NOW + 9))
    publication = await store.write(
        lambda db: db.publications.resume(
            publication, sealed_handle=b"on", run_at=NOW, deadline_at=NOW + 100, failures=2
        )
    )
    assert (publication.state, publication.phase, publication.failures) == ("uploading", None, 2)
    publication = await store.write(lambda db: db.publications.sending(publication))
    publication = await store.write(
        lambda db: db.publications.wait(publication, WAIT, run_at=NOW + 4, error=an_error(), counted=True, settled=True)
    )
    assert (publication.phase, publication.failures) == (None, 3)


async def test_the_last_twenty_errors_are_kept(store: Store) -> None:
    publication = await plan(store, await connect(store))
    for number in range(25):
        error = an_error(str(number))
        publication = await store.write(
            lambda db, p=publication, e=error: db.publications.wait(p, WAIT, run_at=NOW, error=e)  # type: ignore[misc]
        )
    assert [error.code for error in publication.errors] == [str(number) for number in range(5, 25)]


async def test_they_are_listed_by_what_is_asked(store: Store) -> None:
    ann, bob = await connect(store), await connect(store, "bob")
    first = await plan(store, ann, due_at=NOW + 1)
    second = await plan(store, bob, due_at=NOW + 2)
    third = await plan(store, ann, due_at=NOW + 3)
    newest = sorted([first, second, third], key=lambda one: one.id, reverse=True)

    async def listed(**asked: Any) -> Sequence[Publication]:
        return await store.read(lambda db: db.publications.list(**{"limit": 10, **asked}))

    assert await listed() == newest
    assert await listed(limit=1) == newest[:1]
    assert await listed(before=newest[0].id) == newest[1:]
    assert await listed(account_id=bob.id) == [second]
    assert await listed(job_id=first.job_id) == [first]
    assert await listed(segment_id=third.segment_id) == [third]
    assert await listed(states=["published"]) == []
    assert await listed(due_from=NOW + 2, due_to=NOW + 3) == [second]
    assert await store.read(lambda db: db.publications.calendar(NOW + 2, NOW + 9)) == [second, third]
    assert await store.read(lambda db: db.publications.planned(ann.id)) == [first, third]
    assert await store.read(lambda db: db.publications.of_job(second.job_id)) == [second]
    assert await store.read(lambda db: db.publications.count()) == {"scheduled": 3}


async def test_the_next_is_found_without_looking_at_all(store: Store) -> None:
    def plans(db: Tables) -> list[str]:
        sql = "explain query plan select run_at from publication_moving order by run_at limit 1"
        return [row["detail"] for row in db.publications._all(sql)]

    steps = await store.read(plans)
    assert steps[0] == "SCAN publication USING INDEX publication_due"
    assert not [step for step in steps if step.startswith("SCAN") and step != steps[0]]
    assert not [step for step in steps if "TEMP B-TREE" in step]
