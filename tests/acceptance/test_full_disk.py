"""A volume of 96 MiB that fills up: uploads are refused with figures, attempts fail with the reason, reads go on,
and it recovers by itself when there is room again.

The volume is a tmpfs in a mount namespace of the daemon's own, reached from here through /proc.
"""

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
    daemon = make(prefix=prefix, disk_floor_bytes=20 << 20)
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
    job_id = submit(small, take(20.0, **SLOW))
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
