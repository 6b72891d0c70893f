"""TikTok's adapter: a draft or a direct post is begun once, sent, and found again, whatever fails."""

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.platforms.clips import clip
from tests.platforms.tiktok import DIRECT, DRAFT, HOUR_S, POST, Far, Held, far, ignore, media, sent
from vidprod.domain.account import AccountSettings
from vidprod.domain.post import Post
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms.base import Handle, Login, Media, Publisher
from vidprod.platforms.simulators.tiktok_rules import Rules
from vidprod.platforms.tiktok import TikTok
from vidprod.platforms.tiktok_login import TikTokLogin
from vidprod.platforms.wire import Wire


def test_it_is_what_the_protocol_asks_for() -> None:
    wire = Wire()
    publisher: Publisher = TikTok(wire)
    login: Login = TikTokLogin(wire)
    assert (publisher.begins_once, publisher.publishes, login.platform) == (True, False, "tiktok")


async def test_a_draft_is_the_default_and_goes_to_the_inbox(there: Far, take: Media) -> None:
    grant = there.grant(DRAFT, scopes=("user.info.basic", "video.upload"))
    handle = await sent(there, grant, take)
    assert (await there.tiktok.read(grant, handle, take)).state == "processing"
    there.wall.pass_s(10)
    reading = await there.tiktok.read(grant, handle, take)
    assert (reading.state, reading.said, reading.settled) == ("live", "SEND_TO_USER_INBOX", True)
    assert reading.url == "https://www.tiktok.com/@mira.makes"
    assert there.transport.paths("creator_info/query") == []
    [posted] = there.sim.posts()
    assert (posted.sha256, posted.title, posted.privacy) == (take.sha256, "Look\n\n#tag", "")


@pytest.mark.parametrize("fault", ["503", "html", "reset", "lost_answer", "rate_limit_exceeded"])
async def test_a_draft_is_not_begun_while_tiktok_is_down(there: Far, take: Media, fault: str) -> None:
    there.world.order("tiktok.user_info", fault)
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(there.grant(DRAFT), POST, take)
    assert (caught.value.kind, isinstance(caught.value, Unanswered)) == ("RETRY", False)
    assert there.transport.paths("video/init") == []


async def test_a_draft_needs_no_scope_but_its_own(there: Far, take: Media) -> None:
    handle = await there.tiktok.begin(there.grant(DRAFT, scopes=("video.upload",)), POST, take)
    assert handle["publish_id"].startswith("v_inbox_file~")


@pytest.mark.parametrize("fault", ["lost_answer", "truncated"])
async def test_an_init_whose_answer_was_lost_is_not_repeated(there: Far, take: Media, fault: str) -> None:
    there.world.order("tiktok.init", fault)
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(there.grant(), POST, take)
    assert caught.value.kind == "RECONCILE"
    assert isinstance(caught.value, Unanswered) == (fault == "lost_answer")
    assert len(there.sim.uploads) == 1  # it did take effect
    assert there.sim.posts() == []


@pytest.mark.parametrize("settings", [DIRECT, DRAFT])
async def test_a_dead_token_is_renewed_before_the_init_and_not_by_it(
    there: Far, take: Media, settings: AccountSettings
) -> None:
    grant = there.grant(settings)
    there.sim.auth.expire(grant.external_id)
    await there.tiktok.begin(grant, POST, take)
    assert grant.renewed == 1
    assert len(there.sim.uploads) == 1


async def test_a_token_that_dies_at_the_init_is_renewed_and_the_init_is_not_repeated(there: Far, take: Media) -> None:
    grant = there.grant()
    there.world.order("tiktok.init", "access_token_invalid")
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(grant, POST, take)
    assert (caught.value.kind, grant.renewed) == ("RECONCILE", 1)
    assert len(there.transport.paths("video/init")) == 1


async def test_an_init_stays_open_where_the_renewal_fails_as_well(there: Far, take: Media) -> None:
    there.world.order("tiktok.init", "access_token_invalid")
    there.world.order("tiktok.token", "500")
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(there.grant(), POST, take)
    assert (caught.value.kind, caught.value.code) == ("RECONCILE", "access_token_invalid")


