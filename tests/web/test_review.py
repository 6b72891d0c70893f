"""Looking at segments before they go out, over HTTP."""

from typing import Any

import pytest

from tests.web.conftest import Live
from tests.web.made import complete, complete_remake
from tests.web.test_publications import SLOTS, ask, connect

SECOND = 1_000_000
NOBODY = "seg_" + "0" * 26


async def waiting(live: Live, *, segments: int = 2, review: str = "on", **more: Any) -> tuple[str, list[str], str]:
    """A job, its segments and the account they go to."""
    account = await connect(live, SLOTS)
    job_id = await live.upload(filename="my_talk.mov", publish=account, review=review, **more)
    return job_id, await complete(live, job_id, segments=segments), account


async def segment_of(live: Live, job_id: str, index: int = 0) -> dict[str, Any]:
    segment: dict[str, Any] = (await live.client.get(f"/status/{job_id}")).json()["segments"][index]
    return segment


async def open_ones(live: Live) -> list[str]:
    page = await ask(live, "GET", "/v1/publications?state=scheduled")
    return sorted(one["segment_id"] for one in page["publications"])


async def test_an_upload_says_whether_somebody_looks_at_its_segments_first(live: Live) -> None:
    job_id, [first, _], _ = await waiting(live)
    job = (await live.client.get(f"/status/{job_id}")).json()
    assert (job["review"], [one["review"] for one in job["segments"]]) == (True, ["waiting"] * 2)
    found = await ask(live, "GET", "/v1/review")
    assert found["segments"] == 2
    assert [(one["job_id"], one["filename"], one["segments"]) for one in found["takes"]] == [(job_id, "my_talk.mov", 2)]
    plain = (await live.client.get(f"/status/{await live.upload()}")).json()
    assert plain["review"] is False
    answer = await live.client.put("/upload?review=maybe", content=b"")
    assert (answer.status_code, "review='maybe': must be one of on, off" in answer.text) == (422, True)
    assert (await ask(live, "POST", f"/v1/segments/{first}/keep"))["review"] == "kept"


async def test_segments_are_kept_dropped_and_taken_back(live: Live) -> None:
    job_id, [first, second], account = await waiting(live)
    await ask(live, "POST", f"/v1/segments/{first}/keep")
    assert await open_ones(live) == [first]
    dropped = await ask(live, "POST", f"/v1/segments/{first}/drop")
    assert (dropped["segment"]["review"], dropped["too_late"], await open_ones(live)) == ("dropped", [], [])
    assert (await ask(live, "POST", f"/v1/segments/{first}/restore"))["review"] == "kept"
    assert await open_ones(live) == [first]
    job = await ask(live, "POST", f"/v1/jobs/{job_id}/keep")
    assert [one["review"] for one in job["segments"]] == ["kept", "kept"]
    assert await open_ones(live) == sorted([first, second])
    assert (await ask(live, "GET", "/v1/review")) == {"segments": 0, "takes": []}
    file = await live.client.get((await segment_of(live, job_id))["video_url"])
    assert file.status_code == 200
    assert account


async def test_words_are_changed_and_seen(live: Live) -> None:
    job_id, [first, _], account = await waiting(live)
    said = await ask(live, "PATCH", f"/v1/segments/{first}", title=" My  way ", caption="So it goes")
    assert (said["title"], said["caption"]) == ("My way", "So it goes")
    draft: dict[str, Any] = {"account_id": account, "segment_id": first}
    preview = await ask(live, "POST", "/v1/posts/preview", **draft)
    assert (preview["post"]["title"], preview["post"]["caption"]) == ("My way", "So it goes")
    typed = await ask(live, "POST", "/v1/posts/preview", **draft, wording={"title": "Typed"})
    assert typed["post"]["title"] == "Typed"
    assert (await ask(live, "PATCH", f"/v1/segments/{first}", title=None))["title"] is None
    assert (await segment_of(live, job_id))["caption"] == "So it goes"


