"""An event: something that happened, numbered, never changed."""

from typing import Any

import msgspec

_SAID = {
    "upload": "created completed expired terminated",
    "video": "stored",
    "job": "created started completed failed cancelled retried deleted",
    "step": "completed retrying discarded",
    "segment": "planned ready remaking remade remake_failed kept dropped restored edited cover",
    "media": "pruned",
    "publication": "scheduled uploading processing published rejected cancelled unknown "
    "waiting missed approved changed",
    "publishing": "paused resumed",
    "account": "connected needs_reauth expiring paused resumed disconnected",
    "endpoint": "created disabled enabled rotated deleted test",
    "system": "pressure relieved",
    "backup": "completed failed restored",
    "owner": "created forgotten password_changed authenticator_on authenticator_off recovery_codes_changed signed_in "
    "code_refused",
    "key": "created rotated revoked",
}
TYPES = frozenset(f"{noun}.{what}" for noun, said in _SAID.items() for what in said.split())  # all there are
NOUNS = tuple(_SAID)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `event`. `id` is the cursor: it only grows."""

    id: int
    type: str
    at: int  # unix ms
    job_id: str | None = None
    data: dict[str, Any] = {}
