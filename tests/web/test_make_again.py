"""One segment made again over HTTP: asked, seen, and its files told apart."""

import io
import zipfile
from typing import Any

import pytest

from tests.web.conftest import Live
from tests.web.made import complete, complete_remake, now_ms, segment_bytes
from vidprod.domain.recipe import GAZE_OPTIONS
from vidprod.domain.task import AttemptError
from vidprod.store.sqlite import Tables

NEW = b"the new file" * 10_000


async def _finished(live: Live, **asked: Any) -> tuple[str, str]:
    """A job's id and its first segment's."""
    job_id = await live.upload(**asked)
    first, _ = await complete(live, job_id, turned=True)
    return job_id, first


async def _segment(live: Live, job_id: str, index: int = 0) -> dict[str, Any]:
    segment: dict[str, Any] = (await live.client.get(f"/status/{job_id}")).json()["segments"][index]
    return segment


async def _last_event(live: Live, job_id: str) -> tuple[str, dict[str, Any]]:
    [*_, last] = await live.store.read(lambda db: db.events.after(0, job_id=job_id))
    return last.type, last.data


async def test_a_segment_tells_what_was_done_to_it(live: Live) -> None:
    job_id, segment_id = await _finished(live, gaze=0.9)
    segment = await _segment(live, job_id)
    assert segment["gaze"]["corrected"] == 0.84
    assert segment["framing"]["moves"] == 2
    assert segment["compare"] == {"rows": 2, "tile_width": 90, "tile_height": 30, "at_s": [1.0, 2.0]}
    assert (segment["synthetic"], "turned to the lens in 84 %" in segment["synthetic_reason"]) == (True, True)
    assert segment["recipe"]["gaze_strength"] == 0.9
    assert segment["compare_url"] == f"/v1/segments/{segment_id}/gaze?making=1"
    assert (await live.client.get(segment["compare_url"])).content == b"before and after 0"


async def test_a_segment_nothing_was_done_to_says_so(live: Live) -> None:
    job_id = await live.upload()
    await complete(live, job_id)
    segment = await _segment(live, job_id)
    assert [segment[name] for name in ("gaze", "framing", "compare", "compare_url", "remake")] == [None] * 5
    assert segment["synthetic"] is False


@pytest.mark.parametrize(
    "request_",
    [
        {"json": {"gaze_strength": 0.5, "look_away_deg": 0}},
        {"data": {"gaze": "0.5", "look_away_deg": "0"}},
        {"files": {"gaze": (None, "0.5"), "look_away_deg": (None, "0")}},
        {"params": {"gaze": "0.5", "look_away_deg": "0"}},
        {"json": {"gaze": 0.5}, "params": {"look_away_deg": "0"}},
    ],
    ids=["json", "form", "multipart", "query", "both"],
)
async def test_one_segment_is_asked_to_be_made_again(live: Live, request_: dict[str, Any]) -> None:
    job_id, segment_id = await _finished(live, head_fade_from_deg=10)
    answer = await live.client.post(f"/v1/segments/{segment_id}/render", **request_)
    assert answer.status_code == 202, answer.text
    assert answer.json() == {"segment_id": segment_id, "job_id": job_id, "status_url": f"/status/{job_id}"}
    assert answer.headers["location"] == f"/status/{job_id}"
    segment = await _segment(live, job_id)
    remake = segment["remake"]
    assert (remake["state"], remake["progress"], remake["error"]) == ("available", 0.0, None)
    asked = {name: remake["recipe"][name] for name in ("gaze_strength", "look_away_deg", "head_fade_from_deg")}
    assert asked == {"gaze_strength": 0.5, "look_away_deg": 0.0, "head_fade_from_deg": 10.0}
    assert (segment["state"], segment["recipe"]["gaze_strength"]) == ("ready", 0.9)
    assert (await live.client.get(segment["video_url"])).content == segment_bytes(0)
    job = (await live.client.get(f"/status/{job_id}")).json()
    assert (job["state"], job["progress"], job["recipe"]["gaze_strength"]) == ("completed", 100.0, 0.9)
    assert await _last_event(live, job_id) == ("segment.remaking", {"segment_id": segment_id, "index": 0})


async def test_asked_for_nothing_else_it_is_made_as_it_was(live: Live) -> None:
    job_id, segment_id = await _finished(live)
    assert (await live.client.post(f"/v1/segments/{segment_id}/render")).status_code == 202
    segment = await _segment(live, job_id)
    assert segment["remake"]["recipe"] == segment["recipe"]


