"""The log of changes: a row for what changed something, and for nothing else."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import Live, mp4
from tests.web.made import complete
from tests.web.people import PAGE, guarded, key_for, sign_in, strange
from vidprod.domain.user import OWNER_ID
from vidprod.errors import NoSpace
from vidprod.store.sqlite.audit import Audited
from vidprod.web.audit import Audit
from vidprod.web.limits import Limits

TUS = {"Tus-Resumable": "1.0.0"}


async def logged(live: Live, *, at_least: int = 1) -> list[Audited]:
    """The rows, oldest first. One is written after its answer, so it may come a moment later."""
    for _ in range(400):
        found = await live.store.read(lambda db: db.audit.list(limit=500))
        if len(found) >= at_least:
            return found[::-1]
        await asyncio.sleep(0.005)
    raise TimeoutError(f"{len(found)} rows, not {at_least}")


async def test_a_change_is_logged_with_who_what_of_what_and_from_where(tmp_path: Path) -> None:
    async with guarded(tmp_path, trusted_proxy="1") as live:
        key = await key_for(live, "upload")
        before = len(await logged(live))
        from_far = {**key, "X-Forwarded-For": "203.0.113.9"}
        job_id = (await live.client.put("/upload", content=mp4(1000), headers=from_far)).json()["job_id"]
        assert (await live.client.post(f"/v1/jobs/{job_id}/cancel", headers=from_far)).status_code == 200
        made, cancelled = (await logged(live, at_least=before + 2))[before:]
    assert (made.what, made.status, made.subject) == ("PUT /upload", 202, [job_id])
    assert (cancelled.what, cancelled.status) == ("POST /v1/jobs/{job_id}/cancel", 200)
    assert (cancelled.kind, cancelled.address, cancelled.subject) == ("key", "203.0.113.9", [job_id])
    assert cancelled.key_id is not None
    assert cancelled.key_id.startswith("key_")


async def test_what_is_only_read_or_refused_makes_no_row(live: Live) -> None:
    job_id = await live.upload()
    before = len(await logged(live))
    for method, path in (
        ("GET", "/v1/jobs"),
        ("POST", f"/v1/jobs/{job_id}/retry"),  # 409: it has not failed
        ("POST", "/v1/jobs/job_x/cancel"),
        ("PUT", "/upload"),  # 415: no video
        ("POST", "/v1/endpoints"),  # 422
        ("POST", "/v1/posts/preview"),
    ):
        await live.client.request(method, path)
    await live.upload()
    found = (await logged(live, at_least=before + 1))[before:]
    assert [one.what for one in found] == ["PUT /upload"]


async def test_what_was_forbidden_to_somebody_known_is_logged(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live:
        before = len(await logged(live))
        key = await key_for(live, "read")
        assert (await live.client.put("/upload", content=mp4(1000), headers=key)).status_code == 403
        (forbidden,) = (await logged(live, at_least=before + 1))[before:]
        assert (forbidden.what, forbidden.status, forbidden.kind) == ("PUT /upload", 403, "key")


async def test_strangers_write_no_rows_but_by_trying_to_sign_in(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live, strange(live) as stranger:
        before = len(await logged(live))
        assert (await stranger.put("/upload", content=mp4(1000))).status_code == 401
        tried = await stranger.post("/login", json={"name": "Ann", "password": "wrong wrong"}, headers=PAGE)
        assert tried.status_code == 401
        assert (await sign_in(live)).status_code < 400
        wrong, right = (await logged(live, at_least=before + 2))[before:]
        assert (wrong.what, wrong.kind, wrong.status, wrong.address) == ("POST /login", "stranger", 401, "127.0.0.1")
        assert (right.what, right.kind, right.user_id) == ("POST /login", "owner", OWNER_ID)
        sessions = (await live.client.get("/v1/security")).json()["sessions"]
        assert [right.session_id] == [one["id"] for one in sessions if one["current"]]
        assert right.status in (200, 201, 204, 303)
        assert "wrong" not in str(wrong.data)


async def test_tries_to_sign_in_fill_no_volume(live: Live) -> None:
    """100 an hour, however many addresses they come from."""
    limits = Limits(live.config)
    rows = Audit(live.store, live.config, limits, lambda: 0)
    kept = [rows._is_kept("POST /login", None, 401, []) for _ in range(1000)]
    assert sum(kept) == 100
    assert rows._is_kept("POST /login", None, 200, [])  # who came in is always told


async def test_pieces_of_an_upload_make_one_row_when_it_begins_and_one_when_it_is_a_job(live: Live) -> None:
    body = mp4(3000)
    begun = await live.client.post("/files", headers={**TUS, "Upload-Length": str(len(body))})
    place = begun.headers["location"]
    for start in range(0, 3000, 1000):
        headers = {**TUS, "Upload-Offset": str(start), "Content-Type": "application/offset+octet-stream"}
        last = await live.client.patch(place, content=body[start : start + 1000], headers=headers)
        assert last.status_code == 204
    beginning, end = await logged(live, at_least=2)
    assert (beginning.what, beginning.status) == ("POST /files", 201)
    assert end.what == "PATCH /files/{upload_id}"
    assert beginning.subject == end.subject[:1]
    assert end.subject[1:] == [last.headers["vidprod-job"]]


async def test_the_log_is_read_in_pages_and_by_what_it_is_about(live: Live) -> None:
    jobs = [await live.upload() for _ in range(3)]
    await logged(live, at_least=3)
    first = (await live.client.get("/v1/audit?limit=2")).json()
    assert [one["subject"] for one in first["changes"]] == [[jobs[2]], [jobs[1]]]
    assert first["changes"][0]["by"] == {
        "kind": "open",
        "user_id": "usr_00000000000000000000000000",
        "key_id": None,
        "session_id": None,
        "address": "127.0.0.1",
    }
    rest = (await live.client.get(f"/v1/audit?limit=2&before={first['next_before']}")).json()
    assert ([one["subject"] for one in rest["changes"]], rest["next_before"]) == ([[jobs[0]]], None)
    about = (await live.client.get("/v1/audit", params={"subject": jobs[1]})).json()
    assert len(about["changes"]) == 1


async def test_the_log_is_for_who_may_do_all(tmp_path: Path) -> None:
    async with guarded(tmp_path) as live:
        for scope, status in (("read", 403), ("publish", 403), ("admin", 200)):
            key = await key_for(live, scope)  # type: ignore[arg-type]
            assert (await live.client.get("/v1/audit", headers=key)).status_code == status


async def test_a_link_that_was_made_is_logged_and_not_told(live: Live) -> None:
    (segment_id,) = await complete(live, await live.upload(), segments=1)
    before = len(await logged(live))
    url = (await live.client.post(f"/v1/segments/{segment_id}/link")).json()["url"]
    (made,) = (await logged(live, at_least=before + 1))[before:]
    assert (made.what, made.subject) == ("POST /v1/segments/{segment_id}/link", [segment_id])
    assert url.rpartition("/")[2] not in str(made)


async def test_a_full_volume_undoes_no_change_that_was_answered(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise NoSpace("full")

    monkeypatch.setattr("vidprod.store.sqlite.audit.Audit.record", full)
    assert (await live.client.get(f"/status/{await live.upload()}")).status_code == 200
