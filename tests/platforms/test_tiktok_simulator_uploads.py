"""The simulated TikTok's upload addresses, and what its status says of what came there."""

import json

import pytest

from tests.platforms.clips import clip, clip_of
from tests.platforms.tiktok import DRAFT, Far, Held
from tests.platforms.tiktok_calls import CLIP, INBOX, STATUS, begun, code_of, put, status
from vidprod.errors import PlatformError
from vidprod.platforms.simulators.world import Fault


async def chunked(there: Far, grant: Held) -> tuple[dict[str, str], bytes]:
    """An upload of 25 kB in chunks of 10, 15: what init would not take is set afterwards."""
    data = clip_of(25_000)
    made = await begun(there, grant, size=25_000)
    upload = there.sim.uploads[made["publish_id"]]
    upload.chunk_size, upload.count = 10_000, 2
    return made, data


async def test_chunks_are_answered_with_206_and_201(there: Far) -> None:
    grant = there.grant()
    made, data = await chunked(there, grant)
    first = await put(there, made, data[:10_000], "bytes 0-9999/25000")
    assert (first.status, first.headers["Content-Range"], first.body) == (206, "bytes 0-9999/25000", b"")
    assert (await status(there, grant, made))["uploaded_bytes"] == 10_000
    assert (await put(there, made, data[10_000:], "bytes 10000-24999/25000")).status == 201
    assert (await status(there, grant, made))["uploaded_bytes"] == 25_000


@pytest.mark.parametrize(
    ("span", "length", "more", "answered"),
    [
        ("bytes 10000-24999/25000", 15_000, {}, 416),
        ("bytes 0-19999/25000", 20_000, {}, 400),  # no chunk ends there
        ("bytes 0-9999/25001", 10_000, {}, 400),
        ("bytes 0-9998/25000", 10_000, {}, 400),
        ("bytes 9999-0/25000", 10_000, {}, 400),
        ("octets 0-9999/25000", 10_000, {}, 400),
        ("bytes 0-9999/25000", 10_000, {"mime": "application/octet-stream"}, 400),
        ("bytes 0-9999/25000", 10_000, {"Authorization": "Bearer x"}, 400),
    ],
)
async def test_a_chunk_that_does_not_fit_is_refused(
    there: Far, span: str, length: int, more: dict[str, str], answered: int
) -> None:
    grant = there.grant()
    made, data = await chunked(there, grant)
    assert (await put(there, made, data[:length], span, **more)).status == answered
    assert (await status(there, grant, made))["uploaded_bytes"] == 0
    assert (await put(there, made, data[:10_000], "bytes 0-9999/25000")).status == 206


async def test_an_address_is_good_for_an_hour_with_its_token(there: Far) -> None:
    made = await begun(there, there.grant())
    assert (await put(there, {"upload_url": made["upload_url"][:-1] + "_"})).status == 403
    stranger = f"{made['upload_url'].partition('?')[0]}?upload_id=1&upload_token=x"
    assert (await put(there, {"upload_url": stranger})).status == 404
    there.wall.pass_s(3600)
    assert (await put(there, made)).status == 403


async def test_what_is_complete_takes_no_more(there: Far) -> None:
    made = await begun(there, there.grant())
    assert (await put(there, made)).status == 201
    assert (await put(there, made)).status == 416
    assert len(there.sim.posts()) == 1


@pytest.mark.parametrize(
    ("fault", "stored"),
    [("reset", 0), ("500", 0), ("html", 0), ("416", 0), ("partial", 5_000), ("lost_answer", 10_000)],
)
async def test_a_chunk_can_fail_in_each_way(there: Far, fault: str, stored: int) -> None:
    grant = there.grant()
    made, data = await chunked(there, grant)
    there.world.order("tiktok.put", fault)
    if fault in ("reset", "lost_answer"):
        with pytest.raises(PlatformError):
            await put(there, made, data[:10_000], "bytes 0-9999/25000")
    else:
        answer = await put(there, made, data[:10_000], "bytes 0-9999/25000")
        assert answer.status == {"html": 502, "partial": 206}.get(fault) or int(fault)
    assert (await status(there, grant, made))["uploaded_bytes"] == stored
    rest = data[stored:10_000]
    if rest:
        answer = await put(there, made, rest, f"bytes {stored}-9999/25000")
        assert answer.headers["Content-Range"] == "bytes 0-9999/25000"
    await put(there, made, data[10_000:], "bytes 10000-24999/25000")
    [posted] = there.sim.posts()
    assert posted.sha256 == there.sim.uploads[made["publish_id"]].inspection.sha256