async def test_a_new_file_has_a_new_address_and_the_old_one_says_so(live: Live) -> None:
    job_id, segment_id = await _finished(live)
    before = await _segment(live, job_id)
    old = await live.client.get(before["video_url"])
    await live.client.post(f"/v1/segments/{segment_id}/render", json={"gaze": "off"})
    await complete_remake(live, segment_id, NEW)
    after = await _segment(live, job_id)
    assert after["video_url"] == f"/v1/segments/{segment_id}/video?making=2"
    assert (after["remake"], after["recipe"]["gaze"], after["size"]) == (None, "off", len(NEW))
    new = await live.client.get(after["video_url"])
    assert (new.content, new.headers["etag"] != old.headers["etag"]) == (NEW, True)
    gone = await live.client.get(before["video_url"], headers={"Range": "bytes=1000-"})  # no mix of two files
    assert (gone.status_code, gone.json()["code"]) == (404, "replaced")
    assert (await live.client.get(after["poster_url"])).status_code == 200
    archive = zipfile.ZipFile(io.BytesIO((await live.client.get(f"/v1/jobs/{job_id}/segments.zip")).content))
    assert [archive.read(name) for name in archive.namelist()] == [NEW, segment_bytes(1)]


async def test_only_an_address_with_its_making_is_kept_by_a_browser(live: Live) -> None:
    _, segment_id = await _finished(live)
    named = await live.client.get(f"/v1/segments/{segment_id}/video?making=1")
    assert "immutable" in named.headers["cache-control"]
    plain = await live.client.get(f"/v1/segments/{segment_id}/video")
    assert plain.headers["cache-control"] == "private, no-cache"
    await live.client.post(f"/v1/segments/{segment_id}/render", json={"gaze": "off"})
    await complete_remake(live, segment_id, NEW)
    asked_again = {"If-None-Match": plain.headers["etag"]}
    assert (await live.client.get(f"/v1/segments/{segment_id}/video", headers=asked_again)).content == NEW
    part = {"Range": "bytes=0-9", "If-Range": plain.headers["etag"]}
    assert (await live.client.get(f"/v1/segments/{segment_id}/video", headers=part)).status_code == 200  # whole


