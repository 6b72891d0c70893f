"""TikTok's adapter: what each of its answers means, and that nothing is done twice."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.platforms.clips import clip, clip_of
from tests.platforms.tiktok import DIRECT, DRAFT, POST, Far, Held, far, ignore, media
from vidprod.domain.account import AccountSettings
from vidprod.domain.post import Post
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms.base import Handle, Login, Media, Publisher
from vidprod.platforms.simulators.tiktok_rules import ERRORS, FAIL_REASONS, Rules
from vidprod.platforms.simulators.world import Fault
from vidprod.platforms.tiktok import TikTok
from vidprod.platforms.tiktok_api import error_of, failure_of
from vidprod.platforms.tiktok_chunks import plan
from vidprod.platforms.tiktok_login import TikTokLogin
from vidprod.platforms.wire import Answer, Wire

HOUR_S = 3600
SIZES = (3_145_728, 64_000_000, 64_000_001, 66_259_900, 150_000_000, 4_294_967_296)


@pytest.fixture
async def there() -> AsyncIterator[Far]:
    far_end = far()
    yield far_end
    await far_end.wire.close()


@pytest.fixture
def take(tmp_path: Path) -> Media:
    return media(tmp_path / "clip.mp4")


def answer(body: Any, status: int = 200, **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status=status, headers=httpx.Headers(headers), body=content)


def refused(code: str, status: int) -> Answer:
    return answer({"data": {}, "error": {"code": code, "message": f"{code}.", "log_id": "2026L"}}, status)


async def sent(there: Far, grant: Held, take: Media, post: Post = POST) -> Handle:
    handle = await there.tiktok.begin(grant, post, take)
    return await there.tiktok.send(grant, handle, take, sent=ignore)


def test_it_is_what_the_protocol_asks_for() -> None:
    wire = Wire()
    publisher: Publisher = TikTok(wire)
    login: Login = TikTokLogin(wire)
    assert (publisher.begins_once, publisher.publishes, login.platform) == (True, False, "tiktok")


# the sheet's tables


@pytest.mark.parametrize(
    ("size", "chunk_size", "count", "last"),
    [
        (3_145_728, 3_145_728, 1, (0, 3_145_727)),
        (64_000_000, 64_000_000, 1, (0, 63_999_999)),
        (64_000_001, 10_000_000, 6, (50_000_000, 64_000_000)),
        (66_259_900, 10_000_000, 6, (50_000_000, 66_259_899)),
        (150_000_000, 10_000_000, 15, (140_000_000, 149_999_999)),
        (4_294_967_296, 10_000_000, 429, (4_280_000_000, 4_294_967_295)),
    ],
)
def test_a_file_is_cut_into_the_chunks_of_the_table(
    size: int, chunk_size: int, count: int, last: tuple[int, int]
) -> None:
    chunks = plan(size)
    assert (chunks.chunk_size, chunks.count) == (chunk_size, count)
    assert chunks.chunk(size - 1, size) == last


@pytest.mark.parametrize(
    "size", [1, 4_999_999, 63_999_999, *SIZES, *(n - 1 for n in SIZES), *(n + 7 for n in SIZES[:5])]
)
def test_chunks_follow_each_other_without_a_gap(size: int) -> None:
    chunks, at, number = plan(size), 0, 0
    while at < size:
        first, last = chunks.chunk(at, size)
        assert first == at
        assert last - first < 128_000_000
        at, number = last + 1, number + 1
    assert (at, number) == (size, chunks.count)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "FIX"),
        (403, "RECONCILE"),
        (404, "RECONCILE"),
        (416, "RECONCILE"),
        (500, "RETRY"),
        (503, "RETRY"),
        (429, "RETRY"),
        (302, "RECONCILE"),
        (409, "RECONCILE"),
    ],
)
async def test_each_answer_to_a_chunk_lands_in_its_class(there: Far, take: Media, status: int, kind: str) -> None:
    grant = there.grant()
    handle = await there.tiktok.begin(grant, POST, take)
    there.transport.instead += [httpx.Response(status)]
    if status == 416:  # the status says where to go on, and that is refused as well
        told = {"data": {"status": "PROCESSING_UPLOAD", "uploaded_bytes": 0}, "error": {"code": "ok"}}
        there.transport.instead += [httpx.Response(200, json=told), httpx.Response(416)]
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.send(grant, handle, take, sent=ignore)
    assert (caught.value.kind, caught.value.http_status) == (kind, status)
    assert "token" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 201])
async def test_all_stored_is_said_with_201_or_200(there: Far, take: Media, status: int) -> None:
    grant = there.grant()
    handle = await there.tiktok.begin(grant, POST, take)
    there.transport.instead += [httpx.Response(status)]
    assert (await there.tiktok.send(grant, handle, take, sent=ignore))["stored"] == take.size


REASONS = {
    "file_format_check_failed": "FIX",
    "duration_check_failed": "FIX",
    "frame_rate_check_failed": "FIX",
    "picture_size_check_failed": "FIX",
    "internal": "RETRY",
    "video_pull_failed": "FIX",
    "photo_pull_failed": "FIX",
    "publish_cancelled": "POLICY",
    "auth_removed": "REAUTH",
    "spam_risk_too_many_posts": "QUOTA",
    "spam_risk_user_banned_from_posting": "POLICY",
    "spam_risk_text": "POLICY",
    "spam_risk": "POLICY",
}


@pytest.mark.parametrize("reason", FAIL_REASONS)
async def test_each_fail_reason_lands_in_its_class(there: Far, take: Media, reason: str) -> None:
    grant = there.grant()
    there.world.order("tiktok.processing", reason)
    handle = await sent(there, grant, take)
    there.wall.pass_s(10)
    reading = await there.tiktok.read(grant, handle, take)
    assert (reading.state, reading.kind, reading.code) == ("rejected", REASONS[reason], reason)
    assert there.sim.posts() == []


def test_a_reason_that_is_new_is_not_tried_again() -> None:
    assert failure_of("spam_risk_of_another_kind") == "POLICY"
    assert failure_of("colour_check_failed") == "FIX"
    assert failure_of("no_reason") == "FIX"


CODES: dict[str, tuple[int, str, str]] = {  # HTTP, of a read, of an init
    "invalid_param": (400, "FIX", "FIX"),
    "invalid_params": (400, "FIX", "FIX"),
    "access_token_invalid": (401, "REFRESH", "RECONCILE"),
    "scope_not_authorized": (401, "REAUTH", "REAUTH"),
    "scope_permission_missed": (400, "REAUTH", "REAUTH"),
    "rate_limit_exceeded": (429, "RETRY", "RETRY"),
    "spam_risk_too_many_posts": (403, "QUOTA", "QUOTA"),
    "spam_risk_user_banned_from_posting": (403, "POLICY", "POLICY"),
    "spam_risk_too_many_pending_share": (403, "QUOTA", "QUOTA"),
    "reached_active_user_cap": (403, "QUOTA", "QUOTA"),
    "unaudited_client_can_only_post_to_private_accounts": (403, "FIX", "FIX"),
    "privacy_level_option_mismatch": (403, "FIX", "FIX"),
    "url_ownership_unverified": (403, "FIX", "FIX"),
    "app_version_check_failed": (400, "FIX", "FIX"),
    "invalid_file_upload": (400, "FIX", "FIX"),
    "invalid_publish_id": (400, "RECONCILE", "RECONCILE"),
    "token_not_authorized_for_specified_publish_id": (400, "RECONCILE", "RECONCILE"),
    "internal_error": (500, "RETRY", "RECONCILE"),
}


@pytest.mark.parametrize("code", CODES)
def test_each_error_code_lands_in_its_class(code: str) -> None:
    status, of_read, of_init = CODES[code]
    error = error_of(refused(code, status))
    assert (error.kind, error_of(refused(code, status), init=True).kind) == (of_read, of_init)
    assert (error.code, error.http_status, error.trace, str(error)) == (code, status, "2026L", f"{code}.")
    if error.kind == "QUOTA":
        assert error.retry_after_s == 24 * HOUR_S
    if code == "rate_limit_exceeded":
        assert error.retry_after_s == 60


@pytest.mark.parametrize("code", ERRORS)
async def test_an_init_is_made_once_whatever_it_answers(there: Far, take: Media, code: str) -> None:
    grant = there.grant()
    there.world.order("tiktok.init", code)
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(grant, POST, take)
    assert (caught.value.code, caught.value.kind) == (code, CODES[code][2])
    assert len(there.transport.paths("video/init")) == 1


@pytest.mark.parametrize(
    ("status", "kind", "of_init"),
    [
        (400, "FIX", "FIX"),
        (401, "REFRESH", "RECONCILE"),
        (403, "POLICY", "POLICY"),
        (429, "RETRY", "RETRY"),
        (503, "RETRY", "RECONCILE"),
    ],
)
def test_a_code_that_is_new_is_judged_by_its_status(status: int, kind: str, of_init: str) -> None:
    assert error_of(refused("something_new", status)).kind == kind
    assert error_of(refused("something_new", status), init=True).kind == of_init


@pytest.mark.parametrize("body", [b"<html>502 Bad Gateway</html>", b'{"data":{"publ', b"[]", b"", b'{"error":"x"}'])
def test_what_is_no_answer_of_tiktok_leaves_an_init_open(body: bytes) -> None:
    assert error_of(answer(body, 502)).kind == "RETRY"
    assert error_of(answer(body, 502), init=True).kind == "RECONCILE"


# beginning


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


async def test_a_direct_post_asks_for_the_creators_choices_each_time(there: Far, take: Media) -> None:
    grant = there.grant()
    for _ in range(2):
        await there.tiktok.begin(grant, POST, take)
    assert [upload.asked for upload in there.sim.uploads.values()] == [True, True]
    assert len(there.transport.paths("creator_info/query")) == 2


async def test_what_is_posted_says_what_the_post_says(there: Far, take: Media) -> None:
    post = Post(
        caption="Look #Tag",
        hashtags=["tag", "new"],
        privacy="friends",
        comments=False,
        stitch=False,
        synthetic=True,
        cover_ms=1500,
        brand_organic=True,
    )
    await there.tiktok.begin(there.grant(), post, take)
    [upload] = there.sim.uploads.values()
    assert upload.info == {
        "title": "Look #Tag\n\n#new",
        "privacy_level": "MUTUAL_FOLLOW_FRIENDS",
        "disable_comment": True,
        "disable_duet": False,
        "disable_stitch": True,
        "video_cover_timestamp_ms": 1500,
        "brand_content_toggle": False,
        "brand_organic_toggle": True,
        "is_aigc": True,
    }


async def test_a_switch_that_the_creator_has_off_is_sent_as_off(there: Far, take: Media) -> None:
    creator = there.creator()
    creator.comment_disabled = creator.duet_disabled = creator.stitch_disabled = True
    await there.tiktok.begin(there.grant(), POST, take)
    [upload] = there.sim.uploads.values()
    assert all(upload.info[f"disable_{name}"] for name in ("comment", "duet", "stitch"))


@pytest.mark.parametrize(
    ("private", "privacy", "offered"),
    [
        (False, "followers", "public, friends (who follow each other), private"),
        (True, "public", "followers, friends (who follow each other), private"),
        (False, "unlisted", "public, friends (who follow each other), private"),
        (False, None, "public, friends (who follow each other), private"),
    ],
)
async def test_a_privacy_that_is_not_offered_is_refused_in_words(
    there: Far, take: Media, private: bool, privacy: Any, offered: str
) -> None:
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(there.grant(private=private), Post(privacy=privacy), take)
    assert (caught.value.kind, caught.value.code) == ("FIX", "privacy_level_option_mismatch")
    assert str(caught.value).endswith(f"TikTok offers {offered}.")
    assert there.sim.uploads == {}


async def test_failure_2_an_unaudited_app_is_told_to_make_the_account_private(take: Media) -> None:
    """platforms.md 6, 2: a private post on a public account is still refused."""
    there = far(rules=Rules(audited=False))
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(there.grant(), POST, take)
    assert "set the TikTok account itself to private" in caught.value.hint
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(there.grant(), Post(privacy="private"), take)
    assert (caught.value.kind, caught.value.code) == ("FIX", "unaudited_client_can_only_post_to_private_accounts")
    assert "set the TikTok account itself to private" in caught.value.hint
    await there.tiktok.begin(there.grant(private=True), Post(privacy="private"), take)
    await there.tiktok.begin(there.grant(DRAFT), POST, take)


@pytest.mark.parametrize("code", ["reached_active_user_cap", "spam_risk_too_many_posts"])
async def test_failure_4_a_cap_parks_for_a_day_before_anything_is_begun(there: Far, take: Media, code: str) -> None:
    """platforms.md 6, 4."""
    there.world.order("tiktok.creator_info", code)
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(there.grant(), POST, take)
    assert (caught.value.kind, caught.value.code, caught.value.retry_after_s) == ("QUOTA", code, 24 * HOUR_S)
    assert there.transport.paths("video/init") == []


async def test_failure_3_nobody_is_given_a_privacy_that_nobody_chose(there: Far, take: Media) -> None:
    """platforms.md 6, 3: what TikTok's audit looks at."""
    post = Post(title="A take", privacy=None)
    assert len(there.tiktok.faults(post, take, DIRECT)) == 1
    with pytest.raises(PlatformError, match=r"^Nobody chose who sees the post: TikTok offers public, "):
        await there.tiktok.begin(there.grant(), post, take)


