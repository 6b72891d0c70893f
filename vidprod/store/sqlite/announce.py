"""Say what happened to a publication, in the transaction in which it happened."""

from typing import Literal

from vidprod.domain.publication import Publication
from vidprod.store.sqlite.tables import Tables

What = Literal[
    "scheduled",
    "uploading",
    "processing",
    "published",
    "rejected",
    "cancelled",
    "unknown",
    "waiting",
    "missed",
    "approved",
    "changed",
]


def announce(db: Tables, what: What, publication: Publication, *, code: str = "", message: str = "", now: int) -> None:
    """The event `publication.<what>`.

    Args:
        code: of the platform, or of what it waits for; message: in words.
    """
    db.events.record(
        f"publication.{what}",
        job_id=publication.job_id,
        data={
            "publication_id": publication.id,
            "account_id": publication.account_id,
            "platform": publication.platform,
            "segment_id": publication.segment_id,
            "state": publication.state,
            "url": publication.url,
            "code": code,
            "message": message,
        },
        now=now,
    )
