"""What comes of each kind of error, at each step: the table of the publisher."""

from pathlib import Path

import pytest

from tests.publishing.far import FakePlatform
from tests.publishing.stage import DAY_MS, HOUR_MS, MINUTE_MS, START, Stage
from vidprod.domain.account import Platform
from vidprod.domain.publication import Publication, Wait
from vidprod.errors import Conflict, PlatformError
from vidprod.platforms.base import Grant, Handle

PLATFORMS: list[Platform] = ["youtube", "tiktok", "instagram"]
SOON = START + 2000
EVERYWHERE = pytest.mark.parametrize("platform", PLATFORMS)


def error(kind: str, code: str = "no", **more: object) -> PlatformError:
    return PlatformError("it says no", kind=kind, code=code, **more)  # type: ignore[arg-type]


async def one(stage: Stage, platform: Platform = "youtube") -> Publication:
    (publication,) = await stage.plan(await stage.connect(platform))
    return publication


def code_of(publication: Publication) -> str:
    return "" if publication.wait is None else publication.wait.code


# RETRY


async def test_retry_of_a_begin_comes_with_growing_pauses(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage)
        stage.far.order("begin", *[error("RETRY")] * 3)
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, live.attempt, [one.step for one in live.errors]) == ("published", 4, ["begin"] * 3)
        begins = [int(line.split()[0]) - START for line in stage.far.log if line.endswith("begin")]
        assert begins[0] == 0
        for before, after, seconds in zip(begins, begins[1:], (2, 4, 8), strict=False):
            assert seconds * 900 <= after - before <= seconds * 1100
        assert [event.type for event in await stage.events()] == [
            "publication.uploading",
            "publication.processing",
            "publication.published",
        ]


@EVERYWHERE
async def test_retry_of_a_begin_goes_on_for_an_hour_and_is_then_given_up(tmp_path: Path, platform: Platform) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, platform)
        stage.far.order("begin", *[error("RETRY", "503")] * 50)
        await stage.settle()
        given_up = await stage.get(publication)
        assert (given_up.state, given_up.errors[-1].code, given_up.said) == ("rejected", "503", "it says no")
        assert HOUR_MS <= (given_up.finalized_at or 0) - START <= HOUR_MS + 6 * MINUTE_MS
        stage.far.ordered.clear()
        retried = await stage.store.write(lambda db: db.publications.retry(given_up, now=stage.clock.now()))
        assert retried.state == "scheduled"
        await stage.settle()
        assert (await stage.get(publication)).state == "published"


async def test_retry_after_is_obeyed_and_outlives_a_restart(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage)
        stage.far.order("begin", error("RETRY", retry_after_s=600.0))
        await stage.settle(until=SOON)
        waiting = await stage.get(publication)
        assert (waiting.state, code_of(waiting), waiting.run_at) == ("scheduled", "retry", START + 600_000)
        await stage.crash()
        await stage.settle(until=START + 599_000)
        assert stage.far.calls["youtube.begin"] == 1
        await stage.settle(until=START + HOUR_MS)
        assert (await stage.get(publication)).state == "published"


@EVERYWHERE
async def test_retry_of_sending_reads_first_and_sends_on(tmp_path: Path, platform: Platform) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, platform)
        stage.far.order("send", "part", error("RETRY"))
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, live.attempt) == ("published", 1)
        points = [line.split()[-1] for line in stage.far.log]
        assert points[:7] == ["begin", "send", "read", "send", "read", "send", "read"]


async def test_what_never_gets_all_its_bytes_is_begun_anew_twice_and_then_rejected(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage)
        stage.far.order("send", *["reset"] * 500)
        await stage.settle()
        rejected = await stage.get(publication)
        assert (rejected.state, rejected.attempt, rejected.errors[-1].code) == ("rejected", 3, "stalled")
        assert not stage.far.posts


async def test_retry_of_making_it_public_comes_after_half_a_minute(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, "instagram")
        stage.far.order("publish", error("RETRY", "9007/2207027"))
        await stage.settle()
        first, second = (int(line.split()[0]) for line in stage.far.log if line.endswith("publish"))
        assert 27_000 <= second - first <= 33_000
        assert (await stage.get(publication)).state == "published"


