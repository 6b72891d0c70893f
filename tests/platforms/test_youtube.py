"""Publishing to YouTube: what is sent, and what is found after an answer was lost."""

import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from tests.platforms.clips import clip
from tests.platforms.tube import ANN, DAY_MS, HOUR_MS, POST, START, Right, Tube
from vidprod.domain.account import AccountSettings
from vidprod.domain.post import Post
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms.base import Handle, Media, Publisher
from vidprod.platforms.simulators.world import Fault
from vidprod.platforms.simulators.youtube_faults import FAILURES, REJECTIONS
from vidprod.platforms.simulators.youtube_session import GRAIN
from vidprod.platforms.wire import Wire
from vidprod.platforms.youtube import YouTube
from vidprod.platforms.youtube_login import READ, UPLOAD
from vidprod.platforms.youtube_video import LOCKED

SETTINGS = AccountSettings()


@pytest.fixture
def tube(tmp_path: Path) -> Tube:
    return Tube(tmp_path)


def post(**more: Any) -> Post:
    return msgspec.structs.replace(POST, **more)


def test_it_is_asked_as_every_platform_is() -> None:
    publisher: Publisher = YouTube(Wire())
    assert (publisher.platform, publisher.begins_once, publisher.publishes) == ("youtube", False, False)


# --- what is sent


async def test_a_clip_arrives_byte_for_byte_with_what_is_said_of_it(tube: Tube) -> None:
    media = tube.media(700_001)
    said = post(made_for_kids=True, synthetic=True, notify=False, category="27", privacy="unlisted")
    handle = await tube.upload(media, said)
    (video,) = tube.sim.videos.values()
    assert handle["video_id"] == video.id
    assert (video.channel, video.facts.sha256, video.facts.size) == (ANN, media.sha256, 700_001)
    assert video.snippet == {
        "title": "Part 1",
        "description": "What it is about\n\n#one #two",
        "tags": ["one", "two"],
        "categoryId": "27",
    }
    assert video.status == {
        "privacyStatus": "unlisted",
        "selfDeclaredMadeForKids": True,
        "containsSyntheticMedia": True,
    }
    assert not video.notify
    assert video.short


@pytest.mark.parametrize("paid", [True, False])
async def test_a_paid_partnership_is_declared(tube: Tube, paid: bool) -> None:
    media = tube.media()
    await tube.upload(media, post(brand_content=paid))
    (video,) = tube.sim.videos.values()
    (session,) = tube.sim.sessions.values()
    assert (video.paid, "paidProductPlacementDetails" in session.parts) == (paid, paid)


async def test_every_chunk_but_the_last_is_a_multiple_of_256_kib(tube: Tube) -> None:
    media = tube.media(20_000_003)
    await tube.upload(media)
    assert tube.sim.requests["youtube.put"] == 3
    assert [post.sha256 for post in tube.sim.posts()] == [media.sha256]


async def test_progress_only_grows_and_ends_with_the_whole(tube: Tube) -> None:
    await tube.upload(tube.media(2_000_000))
    assert tube.progress == sorted(tube.progress)
    assert tube.progress[-1] == 2_000_000
    assert len(tube.progress) >= 4


async def test_a_handle_is_json(tube: Tube) -> None:
    handle = await tube.begin(tube.media())
    assert json.loads(json.dumps(handle)) == handle
    assert handle["stored"] == 0


async def test_the_state_follows_the_video_until_it_is_live(tube: Tube) -> None:
    media = tube.media()
    handle = await tube.begin(media)
    reading = await tube.youtube.read(tube.grant, handle, media)
    assert (reading.state, reading.stored) == ("uploading", 0)
    handle = await tube.send(handle, media)
    reading = await tube.youtube.read(tube.grant, handle, media)
    assert (reading.state, reading.said) == ("processing", "processing, 0 of 10 parts")
    tube.wall.at += 20_000
    reading = await tube.youtube.read(tube.grant, handle, media)
    assert (reading.state, reading.privacy, reading.settled) == ("live", "public", True)
    assert reading.remote_id == handle["video_id"]
    assert reading.url == f"https://www.youtube.com/shorts/{handle['video_id']}"


