"""Signatures of deliveries, scheme `v1` of Standard Webhooks: HMAC-SHA256 of id, time and body.

Receivers have libraries for it (`standardwebhooks`); one of them checks ours in the tests.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Iterable

from vidprod.errors import BadRequest

PREFIX = "whsec_"
_BYTES = range(24, 65)  # Standard Webhooks: "between 24 and 64 bytes"


def new_secret() -> str:
    """As it is shown once: `whsec_` and 32 random bytes in base64."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The bytes a secret stands for. Raises BadRequest, which does not repeat it."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or len(key) not in _BYTES:
        raise BadRequest(
            f"a webhook secret is {PREFIX} and {_BYTES[0]} to {_BYTES[-1]} bytes in base64",
            code="bad_secret",
            hint="Leave it out to get one.",
        )
    return key


def signed(message_id: str, body: bytes, *, at_s: int, secrets: Iterable[str]) -> dict[str, str]:
    """The headers of one attempt.

    Args:
        at_s: unix seconds of the attempt; receivers refuse what is more than minutes off.
        secrets: each signs, the newest first: a receiver takes the signature it knows the secret of.
    """
    told = f"{message_id}.{at_s}.".encode() + body
    tokens = [
        f"v1,{base64.b64encode(hmac.new(key_of(secret), told, hashlib.sha256).digest()).decode()}" for secret in secrets
    ]
    return {"webhook-id": message_id, "webhook-timestamp": str(at_s), "webhook-signature": " ".join(tokens)}
