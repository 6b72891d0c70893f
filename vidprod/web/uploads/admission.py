"""Who may send now: how many at once, and one request at a time for each Idempotency-Key."""

from collections.abc import Iterator
from contextlib import contextmanager

from vidprod.errors import BadRequest, Conflict, Unavailable


class InFlight(Conflict):
    """A request with this Idempotency-Key is being answered now."""

    code = "in_flight"
    hint = "Wait for its answer, or send the same request again in a moment."


class KeyReused(BadRequest):
    """This Idempotency-Key belongs to another request."""

    code = "key_reused"
    status = 422
    hint = "Use a new key for each new request."


class Admission:
    """Places for uploads, and the keys of those under way. In memory: both end with the process."""

    def __init__(self) -> None:
        self.uploads = 0
        self._keys: dict[str, str] = {}

    @contextmanager
    def place(self, *, limit: int) -> Iterator[None]:
        """Raises Unavailable when `limit` uploads are under way."""
        if self.uploads >= limit:
            raise Unavailable(f"{self.uploads} uploads are under way, the most at once.", code="too_many_uploads")
        self.uploads += 1
        try:
            yield
        finally:
            self.uploads -= 1

    @contextmanager
    def hold(self, key: str, fingerprint: str) -> Iterator[None]:
        """Raises InFlight while another holds `key` for the same request, KeyReused when it is for another."""
        if key in self._keys:
            raise InFlight if self._keys[key] == fingerprint else KeyReused
        self._keys[key] = fingerprint
        try:
            yield
        finally:
            del self._keys[key]