@EVERYWHERE
async def test_retry_of_reading_says_nothing_about_the_publication(tmp_path: Path, platform: Platform) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, platform)
        stage.far.order("read", error("RETRY"), error("FIX"), error("POLICY"), error("NEWHANDLE"), "reset")
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, live.attempt) == ("published", 1)


# REFRESH


async def test_refresh_that_comes_through_is_tried_again(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage)
        stage.far.order("begin", error("REFRESH"))
        await stage.settle()
        assert (await stage.get(publication)).state == "published"


# REAUTH


@pytest.mark.parametrize("step", ["begin", "send", "publish", "read"])
async def test_reauth_waits_and_goes_on_where_it_was(tmp_path: Path, step: str) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, "instagram")
        stage.far.order(step, error("REAUTH", "190"))
        await stage.settle()
        waiting = await stage.get(publication)
        account = await stage.store.read(lambda db: db.accounts.get(publication.account_id))
        assert (code_of(waiting), account.state, account.fault) == ("reauth", "needs_reauth", "it says no")
        assert (await stage.events("account."))[-1].type == "account.needs_reauth"
        assert (await stage.events())[-1].data["code"] == "reauth"
        await stage.reconnect(account.id)
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, live.attempt) == ("published", 2 if step == "begin" else 1)
        assert sum(stage.far.posts.values()) == 1


# QUOTA


@pytest.mark.parametrize("step", ["begin", "send", "publish"])
async def test_quota_parks_the_account_until_it_is_said_to_be_anew(tmp_path: Path, step: str) -> None:
    async with Stage(tmp_path).open() as stage:
        account = await stage.connect("instagram")
        first, second = await stage.plan(account, n=2, apart_ms=MINUTE_MS)
        until = START + 5 * HOUR_MS
        stage.far.order(step, error("QUOTA", "9/2207042", until=until))
        await stage.settle(until=START + 30 * MINUTE_MS)
        waiting, next_one = await stage.get(first), await stage.get(second)
        assert waiting.wait == Wait(code="quota", message="it says no", until=until)
        parked = await stage.store.read(lambda db: db.accounts.get(account.id))
        assert parked.parked_until == until
        if step != "send":  # else it waits for the first
            assert (code_of(next_one), next_one.run_at) == ("quota", until)
        await stage.settle()
        assert [(await stage.get(one)).state for one in (first, second)] == ["published"] * 2
        assert min([(await stage.get(one)).published_at or 0 for one in (first, second)]) >= until


async def test_what_waited_for_a_quota_is_tried_again_as_often_as_ever(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, "instagram")
        quota = error("QUOTA", "9/2207042", until=START + 5 * HOUR_MS)
        stage.far.order("publish", quota, error("RETRY", "2"), error("RETRY", "2"))
        await stage.settle()
        assert (await stage.get(publication)).state == "published"


async def test_a_quota_of_the_google_project_parks_every_channel_until_midnight_there(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        ann, bob = await stage.connect("youtube", "ann"), await stage.connect("youtube", "bob")
        other = await stage.connect("tiktok", "ann")
        await stage.plan(ann)
        (later,) = await stage.plan(bob, due_at=START + MINUTE_MS)
        stage.far.order("begin", error("QUOTA", "quotaExceeded"))
        await stage.settle(until=START + 10 * MINUTE_MS)
        accounts = {one.id: one for one in await stage.store.read(lambda db: db.accounts.list())}
        midnight = 1_795_075_200_000  # 19 November 2026, 00:00 in Los Angeles
        assert accounts[ann.id].parked_until == accounts[bob.id].parked_until == midnight
        assert accounts[other.id].parked_until is None
        assert (await stage.get(later)).run_at == midnight
        await stage.settle()
        assert sum(stage.far.posts.values()) == 2


# FIX and POLICY


@pytest.mark.parametrize("step", ["begin", "send", "publish"])
@pytest.mark.parametrize("kind", ["FIX", "POLICY"])
async def test_what_is_refused_for_good_is_rejected_in_words(tmp_path: Path, step: str, kind: str) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, "instagram")
        stage.far.order(step, error(kind, "100", hint="Change it."))
        await stage.settle()
        rejected = await stage.get(publication)
        assert (rejected.state, rejected.said) == ("rejected", "it says no Change it.")
        assert (rejected.errors[-1].kind, rejected.errors[-1].step) == (kind, step)
        (event,) = [one for one in await stage.events() if one.type == "publication.rejected"]
        assert (event.data["code"], event.data["message"]) == ("100", "it says no Change it.")
        assert not stage.far.posts