async def test_a_session_may_move_but_not_to_somebody_else(tmp_path: Path) -> None:
    """The token goes along: an address of another host gets neither it nor the clip."""
    answers: Iterator[httpx.Response] = iter(
        [httpx.Response(308, headers={"Location": "https://upload.example/x"}), httpx.Response(200, json={"id": "v"})]
    )
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return next(answers)

    youtube = YouTube(Wire(transport=httpx.MockTransport(answer)))
    handle = {"session": "https://www.googleapis.com/upload/x", "size": 5, "stored": 0, "video_id": None}
    with pytest.raises(PlatformError, match="somebody else"):
        await youtube.send(Tube(tmp_path).grant, handle, Tube(tmp_path).file(b"12345"), sent=lambda _: None)
    assert asked == ["www.googleapis.com"]


async def test_a_session_that_moves_is_followed(tmp_path: Path) -> None:
    tube, moved = Tube(tmp_path), "https://uploads.googleapis.com/y"
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        first = len(asked) == 1
        return httpx.Response(308, headers={"Location": moved}) if first else httpx.Response(201, json={"id": "v"})

    youtube = YouTube(Wire(transport=httpx.MockTransport(answer)))
    handle = {"session": "https://www.googleapis.com/upload/x", "size": 5, "stored": 0, "video_id": None}
    after = await youtube.send(tube.grant, handle, tube.file(b"12345"), sent=lambda _: None)
    assert asked == ["https://www.googleapis.com/upload/x", moved]
    assert (after["session"], after["video_id"], after["stored"]) == (moved, "v", 5)


async def test_a_session_without_an_address_is_begun_again(tube: Tube) -> None:
    tube.world.order("youtube.insert", "no_location")
    with pytest.raises(PlatformError) as raised:
        await tube.begin(tube.media())
    assert raised.value.kind == "RETRY"


# --- when it does not go through at once


async def test_what_youtube_did_not_keep_of_a_chunk_is_sent_again(tube: Tube) -> None:
    media = tube.media(3_000_000)
    tube.world.order("youtube.put", Fault("partial", 786_432), "partial")
    await tube.upload(media)
    assert [post.sha256 for post in tube.sim.posts()] == [media.sha256]
    assert tube.sim.requests["youtube.put"] == 3


