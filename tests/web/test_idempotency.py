"""A repeat under the same Idempotency-Key gets the first answer."""

from pathlib import Path

import pytest

from tests.web.conftest import Live, mp4, running
from tests.web.raw_socket import RawClient
from vidprod.web import server


async def test_a_repeat_gets_the_first_answer_and_makes_nothing(live: Live) -> None:
    headers = {"Idempotency-Key": "take-1"}
    first = await live.client.put("/upload?filename=a.mp4", content=mp4(5000), headers=headers)
    again = await live.client.put("/upload?filename=a.mp4", content=mp4(5000), headers=headers)
    assert first.status_code == again.status_code == 202
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert len((await live.client.get("/v1/jobs")).json()["jobs"]) == 1
    assert len(live.files()) == 1


async def test_a_repeat_is_answered_without_its_body(live: Live) -> None:
    headers = {"Idempotency-Key": "take-1"}
    first = await live.client.put("/upload", content=mp4(5_000_000), headers=headers)
    async with RawClient(live.port) as client:
        await client.head("PUT /upload", "Content-Length: 5000000", "Idempotency-Key: take-1")
        answer = await client.answer()
    assert answer.startswith(b"HTTP/1.1 202")
    assert first.json()["job_id"].encode() in answer


async def test_a_client_that_sends_a_repeat_whole_before_it_listens_is_not_cut_off(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it is: what is read of a refused body does not bound it."""
    monkeypatch.setattr(server, "_LINGER_BYTES", 64 << 10)
    head = ("PUT /upload", "Content-Length: 20000000", "Idempotency-Key: take-1")
    for replayed in (False, True):
        async with RawClient(live.port) as client:
            await client.head(*head)
            await client.send(mp4(20_000_000))  # more than the sockets hold
            answer = await client.answer()
            assert answer.startswith(b"HTTP/1.1 202")
            assert (b"idempotent-replayed" in answer) is replayed
            await client.head("GET /health")  # and the connection is still good
            assert (await client.answer()).startswith(b"HTTP/1.1 200")


async def test_without_a_key_each_upload_is_its_own(live: Live) -> None:
    assert await live.upload() != await live.upload()


async def test_a_key_for_another_request_is_refused(live: Live) -> None:
    headers = {"Idempotency-Key": "take-1"}
    await live.client.put("/upload?filename=a.mp4", content=mp4(5000), headers=headers)
    for query, size in (("filename=b.mp4", 5000), ("filename=a.mp4", 5001), ("filename=a.mp4&snap=none", 5000)):
        answer = await live.client.put(f"/upload?{query}", content=mp4(size), headers=headers)
        assert answer.status_code == 422
        assert answer.json()["code"] == "key_reused"


FILE = {"file": ("a.mp4", mp4(5000))}


async def test_the_fields_before_the_file_are_part_of_the_request(live: Live) -> None:
    headers = {"Idempotency-Key": "take-1"}
    first = await live.client.post("/upload", data={"segment_s": "45"}, files=FILE, headers=headers)
    assert first.status_code == 202
    again = await live.client.post("/upload", data={"segment_s": "45"}, files=FILE, headers=headers)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    for fields, name in (({"segment_s": "30"}, "a.mp4"), ({"segment_s": "45"}, "b.mp4")):  # of equal length
        other = await live.client.post("/upload", data=fields, files={"file": (name, mp4(5000))}, headers=headers)
        assert (other.status_code, other.json()["code"]) == (422, "key_reused"), fields
    assert len((await live.client.get("/v1/jobs")).json()["jobs"]) == 1


async def test_a_repeated_form_is_answered_before_its_file(live: Live) -> None:
    body = live.client.build_request("POST", "/upload", data={"snap": "none"}, files={"file": ("a.mp4", mp4(500_000))})
    content = body.read()
    headers = {"Idempotency-Key": "take-1", "Content-Type": body.headers["content-type"]}
    assert (await live.client.post("/upload", content=content, headers=headers)).status_code == 202
    async with RawClient(live.port) as client:
        lines = [f"{name}: {value}" for name, value in headers.items()]
        await client.head("POST /upload", *lines, f"Content-Length: {len(content)}")
        await client.send(content[:1000])
        answer = await client.answer()
    assert answer.startswith(b"HTTP/1.1 202")
    assert b"idempotent-replayed: true" in answer


async def test_a_repeat_is_answered_though_nothing_more_can_be_taken(tmp_path: Path) -> None:
    headers = {"Idempotency-Key": "take-1"}
    async with running(tmp_path) as live:
        assert (await live.client.post("/upload", files=FILE, headers=headers)).status_code == 202
        live.blobs.floor_bytes = 1 << 60
        assert (await live.client.post("/upload", files=FILE)).status_code == 507
        assert (await live.client.post("/upload", files=FILE, headers=headers)).status_code == 202


async def test_a_repeat_while_the_first_is_under_way_is_told_to_wait(live: Live) -> None:
    async with RawClient(live.port) as first:
        await first.head("PUT /upload", "Content-Length: 100000", "Idempotency-Key: take-1")
        await first.send(mp4(50_000))
        await live.receiving()
        again = await live.client.put("/upload", content=mp4(100_000), headers={"Idempotency-Key": "take-1"})
        assert again.status_code == 409
        assert again.json()["code"] == "in_flight"
        assert int(again.headers["retry-after"]) > 0
        other = await live.client.put("/upload", content=mp4(10), headers={"Idempotency-Key": "take-1"})
        assert other.status_code == 422
        await first.send(bytes(50_000))
        assert (await first.answer()).startswith(b"HTTP/1.1 202")
    after = await live.client.put("/upload", content=mp4(100_000), headers={"Idempotency-Key": "take-1"})
    assert after.headers["idempotent-replayed"] == "true"


async def test_an_upload_that_failed_may_be_repeated(live: Live) -> None:
    headers = {"Idempotency-Key": "take-1"}
    async with RawClient(live.port) as client:
        await client.head("PUT /upload", "Content-Length: 100000", "Idempotency-Key: take-1")
        await client.send(mp4(50_000))
        await live.receiving()
    await live.left_over()
    answer = await live.client.put("/upload", content=mp4(100_000), headers=headers)
    assert answer.status_code == 202
    assert "idempotent-replayed" not in answer.headers


async def test_the_first_answer_outlives_the_daemon_and_the_job(tmp_path: Path) -> None:
    headers = {"Idempotency-Key": "take-1"}
    async with running(tmp_path) as live:
        first = await live.client.put("/upload", content=mp4(5000), headers=headers)
        await live.client.delete(f"/v1/jobs/{first.json()['job_id']}")
    async with running(tmp_path) as live:
        again = await live.client.put("/upload", content=mp4(5000), headers=headers)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_key_that_is_no_key_is_refused(live: Live) -> None:
    answer = await live.client.put("/upload", content=mp4(5000), headers={"Idempotency-Key": "x" * 256})
    assert answer.status_code == 400