async def test_a_clip_longer_than_the_creator_may_post_is_refused_before_the_first_byte(
    there: Far, take: Media
) -> None:
    there.creator().longest_s = 10
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(there.grant(), POST, take)
    assert (caught.value.kind, str(caught.value)) == ("FIX", "The clip has 12.0 s, and this account may post 10 s.")
    assert there.sim.uploads == {}


@pytest.mark.parametrize("fault", ["lost_answer", "truncated"])
async def test_an_init_whose_answer_was_lost_is_not_repeated(there: Far, take: Media, fault: str) -> None:
    there.world.order("tiktok.init", fault)
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(there.grant(), POST, take)
    assert caught.value.kind == "RECONCILE"
    assert isinstance(caught.value, Unanswered) == (fault == "lost_answer")
    assert len(there.sim.uploads) == 1  # it did take effect
    assert there.sim.posts() == []


async def test_choices_whose_answer_was_lost_may_be_asked_for_again(there: Far, take: Media) -> None:
    there.world.order("tiktok.creator_info", "lost_answer")
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(there.grant(), POST, take)
    assert (caught.value.kind, isinstance(caught.value, Unanswered)) == ("RETRY", False)
    assert there.sim.uploads == {}


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


async def test_failure_1_a_token_that_expires_while_polling_posts_nothing_again(there: Far, take: Media) -> None:
    """platforms.md 6, 1: "token expired during polling, refresh, whole publish again" was a real double post."""
    grant = there.grant()
    there.world.order("tiktok.init", "token_expires")
    handle = await sent(there, grant, take)
    there.wall.pass_s(60)
    assert (await there.tiktok.read(grant, handle, take)).state == "live"
    assert grant.renewed == 1
    assert len(there.sim.posts()) == len(there.sim.uploads) == 1


