"""kill -9 of a daemon that makes a finished segment again: the old file is served until the new one is whole."""

import hashlib
from typing import Any

from tests.acceptance.conftest import Make
from tests.acceptance.house import Daemon, eventually
from tests.acceptance.takes import take


def segment_of(daemon: Daemon, job_id: str) -> dict[str, Any]:
    """The job's first."""
    segment: dict[str, Any] = daemon.job(job_id)["segments"][0]
    return segment


def is_what_its_row_says(daemon: Daemon, segment: dict[str, Any]) -> bool:
    content = daemon.http.get(segment["video_url"]).content
    return hashlib.sha256(content).hexdigest() == str(segment["sha256"])


def test_a_kill_while_a_segment_is_made_again_loses_neither_file(make: Make) -> None:
    daemon = make(max_crashes=100, lease_s=2.0)
    daemon.start()
    answer = daemon.upload(take(4.0), segment_s="4", frame="blur", snap="none", gaze="off")
    job_id = answer.json()["job_id"]
    daemon.wait_for(job_id)
    before = segment_of(daemon, job_id)
    asked = daemon.http.post(f"/v1/segments/{before['segment_id']}/render", json={"look_away_deg": 1})
    assert asked.status_code == 202, asked.text
    eventually(daemon.workers, every_s=0.005)
    daemon.kill()
    daemon.start()
    assert is_what_its_row_says(daemon, segment_of(daemon, job_id))

    def made_again() -> bool:
        now = segment_of(daemon, job_id)
        return now["remake"] is None and now["recipe"]["look_away_deg"] == 1

    eventually(made_again, within_s=60, every_s=0.05, or_tell=daemon.last_log)
    after = segment_of(daemon, job_id)
    assert after["video_url"] != before["video_url"]
    assert is_what_its_row_says(daemon, after)
    assert daemon.http.get(before["video_url"]).json()["code"] == "replaced"
    assert [event["type"] for event in daemon.events()].count("segment.remade") == 1