async def test_an_upload_address_of_somebody_else_is_not_sent_to(there: Far, take: Media) -> None:
    told = {"publish_id": "v_pub_file~x", "upload_url": "https://upload.example.com/video/?upload_token=x"}
    there.transport.instead += [
        httpx.Response(200, json={"data": {"user": {"open_id": "x"}}, "error": {"code": "ok"}}),
        httpx.Response(200, json={"data": told, "error": {"code": "ok", "message": "", "log_id": "x"}}),
    ]
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(there.grant(DRAFT), POST, take)
    assert caught.value.code == "upload_host"


async def publish(there: Far, grant: Held, take: Media, *, begun: list[str]) -> None:
    """What a publisher does: begin once, send and read until it is over, begin anew when nothing can come any more."""
    handle: Handle | None = None
    for _ in range(400):
        there.wall.pass_s(20)
        try:
            if handle is None:
                begun.append(take.sha256)
                handle = await there.tiktok.begin(grant, POST, take)
            reading = await there.tiktok.read(grant, handle, take)
            if reading.state == "live" and reading.settled:
                return
            if reading.state == "absent" or (reading.state, reading.kind) == ("rejected", "RETRY"):
                handle = None
            elif reading.state == "uploading":
                await there.tiktok.send(grant, {**handle, "stored": reading.stored}, take, sent=ignore)
        except PlatformError as error:
            if error.kind not in ("RETRY", "RECONCILE"):
                raise
            if handle is None and error.kind == "RECONCILE":
                there.wall.pass_s(2 * HOUR_S)  # the lost address has expired
    raise AssertionError("it is not over")


@pytest.mark.parametrize("seed", range(3))
async def test_through_faults_at_every_point_each_clip_is_posted_once(tmp_path: Path, seed: int) -> None:
    there = far(rules=Rules(daily_cap=None, slow_s=0), seed=seed, chance=0.3)
    grant, begun = there.grant(), list[str]()
    wanted = []
    for number in range(15):
        take = media(tmp_path / "clip.mp4", clip(seed=100 * seed + number))
        await publish(there, grant, take, begun=begun)
        wanted.append(take.sha256)
    assert [post.sha256 for post in there.sim.posts()] == wanted
    assert len(begun) > len(wanted)
    assert len(there.world.happened) > 10
    await there.wire.close()


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        ({"duration_us": 601_000_000}, "the clip has 601.0 s, at most 600 s are allowed"),
        ({"width": 358}, "the picture is 358×1920, each side must have 360 to 4096 pixels"),
        ({"height": 4098}, "the picture is 1080×4098, each side must have 360 to 4096 pixels"),
        ({"fps": "15"}, "the clip has 15.00 frames a second, 23 to 60 are allowed"),
        ({"fps": "120000/1001"}, "the clip has 119.88 frames a second, 23 to 60 are allowed"),
        ({"mime": "video/x-matroska"}, "the file is video/x-matroska, not MP4, MOV or WebM"),
    ],
)
def test_a_file_that_tiktok_would_refuse_is_named(
    there: Far, tmp_path: Path, facts: dict[str, Any], fault: str
) -> None:
    assert there.tiktok.faults(POST, media(tmp_path / "clip.mp4", **facts), DRAFT) == [fault]


def test_a_good_clip_has_no_fault(there: Far, take: Media) -> None:
    assert there.tiktok.faults(POST, take, DIRECT) == there.tiktok.faults(POST, take, DRAFT) == []


def test_the_caption_is_counted_in_utf_16_units(there: Far, take: Media) -> None:
    assert not there.tiktok.faults(Post(caption="🙂" * 1100, privacy="public"), take, DRAFT)
    assert len(there.tiktok.faults(Post(caption="🙂" * 1100 + "a", privacy="public"), take, DRAFT)) == 1


async def test_a_handle_is_json(there: Far, take: Media) -> None:
    handle = await sent(there, there.grant(), take)
    assert msgspec.json.decode(msgspec.json.encode(handle)) == handle
