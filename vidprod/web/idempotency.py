"""`Idempotency-Key`: a repeat of a request under the same key gets the first answer."""

import hashlib

from vidprod.errors import BadRequest
from vidprod.web.desk import HttpRequest

KEY_CHARACTERS = 255


def idempotency_key(request: HttpRequest) -> str | None:
    """Raises BadRequest for what is no key."""
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= KEY_CHARACTERS and key.isascii() and key.isprintable()):
        raise BadRequest(f"Idempotency-Key must be 1 to {KEY_CHARACTERS} printable ASCII characters.")
    return key


def fingerprint(request: HttpRequest, *parts: str) -> str:
    """Two requests with the same one are the same request. `parts`: what counts besides method and address."""
    told = (request.method, request.url.path, request.url.query, *parts)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
