"""Segments that somebody looks at: kept, dropped, taken back, said otherwise; and what is planned follows."""

from typing import Any

import msgspec
import pytest

from tests.store.test_planning import SLOTS, Plan, shown
from vidprod.domain.account import AccountSettings
from vidprod.domain.post import Wording
from vidprod.domain.publication import Publication
from vidprod.domain.segment import Segment
from vidprod.domain.target import Target
from vidprod.errors import BadWording, Conflict
from vidprod.store.sqlite import Store, Tables, composing, reviewing


class Looking(Plan):
    """A plan whose segments wait until somebody keeps them."""

    async def finished(self, *, segments: int = 3, review: bool = True, **said: Any) -> list[Segment]:
        account = await self.connect(said.pop("settings", SLOTS))
        job_id = await self.upload(account, segments=segments, **said)
        if review:
            await self.store.write(lambda db: db.segments._run("update segment set waits = 1"))
        await self.ready(job_id)
        return await self.store.read(lambda db: db.segments.of_job(job_id))

    async def keep(self, segment: Segment) -> Segment:
        return await self.store.write(lambda db: reviewing.keep(db, segment.id, now=self.now, clock=self.now))

    async def keep_all(self, job_id: str) -> list[Segment]:
        return await self.store.write(lambda db: reviewing.keep_all(db, job_id, now=self.now, clock=self.now))

    async def drop(self, segment: Segment) -> tuple[Segment, list[Publication]]:
        return await self.store.write(lambda db: reviewing.drop(db, segment.id, now=self.now, clock=self.now))

    async def restore(self, segment: Segment) -> Segment:
        return await self.store.write(lambda db: reviewing.restore(db, segment.id, now=self.now, clock=self.now))

    async def say(self, segment: Segment, **said: Any) -> Segment:
        edit = reviewing.Edit(**said)
        return await self.store.write(
            lambda db: reviewing.edit(db, segment.id, edit, max_attempts=5, now=self.now, clock=self.now)
        )

    async def all(self) -> list[Publication]:
        return sorted(await super().all(), key=lambda one: one.due_at)

    async def open(self) -> list[Publication]:
        return [one for one in await self.all() if one.state not in ("cancelled", "published")]

    async def types(self) -> list[str]:
        events = await self.store.read(lambda db: db.events.after(0, limit=100))
        return [event.type for event in events if event.type.startswith("segment.")]


@pytest.fixture
def plan(store: Store) -> Looking:
    return Looking(store)


async def test_nothing_is_planned_of_what_waits(plan: Looking) -> None:
    first, second, third = await plan.finished()
    assert (await plan.all(), first.review) == ([], "waiting")
    waiting = await plan.store.read(lambda db: db.segments.to_review())
    assert [(row["job_id"], row["filename"], row["segments"]) for row in waiting] == [(first.job_id, "my_talk.mov", 3)]
    assert (await plan.keep(first)).review == "kept"
    assert [(one.segment_id, shown(one.due_at)) for one in await plan.all()] == [(first.id, "Fri 20 18:00")]
    await plan.keep(first)  # said twice
    await plan.drop(second)
    await plan.keep_all(first.job_id)
    assert [(one.segment_id, shown(one.due_at)) for one in await plan.all()] == [
        (first.id, "Fri 20 18:00"),
        (third.id, "Mon 23 12:00"),
    ]
    assert await plan.store.read(lambda db: db.segments.to_review()) == []
    assert await plan.types() == ["segment.kept", "segment.dropped", "segment.kept"]


async def test_what_waits_is_not_published_by_hand_either(plan: Looking) -> None:
    first, second, _ = await plan.finished()
    other = await plan.connect()
    with pytest.raises(Conflict, match="it waits to be kept"):
        await plan.ask(first, other)
    await plan.drop(second)
    with pytest.raises(Conflict, match="it was dropped"):
        await plan.ask(second, other)


async def test_what_was_dropped_is_cancelled_and_planned_again_when_taken_back(plan: Looking) -> None:
    first, second, _ = await plan.finished(review=False)
    before = await plan.open()
    dropped, too_late = await plan.drop(first)
    assert (dropped.review, too_late) == ("dropped", [])
    assert [one.id for one in await plan.open()] == [one.id for one in before[1:]]
    assert dropped.withdrawn == [before[0].id]
    await plan.drop(first)  # said twice
    assert (await plan.restore(first)).review == "kept"
    again = next(one for one in await plan.open() if one.segment_id == first.id)
    assert (again.due_at, again.post, again.when) == (before[0].due_at, before[0].post, "slot")
    assert (await plan.restore(second)).review == "kept"
    assert len(await plan.open()) == 3


