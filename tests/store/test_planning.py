"""When a segment goes where: planned, moved, missed."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from tests.store.given import a_job, a_rendition, a_segment, a_video
from vidprod.domain.account import Account, AccountSettings, Platform
from vidprod.domain.ids import new_id
from vidprod.domain.post import SAID, Wording
from vidprod.domain.publication import Publication, PublicationError, Wait
from vidprod.domain.segment import Segment
from vidprod.domain.target import Target
from vidprod.errors import BadSlot, BadTarget, BadWording, Conflict
from vidprod.store.sqlite import Store, Tables, composing, planning, steering

PARIS = ZoneInfo("Europe/Paris")
HOUR_MS = 3_600_000
SLOTS = AccountSettings(zone="Europe/Paris", slots=["Mon-Fri 12:00, 18:00"])
FRIDAY = "2026-11-20T13:00+01:00"

_names = count()


def ms(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def shown(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, PARIS).strftime("%a %d %H:%M")


@dataclass
class Plan:
    """A store, a clock that stands still, and who plans."""

    store: Store
    now: int = ms(FRIDAY)
    jobs: dict[str, list[Segment]] = field(default_factory=dict)

    async def connect(self, settings: AccountSettings = SLOTS, *, platform: Platform = "youtube") -> Account:
        account = Account(
            id=new_id("acc", now=self.now),
            platform=platform,
            external_id=f"UC{next(_names)}",
            name="Channel",
            state="connected",
            settings=settings,
            connected_at=self.now,
        )
        return await self.store.write(lambda db: db.accounts.add(account, b"sealed"))

    async def upload(self, *accounts: Account, segments: int = 3, filename: str = "my_talk.mov", **said: Any) -> str:
        """A job whose segments go to these accounts; none of them is ready."""
        targets = [Target(account_id=account.id, **said) for account in accounts]
        video = a_video(now=self.now, filename=filename)
        job = msgspec.structs.replace(a_job(video, now=self.now), targets=targets)
        planned = [a_segment(job.id, index=index, now=self.now) for index in range(segments)]

        def write(db: Tables) -> None:
            db.videos.add(video)
            db.jobs.add(job)
            db.segments.add_all(planned)

        await self.store.write(write)
        self.jobs[job.id] = planned
        return job.id

    async def ready(self, job_id: str, *indexes: int, **rendition: Any) -> list[Publication]:
        """These segments, or all, one after the other: their publications."""

        def write(db: Tables) -> list[Publication]:
            made: list[Publication] = []
            for segment in self.jobs[job_id]:
                if not indexes or segment.index in indexes:
                    file = msgspec.structs.replace(a_rendition(), **rendition)
                    made += planning.plan_segment(db, db.segments.ready(segment.id, file, now=self.now), now=self.now)
            return made

        return await self.store.write(write)

    async def all(self) -> list[Publication]:
        return list(reversed(await self.store.read(lambda db: db.publications.list(limit=1000))))

    async def times(self) -> list[str]:
        return [shown(one.due_at) for one in sorted(await self.all(), key=lambda one: one.due_at)]

    async def get(self, publication: Publication) -> Publication:
        return await self.store.read(lambda db: db.publications.get(publication.id))

    async def ask(self, segment: Segment, account: Account, when: str = "slot", **said: Any) -> Publication:
        return await self.store.write(
            lambda db: planning.plan(db, segment.id, account.id, when=when, wording=Wording(**said), now=self.now)
        )

    async def settle(self, account: Account, settings: AccountSettings) -> int:
        def write(db: Tables) -> int:
            db.accounts.set_settings(account.id, settings)
            return planning.replan_account(db, account.id, now=self.now)

        return await self.store.write(write)

    async def miss(self) -> list[str]:
        missed = await self.store.write(lambda db: planning.miss_overdue(db, now=self.now, late_ms=HOUR_MS))
        return [one.id for one in missed]

    async def publish(self, publication: Publication) -> Publication:
        def write(db: Tables) -> Publication:
            one = db.publications.begin(publication, sha256="ab" * 32, size=1, now=self.now)
            one = db.publications.sending(db.publications.begun(one, b"handle"))
            return db.publications.live(one, remote_id="x", url="https://example.org/x", now=self.now)

        return await self.store.write(write)


@pytest.fixture
def plan(store: Store) -> Plan:
    return Plan(store)


async def test_segments_take_one_slot_each_in_their_order(plan: Plan) -> None:
    job_id = await plan.upload(await plan.connect())
    made = await plan.ready(job_id)
    assert [shown(one.due_at) for one in made] == ["Fri 20 18:00", "Mon 23 12:00", "Mon 23 18:00"]
    assert [one.post.title for one in made] == [f"my talk – part {n} of 3" for n in (1, 2, 3)]
    assert {(one.when, one.state, one.run_at == one.due_at) for one in made} == {("slot", "scheduled", True)}


async def test_every_target_gets_every_segment(plan: Plan) -> None:
    accounts = [await plan.connect(), await plan.connect(platform="tiktok")]
    made = await plan.ready(await plan.upload(*accounts, segments=2))
    assert [(one.account_id, shown(one.due_at)) for one in made] == [
        (account.id, at) for at in ("Fri 20 18:00", "Mon 23 12:00") for account in accounts
    ]


async def test_a_job_without_targets_publishes_nothing(plan: Plan) -> None:
    await plan.connect()
    assert await plan.ready(await plan.upload()) == []


async def test_each_publication_that_is_planned_is_an_event(plan: Plan) -> None:
    account = await plan.connect()
    (made,) = await plan.ready(await plan.upload(account, segments=1))
    (event,) = await plan.store.read(lambda db: db.events.after(0))
    assert (event.type, event.job_id) == ("publication.scheduled", made.job_id)
    assert (event.data["publication_id"], event.data["account_id"]) == (made.id, account.id)


async def test_the_next_job_takes_the_slots_after(plan: Plan) -> None:
    account = await plan.connect()
    await plan.ready(await plan.upload(account, segments=2))
    await plan.ready(await plan.upload(account, segments=1))
    assert await plan.times() == ["Fri 20 18:00", "Mon 23 12:00", "Mon 23 18:00"]


async def test_a_slot_that_was_given_up_is_taken_by_the_next_job_and_not_by_a_later_part(plan: Plan) -> None:
    account = await plan.connect()
    job_id = await plan.upload(account, segments=4)
    first, *_ = await plan.ready(job_id, 0, 1, 2)
    await plan.store.write(lambda db: db.publications.cancel(first, now=plan.now))
    (part,) = await plan.ready(job_id, 3)
    assert shown(part.due_at) == "Tue 24 12:00"
    (other,) = await plan.ready(await plan.upload(account, segments=1))
    assert shown(other.due_at) == "Fri 20 18:00"


async def test_a_segment_that_is_ready_again_is_not_planned_again(plan: Plan) -> None:
    job_id = await plan.upload(await plan.connect(), segments=1)
    (made,) = await plan.ready(job_id)
    await plan.store.write(lambda db: db.publications.cancel(made, now=plan.now))

    def again(db: Tables) -> list[Publication]:
        return planning.plan_segment(db, db.segments.get(made.segment_id), now=plan.now)

    assert await plan.store.write(again) == []  # somebody did not want it


async def test_without_slots_segments_go_at_once_with_the_gap_between_them(plan: Plan) -> None:
    job_id = await plan.upload(await plan.connect(AccountSettings(zone="Europe/Paris", gap_s=3600)))
    assert [shown(one.due_at) for one in await plan.ready(job_id)] == ["Fri 20 13:00", "Fri 20 14:00", "Fri 20 15:00"]


async def test_at_once_does_not_wait_for_a_slot_but_for_the_cap(plan: Plan) -> None:
    settings = msgspec.structs.replace(SLOTS, daily_cap=2)
    job_id = await plan.upload(await plan.connect(settings), when="now")
    made = await plan.ready(job_id)
    assert [shown(one.due_at) for one in made] == ["Fri 20 13:00", "Fri 20 13:00", "Sat 21 00:00"]
    assert {one.when for one in made} == {"now"}


async def test_a_time_is_for_the_first_segment_and_the_others_follow_in_the_slots(plan: Plan) -> None:
    job_id = await plan.upload(await plan.connect(), when="2026-11-24T09:00:00+01:00")
    made = await plan.ready(job_id)
    assert [(shown(one.due_at), one.when) for one in made] == [
        ("Tue 24 09:00", "at"),
        ("Tue 24 12:00", "slot"),
        ("Tue 24 18:00", "slot"),
    ]


async def test_a_time_that_passed_while_the_segment_was_made_is_now(plan: Plan) -> None:
    job_id = await plan.upload(await plan.connect(), when="2026-11-20T12:59:00+01:00", segments=1)
    assert [shown(one.due_at) for one in await plan.ready(job_id)] == ["Fri 20 13:00"]


async def test_slots_leave_out_what_is_too_near_and_full_days(plan: Plan) -> None:
    settings = msgspec.structs.replace(SLOTS, gap_s=8 * 3600)
    await plan.ready(await plan.upload(await plan.connect(settings), segments=2))
    assert await plan.times() == ["Fri 20 18:00", "Mon 23 12:00"]
    capped = msgspec.structs.replace(SLOTS, daily_cap=1)
    made = await plan.ready(await plan.upload(await plan.connect(capped), segments=3))
    assert [shown(one.due_at) for one in made] == ["Fri 20 18:00", "Mon 23 12:00", "Tue 24 12:00"]


async def test_the_takes_title_is_put_into_the_accounts_template(plan: Plan) -> None:
    account = await plan.connect(msgspec.structs.replace(SLOTS, wording=Wording(title="{title} | {n}", caption="c")))
    made = await plan.ready(await plan.upload(account, wording=Wording(title="Eyes")))
    assert [one.post.title for one in made] == ["Eyes | 1", "Eyes | 2", "Eyes | 3"]
    assert made[0].post.caption == "c"
    (alone,) = await plan.ready(await plan.upload(account, segments=1, wording=Wording(title="{filename} {date}")))
    assert alone.post.title == "my_talk.mov 2026-11-20"


async def test_a_long_file_name_is_a_title_that_every_platform_takes(plan: Plan) -> None:
    made = await plan.ready(await plan.upload(await plan.connect(), filename="long " * 45 + ".mov"))
    assert made[0].post.title.endswith("… – part 1 of 3")
    assert len(made[0].post.title) < 100


async def test_a_file_name_with_brackets_is_a_title_that_youtube_takes(plan: Plan) -> None:
    (made,) = await plan.ready(await plan.upload(await plan.connect(), segments=1, filename="a <b> c.mov"))
    assert (made.post.title, made.wait) == ("a b c", None)


async def test_what_the_platform_would_refuse_is_said_as_soon_as_it_is_planned(plan: Plan) -> None:
    account = await plan.connect(platform="instagram")
    wording = Wording(hashtags=list("abcdef"))
    (made,) = await plan.ready(await plan.upload(account, segments=1, wording=wording))
    assert made.wait is not None
    assert (made.wait.code, made.wait.message) == ("hold", "hashtags: 6 hashtags, Instagram takes 5")
    assert not made.needs_approval
    events = await plan.store.read(lambda db: db.events.after(0))
    assert [event.type for event in events] == ["publication.scheduled", "publication.waiting"]
    edited = await plan.store.write(
        lambda db: steering.change(db, made.id, wording=Wording(hashtags=["a"]), now=plan.now)
    )
    assert (edited.wait, edited.due_at) == (None, made.due_at)


async def test_what_a_segment_shows_is_disclosed_by_itself_or_as_somebody_asked(plan: Plan) -> None:
    account = await plan.connect()
    turned = {"synthetic": True, "synthetic_reason": "eyes were turned"}
    (made,) = await plan.ready(await plan.upload(account, segments=1), **turned)
    assert (made.post.synthetic, made.post.synthetic_reason) == (True, "eyes were turned")
    said = Wording(synthetic=False)
    (other,) = await plan.ready(await plan.upload(account, segments=1, wording=said), **turned)
    assert (other.post.synthetic, other.post.synthetic_reason) == (False, SAID)


async def test_a_planned_post_follows_its_segment_when_that_is_made_again(plan: Plan) -> None:
    account = await plan.connect()
    turned = {"synthetic": True, "synthetic_reason": "eyes were turned"}
    (made,) = await plan.ready(await plan.upload(account, segments=1), **turned)
    (said,) = await plan.ready(await plan.upload(account, segments=1, wording=Wording(synthetic=True)), **turned)
    plain = a_rendition()

    def remade(db: Tables) -> None:
        for one in (made, said):
            composing.follow(db, db.segments.get(one.segment_id), plain, now=plan.now)

    await plan.store.write(remade)
    assert not (await plan.get(made)).post.synthetic
    assert (await plan.get(said)).post.synthetic


async def test_an_approval_is_for_the_file_that_was_seen(plan: Plan) -> None:
    account = await plan.connect(msgspec.structs.replace(SLOTS, approve=True))
    (made,) = await plan.ready(await plan.upload(account, segments=1))
    assert made.needs_approval
    approved = await plan.store.write(lambda db: db.publications.approve(made, now=plan.now))
    file = msgspec.structs.replace(a_rendition(), synthetic=True, synthetic_reason="eyes were turned")
    await plan.store.write(lambda db: composing.follow(db, db.segments.get(made.segment_id), file, now=plan.now))
    assert approved.approved_at is not None
    assert (await plan.get(made)).approved_at is None


async def test_an_approval_is_for_the_very_file_though_the_words_stay(plan: Plan) -> None:
    account = await plan.connect(msgspec.structs.replace(SLOTS, approve=True))
    (made,) = await plan.ready(await plan.upload(account, segments=1))
    await plan.store.write(lambda db: steering.approve(db, made.id, now=plan.now))
    again = msgspec.structs.replace(a_rendition(), sha256="ef" * 32)
    await plan.store.write(lambda db: composing.follow(db, db.segments.get(made.segment_id), again, now=plan.now))
    found = await plan.get(made)
    assert (found.approved_at, found.post) == (None, made.post)


async def test_what_the_platform_would_refuse_stays_said_whatever_else_is_changed(plan: Plan) -> None:
    account = await plan.connect(msgspec.structs.replace(SLOTS, approve=True), platform="instagram")
    wording = Wording(hashtags=list("abcdef"))
    (made,) = await plan.ready(await plan.upload(account, segments=1, wording=wording))
    turned = msgspec.structs.replace(a_rendition(), synthetic=True, synthetic_reason="eyes were turned")
    for change in (
        lambda db: steering.approve(db, made.id, now=plan.now),
        lambda db: steering.change(db, made.id, when="2026-11-24T09:00:00+01:00", now=plan.now),
        lambda db: composing.follow(db, db.segments.get(made.segment_id), turned, now=plan.now),
    ):
        await plan.store.write(change)
        assert (await plan.get(made)).wait == made.wait


async def test_what_was_missed_stays_so_when_it_is_approved_or_edited(plan: Plan) -> None:
    account = await plan.connect(msgspec.structs.replace(SLOTS, approve=True))
    (made,) = await plan.ready(await plan.upload(account, segments=1))
    plan.now = made.due_at + 2 * HOUR_MS
    assert await plan.miss() == [made.id]
    missed = await plan.get(made)
    await plan.store.write(lambda db: steering.approve(db, made.id, now=plan.now))
    await plan.store.write(lambda db: steering.change(db, made.id, wording=Wording(title="Other"), now=plan.now))
    found = await plan.get(made)
    assert (found.wait, found.missed_at) == (missed.wait, missed.missed_at)
    assert found.post.title == "Other"


async def test_settings_that_cannot_be_read_do_not_fail_a_segment(plan: Plan) -> None:
    account = await plan.connect(AccountSettings(zone="Europe/Atlantis", slots=["daily 9:00"]))
    (made,) = await plan.ready(await plan.upload(account, segments=1))
    assert made.needs_approval
    assert made.wait is not None
    assert "Europe/Atlantis" in made.wait.message


async def test_a_template_that_cannot_be_filled_in_does_not_fail_a_segment(plan: Plan) -> None:
    account = await plan.connect(msgspec.structs.replace(SLOTS, wording=Wording(caption="{from another version}")))
    (made,) = await plan.ready(await plan.upload(account, segments=1))
    assert made.needs_approval
    assert made.wait is not None
    assert "{from another version}" in made.wait.message


async def test_youtube_is_handed_the_time_a_day_before(plan: Plan) -> None:
    account = await plan.connect(msgspec.structs.replace(SLOTS, hands_over_time=True))
    made = await plan.ready(await plan.upload(account))
    assert [shown(one.run_at) for one in made] == ["Fri 20 13:00", "Sun 22 12:00", "Sun 22 18:00"]
    tiktok = await plan.connect(msgspec.structs.replace(SLOTS, hands_over_time=True), platform="tiktok")
    (other,) = await plan.ready(await plan.upload(tiktok, segments=1))
    assert other.run_at == other.due_at
    plan.now = ms("2026-11-24T11:30+01:00")
    (soon,) = await plan.ready(await plan.upload(account, segments=1))
    assert (shown(soon.due_at), soon.run_at) == ("Tue 24 12:00", soon.due_at)  # platforms refuse what is almost now


async def test_what_is_planned_is_handed_over_once_that_is_asked_for(plan: Plan) -> None:
    account = await plan.connect()
    made = await plan.ready(await plan.upload(account, segments=2))
    early = msgspec.structs.replace(SLOTS, hands_over_time=True)
    assert await plan.settle(account, early) == 0
    assert [shown((await plan.get(one)).run_at) for one in made] == ["Fri 20 13:00", "Sun 22 12:00"]
    await plan.settle(account, msgspec.structs.replace(early, hands_over_time=False))
    assert [await plan.get(one) for one in made] == made


# as somebody asks for it


async def test_one_segment_goes_where_and_when_somebody_asks(plan: Plan) -> None:
    account = await plan.connect()
    job_id = await plan.upload(segments=3)
    await plan.ready(job_id)
    one, two, three = plan.jobs[job_id]
    assert shown((await plan.ask(one, account)).due_at) == "Fri 20 18:00"
    asked = await plan.ask(two, account, "2026-12-24T20:15:00+01:00", title="To the letter")
    assert (shown(asked.due_at), asked.when, asked.post.title) == ("Thu 24 20:15", "at", "To the letter")
    assert shown((await plan.ask(three, account, "now")).due_at) == "Fri 20 13:00"  # not after the part before


async def test_a_segment_is_planned_once_for_an_account(plan: Plan) -> None:
    account = await plan.connect()
    (made,) = await plan.ready(await plan.upload(account, segments=1))
    with pytest.raises(Conflict, match="on its way"):
        await plan.ask(await plan.store.read(lambda db: db.segments.get(made.segment_id)), account)


async def test_what_cannot_be_published_says_why(plan: Plan) -> None:
    account = await plan.connect()
    job_id = await plan.upload(segments=2)
    await plan.ready(job_id, 0)
    ready, pending = plan.jobs[job_id]
    with pytest.raises(Conflict, match="it is pending"):
        await plan.ask(pending, account)
    with pytest.raises(BadTarget, match="that time is over"):
        await plan.ask(ready, account, "2026-11-20T12:00:00+01:00")
    with pytest.raises(BadWording, match=r"title: YouTube refuses <; privacy: YouTube has no friends posts"):
        await plan.ask(ready, account, title="a < b", privacy="friends")
    await plan.store.write(lambda db: db.accounts.disconnect(account.id))
    with pytest.raises(Conflict, match="disconnected"):
        await plan.ask(ready, account)


async def test_a_direct_post_at_tiktok_needs_a_word_on_who_sees_it(plan: Plan) -> None:
    job_id = await plan.upload(segments=1)
    await plan.ready(job_id)
    (segment,) = plan.jobs[job_id]
    with pytest.raises(BadWording, match="wants a person to choose"):
        await plan.ask(segment, await plan.connect(AccountSettings(delivery="direct"), platform="tiktok"))
    said = AccountSettings(delivery="direct", wording=Wording(privacy="private"))
    assert (await plan.ask(segment, await plan.connect(said, platform="tiktok"))).post.privacy == "private"
    assert (await plan.ask(segment, await plan.connect(platform="tiktok"))).post.privacy is None  # a draft


# other slots


async def test_other_slots_are_taken_in_the_same_order(plan: Plan) -> None:
    account = await plan.connect()
    made = await plan.ready(await plan.upload(account))
    assert await plan.settle(account, msgspec.structs.replace(SLOTS, slots=["daily 9:00"])) == 3
    events = await plan.store.read(lambda db: db.events.after(0))
    assert [event.type for event in events[-3:]] == ["publication.changed"] * 3
    assert [shown((await plan.get(one)).due_at) for one in made] == ["Sat 21 09:00", "Sun 22 09:00", "Mon 23 09:00"]
    assert await plan.settle(account, msgspec.structs.replace(SLOTS, slots=["daily 9:00"])) == 0


async def test_another_zone_keeps_the_time_on_the_wall(plan: Plan) -> None:
    account = await plan.connect()
    (made, *_) = await plan.ready(await plan.upload(account))
    await plan.settle(account, msgspec.structs.replace(SLOTS, zone="America/New_York"))
    moved = await plan.get(made)
    assert datetime.fromtimestamp(moved.due_at / 1000, ZoneInfo("America/New_York")).strftime("%a %H:%M") == "Fri 12:00"
    assert (moved.run_at, moved.when) == (moved.due_at, "slot")


async def test_only_what_is_planned_in_slots_is_moved(plan: Plan) -> None:
    account = await plan.connect()
    at = "2026-11-23T09:00:00+01:00"
    (named,) = await plan.ready(await plan.upload(account, segments=1, when=at))
    published, missed, waiting = await plan.ready(await plan.upload(account))
    plan.now = ms("2026-11-23T12:05+01:00")
    published = await plan.publish(published)
    await plan.store.write(lambda db: db.publications.miss(missed, now=plan.now))
    before = [await plan.get(one) for one in (named, published, missed)]
    await plan.settle(account, msgspec.structs.replace(SLOTS, slots=["daily 20:00"]))
    assert [await plan.get(one) for one in (named, published, missed)] == before
    assert shown((await plan.get(waiting)).due_at) == "Mon 23 20:00"


async def test_parts_stay_after_a_part_whose_time_was_named(plan: Plan) -> None:
    account = await plan.connect()
    made = await plan.ready(await plan.upload(account, segments=2, when="2026-11-24T09:00:00+01:00"))
    await plan.settle(account, msgspec.structs.replace(SLOTS, slots=["daily 8:00"]))
    assert [shown((await plan.get(one)).due_at) for one in made] == ["Tue 24 09:00", "Wed 25 08:00"]


async def test_taking_all_slots_away_sends_nothing_at_once(plan: Plan) -> None:
    account = await plan.connect()
    await plan.ready(await plan.upload(account))
    before = await plan.times()
    assert await plan.settle(account, msgspec.structs.replace(SLOTS, slots=[])) == 0
    assert await plan.times() == before


async def test_slots_that_cannot_be_read_move_nothing(plan: Plan) -> None:
    account = await plan.connect()
    await plan.ready(await plan.upload(account))
    with pytest.raises(BadSlot):
        await plan.settle(account, msgspec.structs.replace(SLOTS, slots=["never"]))
    assert (await plan.times())[0] == "Fri 20 18:00"


# time that jumps


async def test_slots_after_the_clock_went_back_an_hour_are_not_used_twice(plan: Plan) -> None:
    account = await plan.connect()
    (first,) = await plan.ready(await plan.upload(account, segments=1))
    plan.now = first.due_at + 60_000
    await plan.publish(first)
    plan.now -= HOUR_MS  # 17:01: the slot of 18:00 is to come again
    (second,) = await plan.ready(await plan.upload(account, segments=1))
    assert shown(second.due_at) == "Mon 23 12:00"


async def test_slots_after_the_clock_went_forward_a_day_are_those_to_come(plan: Plan) -> None:
    account = await plan.connect()
    await plan.ready(await plan.upload(account, segments=2))
    plan.now = ms("2026-11-24T00:00+01:00")
    (made,) = await plan.ready(await plan.upload(account, segments=1))
    assert shown(made.due_at) == "Tue 24 12:00"
    await plan.settle(account, msgspec.structs.replace(SLOTS, zone="Europe/London"))
    assert await plan.times() == ["Fri 20 18:00", "Mon 23 12:00", "Tue 24 13:00"]  # what was due is not moved


async def test_a_zone_whose_rules_changed_is_noticed(plan: Plan) -> None:
    account = await plan.connect()
    (made, *_) = await plan.ready(await plan.upload(account))
    assert not await plan.store.read(lambda db: planning.is_off(db, account.id, now=plan.now))
    await plan.store.write(
        lambda db: db.publications.reschedule(made, due_at=made.due_at + HOUR_MS, when="slot", run_at=made.due_at)
    )
    assert await plan.store.read(lambda db: planning.is_off(db, account.id, now=plan.now))


async def test_what_may_go_out_is_left_to_the_publisher_however_late(plan: Plan) -> None:
    await plan.ready(await plan.upload(await plan.connect(AccountSettings())))
    plan.now += 5 * HOUR_MS
    assert await plan.miss() == []


async def test_what_waits_for_a_quota_is_not_missed(plan: Plan) -> None:
    made = await plan.ready(await plan.upload(await plan.connect(AccountSettings()), segments=1))
    tomorrow = plan.now + 24 * HOUR_MS
    wait = Wait(code="quota", message="100 uploads a day", until=tomorrow)

    def parked(db: Tables) -> None:
        db.publications.wait(made[0], wait, run_at=tomorrow)
        db.accounts.pause(made[0].account_id, now=plan.now)

    await plan.store.write(parked)
    plan.now = tomorrow
    assert await plan.miss() == []


@pytest.mark.parametrize("why", ["account paused", "all paused", "reauth", "approval"])
async def test_what_may_not_go_out_is_missed_after_an_hour_and_not_sent_later(plan: Plan, why: str) -> None:
    account = await plan.connect(AccountSettings(approve=why == "approval"))
    (made,) = await plan.ready(await plan.upload(account, segments=1))

    def hinder(db: Tables) -> None:
        if why == "account paused":
            db.accounts.pause(account.id, now=plan.now)
        elif why == "all paused":
            db.facts.set("publishing_paused_at", plan.now)
        elif why == "reauth":
            db.accounts.need_reauth(account.id, "revoked")

    await plan.store.write(hinder)
    plan.now += HOUR_MS
    assert await plan.miss() == []
    plan.now += 1
    assert await plan.miss() == [made.id]
    assert await plan.miss() == []
    missed = await plan.get(made)
    assert missed.wait is not None
    assert (missed.missed_at, missed.wait.code) == (plan.now, "missed")
    events = await plan.store.read(lambda db: db.events.after(0))
    assert [event.data["code"] for event in events if event.type == "publication.missed"] == ["missed"]


async def test_what_was_begun_is_not_missed(plan: Plan) -> None:
    (made,) = await plan.ready(await plan.upload(await plan.connect(AccountSettings()), segments=1))
    error = PublicationError(at=plan.now, step="begin", kind="RETRY", code="503", message="later")

    def begun(db: Tables) -> None:
        one = db.publications.begin(made, sha256="ab" * 32, size=1, now=plan.now)
        db.publications.anew(one, None, run_at=plan.now, error=error)

    await plan.store.write(begun)
    plan.now += 5 * HOUR_MS
    await plan.store.write(lambda db: db.accounts.pause(made.account_id, now=plan.now))
    assert await plan.miss() == []
