"""Uploads in a form, as curl and browsers send them, and as they do not."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.web.conftest import Live, mp4, running
from tests.web.raw_socket import RawClient
from vidprod.web.uploads.form import MAX_FIELD_BYTES, MAX_FIELDS

BOUNDARY = "----vidprodtest"


def part(name: str, value: bytes, *, filename: str | None = None) -> bytes:
    named = f'; filename="{filename}"' if filename is not None else ""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'
    return head.encode() + value + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


FILE = part("file", mp4(50_000), filename="take.mov")
HEADERS = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


async def _post(live: Live, body: bytes, *, query: str = "") -> tuple[int, dict[str, str]]:
    answer = await live.client.post(f"/upload{query}", content=body, headers=HEADERS)
    return answer.status_code, answer.json()


async def _refused(live: Live, body: bytes, *, status: int, query: str = "") -> str:
    """The detail of the refusal, after which nothing is left."""
    got, problem = await _post(live, body, query=query)
    assert got == status, problem
    assert await live.left_over() == set()
    assert (await live.client.get("/v1/jobs")).json()["jobs"] == []
    return problem["detail"]


async def test_fields_may_come_before_and_after_the_file(live: Live) -> None:
    status, answer = await _post(live, form(part("snap", b"none"), FILE, part("segment_s", b"30")))
    assert status == 202
    job = (await live.client.get(answer["status_url"])).json()
    assert (job["recipe"]["snap"], job["recipe"]["segment_s"]) == ("none", 30)
    assert live.blobs.source_path(answer["video_id"], "mp4").read_bytes() == mp4(50_000)


async def test_a_recipe_may_be_one_json_field(live: Live) -> None:
    status, answer = await _post(live, form(FILE, part("recipe", b'{"segment_s": 45, "frame": "fill"}')))
    assert status == 202
    job = (await live.client.get(answer["status_url"])).json()
    assert (job["recipe"]["frame"], job["recipe"]["segment_s"]) == ("fill", 45)


@pytest.mark.parametrize("step", [1, 7, 63, 1000])
async def test_a_form_in_pieces_of_any_size_is_the_same_form(live: Live, step: int) -> None:
    """Boundaries, headers and values cut anywhere."""
    video = mp4(4500) + b"\r\n--" + BOUNDARY.encode()[:-1] + b"\r\n--"  # nearly a boundary, at the file's end
    body = form(part("snap", b"none"), part("file", video, filename="a.mp4"), part("priority", b"low"))
    async with RawClient(live.port) as client:
        await client.head("POST /upload", f"Content-Length: {len(body)}", f"Content-Type: {HEADERS['Content-Type']}")
        for start in range(0, len(body), step):
            await client.send(body[start : start + step])
            if start % 50 == 0:
                await asyncio.sleep(0)
        answer = await client.answer()
    assert answer.startswith(b"HTTP/1.1 202"), answer
    (path,) = live.files()
    assert (live.blobs.root / path).read_bytes() == video


@pytest.mark.parametrize("boundary", ["x", BOUNDARY, "-" * 24 + "d74496d66958873e"])
async def test_a_file_of_many_pieces_is_stored_byte_for_byte(live: Live, boundary: str) -> None:
    """Pieces come while those before are written, and are cut where the network cuts them."""
    nearly = b"\r\n--" + boundary.encode()[:-1]  # what the parser must hold back until it knows more
    video = mp4(5000) + random.Random(1).randbytes(3_000_000) + (nearly + b"\r") * 20_000
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'.encode()
        + video
        + f"\r\n--{boundary}--\r\n".encode()
    )
    content_type = f"multipart/form-data; boundary={boundary}"
    answer = await live.client.post("/upload", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 202, answer.text
    assert live.blobs.source_path(answer.json()["video_id"], "mp4").read_bytes() == video


async def test_unknown_options_after_the_file_are_told_all_and_nothing_is_kept(live: Live) -> None:
    body = form(FILE, part("segment_s", b"900"), part("speed", b"2"), part("snap", b"never"))
    detail = await _refused(live, body, status=422)
    for fault in ("segment_s=", "speed: no such option", "snap="):
        assert fault in detail


async def test_faults_before_the_file_are_told_before_its_bytes(live: Live) -> None:
    async with RawClient(live.port) as client:
        await client.head("POST /upload", "Content-Length: 90000000", f"Content-Type: {HEADERS['Content-Type']}")
        await client.send(part("segment_s", b"900") + part("speed", b"2") + FILE[:200])
        answer = await client.answer()
    assert answer.startswith(b"HTTP/1.1 422")
    assert b"segment_s=" in answer
    assert b"speed" in answer
    assert await live.left_over() == set()


async def test_a_field_and_a_query_parameter_are_one_option_given_twice(live: Live) -> None:
    assert "more than once" in await _refused(live, form(FILE, part("snap", b"none")), status=422, query="?snap=pause")


async def test_a_form_without_a_file_is_told_so(live: Live) -> None:
    assert "no file" in await _refused(live, form(part("snap", b"none")), status=400)


async def test_a_browsers_form_without_a_choice_is_told_so(live: Live) -> None:
    assert "no file" in await _refused(live, form(part("file", b"", filename="")), status=400)


async def test_two_files_are_one_too_many(live: Live) -> None:
    assert "more than one file" in await _refused(live, form(FILE, FILE), status=400)


async def test_a_file_in_another_field_is_told_where_it_belongs(live: Live) -> None:
    body = form(part("video", mp4(5000), filename="take.mov"))
    assert "`file`" in await _refused(live, body, status=400)


async def test_a_form_that_ends_early_is_no_form(live: Live) -> None:
    await _refused(live, FILE + b"--" + BOUNDARY.encode(), status=400)


async def test_a_text_in_a_form_is_refused_by_its_bytes(live: Live) -> None:
    assert "text" in await _refused(live, form(part("file", b"words " * 2000, filename="take.mp4")), status=415)


async def test_a_field_has_a_limit_of_its_own(live: Live) -> None:
    await _refused(live, form(part("recipe", b" " * (MAX_FIELD_BYTES + 1)), FILE), status=413)


async def test_all_fields_together_have_a_limit(live: Live) -> None:
    await _refused(live, form(*(part(f"f{n}", b" " * MAX_FIELD_BYTES) for n in range(5)), FILE), status=413)


async def test_the_number_of_fields_has_a_limit(live: Live) -> None:
    await _refused(live, form(*(part(f"f{n}", b"") for n in range(MAX_FIELDS + 2))), status=413)


async def test_headers_of_a_part_have_a_limit(live: Live) -> None:
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=".encode() + b"x" * 100_000
    await _refused(live, head, status=413)


async def test_a_file_over_the_limit_is_refused_and_one_at_it_is_taken(tmp_path: Path) -> None:
    async with running(tmp_path, max_upload_bytes=100_000) as live:
        await _refused(live, form(part("file", mp4(100_001), filename="a")), status=413)
        status, _ = await _post(live, form(part("file", mp4(100_000), filename="a")))
        assert status == 202


async def test_a_body_that_is_no_form_is_told_both_ways_to_send(live: Live) -> None:
    for media_type in ("video/mp4", "application/x-www-form-urlencoded", "multipart/form-data"):
        answer = await live.client.post("/upload", content=mp4(1000), headers={"Content-Type": media_type})
        assert answer.status_code == 415
        assert answer.json()["code"] == "not_a_form"
        assert "PUT" in answer.json()["hint"]


async def test_a_field_that_is_not_utf8_is_a_fault(live: Live) -> None:
    assert "UTF-8" in await _refused(live, form(FILE, part("snap", b"\xff\xfe")), status=422)


async def test_a_client_that_goes_away_in_a_form_leaves_nothing(live: Live) -> None:
    async with RawClient(live.port) as client:
        await client.head("POST /upload", "Content-Length: 9000000", f"Content-Type: {HEADERS['Content-Type']}")
        await client.send(part("file", mp4(3_000_000), filename="take.mov")[:-2])
        await live.receiving()
    assert await live.left_over() == set()


async def test_the_clients_name_for_the_file_is_kept_as_data(live: Live) -> None:
    status, answer = await _post(live, form(part("file", mp4(5000), filename="../../Mein Urlaub \u00e4.mov")))
    assert status == 202
    job = (await live.client.get(answer["status_url"])).json()
    assert job["source"]["filename"] == "Mein Urlaub \u00e4.mov"