async def test_a_token_that_is_refused_twice_needs_a_person(there: Far, take: Media) -> None:
    grant = there.grant()
    handle = await sent(there, grant, take)
    there.world.order("tiktok.status", "access_token_invalid", "access_token_invalid")
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.read(grant, handle, take)
    assert (caught.value.kind, grant.renewed) == ("REAUTH", 1)


async def test_an_upload_address_of_somebody_else_is_not_sent_to(there: Far, take: Media) -> None:
    told = {"publish_id": "v_pub_file~x", "upload_url": "https://upload.example.com/video/?upload_token=x"}
    there.transport.instead += [
        httpx.Response(200, json={"data": {"user": {"open_id": "x"}}, "error": {"code": "ok"}}),
        httpx.Response(200, json={"data": told, "error": {"code": "ok", "message": "", "log_id": "x"}}),
    ]
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.begin(there.grant(DRAFT), POST, take)
    assert caught.value.code == "upload_host"


# sending


async def big(there: Far, tmp_path: Path, grant: Held) -> tuple[Media, Handle]:
    """A clip in chunks, made small: 7 bytes are no chunk that TikTok would take, so the plan is given afterwards."""
    take = media(tmp_path / "big.mp4", clip_of(61_700))
    handle = await there.tiktok.begin(grant, POST, take)
    [upload] = there.sim.uploads.values()
    upload.chunk_size, upload.count = 10_000, 6
    return take, {**handle, "chunk_size": 10_000, "chunks": 6}


