"""An endpoint: who wants events, and a delivery: one event on its way to one endpoint.

Endpoint: enabled ⇄ disabled. Delivery: pending → delivered | failed; asked for again it is pending anew.

Source of bodies, schedule and what disables: the Standard Webhooks specification.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import msgspec

from vidprod.domain.event import NOUNS, TYPES, Event
from vidprod.domain.user import OWNER_ID
from vidprod.errors import BadRequest

EndpointState = Literal["enabled", "disabled"]
DeliveryState = Literal["pending", "delivered", "failed"]

DELIVERY_STATES: tuple[DeliveryState, ...] = get_args(DeliveryState)

GAPS_S = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)  # from the end of an attempt to the next one
MAX_ATTEMPTS = 1 + len(GAPS_S)
JITTER = 0.1  # of a gap, either way: what failed together does not come back together
LONGEST_GAP_S = GAPS_S[-1] * (1 + JITTER)
LONGEST_RETRY_AFTER_S = 86_400.0
LONGEST_HOLD_S = 3600.0  # for which a `Retry-After` holds up what else is for that endpoint
GIVE_UP_S = 120 * 3600  # of nothing but failures: then the endpoint is disabled
SILENCE_S = 48 * 3600  # twice the longest gap: who was not tried for so long was not failing meanwhile
ROTATION_S = 86_400  # for which the secret before signs, too
MOST_SECRETS = 8  # that sign at once: receivers take headers of a few kilobytes

MAX_BODY_BYTES = 20_000
MAX_URL = 2000  # characters
TEST = "endpoint.test"

_WANTED = TYPES | {f"{noun}.*" for noun in NOUNS}


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `endpoint`, without its secrets. Times are unix milliseconds."""

    id: str
    user_id: str = OWNER_ID
    url: str
    types: list[str] = []  # event types, or a noun and a star ("publication.*"); none: all
    job_id: str | None = None  # the `webhook_url` of one job: hears of that job only
    state: EndpointState = "enabled"
    disabled_reason: str | None = None
    description: str = ""
    created_at: int
    failing_since: int | None = None  # nothing was delivered since
    failed_at: int | None = None  # the last failure since then
    held_until: int | None = None  # it asked to be left alone
    rotated_at: int | None = None  # the older secret signs too, for a day

    def wants(self, event: Event) -> bool:
        """A test is only for the endpoint that is tested. Of what else happens to itself an endpoint does not hear:
        that it was disabled would be one more thing to deliver to it."""
        if event.type.startswith("endpoint."):
            is_about_it = event.data.get("endpoint_id") == self.id
            if event.type == TEST or is_about_it:
                return event.type == TEST and is_about_it
        noun = event.type.partition(".")[0]
        return not self.types or event.type in self.types or f"{noun}.*" in self.types


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `delivery`, without its body. Times are unix milliseconds."""

    id: str  # also `webhook-id`: the same at each attempt
    endpoint_id: str
    event_id: int
    event_type: str
    state: DeliveryState
    attempt: int = 0  # attempts made
    earlier: int = 0  # of them, before it was last asked for again: the schedule counts from there
    run_at: int
    created_at: int
    finalized_at: int | None = None


class DeliveryAttempt(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `delivery_attempt`: what one request came to."""

    delivery_id: str
    number: int
    at: int
    took_ms: int
    status: int | None = None  # None: there was no answer
    error: str = ""  # why it failed, in words
    answer: str = ""  # its first bytes


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """One of an endpoint's secrets, as they lie sealed in its row: the newest first."""

    secret: str  # "whsec_…"
    until: int | None = None  # unix ms, from when it signs no more; None: it is the present one


def place_of(endpoint_id: str) -> str:
    """Where the secrets of an endpoint are sealed for."""
    return f"endpoint|{endpoint_id}|secrets"


def rotated(secrets: Iterable[Secret], new: str, *, now: int) -> list[Secret]:
    """`new`, and after it what still signs: the present one for a day, older ones as long as they had; of many, the
    newest."""
    until = now + ROTATION_S * 1000
    older = [Secret(secret=one.secret, until=until if one.until is None else one.until) for one in secrets]
    return [Secret(secret=new), *signing(older, now=now)[: MOST_SECRETS - 1]]


def signing(secrets: Iterable[Secret], *, now: int) -> list[Secret]:
    """Those that sign now."""
    return [secret for secret in secrets if secret.until is None or secret.until > now]


def gap_s(failed: int, *, spread: float, retry_after_s: float | None = None) -> float | None:
    """Seconds from the end of a failed attempt to the next; None when that was the last.

    Args:
        failed: attempts that failed, from 1.
        spread: drawn from 0 to 1.
        retry_after_s: as the endpoint asked; it may ask for more than is planned, up to a day, and not for less.
    """
    if failed > len(GAPS_S):
        return None
    planned = GAPS_S[failed - 1] * (1 - JITTER + 2 * JITTER * spread)
    return max(planned, min(retry_after_s or 0.0, LONGEST_RETRY_AFTER_S))


def body_of(event: Event) -> str:
    """What is sent of an event, at most 20 kB: of more, the longest values are left out, and `truncated` says so."""
    data: dict[str, Any] = {"event_id": event.id, "job_id": event.job_id, **event.data}
    body = _body(event, data)
    if len(body) > MAX_BODY_BYTES:
        data["truncated"] = True
    for name in sorted(event.data, key=lambda name: -len(msgspec.json.encode(event.data[name]))):
        if len(body) <= MAX_BODY_BYTES:
            break
        del data[name]
        body = _body(event, data)
    return body.decode()


def _body(event: Event, data: dict[str, Any]) -> bytes:
    at = datetime.fromtimestamp(event.at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return msgspec.json.encode({"type": event.type, "timestamp": at, "data": data})


def check_types(types: Iterable[str]) -> list[str]:
    """Without repeats. Raises BadRequest, naming every fault: what is misspelt would never be heard of."""
    types = list(dict.fromkeys(types))
    wrong = [one for one in types if one not in _WANTED]
    if wrong:
        raise BadRequest(
            f"types: {', '.join(map(repr, wrong))[:200]}: no type of event",
            code="bad_endpoint",
            hint=f'Like "job.completed" or "publication.*"; the nouns are {", ".join(NOUNS)}.',
        )
    return types
