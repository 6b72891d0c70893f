"""An endpoint: who wants events, and a delivery: one event on its way to one endpoint.

Endpoint: enabled ⇄ disabled. Delivery: pending → delivered | failed.
"""

from typing import Literal

import msgspec

EndpointState = Literal["enabled", "disabled"]
DeliveryState = Literal["pending", "delivered", "failed"]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `endpoint`, without its secrets. Times are unix milliseconds."""

    id: str
    url: str
    types: list[str] = []  # event types, or a noun and a star ("publication.*"); none: all
    job_id: str | None = None  # the `webhook_url` of one job: hears of that job only
    state: EndpointState = "enabled"
    disabled_reason: str | None = None
    description: str = ""
    created_at: int
    failing_since: int | None = None  # nothing was delivered since
    rotated_at: int | None = None  # the older secret signs too, for a day


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `delivery`. Times are unix milliseconds."""

    id: str  # also `webhook-id`: the same at each attempt
    endpoint_id: str
    event_id: int
    event_type: str
    state: DeliveryState
    attempt: int = 0  # attempts made
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