async def test_an_upload_goes_on_where_the_connection_broke(tube: Tube) -> None:
    media = tube.media(3_000_000)
    handle = await tube.begin(media)
    tube.world.order("youtube.put", "broken_off")
    with pytest.raises(Unanswered):
        await tube.send(handle, media)
    reading = await tube.youtube.read(tube.grant, handle, media)
    assert (reading.state, reading.stored) == ("uploading", 1_500_000 // GRAIN * GRAIN)
    tube.progress.clear()
    await tube.send(handle, media)
    assert min(tube.progress) == reading.stored
    assert [post.sha256 for post in tube.sim.posts()] == [media.sha256]


async def test_the_lost_last_answer_is_found_by_asking_the_session(tube: Tube) -> None:
    media = tube.media()
    handle = await tube.begin(media)
    tube.world.order("youtube.put", "lost_answer")
    with pytest.raises(Unanswered):
        await tube.send(handle, media)
    reading = await tube.youtube.read(tube.grant, handle, media)
    (video,) = tube.sim.videos
    assert (reading.state, reading.remote_id) == ("processing", video)


async def test_failure_1_sending_again_after_a_lost_last_answer_sends_nothing(tube: Tube) -> None:
    """Also from the handle as it was before the first byte: all that is left after a crash."""
    media = tube.media()
    handle = await tube.begin(media)
    tube.world.order("youtube.put", "lost_answer")
    with pytest.raises(Unanswered):
        await tube.send(handle, media)
    after = await tube.send(handle, media)
    assert tube.sim.requests["youtube.put"] == 1
    assert [post.remote_id for post in tube.sim.posts()] == [after["video_id"]]


async def test_failure_1_who_begins_anew_after_a_lost_answer_posts_twice(tube: Tube) -> None:
    """What asking the session is for."""
    media = tube.media()
    tube.world.order("youtube.put", "lost_answer")
    with pytest.raises(Unanswered):
        await tube.upload(media)
    await tube.upload(media)
    assert len(tube.sim.posts()) == 2


@pytest.mark.parametrize("fault", ["500", "503", "html", "backendError", "notReady", "userRateLimitExceeded"])
async def test_a_chunk_that_was_not_taken_is_sent_again_later(tube: Tube, fault: str) -> None:
    media = tube.media()
    handle = await tube.begin(media)
    tube.world.order("youtube.put", fault)
    with pytest.raises(PlatformError) as raised:
        await tube.send(handle, media)
    assert raised.value.kind == "RETRY"
    await tube.send(handle, media)
    assert len(tube.sim.posts()) == 1


@pytest.mark.parametrize("fault", ["reset", "truncated"])
async def test_an_answer_that_cannot_be_read_is_no_answer(tube: Tube, fault: str) -> None:
    media = tube.media()
    handle = await tube.begin(media)
    tube.world.order("youtube.put", fault)
    with pytest.raises(Unanswered):
        await tube.send(handle, media)
    await tube.send(handle, media)
    assert len(tube.sim.posts()) == 1


async def test_an_upload_that_gets_nowhere_is_left_for_later(tube: Tube) -> None:
    media = tube.media()
    handle = await tube.begin(media)
    tube.world.order("youtube.put", *(Fault("partial", 1) for _ in range(3)))
    with pytest.raises(PlatformError, match="takes no more than 0") as raised:
        await tube.send(handle, media)
    assert (raised.value.kind, raised.value.code) == ("RETRY", "stalled")


async def test_a_token_that_ends_under_way_is_renewed_once_and_the_session_goes_on(tube: Tube) -> None:
    media = tube.media()
    handle = await tube.begin(media)
    tube.sim.auth.expire(ANN)
    await tube.send(handle, media)
    assert tube.grant.renewals == 1
    assert (len(tube.sim.sessions), len(tube.sim.posts())) == (1, 1)


async def test_a_token_that_is_refused_twice_has_to_be_granted_again(tube: Tube) -> None:
    tube.world.order("youtube.insert", "authError", "authError")
    with pytest.raises(PlatformError) as raised:
        await tube.begin(tube.media())
    assert (raised.value.kind, raised.value.code, tube.grant.renewals) == ("REAUTH", "authError", 1)


async def test_a_session_that_is_gone_with_nothing_in_it_is_begun_anew(tube: Tube) -> None:
    media = tube.media()
    handle = await tube.begin(media)
    tube.wall.at += 7 * DAY_MS
    tube.grant = Right(tube.sim.auth)
    with pytest.raises(PlatformError) as raised:
        await tube.send(handle, media)
    assert raised.value.kind == "NEWHANDLE"
    assert (await tube.youtube.read(tube.grant, handle, media)).state == "absent"


async def test_the_video_of_a_session_that_is_gone_is_found_at_the_channel(tube: Tube) -> None:
    media = tube.media()
    earlier = await tube.upload(tube.media(seed=2))  # same title, same size, before
    tube.wall.at += HOUR_MS // 2
    handle = await tube.begin(media)
    tube.world.order("youtube.put", "lost_answer")
    with pytest.raises(Unanswered):
        await tube.send(handle, media)
    await tube.upload(tube.media(300_001))  # same title, after it, another size
    await tube.upload(tube.media(), post(title="Part 2"))
    tube.world.order("youtube.probe", "gone")
    reading = await tube.youtube.read(tube.grant, handle, media)
    assert reading.state == "processing"
    assert reading.remote_id != earlier["video_id"]
    assert tube.sim.videos[str(reading.remote_id)].facts.sha256 == media.sha256
    assert (await tube.send(handle, media))["video_id"] == reading.remote_id


async def test_a_video_of_another_session_is_not_taken_for_it(tube: Tube) -> None:
    media = tube.media()
    await tube.upload(tube.media(seed=2))
    tube.wall.at += 2000
    handle = await tube.begin(media)
    tube.world.order("youtube.probe", "gone")
    assert (await tube.youtube.read(tube.grant, handle, media)).state == "absent"


async def test_who_reads_and_gets_no_answer_knows_nothing(tube: Tube) -> None:
    media = tube.media()
    handle = await tube.upload(media)
    for fault in ("500", "html", "truncated"):
        tube.world.order("youtube.list", fault)
        with pytest.raises(PlatformError) as raised:
            await tube.youtube.read(tube.grant, handle, media)
        assert raised.value.kind == "RETRY"
    tube.world.order("youtube.list", "reset")
    with pytest.raises(Unanswered):
        await tube.youtube.read(tube.grant, handle, media)


# --- what becomes of it


async def test_a_time_that_was_handed_over_is_kept_by_youtube(tube: Tube) -> None:
    media = tube.media()
    handle = await tube.upload(media, publish_at=START + HOUR_MS)
    (video,) = tube.sim.videos.values()
    assert (video.status["privacyStatus"], video.status["publishAt"]) == ("private", "2026-11-18T12:06:40Z")
    tube.wall.at += HOUR_MS - 1
    reading = await tube.youtube.read(tube.grant, handle, media)
    assert (reading.state, reading.public_at, reading.privacy) == ("handed", START + HOUR_MS, "private")
    assert reading.said == "YouTube makes it public at 2026-11-18T12:06:40Z."
    tube.wall.at += 1
    tube.grant = Right(tube.sim.auth)
    reading = await tube.youtube.read(tube.grant, handle, media)
    assert (reading.state, reading.privacy) == ("live", "public")


async def handed(tube: Tube, at: int = START + HOUR_MS) -> tuple[Handle, Media]:
    """A video that YouTube makes public at a time, and that is known of its handle."""
    media = tube.media()
    handle = await tube.upload(media, post(made_for_kids=True, synthetic=True), publish_at=at)
    tube.wall.at += 20_000
    return handle | {"handed": True}, media


async def test_a_time_that_was_handed_over_can_be_moved_with_all_else_as_it_was(tube: Tube) -> None:
    """What `videos.update` is not told is set to its default; what somebody changed at YouTube stays."""
    handle, media = await handed(tube)
    (video,) = tube.sim.videos.values()
    video.status = {**video.status, "embeddable": False, "license": "creativeCommon"}
    before = video.status_at(tube.world.now())
    await tube.youtube.move(tube.grant, handle, publish_at=START + 3 * HOUR_MS)
    assert video.status_at(tube.world.now()) == before | {"publishAt": "2026-11-18T14:06:40Z"}
    reading = await tube.youtube.read(tube.grant, handle, media)
    assert (reading.state, reading.public_at) == ("handed", START + 3 * HOUR_MS)


async def test_a_time_can_be_taken_back_and_given_again(tube: Tube) -> None:
    handle, media = await handed(tube)
    await tube.youtube.move(tube.grant, handle, publish_at=None)
    tube.wall.at += 2 * HOUR_MS
    tube.grant = Right(tube.sim.auth)
    reading = await tube.youtube.read(tube.grant, handle, media)
    assert (reading.state, reading.public_at, reading.privacy) == ("handed", None, "private")
    assert [one.privacy for one in tube.sim.posts()] == ["private"]
    await tube.youtube.move(tube.grant, handle, publish_at=tube.wall.at)
    reading = await tube.youtube.read(tube.grant, handle, media)
    assert (reading.state, reading.privacy) == ("live", "public")


async def test_what_is_public_is_not_moved(tube: Tube) -> None:
    handle, media = await handed(tube)
    tube.wall.at += 2 * HOUR_MS
    tube.grant = Right(tube.sim.auth)
    for publish_at in (None, tube.wall.at + HOUR_MS):
        await tube.youtube.move(tube.grant, handle, publish_at=publish_at)
    assert tube.sim.requests["youtube.update"] == 0
    assert (await tube.youtube.read(tube.grant, handle, media)).state == "live"


async def test_who_may_not_manage_videos_moves_nothing_and_is_not_disconnected(tube: Tube) -> None:
    handle, _ = await handed(tube)
    tube.grant = Right(tube.sim.auth, scopes=(UPLOAD, READ))
    with pytest.raises(PlatformError, match="permission to manage videos") as raised:
        await tube.youtube.move(tube.grant, handle, publish_at=None)
    assert (raised.value.kind, raised.value.code) == ("FIX", "insufficientPermissions")


async def test_a_move_whose_answer_was_lost_may_be_asked_for_again(tube: Tube) -> None:
    handle, media = await handed(tube)
    tube.world.order("youtube.update", "lost_answer")
    with pytest.raises(Unanswered):
        await tube.youtube.move(tube.grant, handle, publish_at=None)
    await tube.youtube.move(tube.grant, handle, publish_at=None)
    assert (await tube.youtube.read(tube.grant, handle, media)).public_at is None


async def test_each_call_waits_as_long_as_its_step_may_take(tmp_path: Path) -> None:
    waited: dict[str, float] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        asked = request.headers.get("content-range", request.url.path)
        waited[asked] = request.extensions["timeout"]["read"]
        if request.method == "POST":
            return httpx.Response(200, headers={"Location": "https://www.googleapis.com/upload/x"})
        return httpx.Response(308) if asked.startswith("bytes */") else httpx.Response(200, json={"id": "v"})

    tube = Tube(tmp_path)
    media = tube.file(b"12345")
    youtube = YouTube(Wire(transport=httpx.MockTransport(answer)))
    handle = await youtube.begin(tube.grant, POST, media)
    await youtube.send(tube.grant, handle, media, sent=lambda _: None)
    assert waited == {"/upload/youtube/v3/videos": 60.0, "bytes */5": 30.0, "bytes 0-4/5": 300.0}


@pytest.mark.parametrize("privacy", ["unlisted", "private"])
async def test_only_the_time_of_a_public_video_is_handed_over(tube: Tube, privacy: str) -> None:
    """YouTube would make it public."""
    with pytest.raises(PlatformError, match="public videos only") as raised:
        await tube.begin(tube.media(), post(privacy=privacy), publish_at=START + HOUR_MS)
    assert raised.value.kind == "FIX"
    assert tube.sim.requests["youtube.insert"] == 0


@pytest.mark.parametrize("asked", ["public", "unlisted"])
@pytest.mark.parametrize("publish_at", [None, START + HOUR_MS])
async def test_failure_13_a_video_that_youtube_locks_as_private_is_noticed(
    tmp_path: Path, asked: str, publish_at: int | None
) -> None:
    if asked == "unlisted" and publish_at:
        return  # nothing that can be asked for
    tube, locked = Tube(tmp_path), Tube(tmp_path, verified=False)
    for one, privacy in ((tube, asked), (locked, "private")):
        media = one.media()
        handle = await one.upload(media, post(privacy=asked), publish_at=publish_at)
        one.wall.at += 2 * HOUR_MS
        one.grant = Right(one.sim.auth)
        reading = await one.youtube.read(one.grant, handle, media)
        assert (reading.state, reading.privacy) == ("live", privacy)
        assert (reading.said == LOCKED, reading.code) == ((True, "locked_private") if one is locked else (False, ""))


async def test_a_private_video_is_what_was_asked_for(tmp_path: Path) -> None:
    tube = Tube(tmp_path, verified=False)
    media = tube.media()
    handle = await tube.upload(media, post(privacy="private"))
    tube.wall.at += 20_000
    reading = await tube.youtube.read(tube.grant, handle, media)
    assert (reading.state, reading.privacy, reading.code) == ("live", "private", "")


@pytest.mark.parametrize("outcome", [*FAILURES, *REJECTIONS])
async def test_what_youtube_will_not_show_is_rejected_in_words(tube: Tube, outcome: str) -> None:
    media = tube.media()
    tube.world.order("youtube.processing", outcome)
    handle = await tube.upload(media)
    tube.wall.at += 20_000
    reading = await tube.youtube.read(tube.grant, handle, media)
    assert (reading.state, reading.code) == ("rejected", outcome)
    assert reading.kind == ("FIX" if outcome in (*FAILURES, "length") else "POLICY")
    assert len(reading.said) > 15
    assert tube.sim.posts() == []


async def test_a_video_that_is_not_listed_yet_is_waited_for(tube: Tube) -> None:
    media = tube.media()
    handle = await tube.upload(media)
    tube.world.order("youtube.list", "empty")
    reading = await tube.youtube.read(tube.grant, handle, media)
    assert (reading.state, reading.remote_id) == ("processing", handle["video_id"])
    assert "not list" in reading.said
    tube.wall.at += 20_000
    assert (await tube.youtube.read(tube.grant, handle, media)).state == "live"


async def test_a_video_that_is_not_listed_after_a_day_was_deleted(tube: Tube) -> None:
    media = tube.media()
    handle = await tube.upload(media)
    tube.sim.videos[handle["video_id"]].deleted = True
    tube.wall.at += DAY_MS + 2000
    tube.grant = Right(tube.sim.auth)
    reading = await tube.youtube.read(tube.grant, handle, media)
    assert (reading.state, reading.code) == ("gone", "videoNotFound")


# --- what is not even tried


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ({"title": ""}, "title"),
        ({"title": "x" * 101}, "title"),
        ({"title": "a < b"}, "title"),
        ({"caption": "é" * 2501, "hashtags": []}, "description"),
        ({"caption": "a > b"}, "description"),
        ({"hashtags": ["x" * 30] * 20}, "tags"),
        ({"privacy": "friends"}, "privacy"),
        ({"privacy": None}, "privacy"),
        ({"category": "People"}, "category"),
    ],
)
def test_what_youtube_would_refuse_is_known_before_the_first_byte(tube: Tube, said: dict[str, Any], word: str) -> None:
    media = tube.media()
    assert tube.youtube.faults(POST, media, SETTINGS) == []
    assert any(word in fault for fault in tube.youtube.faults(post(**said), media, SETTINGS))