@pytest.mark.parametrize(("fault", "answered"), [("403", 403), ("404", 404)])
async def test_an_address_can_die(there: Far, fault: str, answered: int) -> None:
    made = await begun(there, there.grant())
    there.world.order("tiktok.put", fault)
    assert [(await put(there, made)).status for _ in range(2)] == [answered, answered]


async def test_a_public_post_goes_through_its_stations_by_the_clock(there: Far) -> None:
    grant = there.grant()
    made = await begun(there, grant, privacy="PUBLIC_TO_EVERYONE")
    await put(there, made)
    size = len(CLIP)
    assert await status(there, grant, made) == {"status": "PROCESSING_UPLOAD", "uploaded_bytes": size}
    there.wall.pass_s(5)
    assert await status(there, grant, made) == {"status": "PUBLISH_COMPLETE", "uploaded_bytes": size}
    there.wall.pass_s(60)
    told = await status(there, grant, made)
    [post_id] = told.pop("publicaly_available_post_id")
    assert told == {"status": "PUBLISH_COMPLETE", "uploaded_bytes": size}
    assert isinstance(post_id, int)
    assert 2**53 < post_id < 2**63
    assert str(post_id) == there.sim.posts()[0].remote_id


async def test_an_id_goes_over_the_wire_as_a_number_of_64_bits(there: Far) -> None:
    grant = there.grant()
    made = await begun(there, grant, privacy="PUBLIC_TO_EVERYONE")
    await put(there, made)
    there.sim.uploads[made["publish_id"]].post_id = 7_400_000_000_000_000_001
    there.wall.pass_s(60)
    answer = await there.call(grant, STATUS, {"publish_id": made["publish_id"]})
    assert b'"publicaly_available_post_id":[7400000000000000001]' in answer.body
    assert json.loads(answer.body)["data"]["publicaly_available_post_id"] == [7400000000000000001]


async def test_a_draft_goes_to_the_inbox_and_is_finished_by_its_owner(there: Far) -> None:
    grant = there.grant(DRAFT, scopes=("video.upload",))
    made = await begun(there, grant, INBOX)
    await put(there, made)
    there.wall.pass_s(60)
    assert (await status(there, grant, made))["status"] == "SEND_TO_USER_INBOX"
    there.sim.finish(made["publish_id"])
    assert (await status(there, grant, made))["status"] == "PUBLISH_COMPLETE"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no video at all", "file_format_check_failed"),
        (clip(video=b"av01"), "file_format_check_failed"),
        (clip(seconds=61), "duration_check_failed"),
        (clip(fps=15), "frame_rate_check_failed"),
        (clip(width=200), "picture_size_check_failed"),
    ],
)
async def test_a_file_is_looked_at_and_its_failure_comes_inside_ok(there: Far, data: bytes, reason: str) -> None:
    there.creator().longest_s = 60
    grant = there.grant()
    made = await begun(there, grant, size=len(data))
    assert (await put(there, made, data)).status == 201
    there.wall.pass_s(60)
    told = await status(there, grant, made)
    assert (told["status"], told["fail_reason"]) == ("FAILED", reason)
    assert there.sim.posts() == []


async def test_an_id_that_is_not_known_and_one_of_another(there: Far) -> None:
    made = await begun(there, there.grant())
    none = await there.call(there.grant(), STATUS, {"publish_id": "v_pub_file~v2-1.0"})
    assert code_of(none) == (400, "invalid_publish_id")
    other = await there.call(there.grant(private=True), STATUS, {"publish_id": made["publish_id"]})
    assert code_of(other) == (400, "token_not_authorized_for_specified_publish_id")


async def test_processing_can_be_slow_stuck_or_late_with_the_id(there: Far) -> None:
    grant, made = there.grant(), list[dict[str, str]]()
    for fault in (Fault("slow", 300), Fault("stuck"), Fault("late_id", 300)):
        there.world.order("tiktok.processing", fault)
        made.append(await begun(there, grant, privacy="PUBLIC_TO_EVERYONE"))
        await put(there, made[-1])
    seen = []
    for seconds in (0, 60, 300, 3600):
        there.wall.pass_s(seconds)
        told = [await status(there, grant, one) for one in made]
        seen.append([one["status"] + " with id" * ("publicaly_available_post_id" in one) for one in told])
    running, complete, known = "PROCESSING_UPLOAD", "PUBLISH_COMPLETE", "PUBLISH_COMPLETE with id"
    assert seen == [
        [running, running, running],
        [running, running, complete],
        [known, running, known],
        [known, running, known],
    ]
