"""A publication is public: its last move, the journal, its receipt and the event, within one transaction."""

from typing import Any

from vidprod.domain.publication import Publication
from vidprod.errors import NotFound
from vidprod.store.sqlite.announce import announce
from vidprod.store.sqlite.tables import Tables


def is_live(
    db: Tables,
    publication: Publication,
    *,
    remote_id: str | None,
    url: str | None,
    said: str = "",
    privacy: str = "",
    code: str = "",
    settled_by: str | None = None,
    now: int,
) -> Publication:
    """→ published.

    Args:
        settled_by: the id of who looked at the platform and says so; None: the platform did.
    """
    live = db.publications.live(publication, remote_id=remote_id, url=url, said=said, privacy=privacy, now=now)
    db.journal.write(live.id, "state", "published", now=now)
    facts = _facts(db, live)
    db.receipts.add(live.id, facts if settled_by is None else {**facts, "settled": {"by": settled_by, "at": now}})
    announce(db, "published", live, code=code, message=said, now=now)
    return live


def _facts(db: Tables, publication: Publication) -> dict[str, Any]:
    """What a receipt says: from the take to the platform's id."""
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