@pytest.mark.parametrize(
    ("shape", "word"), [({"width": 1920, "height": 1080}, "square or taller"), ({"seconds": 181.0}, "180 s")]
)
def test_failure_15_what_would_be_no_short_is_known_before_the_first_byte(
    tube: Tube, shape: dict[str, Any], word: str
) -> None:
    (fault,) = tube.youtube.faults(POST, tube.file(clip(**shape)), SETTINGS)
    assert word in fault
    assert tube.youtube.faults(POST, tube.file(clip(width=1080, height=1080, seconds=180.0)), SETTINGS) == []


def test_an_empty_file_is_not_sent(tube: Tube) -> None:
    assert any("bytes" in fault for fault in tube.youtube.faults(POST, tube.file(b""), SETTINGS))


async def test_a_file_that_became_shorter_makes_no_video(tube: Tube) -> None:
    media = tube.media()
    media.path.write_bytes(media.path.read_bytes()[:-1000])
    handle = await tube.begin(media)
    with pytest.raises((PlatformError, Unanswered)):
        await tube.send(handle, media)
    assert tube.sim.posts() == []


async def test_the_bytes_that_arrive_are_those_of_the_file(tube: Tube) -> None:
    """Through every way of breaking off at once."""
    media: Media = tube.media(9_000_000)
    handle = await tube.begin(media)
    order = ["partial", "broken_off", "500", "partial", "lost_answer"]
    tube.world.order("youtube.put", *order)
    for _ in range(4):
        try:
            handle = await tube.send(handle, media)
        except PlatformError:
            continue
    assert [post.sha256 for post in tube.sim.posts()] == [hashlib.sha256(media.path.read_bytes()).hexdigest()]