async def test_what_breaks_a_limit_is_rejected_before_the_first_byte(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage)
        await stage.store.write(lambda db: db.publications.edit(publication, type(publication.post)(title="a" * 101)))
        await stage.settle()
        rejected = await stage.get(publication)
        assert (rejected.state, rejected.errors[-1].code, rejected.said) == (
            "rejected",
            "limits",
            "title: it is too long",
        )
        assert not stage.far.calls


async def test_a_blocked_action_leaves_the_account_alone_for_a_day(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, "instagram")
        stage.far.order("begin", error("POLICY", "4/2207051"))
        await stage.settle()
        account = await stage.store.read(lambda db: db.accounts.get(publication.account_id))
        assert (await stage.get(publication)).state == "rejected"
        assert (account.parked_until or 0) - START >= DAY_MS


async def test_a_blocked_action_that_went_live_all_the_same_is_published(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, "instagram")
        stage.far.order("publish", "lost")
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, stage.far.calls["instagram.publish"]) == ("published", 1)


async def test_a_blocked_action_that_did_nothing_is_rejected_after_a_few_looks(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, "instagram")
        stage.far.order("publish", error("RECONCILE", "4/2207051"))
        await stage.settle()
        rejected = await stage.get(publication)
        account = await stage.store.read(lambda db: db.accounts.get(publication.account_id))
        assert (rejected.state, rejected.errors[-1].kind) == ("rejected", "POLICY")
        assert (account.parked_until or 0) - START >= DAY_MS
        assert stage.far.calls["instagram.publish"] == 1
        assert 8 * MINUTE_MS <= (rejected.finalized_at or 0) - START <= 15 * MINUTE_MS


# NEWHANDLE


@pytest.mark.parametrize("step", ["send", "publish"])
async def test_a_dead_handle_is_replaced_twice(tmp_path: Path, step: str) -> None:
    async with Stage(tmp_path).open() as stage:
        first, second = await stage.plan(await stage.connect("instagram"), n=2, apart_ms=5 * HOUR_MS)
        stage.far.order(step, *[error("NEWHANDLE", "2207053")] * 2)
        await stage.settle(until=START + HOUR_MS)
        live = await stage.get(first)
        assert (live.state, live.attempt) == ("published", 3)
        stage.far.order(step, *[error("NEWHANDLE", "2207053")] * 3)
        await stage.settle()
        rejected = await stage.get(second)
        assert (rejected.state, rejected.attempt, rejected.errors[-1].code) == ("rejected", 3, "2207053")


async def test_what_is_gone_long_after_its_time_is_not_begun_anew_by_itself(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage)
        stage.far.order("send", error("REAUTH"))
        await stage.settle(until=START + HOUR_MS)
        stage.clock.time = START + 3 * DAY_MS
        await stage.reconnect(publication.account_id)
        await stage.settle(until=START + 4 * DAY_MS)
        rejected = await stage.get(publication)
        assert rejected.state == "rejected"
        assert "nothing of it is public" in rejected.said


# RECONCILE, and no answer


@pytest.mark.parametrize("platform", ["youtube", "instagram"])
@pytest.mark.parametrize("fault", ["lost", "reset", error("RECONCILE"), "garbage"])
async def test_a_begin_without_an_answer_is_asked_again(
    tmp_path: Path, platform: Platform, fault: PlatformError | str
) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, platform)
        stage.far.order("begin", fault)
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, live.attempt) == ("published", 2)
        assert sum(stage.far.posts.values()) == 1


