"""Making a reel public, once, whatever is answered; and finding it where the answer was lost."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import structs

from tests.platforms.instagram_stage import POST, Stage, refusal
from vidprod.domain.account import Flavour
from vidprod.domain.post import Post
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms.base import Handle, Reading
from vidprod.platforms.simulators.instagram_graph import FAULTS
from vidprod.platforms.simulators.world import Fault

FLAVOURS: tuple[Flavour, ...] = ("facebook_login", "instagram_login")
DAY_S = 86_400


async def refused(on: Stage, fault: str) -> tuple[Handle, PlatformError]:
    """What was ready, and the error that it is answered with when it is published."""
    handle = await on.ready()
    on.world.order("instagram.publish", fault)
    return handle, await refusal(on.publish(handle))


# publishing: once


async def test_failure_9_what_is_published_before_it_is_ready_is_refused_and_waited_for(
    stage: Callable[..., Stage],
) -> None:
    on = stage()
    handle = await on.send(await on.begin())
    error = await refusal(on.publish(handle))
    assert (error.kind, error.code) == ("RETRY", "9007/2207027")
    on.wall.pass_s(20)
    await on.publish(handle)
    assert len(on.sim.posts()) == 1


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_failure_1_a_post_whose_answer_was_lost_is_found_by_its_caption(
    stage: Callable[..., Stage], flavour: Flavour
) -> None:
    on = stage(flavour)
    handle = await on.ready()
    on.world.order("instagram.publish", "lost_answer")
    with pytest.raises(Unanswered):
        await on.publish(handle)
    reading = await on.read(handle)
    (post,) = on.sim.posts()
    assert (reading.state, reading.remote_id, reading.settled) == ("live", post.remote_id, True)


async def test_a_post_that_was_blocked_and_went_live_all_the_same_is_seen(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle, error = await refused(on, "blocked_but_live")
    assert (error.kind, error.code) == ("RECONCILE", "4/2207051")  # live or not, the account is to rest
    reading = await on.read(handle)
    assert (reading.state, reading.remote_id) == ("live", on.sim.posts()[0].remote_id)


async def test_a_post_that_was_blocked_is_read_again_and_the_account_rests_for_a_day(
    stage: Callable[..., Stage],
) -> None:
    on = stage()
    handle, error = await refused(on, "4/2207051")
    assert (error.kind, error.code) == ("RECONCILE", "4/2207051")
    assert error.retry_after_s == DAY_S
    assert (await on.read(handle)).state == "ready"
    assert on.sim.posts() == []


@pytest.mark.parametrize("fault", ["500", "503", "html", "2", "-1/2207001"])
async def test_a_publish_that_broke_on_their_side_is_ambiguous(stage: Callable[..., Stage], fault: str) -> None:
    on = stage()
    _, error = await refused(on, fault)
    assert error.kind == "RECONCILE"


@pytest.mark.parametrize("fault", ["368", "25/2207050", "506", "24/2207008"])
async def test_a_refusal_of_what_is_live_already_is_none(stage: Callable[..., Stage], fault: str) -> None:
    on = stage()
    handle = await on.ready()
    await on.publish(handle)
    on.world.order("instagram.publish", fault)
    again = await on.publish(handle)  # as after a crash before the first answer was stored
    assert (await on.read(again)).state == "live"
    assert len(on.sim.posts()) == 1


async def test_a_container_that_expired_before_it_was_published_is_replaced(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.ready()
    on.wall.pass_s(DAY_S)
    error = await refusal(on.publish(handle))
    assert (error.kind, error.code) == ("NEWHANDLE", "24/2207008")


async def test_a_container_that_is_not_known_yet_is_tried_again(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.ready()
    on.world.order("instagram.publish", "24/2207008")
    on.world.order("instagram.status", "24/2207008")
    error = await refusal(on.publish(handle))
    assert (error.kind, error.retry_after_s) == ("RETRY", 60)
    assert (await on.publish(handle))["media_id"]


async def test_a_container_is_not_published_twice(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.ready()
    await on.publish(handle)
    again = await on.publish(handle)  # as after a crash before the first answer was stored
    assert "media_id" not in again
    assert len(on.sim.posts()) == 1
    assert (await on.read(again)).state == "live"


async def test_failure_1_who_begins_anew_after_a_lost_answer_posts_twice(stage: Callable[..., Stage]) -> None:
    on = stage()
    on.world.order("instagram.publish", "lost_answer")
    for _ in range(2):
        try:
            await on.walk()
        except Unanswered:
            continue
    assert len(on.sim.posts()) == 2


async def test_what_has_a_number_is_not_published_again(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.walk()
    before = len(on.gate.asked)
    assert await on.publish(handle) == handle
    assert len(on.gate.asked) == before


@pytest.mark.parametrize(("fault", "kind"), [("-1/2207085", "FIX"), ("25/2207050", "POLICY"), ("100", "FIX")])
async def test_a_refusal_stands_where_the_container_was_not_published(
    stage: Callable[..., Stage], fault: str, kind: str
) -> None:
    on = stage()
    _, error = await refused(on, fault)
    assert (error.kind, error.code) == (kind, fault)


async def test_a_refusal_that_cannot_be_checked_is_ambiguous(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.ready()
    on.world.order("instagram.publish", "100")
    on.world.order("instagram.status", "500")
    error = await refusal(on.publish(handle))
    assert error.kind == "RECONCILE"


# what can only be done afterwards


SILENT = Post(caption="No comment", comments=False)


async def finished(on: Stage, post: Post) -> Reading:
    return await on.instagram.finish(on.grant, post, await on.read(await on.walk(post)))


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_comments_are_turned_off_as_soon_as_it_is_public(stage: Callable[..., Stage], flavour: Flavour) -> None:
    on = stage(flavour)
    reading = await finished(on, SILENT)
    assert (reading.state, reading.settled, reading.said) == ("live", True, "")
    assert [reel.comments for reel in on.sim.reels.values()] == [False]


async def test_where_comments_are_wanted_nothing_is_asked_for(stage: Callable[..., Stage]) -> None:
    on = stage()
    await finished(on, POST)
    assert on.sim.calls[-1][0] == "GET"
    assert [reel.comments for reel in on.sim.reels.values()] == [True]


@pytest.mark.parametrize("fault", ["500", "reset", "lost_answer", "80002", "100/33"])
async def test_comments_that_cannot_be_turned_off_now_are_tried_again(stage: Callable[..., Stage], fault: str) -> None:
    on = stage()
    on.grant.page_token = ""
    on.world.order("instagram.comments", fault)
    reading = await finished(on, SILENT)
    assert (reading.state, reading.settled) == ("live", False)
    assert reading.said.startswith("Comments could not be turned off: ")
    again = await on.instagram.finish(on.grant, SILENT, structs.replace(reading, settled=True, said=""))
    assert (again.settled, again.said) == (True, "")
    assert [reel.comments for reel in on.sim.reels.values()] == [False]


@pytest.mark.parametrize("fault", ["10", "200", "100"])
async def test_comments_that_may_not_be_turned_off_are_said_and_fail_nothing(
    stage: Callable[..., Stage], fault: str
) -> None:
    on = stage()
    on.world.order("instagram.comments", fault)
    reading = await finished(on, SILENT)
    assert (reading.state, reading.settled) == ("live", True)
    assert reading.said.startswith("Comments could not be turned off: ")


async def test_comments_of_a_post_that_is_not_found_stay_on_and_it_is_said(stage: Callable[..., Stage]) -> None:
    on = stage()
    post = Post(comments=False)  # without a caption it cannot be told from others
    reading = await on.instagram.finish(on.grant, post, await on.read(await lost(on, post)))
    assert reading.said == "Comments could not be turned off: it is not known which post it is."


# quota


async def test_a_used_up_quota_is_read_before_publishing_and_says_until_when(stage: Callable[..., Stage]) -> None:
    on = stage()
    on.sim.quota_total = 2
    first = on.world.now()
    await on.walk(Post(caption="one"))
    on.wall.pass_s(3600)
    await on.walk(Post(caption="two"))
    handle = await on.ready()
    error = await refusal(on.publish(handle))
    assert (error.kind, error.code) == ("QUOTA", "9/2207042")
    assert str(error) == "2 of 2 posts in 24 hours are used."
    assert "POST /graph.facebook.com" not in on.gate.paths()[-1]
    until = first + 20_000 + DAY_S * 1000  # when the first one was published, and a day
    assert error.until == until
    on.wall.at = until
    handle = await on.ready()
    await on.publish(handle)
    assert len(on.sim.posts()) == 3


async def test_a_quota_that_only_publishing_tells_parks_just_as_well(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.ready()
    on.world.order("instagram.limit", "100")
    on.world.order("instagram.publish", "9/2207042")
    error = await refusal(on.publish(handle))
    assert error.kind == "QUOTA"
    assert error.until == on.world.now() + 3_600_000  # nothing was published that could fall out


@pytest.mark.parametrize("fault", ["500", "reset", "lost_answer"])
async def test_where_the_quota_cannot_be_read_nothing_is_published(stage: Callable[..., Stage], fault: str) -> None:
    on = stage()
    handle = await on.ready()
    on.world.order("instagram.limit", fault)
    error = await refusal(on.publish(handle))
    assert error.kind == "RETRY"
    assert not isinstance(error, Unanswered)
    assert not [path for path in on.gate.paths() if path.endswith("media_publish")]


async def test_an_application_that_is_not_shown_the_quota_publishes_all_the_same(stage: Callable[..., Stage]) -> None:
    on = stage()
    on.grant.page_token = ""
    on.world.order("instagram.limit", "100/33")
    assert (await on.walk())["media_id"]


async def test_too_many_containers_park_as_well(stage: Callable[..., Stage]) -> None:
    on = stage()
    on.world.order("instagram.container", "9/2207042")
    error = await refusal(on.begin())
    assert error.kind == "QUOTA"
    assert error.until is not None


# finding what was lost


async def lost(on: Stage, post: Post = POST) -> dict[str, Any]:
    handle = await on.ready(post)
    on.world.order("instagram.publish", "lost_answer")
    with pytest.raises(Unanswered):
        await on.publish(handle)
    return handle


async def test_an_older_post_with_the_same_caption_is_not_taken_for_it(stage: Callable[..., Stage]) -> None:
    on = stage()
    await on.walk()
    on.wall.pass_s(60)
    handle = await lost(on)
    reading = await on.read(handle)
    assert reading.remote_id == on.sim.posts()[-1].remote_id


async def test_the_newest_post_is_not_taken_for_it_just_for_being_the_newest(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await lost(on)
    mine = on.sim.posts()[0].remote_id
    on.wall.pass_s(5)
    await on.walk(Post(caption="Something else"))
    assert on.sim.posts()[-1].remote_id != mine  # what "the newest" would have been
    assert (await on.read(handle)).remote_id == mine
    del on.sim.reels[mine]
    reading = await on.read(handle)
    assert (reading.state, reading.remote_id, reading.settled) == ("live", None, False)


async def test_two_posts_with_the_same_caption_leave_it_live_without_a_number(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await lost(on)
    on.wall.pass_s(5)
    await on.walk()
    reading = await on.read(handle)
    assert (reading.state, reading.remote_id, reading.settled) == ("live", None, True)


async def test_a_post_without_a_caption_cannot_be_told_from_others(stage: Callable[..., Stage]) -> None:
    on = stage()
    reading = await on.read(await lost(on, Post()))
    assert (reading.state, reading.remote_id, reading.settled) == ("live", None, True)


@pytest.mark.parametrize("fault", ["500", "reset", "100"])
async def test_a_list_that_cannot_be_read_does_not_make_it_less_live(stage: Callable[..., Stage], fault: str) -> None:
    on = stage()
    handle = await lost(on)
    on.world.order("instagram.media", fault)
    assert (await on.read(handle)).state == "live"
    assert (await on.read(handle)).remote_id == on.sim.posts()[0].remote_id


@pytest.mark.parametrize("fault", ["500", "reset", "lost_answer", "100/33", "190"])
async def test_a_link_that_fails_does_not_fail_the_post(stage: Callable[..., Stage], fault: str) -> None:
    on = stage()
    on.grant.page_token = ""
    handle = await on.walk()
    on.world.order("instagram.permalink", fault)
    reading = await on.read(handle)
    assert (reading.state, reading.remote_id, reading.url) == ("live", handle["media_id"], None)
    assert reading.settled is False
    assert (await on.read(handle)).url is not None


async def test_no_error_of_a_walk_through_every_fault_tells_a_secret(stage: Callable[..., Stage]) -> None:
    on = stage(size=4096)
    told: list[str] = []
    silent = structs.replace(POST, comments=False)
    for point, names in FAULTS.items():
        # an error is told by its numbers wherever it is met: all of them once, elsewhere what breaks and a few
        for name in names if point in ("instagram.container", "instagram.upload") else names[:12]:
            if name == "slow" or point in ("instagram.token", "instagram.processing"):
                continue
            on.world.order(point, Fault(name))
            try:
                handle = await on.ready()
                told.append(str(await on.read(handle)))
                reading = await on.read(await on.publish(handle))
                told.append(str(await on.instagram.finish(on.grant, silent, reading)))
            except PlatformError as error:
                told.append(f"{error!r} {error.hint} {error.code} {error.trace}")
            on.world.ordered.clear()
            on.wall.pass_s(3600)
    assert len(told) > 150
    for secret in (*on.grant.tokens, on.grant.page_token):
        assert not [one for one in told if secret in one]


async def published(on: Stage, post: Post) -> Reading:
    """As a publisher does it: read before anything is asked again, another container only where one is dead."""
    handle: Handle = {}
    for _ in range(100):
        try:
            handle = handle or await on.begin(post)
            reading = await on.read(handle)
            match reading.state:
                case "live" if reading.settled:
                    return reading
                case "uploading":
                    handle = await on.send({**handle, "stored": reading.stored})
                case "ready":
                    handle = await on.publish(handle)
                case "rejected" | "absent" if reading.kind == "NEWHANDLE":
                    handle = {}
        except PlatformError as error:
            if error.kind not in ("RETRY", "RECONCILE"):
                raise
        on.wall.pass_s(30)
    raise AssertionError(f"{post.caption} is nowhere")


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_whatever_goes_wrong_each_post_is_public_once(stage: Callable[..., Stage], flavour: Flavour) -> None:
    on = stage(flavour, size=4096)
    on.sim.quota_total = 1000
    on.world.chance = 0.3
    for number in range(40):
        reading = await published(on, Post(caption=f"Loaf {number}"))
        assert reading.remote_id == on.sim.posts()[-1].remote_id
    assert [post.title for post in on.sim.posts()] == [f"Loaf {number}" for number in range(40)]
    assert {post.sha256 for post in on.sim.posts()} == {on.media.sha256}
    assert sum(on.world.happened.values()) > 100