async def test_dropped_before_it_was_kept_it_waits_again_when_taken_back(plan: Looking) -> None:
    first, *_ = await plan.finished()
    await plan.drop(first)
    assert (await plan.restore(first)).review == "waiting"
    assert await plan.all() == []
    await plan.drop(first)
    assert (await plan.keep(first)).review == "kept"
    assert len(await plan.all()) == 1


async def test_what_is_public_stays_and_is_told(plan: Looking) -> None:
    first, *_ = await plan.finished(review=False)
    (one, *_) = await plan.open()
    await plan.publish(one)
    dropped, too_late = await plan.drop(first)
    assert ([late.id for late in too_late], dropped.withdrawn) == ([one.id], [])


async def test_only_what_is_ready_can_be_kept_or_dropped(plan: Looking) -> None:
    job_id = await plan.upload(segments=1)
    (segment,) = plan.jobs[job_id]
    for act in (lambda db: db.segments.keep(segment.id), lambda db: db.segments.drop(segment.id, withdrawn=[], now=1)):
        with pytest.raises(Conflict, match="is pending"):
            await plan.store.write(act)


async def test_words_of_a_segment_go_before_those_of_target_and_account(plan: Looking) -> None:
    settings = msgspec.structs.replace(SLOTS, wording=Wording(caption="as ever"))
    first, second, _ = await plan.finished(settings=settings, wording=Wording(title="My trip"))
    await plan.say(first, title="The {title} begins", caption=" Only here ")
    await plan.keep_all(first.job_id)
    said = [(one.post.title, one.post.caption) for one in await plan.all()]
    assert said[:2] == [("The My trip begins", "Only here"), ("My trip – part 2 of 3", "as ever")]
    await plan.say(second, title="Second", caption=None)  # what is planned follows
    await plan.say(first, title=None)
    said = [(one.post.title, one.post.caption) for one in await plan.all()]
    assert said[:2] == [("My trip – part 1 of 3", "Only here"), ("Second", "as ever")]


async def test_words_that_somebody_chose_for_a_publication_stay(plan: Looking) -> None:
    first, *_ = await plan.finished(review=False)
    (one, *_) = await plan.open()
    mine = msgspec.structs.replace(one.post, title="For this channel only")
    await plan.store.write(lambda db: db.publications.edit(one, mine))
    await plan.say(first, title="Everywhere else", caption="And this")
    post = (await plan.get(one)).post
    assert (post.title, post.caption) == ("For this channel only", "And this")


async def test_a_title_that_cannot_be_filled_in_is_refused_and_nothing_changes(plan: Looking) -> None:
    first, *_ = await plan.finished()
    with pytest.raises(BadWording, match="there is no field"):
        await plan.say(first, title="{nme}")
    await plan.say(first)
    assert await plan.types() == []


async def test_a_cover_that_was_chosen_is_what_posts_show(plan: Looking) -> None:
    first, second, _ = await plan.finished(review=False)
    one, other, _ = await plan.open()
    chosen = msgspec.structs.replace(other.post, cover_ms=500)
    await plan.store.write(lambda db: db.publications.edit(other, chosen))

    def covered(db: Tables) -> None:
        for segment in (first, second):
            assert segment.rendition is not None
            composing.follow(db, segment, segment.rendition, cover_us=2_000_900, now=plan.now)

    await plan.store.write(covered)
    assert [(await plan.get(each)).post.cover_ms for each in (one, other)] == [2000, 500]


async def test_an_account_that_is_gone_is_left_out_when_a_segment_is_taken_back(plan: Looking) -> None:
    first, *_ = await plan.finished(review=False, settings=AccountSettings())
    await plan.drop(first)
    (account,) = await plan.store.read(lambda db: db.accounts.list())
    await plan.store.write(lambda db: db.accounts._run("update account set state = 'disconnected', tokens = null"))
    assert (await plan.restore(first)).review == "kept"
    assert [one.segment_id for one in await plan.open() if one.segment_id == first.id] == []
    assert account.id == Target(account_id=account.id).account_id
