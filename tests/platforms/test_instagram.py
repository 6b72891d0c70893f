"""Publishing to Instagram by either login, beside a simulated one."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tests.platforms.instagram_stage import CAPTION, POST, SIZE, Gate, Right, Slow, Stage
from vidprod.domain.account import AccountSettings, Flavour
from vidprod.domain.post import Post
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms import graph
from vidprod.platforms.base import Handle, Media, Reading
from vidprod.platforms.instagram import Instagram
from vidprod.platforms.simulators.instagram_graph import FAULTS
from vidprod.platforms.simulators.world import Fault
from vidprod.platforms.wire import Answer, Wire

FLAVOURS: tuple[Flavour, ...] = ("facebook_login", "instagram_login")
DAY_S = 86_400


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Callable[..., Stage]]:
    made: list[Stage] = []

    def make(flavour: Flavour = "facebook_login", **more: Any) -> Stage:
        made.append(Stage(flavour, tmp_path, **more))
        return made[-1]

    yield make
    for one in made:
        await one.wire.close()


def answered(error: dict[str, Any], *, status: int = 400, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status=status, headers=httpx.Headers(headers or {}), body=json.dumps({"error": error}).encode())


def refusal(code: int, subcode: int = 0, **more: Any) -> Answer:
    error = {"message": "Something", "type": "OAuthException", "code": code, "fbtrace_id": "Abc"}
    return answered(error | ({"error_subcode": subcode} if subcode else {}), **more)


# errors: every row of the two tables


@pytest.mark.parametrize(
    ("code", "subcode", "kind"),
    [
        (1, 0, "RETRY"),
        (2, 0, "RETRY"),
        (-1, 0, "RETRY"),
        (-2, 0, "RETRY"),
        *[(code, 0, "RETRY") for code in (4, 17, 32, 341, 613, 80002)],
        (4, 2207051, "POLICY"),
        *[(code, 0, "REAUTH") for code in (3, 10, 200, 230, 299)],
        (100, 0, "FIX"),
        (100, 33, "RETRY"),
        (102, 0, "REAUTH"),
        *[(190, subcode, "REAUTH") for subcode in (0, 458, 459, 460, 463, 464, 467, 492)],
        (368, 0, "POLICY"),
        (506, 0, "FIX"),
    ],
)
def test_an_error_of_the_graph_api_is_of_its_class(code: int, subcode: int, kind: str) -> None:
    error = graph.error_of(refusal(code, subcode))
    assert (error.kind, error.code, error.trace) == (kind, f"{code}/{subcode}" if subcode else str(code), "Abc")


@pytest.mark.parametrize(
    ("code", "subcode", "kind"),
    [
        (-2, 2207003, "RETRY"),
        (-2, 2207020, "NEWHANDLE"),
        (-1, 2207001, "RETRY"),
        (-1, 2207032, "RETRY"),
        (-1, 2207053, "NEWHANDLE"),
        (1, 2207057, "FIX"),
        (4, 2207051, "POLICY"),
        (9, 2207042, "QUOTA"),
        (24, 2207006, "RECONCILE"),
        (24, 2207008, "RETRY"),
        (25, 2207050, "POLICY"),
        (100, 2207023, "FIX"),
        *[(100, subcode, "FIX") for subcode in (2207028, 2207035, 2207036, 2207037)],
        (100, 2207040, "FIX"),
        (352, 2207026, "FIX"),
        (9004, 2207052, "RETRY"),
        (9007, 2207027, "RETRY"),
        (36000, 2207004, "FIX"),
        (36001, 2207005, "FIX"),
        (36003, 2207009, "FIX"),
        (36004, 2207010, "FIX"),
        *[(-1, subcode, "NEWHANDLE") for subcode in (2207076, 2207077, 2207082)],
        *[(-1, subcode, "FIX") for subcode in (2207081, 2207085)],
    ],
)
def test_an_error_of_instagram_is_of_its_class(code: int, subcode: int, kind: str) -> None:
    assert graph.error_of(refusal(code, subcode)).kind == kind


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (Answer(status=502, headers=httpx.Headers(), body=b"<h1>Sorry</h1>"), "RETRY", "http_502"),
        (Answer(status=401, headers=httpx.Headers(), body=b""), "REAUTH", "http_401"),
        (Answer(status=200, headers=httpx.Headers(), body=b"[]"), "RETRY", "http_200"),
        (refusal(987654), "RETRY", "987654"),
        (answered({"code": "what", "message": 7}), "RETRY", "http_400"),
        (
            Answer(
                status=400,
                headers=httpx.Headers(),
                body=b'{"error_type":"OAuthException","code":400,"error_message":"Invalid authorization code"}',
            ),
            "REAUTH",
            "http_400",
        ),
    ],
)
def test_what_is_no_error_of_theirs_is_of_a_class_all_the_same(answer: Answer, kind: str, code: str) -> None:
    error = graph.error_of(answer)
    assert (error.kind, error.code) == (kind, code)


def test_a_limit_of_calls_is_waited_out_for_as_long_as_they_say() -> None:
    told = {"178": [{"type": "instagram", "call_count": 100, "estimated_time_to_regain_access": 7}]}
    error = graph.error_of(refusal(80002, headers={"X-Business-Use-Case-Usage": json.dumps(told)}))
    assert error.retry_after_s == 420
    assert graph.error_of(refusal(4)).retry_after_s == 900
    assert graph.error_of(refusal(4, 2207051)).retry_after_s == DAY_S


def test_an_error_holds_neither_a_token_nor_a_signed_address() -> None:
    token = "EAAB" + "x9" * 30
    error = graph.error_of(
        answered(
            {"code": 190, "message": f"Malformed access token {token} at https://daemon.example/public/a.sig.mp4?x=1"}
        )
    )
    assert str(error) == "Malformed access token … at https://daemon.example/…"


def test_their_words_for_people_are_preferred() -> None:
    told = {"code": 4, "message": "Application request limit reached", "error_user_title": "Action is blocked"}
    assert str(graph.error_of(answered(told))) == "Action is blocked"
    assert str(graph.error_of(answered({**told, "error_user_msg": "Wait."}))) == "Action is blocked: Wait."


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("2207003", "NEWHANDLE"),
        ("2207052", "NEWHANDLE"),
        ("2207026", "FIX"),
        ("2207051", "POLICY"),
        ("2207053", "NEWHANDLE"),
        ("2207057", "FIX"),
        ("2207076", "NEWHANDLE"),
        ("2207077", "NEWHANDLE"),
        ("2207081", "FIX"),
        ("2207082", "NEWHANDLE"),
        ("2207085", "FIX"),
        ("2207999", "NEWHANDLE"),
    ],
)
def test_a_container_that_failed_is_classed_by_the_number_in_its_words(number: str, kind: str) -> None:
    assert graph.of_container(f"Error: Media upload has failed with error code {number}") == (kind, number)


def test_a_container_that_failed_without_a_number_is_given_up() -> None:
    assert graph.of_container("Error: something") == ("NEWHANDLE", "container_error")


# from clip to reel


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_a_clip_becomes_a_reel(stage: Callable[..., Stage], flavour: Flavour) -> None:
    on = stage(flavour)
    handle = await on.begin()
    handle = await on.send(handle)
    assert (await on.read(handle)).state == "processing"
    on.wall.pass_s(20)
    assert (await on.read(handle)).state == "ready"
    handle = await on.publish(handle)
    reading = await on.read(handle)
    (post,) = on.sim.posts()
    assert (post.account, post.sha256, post.title) == (on.grant.external_id, on.media.sha256, CAPTION)
    assert (reading.state, reading.remote_id, reading.settled) == ("live", post.remote_id, True)
    assert reading.url is not None
    assert reading.url.startswith("https://www.instagram.com/reel/")
    assert json.loads(json.dumps(handle)) == handle


async def test_a_file_is_sent_in_pieces_to_the_address_that_came_with_the_container(
    stage: Callable[..., Stage],
) -> None:
    on = stage()
    handle = await on.send(await on.begin())
    upload = on.gate.asked[-1]
    assert str(upload.url) == handle["uri"]
    assert upload.url.path.startswith("/rupload.facebook.com/ig-api-upload/")
    assert upload.headers["authorization"] == f"OAuth {on.grant.page_token}"
    assert (upload.headers["offset"], upload.headers["file_size"]) == ("0", str(SIZE))
    assert upload.headers["content-length"] == str(SIZE)
    assert "transfer-encoding" not in upload.headers
    assert on.sent == [1 << 20, 2 << 20, SIZE]
    assert handle["stored"] == SIZE


async def test_instagram_login_sends_nothing_but_an_address(stage: Callable[..., Stage]) -> None:
    on = stage("instagram_login")
    handle = await on.begin()
    before = len(on.gate.asked)
    assert await on.send(handle) == handle
    assert len(on.gate.asked) == before
    assert on.cellar.asked == ["/robots.txt", "/public/seg_1.mp4"]
    assert "public_url" not in json.dumps(handle)
    assert "seg_1" not in json.dumps(handle)


async def test_what_is_said_of_a_reel_goes_into_its_container(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.begin(Post(title="Only a title", synthetic=True, cover_ms=1500, share_to_feed=False))
    asked = on.sim.containers[handle["container"]].asked
    assert asked == {
        "media_type": "REELS",
        "upload_type": "resumable",
        "caption": "Only a title",
        "thumb_offset": "1500",
        "is_ai_generated": "true",
        "share_to_feed": "false",
    }


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_no_token_is_in_any_address(stage: Callable[..., Stage], flavour: Flavour) -> None:
    on = stage(flavour)
    await on.read(await on.walk())
    for request in on.gate.asked:
        assert on.grant.tokens[0] not in str(request.url)
        assert "EAA" not in str(request.url)
        assert "IGA" not in str(request.url)


# the way that belongs to a login


class Nobody(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"{request.method} {request.url} was asked")


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_failure_10_an_account_of_the_other_login_is_refused_before_anything_is_asked(
    stage: Callable[..., Stage], flavour: Flavour
) -> None:
    on = stage(flavour)
    other = FLAVOURS[1 - FLAVOURS.index(flavour)]
    wire = Wire(transport=Nobody())
    wrong = Instagram(wire, flavour=other)
    handle = {"container": "17", "uri": "https://rupload.facebook.com/x", "stored": 0, "begun_at": 0}
    for call in (
        wrong.begin(on.grant, POST, on.media),
        wrong.send(on.grant, handle, on.media, sent=on.sent.append),
        wrong.publish(on.grant, handle),
        wrong.read(on.grant, handle, on.media),
    ):
        with pytest.raises(PlatformError) as caught:
            await call
        assert (caught.value.kind, caught.value.code) == ("FIX", "wrong_flavour")
    await wire.close()


async def test_failure_10_without_that_check_instagram_would_ask_for_an_address(stage: Callable[..., Stage]) -> None:
    on = stage("instagram_login")
    answer = await on.wire.call(
        "POST",
        f"https://graph.instagram.com/v26.0/{on.grant.external_id}/media",
        headers={"Authorization": f"Bearer {on.grant.tokens[0]}"},
        form={"media_type": "REELS", "upload_type": "resumable"},
    )
    error = answer.json()["error"]
    assert (answer.status, error["message"], error["code"]) == (400, "The parameter video_url is required", 100)
    assert error["type"] == "IGApiException"


async def test_without_a_public_address_instagram_login_says_what_to_do(stage: Callable[..., Stage]) -> None:
    on = stage("instagram_login")
    media = Media(**{**vars(on.media), "public_url": None})
    (fault,) = on.instagram.faults(POST, media, AccountSettings())
    assert "set public_url, or connect the account through Facebook" in fault
    with pytest.raises(PlatformError) as caught:
        await on.instagram.begin(on.grant, POST, media)
    assert (caught.value.kind, caught.value.code, str(caught.value)) == ("FIX", "no_public_url", fault)
    assert on.gate.asked == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"robots": "User-agent: *\nDisallow: /"}, "9004/2207052"),
        ({"status": 302}, "9004/2207052"),
        ({"media_type": "text/html"}, "9004/2207052"),
        ({"status": 404}, "9004/2207052"),
    ],
)
async def test_failure_8_a_file_instagram_cannot_fetch_is_tried_again_and_said_with_what_to_look_at(
    stage: Callable[..., Stage], change: dict[str, Any], code: str
) -> None:
    on = stage("instagram_login")
    before = {**vars(on.cellar)}
    vars(on.cellar).update(change)
    with pytest.raises(PlatformError) as caught:
        await on.begin()
    assert (caught.value.kind, caught.value.code) == ("RETRY", code)
    for word in ("public_url", "https", "redirect", "login page", "robots.txt"):
        assert word in caught.value.hint
    assert "seg_1" not in f"{caught.value} {caught.value.hint}"
    vars(on.cellar).update(before)
    await on.walk()
    assert len(on.sim.posts()) == 1


async def test_failure_8_a_slow_address_is_another_error_than_a_wrong_one(stage: Callable[..., Stage]) -> None:
    on = stage("instagram_login", fetch_transport=Slow())
    with pytest.raises(PlatformError) as caught:
        await on.begin()
    assert (caught.value.kind, caught.value.code) == ("RETRY", "-2/2207003")
    assert "public_url" in caught.value.hint


@pytest.mark.parametrize(
    ("address", "word"),
    [("https://dämon.example/a.mp4", "ASCII"), ("http://daemon.example/a.mp4", "https")],
)
async def test_an_address_instagram_would_not_fetch_from_is_a_fault(
    stage: Callable[..., Stage], address: str, word: str
) -> None:
    on = stage("instagram_login")
    wire = Wire(transport=Nobody())
    real = Instagram(wire, flavour="instagram_login")
    (fault,) = real.faults(POST, Media(**{**vars(on.media), "public_url": address}), AccountSettings())
    assert word in fault
    await wire.close()


async def test_a_token_goes_to_no_host_but_metas(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.begin()
    before = len(on.gate.asked)
    for uri in ("https://rupload.facebook.com.evil.example/x", "http://simulators/evil.example/x", "", None):
        with pytest.raises(PlatformError) as caught:
            await on.send({**handle, "uri": uri})
        assert caught.value.kind == "NEWHANDLE"
    assert len(on.gate.asked) == before


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"duration_us": 2_900_000}, "duration"),
        ({"duration_us": 901_000_000}, "duration"),
        ({"size": 300_000_001}, "size"),
        ({"width": 2160, "height": 3840}, "columns"),
        ({"fps": "15/1"}, "frame rate"),
        ({"fps": "120"}, "frame rate"),
    ],
)
def test_a_clip_instagram_would_not_take_is_a_fault(
    stage: Callable[..., Stage], change: dict[str, Any], word: str
) -> None:
    on = stage()
    assert on.instagram.faults(POST, on.media, AccountSettings()) == []
    (fault,) = on.instagram.faults(POST, Media(**{**vars(on.media), **change}), AccountSettings())
    assert word in fault


@pytest.mark.parametrize(
    ("post", "word"),
    [
        (Post(caption="x" * 2201), "caption"),
        (Post(hashtags=[f"tag{n}" for n in range(6)]), "hashtags"),
        (Post(caption=" ".join(f"@user{n}" for n in range(21))), "mentions"),
        (Post(caption="a", privacy="private"), "privacy"),
        (Post(caption="a", cover_ms=12_000), "cover_ms"),
    ],
)
def test_words_instagram_would_not_take_are_a_fault(stage: Callable[..., Stage], post: Post, word: str) -> None:
    on = stage()
    (fault,) = on.instagram.faults(post, on.media, AccountSettings())
    assert word in fault


# bytes that do not all arrive


@pytest.mark.parametrize(
    ("fault", "state", "stored"),
    [
        ("transient", "uploading", 0),
        ("partial", "uploading", SIZE // 2),
        ("stored_but_400", "processing", SIZE),
        ("500", "uploading", 0),
        ("html", "uploading", 0),
    ],
)
async def test_a_refused_upload_is_no_verdict_the_container_says_what_is_there(
    stage: Callable[..., Stage], fault: str, state: str, stored: int
) -> None:
    on = stage()
    handle = await on.begin()
    on.world.order("instagram.upload", fault)
    with pytest.raises(PlatformError) as caught:
        await on.send(handle)
    assert caught.value.kind == "RECONCILE"
    reading = await on.read(handle)
    assert (reading.state, reading.stored) == (state, stored)


@pytest.mark.parametrize(("fault", "stored"), [("cut", SIZE // 2), ("reset", 0), ("lost_answer", SIZE)])
async def test_an_upload_whose_answer_is_lost_goes_on_where_it_broke_off(
    stage: Callable[..., Stage], fault: str, stored: int
) -> None:
    on = stage()
    handle = await on.begin()
    on.world.order("instagram.upload", fault)
    with pytest.raises(Unanswered):
        await on.send(handle)
    reading = await on.read(handle)
    assert reading.stored == stored
    if reading.state == "uploading":
        handle = await on.send({**handle, "stored": reading.stored})
        assert on.gate.asked[-1].headers["offset"] == str(stored)
        assert on.gate.asked[-1].headers["content-length"] == str(SIZE - stored)
    on.wall.pass_s(20)
    await on.publish(handle)
    assert on.sim.posts()[0].sha256 == on.media.sha256


async def test_the_same_bytes_and_container_pass_after_a_400_that_calls_itself_final(
    stage: Callable[..., Stage],
) -> None:
    on = stage()
    handle = await on.begin()
    on.world.order("instagram.upload", "transient")
    with pytest.raises(PlatformError) as caught:
        await on.send(handle)
    assert (caught.value.code, str(caught.value)) == ("ProcessingFailedError", "Request processing failed")
    assert (await on.send(handle))["stored"] == SIZE


@pytest.mark.parametrize("misspells", [True, False])
async def test_the_bytes_that_are_there_are_read_in_either_spelling(
    stage: Callable[..., Stage], misspells: bool
) -> None:
    on = stage()
    on.sim.misspells = misspells
    handle = await on.begin()
    on.world.order("instagram.upload", "partial")
    with pytest.raises(PlatformError):
        await on.send(handle)
    assert (await on.read(handle)).stored == SIZE // 2


async def test_where_they_do_not_tell_the_file_is_sent_from_where_we_know(stage: Callable[..., Stage]) -> None:
    on = stage()
    on.sim.tells_video_status = False
    handle = await on.begin()
    assert (await on.read(handle)).state == "uploading"
    handle = await on.send(handle)
    assert (await on.read(handle)).state == "processing"


# the container's life


async def test_a_container_that_nobody_published_within_a_day_is_given_up(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.ready()
    on.wall.pass_s(DAY_S)
    reading = await on.read(handle)
    assert (reading.state, reading.kind) == ("absent", "NEWHANDLE")


@pytest.mark.parametrize(("number", "kind"), [("2207026", "FIX"), ("2207076", "NEWHANDLE"), ("2207082", "NEWHANDLE")])
async def test_failure_7_a_container_that_failed_says_why(stage: Callable[..., Stage], number: str, kind: str) -> None:
    on = stage()
    on.world.order("instagram.processing", number)
    reading = await on.read(await on.ready())
    assert (reading.state, reading.kind, reading.code) == ("rejected", kind, number)
    assert reading.said == f"Error: Media upload has failed with error code {number}"


async def test_a_container_may_be_unknown_at_first_and_is_gone_only_later(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.begin()
    on.world.order("instagram.status", "24/2207008", "24/2207008")
    with pytest.raises(PlatformError) as caught:
        await on.read(handle)
    assert caught.value.kind == "RETRY"
    on.wall.pass_s(121)
    reading = await on.read(handle)
    assert (reading.state, reading.kind) == ("gone", "NEWHANDLE")


async def test_a_container_that_is_said_to_have_expired_is_gone_but_maybe_public(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.walk()
    del handle["media_id"]
    on.world.order("instagram.status", "-2/2207020")
    assert (await on.read(handle)).state == "gone"
    assert (await on.read(handle)).state == "live"


@pytest.mark.parametrize("fault", ["500", "503", "html", "2", "80002"])
async def test_a_reading_that_fails_says_nothing_of_the_post(stage: Callable[..., Stage], fault: str) -> None:
    on = stage()
    handle = await on.ready()
    on.world.order("instagram.status", fault)
    with pytest.raises(PlatformError) as caught:
        await on.read(handle)
    assert caught.value.kind == "RETRY"
    assert (await on.read(handle)).state == "ready"


@pytest.mark.parametrize("numbers", ["-1/2207032", "-1/2207001", "2", "100/33"])
async def test_a_container_that_could_not_be_made_can_be_asked_for_again(
    stage: Callable[..., Stage], numbers: str
) -> None:
    on = stage()
    on.grant.page_token = ""
    on.world.order("instagram.container", numbers)
    with pytest.raises(PlatformError) as caught:
        await on.begin()
    assert caught.value.kind == "RETRY"
    assert (await on.begin())["container"] in on.sim.containers


# publishing: once


async def test_failure_9_what_is_published_before_it_is_ready_is_refused_and_waited_for(
    stage: Callable[..., Stage],
) -> None:
    on = stage()
    handle = await on.send(await on.begin())
    with pytest.raises(PlatformError) as caught:
        await on.publish(handle)
    assert (caught.value.kind, caught.value.code) == ("RETRY", "9007/2207027")
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
    handle = await on.ready()
    on.world.order("instagram.publish", "blocked_but_live")
    handle = await on.publish(handle)
    reading = await on.read(handle)
    assert (reading.state, reading.remote_id) == ("live", on.sim.posts()[0].remote_id)


async def test_a_post_that_was_blocked_is_read_again_and_the_account_rests_for_a_day(
    stage: Callable[..., Stage],
) -> None:
    on = stage()
    handle = await on.ready()
    on.world.order("instagram.publish", "4/2207051")
    with pytest.raises(PlatformError) as caught:
        await on.publish(handle)
    assert (caught.value.kind, caught.value.code) == ("RECONCILE", "4/2207051")
    assert caught.value.retry_after_s == DAY_S
    assert (await on.read(handle)).state == "ready"
    assert on.sim.posts() == []


@pytest.mark.parametrize("fault", ["500", "503", "html", "2", "-1/2207001"])
async def test_a_publish_that_broke_on_their_side_is_ambiguous(stage: Callable[..., Stage], fault: str) -> None:
    on = stage()
    handle = await on.ready()
    on.world.order("instagram.publish", fault)
    with pytest.raises(PlatformError) as caught:
        await on.publish(handle)
    assert caught.value.kind == "RECONCILE"


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
    handle = await on.ready()
    on.world.order("instagram.publish", fault)
    with pytest.raises(PlatformError) as caught:
        await on.publish(handle)
    assert (caught.value.kind, caught.value.code) == (kind, fault)


async def test_a_refusal_that_cannot_be_checked_is_ambiguous(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.ready()
    on.world.order("instagram.publish", "100")
    on.world.order("instagram.status", "500")
    with pytest.raises(PlatformError) as caught:
        await on.publish(handle)
    assert caught.value.kind == "RECONCILE"


# quota


async def test_a_used_up_quota_is_read_before_publishing_and_says_until_when(stage: Callable[..., Stage]) -> None:
    on = stage()
    on.sim.quota_total = 2
    first = on.world.now()
    await on.walk(Post(caption="one"))
    on.wall.pass_s(3600)
    await on.walk(Post(caption="two"))
    handle = await on.ready()
    with pytest.raises(PlatformError) as caught:
        await on.publish(handle)
    assert (caught.value.kind, caught.value.code) == ("QUOTA", "9/2207042")
    assert str(caught.value) == "2 of 2 posts in 24 hours are used."
    assert "POST /graph.facebook.com" not in on.gate.paths()[-1]
    until = first + 20_000 + DAY_S * 1000  # when the first one was published, and a day
    assert caught.value.until == until
    on.wall.at = until
    handle = await on.ready()
    await on.publish(handle)
    assert len(on.sim.posts()) == 3


async def test_a_quota_that_only_publishing_tells_parks_just_as_well(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.ready()
    on.world.order("instagram.limit", "100")
    on.world.order("instagram.publish", "9/2207042")
    with pytest.raises(PlatformError) as caught:
        await on.publish(handle)
    assert caught.value.kind == "QUOTA"
    assert caught.value.until == on.world.now() + 3_600_000  # nothing was published that could fall out


@pytest.mark.parametrize("fault", ["500", "reset", "lost_answer"])
async def test_where_the_quota_cannot_be_read_nothing_is_published(stage: Callable[..., Stage], fault: str) -> None:
    on = stage()
    handle = await on.ready()
    on.world.order("instagram.limit", fault)
    with pytest.raises(PlatformError) as caught:
        await on.publish(handle)
    assert caught.value.kind == "RETRY"
    assert not isinstance(caught.value, Unanswered)
    assert not [path for path in on.gate.paths() if path.endswith("media_publish")]


async def test_too_many_containers_park_as_well(stage: Callable[..., Stage]) -> None:
    on = stage()
    on.world.order("instagram.container", "9/2207042")
    with pytest.raises(PlatformError) as caught:
        await on.begin()
    assert caught.value.kind == "QUOTA"
    assert caught.value.until is not None


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


# tokens


async def test_while_pages_are_shown_nothing_the_persons_token_is_used(stage: Callable[..., Stage]) -> None:
    on = stage()
    on.sim.outage.add("page")
    handle = await on.walk()
    assert (await on.read(handle)).url is not None
    assert len(on.sim.posts()) == 1


async def test_an_outage_that_begins_before_publishing_is_read_round(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.ready()
    assert handle["by"] == "page"
    on.world.order("instagram.publish", "100/33")
    handle = await on.publish(handle)
    assert len(on.sim.posts()) == 1
    publishes = [one for one in on.gate.asked if one.url.path.endswith("media_publish")]
    assert [one.headers["authorization"] for one in publishes] == [
        f"Bearer {on.grant.page_token}",
        f"Bearer {on.grant.tokens[0]}",
    ]


async def test_an_outage_that_hid_a_post_that_went_live_does_not_post_it_twice(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.ready()
    await on.publish(handle)
    on.world.order("instagram.publish", "100/33")
    assert "media_id" not in await on.publish(handle)
    assert len(on.sim.posts()) == 1


async def test_while_nobody_is_shown_anything_it_is_tried_again_slowly(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.ready()
    on.sim.outage |= {"page", "user"}
    with pytest.raises(PlatformError) as caught:
        await on.read(handle)
    assert (caught.value.kind, caught.value.code, caught.value.retry_after_s) == ("RETRY", "100/33", 300)


@pytest.mark.parametrize("point", ["container", "status", "publish"])
async def test_a_dead_token_is_renewed_once_and_the_same_call_made_again(
    stage: Callable[..., Stage], point: str
) -> None:
    on = stage("instagram_login")
    on.grant.newer.append(
        on.sim.logins.long_token("instagram", on.grant.external_id, on.sim.logins.instagram.issued[0].scopes)
    )
    if point == "container":
        on.world.order("instagram.container", "190/467")
        handle = await on.begin()
    handle = await on.ready()
    on.world.order(f"instagram.{point}", "190/467")
    if point == "status":
        assert (await on.read(handle)).state == "ready"
    if point == "publish":
        assert (await on.publish(handle))["media_id"]
        assert len(on.sim.posts()) == 1
    assert on.grant.newer == []


async def test_failure_11_a_token_that_has_ended_asks_for_a_person(stage: Callable[..., Stage]) -> None:
    on = stage("instagram_login")
    handle = await on.ready()
    on.wall.pass_s(61 * DAY_S)
    with pytest.raises(PlatformError) as caught:
        await on.read(handle)
    assert caught.value.kind == "REAUTH"


async def test_a_dead_page_token_gives_way_to_the_persons(stage: Callable[..., Stage]) -> None:
    on = stage()
    on.grant.page_token = "EAAp" + "0" * 48
    handle = await on.walk()
    assert handle["by"] == "user"
    assert len(on.sim.posts()) == 1


async def test_what_was_taken_back_ends_both_tokens(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.begin()
    on.sim.logins.facebook.withdraw("10000000000000099")
    for call in (on.send(handle), on.read(handle), on.begin()):
        with pytest.raises(PlatformError) as caught:
            await call
        assert caught.value.kind == "REAUTH"


# budgets


async def test_a_budget_that_is_nearly_used_is_said_once(stage: Callable[..., Stage]) -> None:
    on = stage()
    with capture_logs() as said:
        handle = await on.begin()
        assert said == []
        on.sim.answers.used_percent = 83
        await on.read(handle)
        await on.read(handle)
    assert [(one["log_level"], one["account"], one["used"]) for one in said] == [("warning", "acc_1", 83)]
    assert on.instagram.used == {"acc_1": 83}


async def test_a_version_is_a_setting(stage: Callable[..., Stage]) -> None:
    on = stage()
    await Instagram(on.wire, flavour="facebook_login", version="v24.0").begin(on.grant, POST, on.media)
    assert on.gate.paths() == [f"POST /graph.facebook.com/v24.0/{on.grant.external_id}/media"]


async def test_no_error_of_a_walk_through_every_fault_tells_a_secret(stage: Callable[..., Stage]) -> None:
    on = stage(size=4096)
    told: list[str] = []
    for point, names in FAULTS.items():
        for name in names:
            if name == "slow" or point in ("instagram.token", "instagram.processing"):
                continue
            on.world.order(point, Fault(name))
            try:
                handle = await on.ready()
                told.append(str(await on.read(handle)))
                told.append(str(await on.read(await on.publish(handle))))
            except PlatformError as error:
                told.append(f"{error!r} {error.hint} {error.code} {error.trace}")
            on.world.ordered.clear()
            on.wall.pass_s(3600)
    assert len(told) > 300
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


async def test_a_container_without_an_address_to_send_to_is_none(tmp_path: Path) -> None:
    class Short(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json={"id": "178"})

    wire = Wire(transport=Gate(Short()))
    media = Media(path=tmp_path / "x", size=1, sha256="", duration_us=5_000_000, width=1080, height=1920, fps="30/1")
    with pytest.raises(PlatformError) as caught:
        await Instagram(wire, flavour="facebook_login").begin(Right("facebook_login", "178", "EAAx"), POST, media)
    assert caught.value.code == "no_uri"
    await wire.close()