@pytest.mark.parametrize("fault", ["lost", "reset", error("RECONCILE"), "garbage"])
async def test_a_begin_at_tiktok_without_an_answer_is_not_asked_again_while_its_address_lives(
    tmp_path: Path, fault: PlatformError | str
) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, "tiktok")
        stage.far.order("begin", fault)
        await stage.settle(until=START + HOUR_MS)
        unknown = await stage.get(publication)
        assert (unknown.state, unknown.phase, stage.far.calls["tiktok.begin"]) == ("unknown", "begin", 1)
        assert unknown.wait is not None
        assert "nothing was sent" in unknown.wait.message
        await stage.settle(until=START + 2 * HOUR_MS)
        live = await stage.get(publication)
        assert (live.state, live.attempt) == ("published", 2)


async def test_a_begin_without_an_answer_is_not_begun_anew_by_looking_again(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, "tiktok")
        stage.far.order("begin", "lost")
        await stage.settle(until=START + MINUTE_MS)
        unknown = await stage.get(publication)
        with pytest.raises(Conflict, match="nothing was sent"):
            await stage.store.write(lambda db: db.publications.check(unknown, now=stage.clock.now()))
        await stage.settle(until=START + 10 * MINUTE_MS)
        assert (await stage.get(publication)).state == "unknown"


async def test_a_begin_at_tiktok_without_an_answer_can_be_retried_by_a_person_at_once(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, "tiktok")
        stage.far.order("begin", "lost")
        await stage.settle(until=START + MINUTE_MS)
        unknown = await stage.get(publication)
        await stage.store.write(lambda db: db.publications.retry(unknown, now=stage.clock.now()))
        await stage.settle(until=START + 10 * MINUTE_MS)
        assert (await stage.get(publication)).state == "published"


async def test_a_lost_answer_to_making_it_public_is_never_answered_by_asking_again_blindly(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, "instagram")
        stage.far.order("publish", "reset")  # it never got there
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, stage.far.calls["instagram.publish"]) == ("published", 2)
        points = [line.split()[-1] for line in stage.far.log]
        at = points.index("publish")
        assert points[at : at + 4] == ["publish", "read", "read", "read"]  # twice it says no, then it is ready
        assert "publication.unknown" in [event.type for event in await stage.events()]


async def test_what_said_that_it_is_public_is_not_asked_again_though_it_does_not_show_it(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, "instagram")
        publish = FakePlatform.publish

        class Forgetful(FakePlatform):
            """Its answer has no number."""

            async def publish(self, grant: Grant, handle: Handle) -> Handle:
                await publish(self, grant, handle)
                self._far.held[handle["name"]].shown_at = self._far.now() + MINUTE_MS
                return handle

        stage.platforms._all["instagram"] = Forgetful("instagram", stage.far)
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, stage.far.calls["instagram.publish"]) == ("published", 1)


async def test_what_is_never_made_public_is_asked_for_three_times(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, "instagram")
        stage.far.order("publish", *["reset"] * 9)
        await stage.settle()
        rejected = await stage.get(publication)
        assert (rejected.state, stage.far.calls["instagram.publish"]) == ("rejected", 3)
        assert "says that it is not" in rejected.said


async def test_refusals_to_make_it_public_are_not_counted_as_answers_that_were_lost(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, "instagram")
        full = [error("QUOTA", "9/2207042", until=START + hours * HOUR_MS) for hours in (1, 2)]
        stage.far.order("publish", *full, error("RETRY", "9007/2207027"), "reset")
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, stage.far.calls["instagram.publish"]) == ("published", 5)


async def test_what_is_not_worth_more_tries_is_rejected_after_them(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, "instagram")
        stage.far.order("begin", *[error("RETRY", "9004/2207052", tries=3)] * 9)
        await stage.settle()
        rejected = await stage.get(publication)
        assert (rejected.state, stage.far.calls["instagram.begin"]) == ("rejected", 4)


# what a reading says


