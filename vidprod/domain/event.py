"""An event: something that happened, numbered, never changed."""

from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `event`. `id` is the cursor: it only grows.

    Types: video.stored, job.created, job.started, job.completed, job.failed, job.cancelled, job.retried,
    job.deleted, step.completed, step.retrying, step.discarded, segment.planned, segment.ready, segment.remaking,
    segment.remade, segment.remake_failed, media.pruned, account.connected, account.needs_reauth, account.expiring,
    account.paused, account.resumed, account.disconnected, publishing.paused, publishing.resumed,
    endpoint.created, endpoint.disabled, endpoint.enabled, endpoint.rotated, endpoint.deleted, endpoint.test.
    """

    id: int
    type: str
    at: int  # unix ms
    job_id: str | None = None
    data: dict[str, Any] = {}