# --- all of it together


async def publish(tube: Tube, media: Media, dice: random.Random, *, careful: bool = True) -> None:
    """As the publisher does: a handle is kept, what `send` brings is lost now and then, and the platform is read.

    Args:
        careful: False: after a failure it begins anew.
    """
    handle: Handle | None = None
    for _ in range(200):
        try:
            if handle is None:
                handle = await tube.begin(media)
            reading = await tube.youtube.read(tube.grant, handle, media)
            if reading.state in ("processing", "live"):
                return
            if reading.state == "absent":
                handle = None
                continue
            after = await tube.send(handle, media)
            handle = after if dice.random() < 0.5 else handle | {"stored": reading.stored}
        except PlatformError as error:
            if error.kind == "NEWHANDLE" or not careful:
                handle = None
    raise AssertionError("it never ended")


@pytest.mark.parametrize("seed", range(6))
async def test_through_faults_at_every_point_each_clip_gets_there_once(tmp_path: Path, seed: int) -> None:
    """Clips of one title and one size: nothing but their sessions and times tells them apart."""
    tube, dice = Tube(tmp_path, uploads_per_day=10_000, seed=seed, chance=0.3), random.Random(seed)
    clips = [tube.media(400_000, seed=number) for number in range(8)]
    for media in clips:
        tube.wall.at += 5000
        await publish(tube, media, dice)
    assert [post.sha256 for post in tube.sim.posts()] == [media.sha256 for media in clips]
    assert sum(tube.world.happened.values()) > 10


async def test_through_the_same_faults_who_begins_anew_posts_twice(tmp_path: Path) -> None:
    """The twin."""
    tube, dice = Tube(tmp_path, uploads_per_day=10_000, seed=0, chance=0.3), random.Random(0)
    for number in range(8):
        tube.wall.at += 5000
        await publish(tube, tube.media(400_000, seed=number), dice, careful=False)
    assert len(tube.sim.posts()) > 8
