"""Getting a clip to Instagram by either login, beside a simulated one: containers and bytes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.platforms.instagram_stage import CAPTION, POST, SIZE, Gate, Right, Slow, Stage, refusal
from vidprod.domain.account import AccountSettings, Flavour
from vidprod.domain.post import Post
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms.base import Media
from vidprod.platforms.instagram import Instagram
from vidprod.platforms.wire import Wire

FLAVOURS: tuple[Flavour, ...] = ("facebook_login", "instagram_login")
DAY_S = 86_400


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
        error = await refusal(call)
        assert (error.kind, error.code) == ("FIX", "wrong_flavour")
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
    error = await refusal(on.instagram.begin(on.grant, POST, media))
    assert (error.kind, error.code, str(error)) == ("FIX", "no_public_url", fault)
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
    error = await refusal(on.begin())
    assert (error.kind, error.code) == ("RETRY", code)
    for word in ("public_url", "https", "redirect", "login page", "robots.txt"):
        assert word in error.hint
    assert "seg_1" not in f"{error} {error.hint}"
    vars(on.cellar).update(before)
    await on.walk()
    assert len(on.sim.posts()) == 1


async def test_failure_8_a_slow_address_is_another_error_than_a_wrong_one(stage: Callable[..., Stage]) -> None:
    on = stage("instagram_login", fetch_transport=Slow())
    error = await refusal(on.begin())
    assert (error.kind, error.code) == ("RETRY", "-2/2207003")
    assert "public_url" in error.hint


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
        error = await refusal(on.send({**handle, "uri": uri}))
        assert error.kind == "NEWHANDLE"
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
    error = await refusal(on.send(handle))
    assert error.kind == "RECONCILE"
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
    error = await refusal(on.send(handle))
    assert (error.code, str(error)) == ("ProcessingFailedError", "Request processing failed")
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
    assert reading.said.startswith(f"Error: Media upload has failed with error code {number}")


async def test_failure_8_a_fetch_that_failed_later_is_said_with_what_to_look_at(stage: Callable[..., Stage]) -> None:
    on = stage("instagram_login")
    on.world.order("instagram.processing", "2207052")
    reading = await on.read(await on.ready())
    assert (reading.state, reading.kind, reading.code) == ("rejected", "NEWHANDLE", "2207052")
    for word in ("error code 2207052", "public_url", "redirect", "login page", "robots.txt"):
        assert word in reading.said


async def test_a_container_may_be_unknown_at_first_and_is_gone_only_later(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.begin()
    on.world.order("instagram.status", "24/2207008", "24/2207008")
    error = await refusal(on.read(handle))
    assert error.kind == "RETRY"
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
    error = await refusal(on.read(handle))
    assert error.kind == "RETRY"
    assert (await on.read(handle)).state == "ready"


@pytest.mark.parametrize("numbers", ["-1/2207032", "-1/2207001", "2", "100/33"])
async def test_a_container_that_could_not_be_made_can_be_asked_for_again(
    stage: Callable[..., Stage], numbers: str
) -> None:
    on = stage()
    on.grant.page_token = ""
    on.world.order("instagram.container", numbers)
    error = await refusal(on.begin())
    assert error.kind == "RETRY"
    assert (await on.begin())["container"] in on.sim.containers


async def test_a_container_without_an_address_to_send_to_is_none(tmp_path: Path) -> None:
    class Short(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json={"id": "178"})

    wire = Wire(transport=Gate(Short()))
    media = Media(path=tmp_path / "x", size=1, sha256="", duration_us=5_000_000, width=1080, height=1920, fps="30/1")
    error = await refusal(
        Instagram(wire, flavour="facebook_login").begin(Right("facebook_login", "178", "EAAx"), POST, media)
    )
    assert error.code == "no_uri"
    await wire.close()
