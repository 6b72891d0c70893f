"""What a receipt says of a publication that is public: from the take to the platform's id."""

from typing import Any

from vidprod.domain.publication import Publication
from vidprod.errors import NotFound
from vidprod.store.sqlite import Tables


def facts_of(db: Tables, publication: Publication) -> dict[str, Any]:
    account = db.accounts.get(publication.account_id)
    facts: dict[str, Any] = {
        "publication": {
            "id": publication.id,
            "platform": publication.platform,
            "account": account.external_id,
            "account_name": account.name,
            "remote_id": publication.remote_id,
            "url": publication.url,
            "published_at": publication.published_at,
        },
        "output": {"sha256": publication.sha256, "size": publication.size},
        "segment": {"id": publication.segment_id},
        "source": None,
        "gaze": None,
    }
    try:
        segment = db.segments.get(publication.segment_id)
        video = db.videos.get(db.jobs.get(publication.job_id).video_id)
    except NotFound:  # deleted meanwhile, by hand
        return facts
    facts["segment"] |= {"index": segment.index, "in_us": segment.in_us, "out_us": segment.out_us}
    facts["source"] = {"video": video.id, "sha256": None if video.info is None else video.info.sha256}
    if segment.rendition is not None and segment.rendition.gaze is not None:
        gaze = segment.rendition.gaze
        facts["gaze"] = {"strength": gaze.strength, "corrected": gaze.corrected, "faded": gaze.faded}
        facts["gaze"] |= {"left_alone": dict(gaze.left_alone), "reason": gaze.reason}
    return facts
