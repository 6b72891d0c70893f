"""Keeping, dropping and editing segments, as the simulated daemon does it."""

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.page.fake_daemon import FakeDaemon

Json = dict[str, Any]

_PATHS = re.compile(
    r"(GET /v1/review|POST /v1/jobs/[^/]+/keep|POST /v1/segments/[^/]+/(keep|drop|restore)|PATCH /v1/segments/[^/]+"
    r"|GET /v1/segments/[^/]+/cut)"
)


def concerns(method: str, path: str) -> bool:
    """Whether a request is answered here."""
    return _PATHS.fullmatch(f"{method} {path}") is not None


def answer(far: "FakeDaemon", method: str, path: str, body: bytes) -> Json:
    """What it comes to; events follow."""
    _, _, noun, *rest = path.split("/")
    if noun == "review":
        takes = [
            {"job_id": job["job_id"], "filename": job["source"]["filename"], "segments": number, "since": ""}
            for job in far.jobs.values()
            if (number := len(_waiting(job)))
        ]
        return {"segments": sum(take["segments"] for take in takes), "takes": takes}
    if noun == "jobs":
        job = far.jobs[rest[0]]
        for segment in _waiting(job):
            segment["review"] = "kept"
        far.emit("segment.kept", rest[0])
        return job
    job_id, segment = next(
        (job["job_id"], one) for job in far.jobs.values() for one in job["segments"] if one["segment_id"] == rest[0]
    )
    if method == "PATCH":
        return _edited(far, job_id, segment, json.loads(body))
    if rest[1] == "cut":
        return _cut(far.jobs[job_id], segment)
    segment["waits"] = segment.get("waits", segment["review"] == "waiting") and rest[1] != "keep"
    segment["review"] = "dropped" if rest[1] == "drop" else "waiting" if segment["waits"] else "kept"
    far.emit({"keep": "segment.kept", "drop": "segment.dropped", "restore": "segment.restored"}[rest[1]], job_id)
    return {"segment": segment, "too_late": []} if rest[1] == "drop" else segment


def _waiting(job: Json) -> list[Json]:
    return [one for one in job["segments"] if one["state"] == "ready" and one["review"] == "waiting"]


def _cut(job: Json, segment: Json) -> Json:
    return {
        "in_us": segment["in_us"],
        "out_us": segment["out_us"],
        "take_us": job["segments"][-1]["out_us"],
        "frame_us": 1_000_000 / 25,
        "shortest_us": 3_000_000,
        "longest_us": 60_000_000,
        "pauses_us": [segment["in_us"] + 500_000, segment["out_us"] + 1_000_000],
    }


def _edited(far: "FakeDaemon", job_id: str, segment: Json, asked: Json) -> Json:
    words: Json = {name: asked[name] for name in ("title", "caption") if name in asked}
    segment.update(words)
    if words:
        far.emit("segment.edited", job_id)
    else:
        segment["remake"] = {
            "state": "available",
            "progress": 0.0,
            "recipe": segment["recipe"],
            "pause": None,
            "error": None,
            "poster_only": set(asked) == {"cover_us"},
            **asked,
        }
        far.emit("segment.remaking", job_id)
    return segment