async def test_one_segment_is_cut_anew(live: Live) -> None:
    job_id, [_, second], _ = await waiting(live)
    where = await ask(live, "GET", f"/v1/segments/{second}/cut")
    assert where == {
        "in_us": 60 * SECOND,
        "out_us": 120 * SECOND,
        "take_us": 120 * SECOND,
        "frame_us": pytest.approx(33_333.33, abs=0.01),
        "shortest_us": 3 * SECOND,
        "longest_us": 60 * SECOND,
        "pauses_us": [10 * SECOND, 70 * SECOND],
    }
    asked = await ask(live, "PATCH", f"/v1/segments/{second}", in_us=59 * SECOND, out_us=100 * SECOND, cover_us=SECOND)
    assert (asked["in_us"], asked["remake"]["in_us"], asked["remake"]["out_us"]) == (60 * SECOND, 59 * SECOND, 10**8)
    await complete_remake(live, second, b"cut anew" * 1000)
    made = await segment_of(live, job_id, 1)
    assert (made["in_us"], made["out_us"], made["cover_us"]) == (59 * SECOND, 100 * SECOND, SECOND)
    first = await segment_of(live, job_id, 0)
    assert (first["out_us"], first["video_url"]) == (60 * SECOND, f"/v1/segments/{first['segment_id']}/video?making=1")


async def test_a_poster_of_the_same_video_has_a_tag_of_its_own(live: Live) -> None:
    _, [first, _], _ = await waiting(live)
    address = f"/v1/segments/{first}/poster"
    before = (await live.client.get(address)).headers["etag"]
    asked = await ask(live, "PATCH", f"/v1/segments/{first}", cover_us=30 * SECOND)
    assert (asked["remake"]["cover_us"], asked["remake"]["poster_only"]) == (30 * SECOND, True)
    await complete_remake(live, first, b"segment 0 " * 10_000)  # the bytes that it had
    assert (await live.client.get(address)).headers["etag"] != before


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 422, "Nothing is to be changed"),
        ({"titel": "x"}, 422, "near it is title"),
        ({"title": "{nme}"}, 422, "there is no field"),
        ({"title": "x" * 5001}, 422, "title"),
        ({"in_us": -1}, 422, "in_us=-1"),
        ({"in_us": 58 * SECOND}, 422, "it would take 2.000 s; a segment takes from 3 to 60 s"),
        ({"out_us": 61 * SECOND}, 422, "it would take 61.000 s"),
        ({"in_us": 90 * SECOND, "out_us": 130 * SECOND}, 422, "outside the take"),
        ({"cover_us": 60 * SECOND}, 422, "not within the segment"),
    ],
    ids=str,
)
async def test_what_cannot_be_changed_is_refused(live: Live, body: dict[str, Any], status: int, words: str) -> None:
    job_id, [first, _], _ = await waiting(live)
    before = await segment_of(live, job_id)
    answer = await live.client.patch(f"/v1/segments/{first}", json=body)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert await segment_of(live, job_id) == before


async def test_what_is_not_there_or_not_ready_says_so(live: Live) -> None:
    for method, path in (
        ("POST", f"/v1/segments/{NOBODY}/keep"),
        ("POST", f"/v1/segments/{NOBODY}/drop"),
        ("POST", f"/v1/segments/{NOBODY}/restore"),
        ("PATCH", f"/v1/segments/{NOBODY}"),
        ("GET", f"/v1/segments/{NOBODY}/cut"),
        ("POST", f"/v1/jobs/{NOBODY.replace('seg', 'job')}/keep"),
        ("POST", "/v1/segments/seg_x/keep"),
    ):
        await ask(live, method, path, status=404, title="x")


async def test_what_was_published_is_not_cut_anew(live: Live) -> None:
    _, [first, _], _ = await waiting(live, review="off")
    account = await connect(live, SLOTS)
    made = await ask(live, "POST", "/v1/publications", status=201, segment_id=first, account_id=account)

    def publish(db: Any) -> None:
        one = db.publications.begin(db.publications.get(made["id"]), sha256="ab" * 32, size=1, now=1)
        one = db.publications.sending(db.publications.begun(one, b"handle"))
        db.publications.live(one, remote_id="x", url="https://example.org/x", now=1)

    await live.store.write(publish)
    answer = await ask(live, "PATCH", f"/v1/segments/{first}", status=409, out_us=50 * SECOND)
    assert (answer["code"], "cut anew it would be another video" in answer["detail"]) == ("published_already", True)
    dropped = await ask(live, "POST", f"/v1/segments/{first}/drop")
    assert [one["state"] for one in dropped["too_late"]] == ["published"]
    assert (await ask(live, "PATCH", f"/v1/segments/{first}", cover_us=SECOND))["remake"]["poster_only"] is True