async def test_chunks_go_in_order_and_progress_is_told(there: Far, tmp_path: Path) -> None:
    grant, told = there.grant(), list[int]()
    take, handle = await big(there, tmp_path, grant)
    handle = await there.tiktok.send(grant, handle, take, sent=told.append)
    puts = [request.headers for request in there.transport.requests if request.method == "PUT"]
    assert [put["Content-Range"] for put in puts][-2:] == ["bytes 40000-49999/61700", "bytes 50000-61699/61700"]
    assert all(put["Content-Type"] == "video/mp4" and "Authorization" not in put for put in puts)
    assert [put["Content-Length"] for put in puts] == ["10000"] * 5 + ["11700"]
    assert all("Transfer-Encoding" not in put for put in puts)
    assert told == sorted(told)
    assert told[-1] == handle["stored"] == take.size
    assert [post.sha256 for post in there.sim.posts()] == [take.sha256]


async def test_failure_5_more_than_64_mb_goes_in_chunks_that_tiktok_takes(there: Far, tmp_path: Path) -> None:
    """platforms.md 6, 5: as one chunk it was taken until August 2026, and then refused."""
    grant = there.grant()
    take = media(tmp_path / "long.mp4", clip_of(66_259_900))
    await sent(there, grant, take)
    assert [post.sha256 for post in there.sim.posts()] == [take.sha256]
    assert len([request for request in there.transport.requests if request.method == "PUT"]) == 6


