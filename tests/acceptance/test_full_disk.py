"""A volume of 96 MiB that fills up: uploads are refused with figures, attempts fail with the reason, reads go on,
and it recovers by itself when there is room again.

The volume is a tmpfs in a mount namespace of the daemon's own, reached from here through /proc.
"""

import base64
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import Make
from tests.acceptance.history import RECIPE
from tests.acceptance.house import Daemon, eventually
from tests.acceptance.takes import take, unique
from tests.acceptance.test_children import SLOW, errors_of, rendering, submit

MOUNT = 'mount -t tmpfs -o size=96m none "$0" && exec "$@"'


@pytest.fixture
def small(make: Make, tmp_path: Path) -> Daemon:
    """A daemon on a small volume; `root` leads to it."""
    volume = tmp_path / "data"
    volume.mkdir()
    prefix = ("unshare", "--map-root-user", "--mount", "sh", "-c", MOUNT, str(volume))
    daemon = make("hasty", prefix=prefix, disk_floor_bytes=20 << 20)
    daemon.start()
    daemon.root = Path(f"/proc/{daemon.process.pid}/root{volume}")
    return daemon


@contextlib.contextmanager
def filled(daemon: Daemon, *, leave: int = 0) -> Iterator[None]:
    """Somebody else takes the volume, all but `leave` bytes."""
    path = daemon.root / "somebody-elses"
    with path.open("wb") as file:
        for piece in (1 << 20, 1 << 12):  # others write meanwhile: what is left is not known before
            with contextlib.suppress(OSError):
                while _free(daemon) > leave + piece or not leave:
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), piece)
    try:
        yield
    finally:
        path.unlink()


def _free(daemon: Daemon) -> int:
    volume = os.statvfs(daemon.root)
    return volume.f_bavail * volume.f_frsize


def test_an_upload_that_does_not_fit_is_refused_with_figures(small: Daemon) -> None:
    with filled(small, leave=30 << 20):
        answer = small.upload(unique(take(), seed="large", padding=20 << 20), **RECIPE)
        assert answer.status_code == 507
        problem = answer.json()
        assert problem["code"] == "no_space"
        assert "MB are needed" in problem["detail"]
        assert small.files("incoming") == small.files("media") == []
    assert small.upload(unique(take(), seed="large", padding=20 << 20), **RECIPE).status_code == 202


def test_an_upload_that_meets_the_end_of_the_disk_is_refused(small: Daemon) -> None:
    """It did not say how long it would be."""

    def endless() -> Iterator[bytes]:
        yield take()
        for _n in range(200):
            yield bytes(1 << 20)

    with contextlib.suppress(httpx.WriteError):  # answered before all was sent
        answer = small.http.put("/upload", params={"filename": "a.mp4"}, content=endless(), timeout=60)
        assert answer.status_code == 507
    eventually(lambda: small.files("incoming") == [])
    assert small.files("media") == []
    assert small.get("/health") == {"status": "alive"}


def test_an_encode_that_meets_a_full_disk_fails_with_the_reason_and_recovers(small: Daemon) -> None:
    job_id = submit(small, take(9.2, **SLOW))
    rendering(small, job_id)
    with filled(small):
        errors = eventually(lambda: errors_of(small.job(job_id), "render"), within_s=60, or_tell=small.last_log)
        assert {error["code"] for error in errors} == {"no_space"}
        assert small.job(job_id)["state"] == "processing"  # reads go on
        ready = [segment for segment in small.job(job_id)["segments"] if segment["state"] == "ready"]
        assert small.http.get(ready[0]["video_url"]).status_code == 200
        assert _upload_status(small) == 507
    job = small.wait_for(job_id, within_s=120)
    assert job["state"] == "completed"
    assert _upload_status(small) == 202


def test_a_job_can_be_deleted_on_a_full_disk(small: Daemon) -> None:
    job_id = submit(small, unique(take(), seed="first", padding=10 << 20))
    small.wait_for(job_id)
    with filled(small):
        assert small.http.delete(f"/v1/jobs/{job_id}").status_code == 204
        assert small.files("media") == []


def _upload_status(daemon: Daemon) -> Any:
    return daemon.upload(take(), **RECIPE).status_code


def test_the_volume_is_the_small_one(small: Daemon) -> None:
    volume = os.statvfs(small.root)
    assert volume.f_blocks * volume.f_frsize == 96 << 20


TUS = {"Tus-Resumable": "1.0.0"}


def test_an_upload_that_resumes_keeps_its_offset_on_a_full_disk(small: Daemon) -> None:
    """And goes on from there, without a restart."""
    data = unique(take(), seed="resumed", padding=6 << 20)
    meta = f"filename {base64.b64encode(b'take.mp4').decode()}"
    place = small.http.post(
        "/files/", headers={**TUS, "Upload-Length": str(len(data)), "Upload-Metadata": meta}
    ).headers["location"]
    assert _patch(small, place, data[: 1 << 20], offset=0).status_code == 204
    with filled(small):
        answer = _patch(small, place, data[1 << 20 :], offset=1 << 20)
        assert (answer.status_code, answer.json()["code"]) == (507, "no_space")
        kept = int(small.http.head(place, headers=TUS).headers["upload-offset"])
        assert kept >= 1 << 20
        ready = small.http.get("/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
        eventually(lambda: small.get("/v1/pressure")["level"] == "strained")
    answer = _patch(small, place, data[kept:], offset=kept)
    assert answer.status_code == 204, answer.text
    assert small.wait_for(answer.headers["vidprod-job"], within_s=60)["state"] == "completed"
    eventually(lambda: small.get("/v1/pressure")["level"] == "ok")


def _patch(daemon: Daemon, place: str, data: bytes, *, offset: int) -> httpx.Response:
    headers = {**TUS, "Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    return daemon.http.patch(place, content=data, headers=headers, timeout=60)


def test_somebody_can_sign_in_and_delete_on_a_full_disk(small: Daemon) -> None:
    """A session is a row, and there is no room for rows: the reserve makes it."""
    who = {"name": "owner", "password": "four words for this test"}
    assert small.http.post("/setup", json=who).is_success
    small.http.headers["Sec-Fetch-Site"] = "same-origin"
    job_id = submit(small, unique(take(), seed="signed in", padding=10 << 20))
    small.wait_for(job_id)
    with filled(small):
        assert small.http.post("/logout").is_success
        small.http.cookies.clear()
        assert small.http.get(f"/v1/jobs/{job_id}").status_code == 401
        assert small.http.post("/login", json=who).is_success
        assert small.http.delete(f"/v1/jobs/{job_id}").status_code == 204
        assert small.files("media") == []


def test_a_log_that_cannot_grow_loses_nothing_that_was_answered(small: Daemon) -> None:
    """Rows until the volume is full: each refusal is a 507, each 2xx is there afterwards."""
    made: list[str] = []
    with filled(small):
        for n in range(400):
            answer = small.http.post("/v1/endpoints", json={"url": f"https://receiver.example/{n}"})
            assert answer.status_code in (201, 507), answer.text
            if answer.status_code == 507:
                break
            made.append(answer.json()["id"])
        else:
            pytest.fail("the log never met the end of the volume")
        assert small.http.get("/v1/endpoints").status_code == 200
    assert set(made) <= {one["id"] for one in small.get("/v1/endpoints")["endpoints"]}
    assert small.http.post("/v1/endpoints", json={"url": "https://receiver.example/after"}).status_code == 201