async def test_a_download_under_way_reads_the_file_it_began(live: Live) -> None:
    _, segment_id = await _finished(live)
    segment = await live.store.read(lambda db: db.segments.get(segment_id))
    async with live.client.stream("GET", f"/v1/segments/{segment_id}/video") as answer:
        await live.client.post(f"/v1/segments/{segment_id}/render", json={"gaze": "off"})
        await complete_remake(live, segment_id, NEW)
        live.blobs.delete_makings_before(2, job_id=segment.job_id, segment_id=segment_id)
        assert await answer.aread() == segment_bytes(0)


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        ({"json": {"segment_s": 30}}, 422, "segment_s: no such option; there are " + ", ".join(GAZE_OPTIONS)),
        ({"json": {"gaze": 2}}, 422, "gaze=2: must be on, off or a number from 0 to 1"),
        ({"json": {"recipe": {"gaze": 1}}}, 422, "recipe is not a JSON object"),
        ({"json": [1]}, 422, "the body is not a JSON object"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 422, "the body is not a JSON object"),
        ({"content": b"gaze"}, 400, "neither JSON nor a form"),
        ({"json": {"gaze": 1}, "params": {"gaze": "off"}}, 422, "gaze: given more than once"),
        ({"files": {"gaze": ("eyes.txt", b"1")}}, 422, "gaze="),
        ({"json": {"gaze": "x" * 70_000}}, 413, ""),
        ({"headers": {"Idempotency-Key": ""}}, 400, "Idempotency-Key must be"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_cannot_be_asked_is_refused(live: Live, request_: dict[str, Any], status: int, words: str) -> None:
    job_id, segment_id = await _finished(live)
    answer = await live.client.post(f"/v1/segments/{segment_id}/render", **request_)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
    assert (await _segment(live, job_id))["remake"] is None


async def test_a_segment_that_cannot_be_made_again_says_why(live: Live) -> None:
    job_id, segment_id = await _finished(live)
    url = f"/v1/segments/{segment_id}/render"
    assert (await live.client.post(url)).status_code == 202
    twice = await live.client.post(url)
    assert (twice.status_code, "is being made again already" in twice.json()["detail"]) == (409, True)
    await complete_remake(live, segment_id, NEW)
    video_id = (await live.client.get(f"/status/{job_id}")).json()["source"]["video_id"]
    await live.store.write(lambda db: db.videos.mark_deleted(video_id, now=now_ms()))
    gone = await live.client.post(url)
    assert (gone.status_code, gone.json()["code"], gone.json()["hint"]) == (409, "source_gone", "Upload it again.")
    for name in ("seg_x", "seg_" + "0" * 26):
        assert (await live.client.post(f"/v1/segments/{name}/render")).status_code == 404


async def test_a_segment_of_a_job_under_way_is_not_made_again(live: Live) -> None:
    job_id, segment_id = await _finished(live)
    await live.store.write(
        lambda db: db.jobs._run("update job set state = 'processing', finished_at = null where id = :id", id=job_id)
    )
    answer = await live.client.post(f"/v1/segments/{segment_id}/render")
    assert (answer.status_code, "is processing" in answer.json()["detail"]) == (409, True)


async def test_a_repeat_gets_the_first_answer_and_makes_nothing(live: Live) -> None:
    job_id, segment_id = await _finished(live)
    url, key = f"/v1/segments/{segment_id}/render", {"Idempotency-Key": "again-1"}
    first = await live.client.post(url, json={"gaze": 0.5}, headers=key)
    again = await live.client.post(url, json={"gaze": 0.5}, headers=key)
    assert (first.status_code, again.status_code, again.json()) == (202, 202, first.json())
    assert (again.headers["idempotent-replayed"], "idempotent-replayed" in first.headers) == ("true", False)
    await complete_remake(live, segment_id, NEW)
    assert (await live.client.post(url, json={"gaze": 0.5}, headers=key)).status_code == 202
    assert (await _segment(live, job_id))["remake"] is None
    other = await live.client.post(url, json={"gaze": 0.6}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")


async def test_a_refused_request_does_not_keep_its_key(live: Live) -> None:
    _, segment_id = await _finished(live)
    url, key = f"/v1/segments/{segment_id}/render", {"Idempotency-Key": "again-1"}
    await live.client.post(url)
    assert (await live.client.post(url, headers=key)).status_code == 409
    await complete_remake(live, segment_id, NEW)
    answer = await live.client.post(url, headers=key)
    assert (answer.status_code, "idempotent-replayed" in answer.headers) == (202, False)


async def test_what_was_given_up_is_told_and_tried_again(live: Live) -> None:
    job_id, segment_id = await _finished(live)
    assert (await live.client.post(f"/v1/segments/{segment_id}/retry")).status_code == 409
    await live.client.post(f"/v1/segments/{segment_id}/render", json={"gaze": "off"})

    def give_up(db: Tables) -> None:
        task = db.tasks.claim(boot_id="b", token="t", lease_ms=1000, now=now_ms())
        assert task is not None
        db.tasks.discard(task, AttemptError(attempt=1, at=now_ms(), code="poison", message="it died"), now=now_ms())

    await live.store.write(give_up)
    remake = (await _segment(live, job_id))["remake"]
    assert (remake["state"], remake["error"]["code"], remake["error"]["message"]) == ("discarded", "poison", "it died")
    answer = await live.client.post(f"/v1/segments/{segment_id}/retry")
    assert answer.status_code == 202
    remake = (await _segment(live, job_id))["remake"]
    assert (remake["state"], remake["error"], remake["recipe"]["gaze"]) == ("available", None, "off")
    assert (await _last_event(live, job_id))[0] == "segment.remaking"


async def test_a_job_is_deleted_with_what_waits_to_be_made_again(live: Live) -> None:
    job_id, segment_id = await _finished(live)
    await live.client.post(f"/v1/segments/{segment_id}/render")
    assert (await live.client.delete(f"/v1/jobs/{job_id}")).status_code == 204
    assert live.files() == set()


async def test_the_document_names_the_options(live: Live) -> None:
    document = (await live.client.get("/openapi.json")).json()
    operation = document["paths"]["/v1/segments/{segment_id}/render"]["post"]
    options = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert set(options) == set(GAZE_OPTIONS)
    assert {"enum": ["off", "on"]} in options["gaze"]["anyOf"]
    assert {"409", "422", "202"} <= set(operation["responses"])