@pytest.mark.parametrize("fault", ["reset", "lost_answer", "500", "503", "html", "partial", "416"])
async def test_a_chunk_that_failed_is_gone_on_from_where_tiktok_is(there: Far, tmp_path: Path, fault: str) -> None:
    grant = there.grant()
    take, handle = await big(there, tmp_path, grant)
    there.world.order("tiktok.put", Fault(fault))
    for _ in range(3):
        reading = await there.tiktok.read(grant, handle, take)
        if reading.state != "uploading":
            break
        try:
            await there.tiktok.send(grant, {**handle, "stored": reading.stored}, take, sent=ignore)
        except PlatformError as error:
            assert error.kind in ("RETRY", "RECONCILE")  # noqa: PT017
    assert [post.sha256 for post in there.sim.posts()] == [take.sha256]
    assert len(there.sim.uploads) == 1


async def test_a_last_byte_whose_answer_was_lost_is_found_by_reading(there: Far, take: Media) -> None:
    grant = there.grant()
    handle = await there.tiktok.begin(grant, POST, take)
    there.world.order("tiktok.put", "lost_answer")
    with pytest.raises(Unanswered):
        await there.tiktok.send(grant, handle, take, sent=ignore)
    assert (await there.tiktok.read(grant, handle, take)).state == "processing"
    there.wall.pass_s(60)
    assert (await there.tiktok.read(grant, handle, take)).state == "live"
    assert len(there.sim.posts()) == 1