@EVERYWHERE
async def test_a_handle_that_is_gone_before_anything_could_come_of_it_is_replaced(
    tmp_path: Path, platform: Platform
) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, platform)
        stage.far.order("read", *["reset"] * 2)
        await stage.settle(until=SOON)
        for held in stage.far.held.values():
            held.is_forgotten = True
        await stage.settle(until=START + HOUR_MS)
        found = await stage.get(publication)
        if platform == "instagram":  # nobody asked it to be public
            assert (found.state, found.attempt, found.errors[-1].code) == ("published", 2, "2207008")
        else:  # the last byte was sent
            assert (found.state, found.attempt) == ("unknown", 1)


async def test_a_handle_that_is_gone_after_it_was_asked_to_be_public_is_unknown(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, "instagram")
        stage.far.order("publish", "lost")

        def forget() -> None:
            for held in stage.far.held.values():
                held.is_forgotten = held.live_at is not None

        stage.far.changed = forget
        await stage.settle(until=START + DAY_MS)
        unknown = await stage.get(publication)
        assert (unknown.state, unknown.attempt, stage.far.calls["instagram.publish"]) == ("unknown", 1, 1)


async def test_a_handle_that_is_gone_after_it_was_refused_to_be_public_is_replaced(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, "instagram")
        stage.far.order("publish", error("RETRY", "24/2207008", retry_after_s=1200.0))
        await stage.settle(until=START + 10 * MINUTE_MS)
        assert (await stage.get(publication)).state == "processing"
        for held in stage.far.held.values():
            held.is_forgotten = True
        await stage.settle(until=START + HOUR_MS)
        live = await stage.get(publication)
        assert (live.state, live.attempt, sum(stage.far.posts.values())) == ("published", 2, 1)


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("kind", ["FIX", "POLICY", ""])
async def test_what_the_platform_rejects_afterwards_is_rejected(tmp_path: Path, platform: Platform, kind: str) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, platform)
        stage.far.order("read", *["reset"] * 2)
        await stage.settle(until=SOON)
        for held in stage.far.held.values():
            held.refused = (kind, "picture_size_check_failed")
        await stage.settle()
        rejected = await stage.get(publication)
        assert (rejected.state, rejected.errors[-1].code) == ("rejected", "picture_size_check_failed")


async def test_what_broke_at_the_platform_is_sent_again_with_another_handle(tmp_path: Path) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, "instagram")
        stage.far.order("read", *["reset"] * 2)
        await stage.settle(until=SOON)
        for held in stage.far.held.values():
            held.refused = ("RETRY", "internal")
        await stage.settle()
        live = await stage.get(publication)
        assert (live.state, live.attempt) == ("published", 2)
        assert [(event.type.removeprefix("publication."), event.data["state"]) for event in await stage.events()] == [
            ("uploading", "uploading"),
            ("processing", "processing"),
            ("waiting", "scheduled"),
            ("uploading", "uploading"),
            ("processing", "processing"),
            ("published", "published"),
        ]


@EVERYWHERE
async def test_what_nobody_can_tell_by_the_deadline_is_unknown_and_read_on(tmp_path: Path, platform: Platform) -> None:
    async with Stage(tmp_path).open() as stage:
        publication = await one(stage, platform)
        stage.far.order("read", *["reset"] * 2000)
        await stage.settle(until=START + 3 * HOUR_MS)
        unknown = await stage.get(publication)
        assert (unknown.state, code_of(unknown), unknown.deadline_at) == ("unknown", "unknown", None)
        reads = stage.far.calls[f"{platform}.read"]
        await stage.settle(until=START + 3 * DAY_MS)
        assert stage.far.calls[f"{platform}.read"] - reads < 20  # at growing intervals
        assert (await stage.get(publication)).state == "unknown"
        assert (stage.far.calls[f"{platform}.begin"], stage.far.calls[f"{platform}.send"]) == (1, 1)
        stage.far.ordered.clear()
        unknown = await stage.get(publication)
        await stage.store.write(lambda db: db.publications.check(unknown, now=stage.clock.now()))
        await stage.settle(until=START + 5 * DAY_MS)
        assert (await stage.get(publication)).state == "published"
        assert sum(stage.far.posts.values()) == 1
