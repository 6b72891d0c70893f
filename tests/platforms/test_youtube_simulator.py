"""The simulated YouTube, held against the wire: dialogues, quotas and videos."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.platforms.clips import clip, clip_of
from tests.platforms.tube import ANN, API, APP, BEN, DAY_MS, HOUR_MS, META, NOBODY, START, UPLOADS, Right, Tube
from vidprod.platforms.simulators.world import Fault
from vidprod.platforms.simulators.youtube_faults import FAULTS
from vidprod.platforms.simulators.youtube_session import GRAIN
from vidprod.platforms.youtube_login import READ, SCOPES, UPLOAD


@pytest.fixture
def tube(tmp_path: Path) -> Tube:
    return Tube(tmp_path)


async def insert(tube: Tube, size: int | None = 3_000_000, meta: Any = META, **more: Any) -> httpx.Response:
    params = {"uploadType": "resumable", "part": "snippet,status", **more.pop("params", {})}
    headers = {} if size is None else {"X-Upload-Content-Length": str(size)}
    headers |= {"X-Upload-Content-Type": "video/mp4", **more.pop("headers", {})}
    return await tube.ask("POST", UPLOADS, params=params, headers=headers, json=meta, **more)


async def session(tube: Tube, size: int | None = 3_000_000, meta: Any = META) -> str:
    answer = await insert(tube, size, meta)
    assert answer.status_code == 200, answer.text
    assert answer.content == b""
    return str(answer.headers["location"])


async def put(tube: Tube, address: str, data: bytes = b"", content_range: str = "", **more: Any) -> httpx.Response:
    headers = {"Content-Length": str(len(data))} | ({"Content-Range": content_range} if content_range else {})
    return await tube.ask("PUT", address, content=data, headers=headers, **more)


async def uploaded(tube: Tube, data: bytes | None = None, meta: Any = META) -> str:
    """The id of a video."""
    data = clip_of(10_000) if data is None else data
    return str((await put(tube, await session(tube, len(data), meta), data)).json()["id"])


async def listed(tube: Tube, video: str, parts: str = "status,processingDetails") -> dict[str, Any]:
    items = (await tube.ask("GET", f"{API}/videos", params={"part": parts, "id": video})).json()["items"]
    return dict(items[0])


def reason(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["errors"][0]["reason"]


# --- sessions


async def test_the_upload_dialogue_of_the_sheet(tube: Tube) -> None:
    data = clip_of(3_000_000)
    address = await session(tube)
    tube.world.order("youtube.put", Fault("partial", 786_432), "lost_answer")
    answer = await put(tube, address, data[:1_048_576], "bytes 0-1048575/3000000")
    assert (answer.status_code, answer.headers["range"], answer.content) == (308, "bytes=0-786431", b"")
    with pytest.raises(httpx.ReadError):
        await put(tube, address, data[786_432:1_835_008], "bytes 786432-1835007/3000000")
    answer = await put(tube, address, b"", "bytes */3000000")
    assert (answer.status_code, answer.headers["range"]) == (308, "bytes=0-1835007")
    answer = await put(tube, address, data[1_835_008:], "bytes 1835008-2999999/3000000")
    assert answer.status_code == 200
    video = answer.json()
    assert video["kind"] == "youtube#video"
    assert len(video["id"]) == 11
    assert (video["status"]["uploadStatus"], video["status"]["privacyStatus"]) == ("uploaded", "private")


async def test_a_session_with_nothing_in_it_names_no_range(tube: Tube) -> None:
    address = await session(tube)
    for asked in ("bytes */3000000", "bytes */*"):
        answer = await put(tube, address, b"", asked)
        assert (answer.status_code, "range" in answer.headers) == (308, False)


async def test_a_session_that_is_complete_answers_with_the_same_video(tube: Tube) -> None:
    data = clip_of(10_000)
    address = await session(tube, 10_000)
    first = await put(tube, address, data)
    again = await put(tube, address, data)
    asked = await put(tube, address, b"", "bytes */10000")
    assert first.json() == again.json() == asked.json()
    assert len(tube.sim.posts()) == 1


async def test_a_lost_last_answer_is_still_there(tube: Tube) -> None:
    data = clip_of(10_000)
    address = await session(tube, 10_000)
    tube.world.order("youtube.put", "lost_answer")
    with pytest.raises(httpx.ReadError):
        await put(tube, address, data)
    (video,) = tube.sim.videos
    answer = await put(tube, address, b"", "bytes */10000")
    assert (answer.status_code, answer.json()["id"]) == (200, video)


async def test_a_whole_file_needs_no_range_and_a_size_may_come_with_its_bytes(tube: Tube) -> None:
    data = clip_of(GRAIN + 5)
    address = await session(tube, None)
    answer = await put(tube, address, data[:GRAIN], f"bytes 0-{GRAIN - 1}/*")
    assert answer.status_code == 308
    answer = await put(tube, address, data[GRAIN:], f"bytes {GRAIN}-{GRAIN + 4}/{GRAIN + 5}")
    assert answer.status_code == 200


async def test_bytes_that_are_there_already_are_not_taken_twice(tube: Tube) -> None:
    data = clip_of(3 * GRAIN)
    address = await session(tube, len(data))
    await put(tube, address, data[: 2 * GRAIN], f"bytes 0-{2 * GRAIN - 1}/{len(data)}")
    answer = await put(tube, address, data[GRAIN:], f"bytes {GRAIN}-{len(data) - 1}/{len(data)}")
    assert answer.status_code == 200
    (video,) = tube.sim.videos.values()
    assert video.facts.whole


@pytest.mark.parametrize(
    ("data", "content_range", "status"),
    [
        (bytes(GRAIN - 1), f"bytes 0-{GRAIN - 2}/3000000", 400),  # not a multiple of 256 KiB, and not the last
        (bytes(GRAIN), f"bytes {GRAIN}-{2 * GRAIN - 1}/3000000", 416),  # the ones before are missing
        (bytes(GRAIN), f"bytes 0-{GRAIN - 1}/3000001", 400),  # another size than was announced
        (bytes(GRAIN), "bytes 5-1/3000000", 400),
        (bytes(GRAIN), "0-5", 400),
        (bytes(GRAIN), f"bytes 0-{GRAIN}/3000000", 400),  # a byte less than it says
        (bytes(GRAIN), f"bytes 2999999-{2999998 + GRAIN}/3000000", 400),  # behind the end
    ],
)
async def test_bytes_that_do_not_fit_are_not_taken(tube: Tube, data: bytes, content_range: str, status: int) -> None:
    address = await session(tube)
    assert (await put(tube, address, data, content_range)).status_code == status
    assert [one.stored for one in tube.sim.sessions.values()] == [0]


async def test_of_a_chunk_that_broke_off_whole_pieces_are_kept(tube: Tube) -> None:
    data = clip_of(3_000_000)
    address = await session(tube)
    tube.world.order("youtube.put", "broken_off")
    with pytest.raises(httpx.ReadError):
        await put(tube, address, data, "bytes 0-2999999/3000000")
    answer = await put(tube, address, b"", "bytes */3000000")
    assert answer.headers["range"] == f"bytes=0-{1_500_000 // GRAIN * GRAIN - 1}"


async def test_a_session_is_forgotten_after_a_week(tube: Tube) -> None:
    address = await session(tube)
    tube.wall.at += 7 * DAY_MS - 1
    tube.grant = Right(tube.sim.auth)
    assert (await put(tube, address, b"", "bytes */3000000")).status_code == 308
    tube.wall.at += 1
    assert (await put(tube, address, b"", "bytes */3000000")).status_code == 404


async def test_a_session_is_nobody_elses(tube: Tube) -> None:
    address = await session(tube)
    other = Right(tube.sim.auth, external_id=BEN).issued.access_token
    assert (await put(tube, address, b"", "bytes */3000000", token="")).status_code == 401
    assert reason(await put(tube, address, b"", "bytes */3000000", token=other)) == (403, "forbidden")
    assert (await put(tube, address + "x", b"", "bytes */3000000")).status_code == 404


# --- what is refused


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"snippet": {"title": ""}}, "invalidTitle"),
        ({"snippet": {"title": "x" * 101}}, "invalidTitle"),
        ({"snippet": {"title": "<b>"}}, "invalidTitle"),
        ({"snippet": {"description": "é" * 2501}}, "invalidDescription"),
        ({"snippet": {"description": "a > b"}}, "invalidDescription"),
        ({"snippet": {"tags": ["a b"] * 101}}, "invalidTags"),
        ({"snippet": {"categoryId": None}}, "invalidVideoMetadata"),
        ({"snippet": {"categoryId": "film"}}, "invalidCategoryId"),
        ({"status": {"privacyStatus": "friends"}}, "forbiddenPrivacySetting"),
        ({"status": {"license": "mine"}}, "forbiddenLicenseSetting"),
        ({"status": {"privacyStatus": "public", "publishAt": "2026-12-01T17:00:00Z"}}, "invalidPublishAt"),
        ({"status": {"publishAt": "tomorrow"}}, "invalidPublishAt"),
        ({"localizations": {}}, "unexpectedPart"),
    ],
)
async def test_metadata_is_held_to_the_limits(tube: Tube, change: dict[str, Any], refused: str) -> None:
    meta = {part: {**META.get(part, {}), **change.get(part, {})} for part in [*META, *change]}
    meta["snippet"] = {name: value for name, value in meta["snippet"].items() if value is not None}
    answer = await insert(tube, meta=meta)
    assert answer.json()["error"]["errors"][0]["reason"] == refused
    assert tube.sim.sessions == {}


@pytest.mark.parametrize(
    ("more", "refused"),
    [
        ({"token": ""}, (401, "required")),
        ({"token": "ya29.other"}, (401, "authError")),
        ({"params": {"uploadType": "media"}}, (400, "wrongUrlForUpload")),
        ({"params": {"part": "snippet,everything"}}, (400, "unknownPart")),
        ({"headers": {"X-Upload-Content-Type": "image/png"}}, (400, "badRequest")),
        ({"headers": {"X-Upload-Content-Length": "0"}}, (400, "mediaBodyRequired")),
        ({"headers": {"X-Upload-Content-Length": "274877906945"}}, (413, "uploadTooLarge")),
        ({"headers": {"X-Upload-Content-Length": "many"}}, (400, "invalidParameter")),
    ],
)
async def test_a_session_is_opened_as_the_protocol_says(
    tube: Tube, more: dict[str, Any], refused: tuple[int, str]
) -> None:
    assert reason(await insert(tube, **more)) == refused


async def test_a_body_that_is_no_json_is_refused(tube: Tube) -> None:
    params = {"uploadType": "resumable", "part": "snippet"}
    assert reason(await tube.ask("POST", UPLOADS, params=params, content=b"{")) == (400, "parseError")


async def test_each_call_wants_its_scope(tube: Tube) -> None:
    video = await uploaded(tube)
    reads = Right(tube.sim.auth, scopes=(READ,)).issued.access_token
    sends = Right(tube.sim.auth, scopes=(UPLOAD,)).issued.access_token
    query = {"part": "status", "id": video}
    assert reason(await insert(tube, token=reads)) == (403, "insufficientPermissions")
    assert reason(await tube.ask("GET", f"{API}/videos", params=query, token=sends)) == (403, "insufficientPermissions")
    assert (await insert(tube, token=sends)).status_code == 200
    assert (await tube.ask("GET", f"{API}/videos", params=query, token=reads)).status_code == 200


async def test_an_account_without_a_channel_uploads_nothing(tube: Tube) -> None:
    token = Right(tube.sim.auth, external_id=NOBODY).issued.access_token
    answer = await insert(tube, token=token)
    assert reason(answer) == (401, "youtubeSignupRequired")
    assert answer.json()["error"]["errors"][0]["domain"] == "youtube.header"
    answer = await tube.ask("GET", f"{API}/channels", params={"part": "snippet", "mine": "true"}, token=token)
    assert "items" not in answer.json()


async def test_a_suspended_account_does_nothing(tube: Tube) -> None:
    tube.sim.channels[ANN].suspended = True
    assert reason(await insert(tube)) == (403, "authenticatedUserAccountSuspended")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("quotaExceeded", {"code": 403, "domain": "youtube.quota", "reason": "quotaExceeded"}),
        ("uploadsPerDay", {"code": 429, "domain": "global", "reason": "rateLimitExceeded"}),
        ("uploadLimitExceeded", {"code": 400, "domain": "youtube.video", "reason": "uploadLimitExceeded"}),
        (
            "authError",
            {
                "code": 401,
                "domain": "global",
                "reason": "authError",
                "location": "Authorization",
                "locationType": "header",
            },
        ),
        (
            "youtubeSignupRequired",
            {
                "code": 401,
                "domain": "youtube.header",
                "reason": "youtubeSignupRequired",
                "location": "Authorization",
                "locationType": "header",
            },
        ),
    ],
)
async def test_errors_look_as_in_the_samples_of_the_sheet(tube: Tube, fault: str, told: dict[str, Any]) -> None:
    tube.world.order("youtube.insert", fault)
    answer = await insert(tube)
    error = answer.json()["error"]
    assert answer.status_code == error["code"] == told.pop("code")
    (first,) = error["errors"]
    assert first == {**told, "message": error["message"]}
    if fault == "uploadsPerDay":
        assert "'Video Uploads per day'" in error["message"]


# --- quotas


def moment(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("spent_at", "still_at", "anew_at"),
    [
        ("2026-11-18T20:00", "2026-11-19T07:59:59", "2026-11-19T08:00"),  # winter: UTC−8
        ("2026-07-10T20:00", "2026-07-11T06:59:59", "2026-07-11T07:00"),  # summer: UTC−7
        ("2026-11-01T08:00", "2026-11-02T07:59:59", "2026-11-02T08:00"),  # the day of 25 hours
        ("2026-03-08T09:00", "2026-03-09T06:59:59", "2026-03-09T07:00"),  # the day of 23
    ],
)
async def test_a_hundred_uploads_a_day_until_midnight_at_google(
    tube: Tube, spent_at: str, still_at: str, anew_at: str
) -> None:
    tube.wall.at = moment(spent_at)
    tube.grant = Right(tube.sim.auth)
    for _ in range(100):
        await session(tube)
    for at, refused in ((spent_at, True), (still_at, True), (anew_at, False)):
        tube.wall.at = moment(at)
        tube.grant = Right(tube.sim.auth)
        answer = await insert(tube)
        assert (answer.status_code == 429) is refused
        if refused:
            assert "per day" in answer.json()["error"]["message"]


async def test_the_quota_is_the_projects_and_not_a_channels(tmp_path: Path) -> None:
    tube = Tube(tmp_path, uploads_per_day=1)
    await session(tube)
    ben = Right(tube.sim.auth, external_id=BEN).issued.access_token
    assert (await insert(tube, token=ben)).status_code == 429
    other = tube.sim.auth.issue(ANN, client_id="another project", scopes=(UPLOAD,)).access_token
    assert (await insert(tube, token=other)).status_code == 200


async def test_reading_costs_units_of_its_own(tmp_path: Path) -> None:
    tube = Tube(tmp_path, units_per_day=3)
    video = await uploaded(tube)
    for _ in range(3):
        await listed(tube, video)
    answer = await tube.ask("GET", f"{API}/videos", params={"part": "status", "id": video})
    assert reason(answer) == (403, "quotaExceeded")
    assert (await insert(tube)).status_code == 200


async def test_a_channel_takes_so_many_videos_in_24_hours(tube: Tube) -> None:
    tube.sim.channels[ANN].daily_cap = 2
    await uploaded(tube)
    tube.wall.at += HOUR_MS
    tube.grant = Right(tube.sim.auth)
    await uploaded(tube)
    assert reason(await insert(tube)) == (400, "uploadLimitExceeded")
    ben = Right(tube.sim.auth, external_id=BEN).issued.access_token
    assert (await insert(tube, token=ben)).status_code == 200
    tube.wall.at = START + DAY_MS
    tube.grant = Right(tube.sim.auth)
    assert (await insert(tube)).status_code == 200
    await uploaded(tube)
    assert reason(await insert(tube)) == (400, "uploadLimitExceeded")


# --- videos


async def test_a_video_is_processed_in_its_time(tube: Tube) -> None:
    video = await uploaded(tube)
    told = await listed(tube, video)
    assert told["status"]["uploadStatus"] == "uploaded"
    assert told["processingDetails"] == {
        "processingStatus": "processing",
        "processingProgress": {"partsTotal": "10", "partsProcessed": "0", "timeLeftMs": "20000"},
    }
    tube.wall.at += 19_999
    progress = (await listed(tube, video))["processingDetails"]["processingProgress"]
    assert (progress["partsProcessed"], progress["timeLeftMs"]) == ("9", "1")
    tube.wall.at += 1
    told = await listed(tube, video)
    assert told["status"]["uploadStatus"] == "processed"
    assert told["processingDetails"] == {"processingStatus": "succeeded"}


@pytest.mark.parametrize(
    ("data", "field", "why"),
    [
        (b"not a video" * 1000, "failureReason", "invalidFile"),
        (clip(video=b"XXXX"), "failureReason", "codec"),
        (clip(seconds=901.0), "rejectionReason", "length"),
    ],
)
async def test_the_file_itself_is_looked_at(tube: Tube, data: bytes, field: str, why: str) -> None:
    video = await uploaded(tube, data)
    tube.wall.at += 20_000
    status = (await listed(tube, video))["status"]
    assert (status["uploadStatus"], status[field]) == ("failed" if field == "failureReason" else "rejected", why)
    assert tube.sim.posts() == []


async def test_any_bytes_are_a_video_where_nobody_looks(tmp_path: Path) -> None:
    tube = Tube(tmp_path, inspects=False)
    video = await uploaded(tube, b"anything")
    tube.wall.at += 20_000
    assert (await listed(tube, video))["status"]["uploadStatus"] == "processed"


def scheduled(at: str) -> dict[str, Any]:
    return {**META, "status": {"privacyStatus": "private", "publishAt": at}}


async def test_a_video_becomes_public_at_its_time(tube: Tube) -> None:
    video = await uploaded(tube, meta=scheduled("2026-11-18T12:06:40Z"))
    for after, privacy, publish_at in ((0, "private", "2026-11-18T12:06:40Z"), (HOUR_MS, "public", None)):
        tube.wall.at = START + after
        tube.grant = Right(tube.sim.auth)
        status = (await listed(tube, video))["status"]
        assert (status["privacyStatus"], status.get("publishAt")) == (privacy, publish_at)
        assert [post.privacy for post in tube.sim.posts()] == [privacy]


async def test_a_time_that_is_past_makes_it_public_at_once(tube: Tube) -> None:
    video = await uploaded(tube, meta=scheduled("2026-11-18T11:06:40+00:00"))
    assert (await listed(tube, video))["status"]["privacyStatus"] == "public"


@pytest.mark.parametrize(
    "status", [{"privacyStatus": "public"}, {"privacyStatus": "private", "publishAt": "2026-11-18T11:06:40Z"}]
)
async def test_an_unverified_project_publishes_nothing(tmp_path: Path, status: dict[str, str]) -> None:
    tube = Tube(tmp_path, verified=False)
    told = (await listed(tube, await uploaded(tube, meta={**META, "status": status})))["status"]
    assert (told["privacyStatus"], "publishAt" in told) == ("private", False)


async def change(tube: Tube, video: str, status: dict[str, Any], **more: Any) -> httpx.Response:
    body = {"id": video, "status": status}
    return await tube.ask("PUT", f"{API}/videos", params={"part": "status"}, json=body, **more)


async def test_a_status_is_replaced_and_not_merged(tube: Tube) -> None:
    video = await uploaded(tube, meta=scheduled("2026-11-18T12:06:40Z"))
    told = (await change(tube, video, {"privacyStatus": "private", "publishAt": "2026-11-18T13:06:40Z"})).json()
    assert told["status"]["publishAt"] == "2026-11-18T13:06:40Z"
    told = (await change(tube, video, {"privacyStatus": "private"})).json()
    assert (told["status"]["privacyStatus"], "publishAt" in told["status"]) == ("private", False)
    told = (await change(tube, video, {"selfDeclaredMadeForKids": True})).json()
    assert (told["status"]["privacyStatus"], told["status"]["madeForKids"]) == ("public", True)


async def test_what_was_public_once_is_given_no_time(tube: Tube) -> None:
    video = await uploaded(tube, meta=scheduled("2026-11-18T11:06:40Z"))
    later = {"privacyStatus": "private", "publishAt": "2026-11-18T13:06:40Z"}
    assert reason(await change(tube, video, later)) == (400, "invalidPublishAt")
    assert (await change(tube, video, {"privacyStatus": "private"})).status_code == 200
    assert reason(await change(tube, video, later)) == (400, "invalidPublishAt")


async def test_a_status_is_changed_by_its_owner_who_may_for_fifty_units(tmp_path: Path) -> None:
    tube = Tube(tmp_path, units_per_day=101)
    video, status = await uploaded(tube), {"privacyStatus": "private"}
    sends = Right(tube.sim.auth, scopes=(UPLOAD, READ)).issued.access_token
    assert reason(await change(tube, video, status, token=sends)) == (403, "insufficientPermissions")
    assert reason(await change(tube, "nothing", status)) == (404, "videoNotFound")
    assert (await change(tube, video, status)).status_code == 200
    assert reason(await change(tube, video, status)) == (403, "quotaExceeded")


async def test_a_private_video_is_only_its_owners_and_so_is_its_file(tube: Tube) -> None:
    private, public = await uploaded(tube), await uploaded(tube, meta={**META, "status": {"privacyStatus": "public"}})
    tube.grant = Right(tube.sim.auth, external_id=BEN)
    query = {"part": "status", "id": f"{private},{public},none"}
    items = (await tube.ask("GET", f"{API}/videos", params=query)).json()["items"]
    assert [item["id"] for item in items] == [public]
    query["part"] = "processingDetails"
    assert reason(await tube.ask("GET", f"{API}/videos", params=query)) == (403, "forbidden")


async def test_a_channel_lists_its_uploads_the_newest_first(tube: Tube) -> None:
    videos = [await uploaded(tube), await uploaded(tube)]
    query = {"part": "snippet,contentDetails", "mine": "true"}
    (channel,) = (await tube.ask("GET", f"{API}/channels", params=query)).json()["items"]
    assert (channel["id"], channel["snippet"]["title"]) == (ANN, "Ann Example")
    uploads = channel["contentDetails"]["relatedPlaylists"]["uploads"]
    query = {"part": "contentDetails", "playlistId": uploads}
    answer = (await tube.ask("GET", f"{API}/playlistItems", params=query)).json()
    assert [item["contentDetails"]["videoId"] for item in answer["items"]] == videos[::-1]
    tube.grant = Right(tube.sim.auth, external_id=BEN)
    assert reason(await tube.ask("GET", f"{API}/playlistItems", params=query)) == (403, "forbidden")


async def test_what_got_there_is_told_with_hash_and_account(tube: Tube) -> None:
    data = clip_of(10_000)
    video = await uploaded(tube, data)
    (posted,) = tube.sim.posts()
    assert (posted.platform, posted.account, posted.remote_id, posted.title) == ("youtube", ANN, video, "One")
    assert (posted.privacy, posted.at, len(posted.sha256)) == ("private", START, 64)


async def test_a_token_tells_what_was_granted(tube: Tube) -> None:
    url = "http://simulators/oauth2.googleapis.com/tokeninfo"
    answer = await tube.ask("GET", url, params={"access_token": tube.grant.issued.access_token}, token="")
    assert answer.json() == {"aud": APP.client_id, "scope": " ".join(SCOPES), "expires_in": "3600"}
    assert (await tube.ask("GET", url, params={"access_token": "x"}, token="")).status_code == 400


@pytest.mark.parametrize("point", FAULTS)
async def test_every_fault_that_can_be_ordered_happens(tube: Tube, point: str) -> None:
    tube.sim.answers.slow_s = 0.001
    data = clip_of(2 * GRAIN)
    playlist = {"part": "id", "playlistId": "UU" + ANN[2:]}
    asked: dict[str, Callable[[str], Awaitable[httpx.Response]]] = {
        "youtube.token": lambda _: tube.ask("POST", "http://simulators/oauth2.googleapis.com/token", data={}),
        "youtube.channels": lambda _: tube.ask("GET", f"{API}/channels", params={"part": "id", "mine": "true"}),
        "youtube.insert": lambda _: insert(tube),
        "youtube.put": lambda address: put(tube, address, data),
        "youtube.probe": lambda address: put(tube, address, b"", "bytes */*"),
        "youtube.list": lambda _: tube.ask("GET", f"{API}/videos", params={"part": "id", "id": "x"}),
        "youtube.playlist": lambda _: tube.ask("GET", f"{API}/playlistItems", params=playlist),
        "youtube.update": lambda _: change(tube, "x", {}),
        "youtube.processing": lambda address: put(tube, address, data),
    }
    for name in FAULTS[point]:
        address = await session(tube, len(data))
        tube.world.order(point, name)
        try:
            answer = await asked[point](address)
        except httpx.ReadError:
            assert name in ("reset", "lost_answer", "broken_off")
        else:
            assert name not in ("reset", "lost_answer", "broken_off")
            assert answer.status_code < 600
        assert tube.world.happened.pop(f"{point}:{name}") == 1
    assert not tube.world.happened