async def test_who_sends_again_without_reading_posts_nothing_again(there: Far, take: Media) -> None:
    grant = there.grant()
    handle = await there.tiktok.begin(grant, POST, take)
    there.world.order("tiktok.put", "lost_answer")
    with pytest.raises(Unanswered):
        await there.tiktok.send(grant, handle, take, sent=ignore)
    assert (await there.tiktok.send(grant, handle, take, sent=ignore))["stored"] == take.size  # 416, and the status
    assert len(there.sim.posts()) == 1


async def test_an_address_that_expired_is_not_begun_anew_before_it_is_sure(there: Far, take: Media) -> None:
    grant = there.grant()
    handle = await there.tiktok.begin(grant, POST, take)
    there.wall.pass_s(HOUR_S + 1)
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.send(grant, handle, take, sent=ignore)
    assert (caught.value.kind, caught.value.http_status) == ("RECONCILE", 403)
    assert (await there.tiktok.read(grant, handle, take)).state == "unknown"
    there.wall.pass_s(HOUR_S)
    assert (await there.tiktok.read(grant, handle, take)).state == "absent"


async def test_failure_1_who_begins_anew_after_a_lost_last_answer_posts_twice(there: Far, take: Media) -> None:
    """platforms.md 6, 1: why a lost answer is read and not repeated; TikTok notices nothing."""
    grant = there.grant()
    there.world.order("tiktok.put", "lost_answer")
    for _ in range(2):
        with suppress(Unanswered):
            await sent(there, grant, take)
    assert [post.sha256 for post in there.sim.posts()] == [take.sha256] * 2


async def test_what_tiktok_does_not_count_is_never_taken_for_lost(there: Far, take: Media) -> None:
    grant = there.grant()
    handle = await there.tiktok.begin(grant, POST, take)
    there.wall.pass_s(5 * HOUR_S)
    there.sim.auth.expire(grant.external_id)
    await grant.renew(grant.tokens.access_token)
    told = {"data": {"status": "PROCESSING_UPLOAD"}, "error": {"code": "ok", "message": "", "log_id": "x"}}
    there.transport.instead += [httpx.Response(200, json=told)]
    assert (await there.tiktok.read(grant, handle, take)).state == "unknown"


# reading


async def test_a_public_post_is_settled_when_its_id_is_told(there: Far, take: Media) -> None:
    grant = there.grant()
    there.world.order("tiktok.processing", Fault("late_id", 2 * HOUR_S))
    handle = await sent(there, grant, take)
    there.wall.pass_s(10)
    early = await there.tiktok.read(grant, handle, take)
    assert (early.state, early.settled, early.url) == ("live", False, "https://www.tiktok.com/@mira.makes")
    there.wall.pass_s(2 * HOUR_S + 60)
    late = await there.tiktok.read(grant, handle, take)
    [posted] = there.sim.posts()
    assert (late.settled, late.remote_id) == (True, posted.remote_id)
    assert late.url == f"https://www.tiktok.com/@mira.makes/video/{posted.remote_id}"


async def test_a_post_that_is_not_public_never_gets_an_id(there: Far, take: Media) -> None:
    grant = there.grant()
    handle = await sent(there, grant, take, Post(privacy="private"))
    there.wall.pass_s(HOUR_S)
    reading = await there.tiktok.read(grant, handle, take)
    assert (reading.state, reading.settled, reading.privacy) == ("live", True, "private")
    assert reading.remote_id == handle["publish_id"] == there.sim.posts()[0].remote_id


@pytest.mark.parametrize("post_id", [7400000000000000001, "7400000000000000001"])
async def test_an_id_of_64_bits_keeps_its_last_digit(there: Far, take: Media, post_id: Any) -> None:
    grant = there.grant()
    handle = await sent(there, grant, take)
    told = {
        "data": {"status": "PUBLISH_COMPLETE", "publicaly_available_post_id": [post_id]},
        "error": {"code": "ok", "message": "", "log_id": "x"},
    }
    there.transport.instead += [httpx.Response(200, json=told)]
    assert (await there.tiktok.read(grant, handle, take)).remote_id == "7400000000000000001"


async def test_an_id_that_became_a_float_is_no_id(there: Far, take: Media) -> None:
    grant = there.grant()
    handle = await sent(there, grant, take)
    told = b'{"data":{"status":"PUBLISH_COMPLETE","publicaly_available_post_id":[7.4e18]},"error":{"code":"ok"}}'
    there.transport.instead += [httpx.Response(200, content=told)]
    reading = await there.tiktok.read(grant, handle, take)
    assert (reading.settled, reading.remote_id) == (False, handle["publish_id"])


async def test_failure_7_a_format_that_tiktok_refuses_is_named_inside_an_answer_that_says_ok(
    there: Far, tmp_path: Path
) -> None:
    """platforms.md 6, 7."""
    take = media(tmp_path / "clip.mp4", clip(video=b"av01"))
    grant = there.grant()
    handle = await sent(there, grant, take)
    there.wall.pass_s(10)
    reading = await there.tiktok.read(grant, handle, take)
    assert (reading.state, reading.kind, reading.code) == ("rejected", "FIX", "file_format_check_failed")


async def test_failure_6_what_is_stuck_in_processing_stays_processing(there: Far, take: Media) -> None:
    """platforms.md 6, 6: the deadline is for who polls; reading never says failed where TikTok does not."""
    grant = there.grant()
    there.world.order("tiktok.processing", "stuck")
    handle = await sent(there, grant, take)
    for _ in range(5):
        there.wall.pass_s(20 * 60)
        assert (await there.tiktok.read(grant, handle, take)).state == "processing"


async def test_a_publish_id_that_is_not_known_is_gone_and_one_of_another_is_not_ours_to_read(
    there: Far, take: Media
) -> None:
    grant = there.grant()
    handle = await sent(there, grant, take)
    assert (await there.tiktok.read(grant, {**handle, "publish_id": "v_pub_file~none"}, take)).state == "gone"
    assert (await there.tiktok.read(there.grant(private=True), handle, take)).state == "unknown"


@pytest.mark.parametrize("fault", ["500", "503", "html", "reset", "lost_answer", "truncated", "rate_limit_exceeded"])
async def test_reading_that_failed_may_be_tried_again(there: Far, take: Media, fault: str) -> None:
    grant = there.grant()
    handle = await sent(there, grant, take)
    there.world.order("tiktok.status", fault)
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.read(grant, handle, take)
    assert caught.value.kind == "RETRY"
    assert (await there.tiktok.read(grant, handle, take)).state == "processing"


# all of it, with faults


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


# before the first byte


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


def test_privacy_is_judged_for_direct_posts_only(there: Far, take: Media) -> None:
    for post in (Post(privacy=None), Post(privacy="unlisted"), Post(privacy="private", brand_content=True)):
        assert len(there.tiktok.faults(post, take, DIRECT)) == 1
        assert there.tiktok.faults(post, take, DRAFT) == []


# secrets


async def test_no_error_holds_a_secret(there: Far, take: Media) -> None:
    grant = there.grant()
    handle = await there.tiktok.begin(grant, POST, take)
    secrets = [grant.tokens.access_token, handle["upload_url"].partition("upload_token=")[2]]
    said = []
    for fault in ("400", "403", "reset", "html"):
        there.world.order("tiktok.put", fault)
        try:
            await there.tiktok.send(grant, handle, take, sent=ignore)
        except PlatformError as error:
            said.append(f"{error!r} {vars(error)} {error.__cause__!r}")
    assert len(said) == 4
    assert not [secret for secret in secrets if secret in " ".join(said)]


async def test_a_handle_is_json(there: Far, take: Media) -> None:
    handle = await sent(there, there.grant(), take)
    assert msgspec.json.decode(msgspec.json.encode(handle)) == handle
