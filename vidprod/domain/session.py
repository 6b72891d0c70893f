"""A session: a browser that has signed in. Its token is made here, is in the browser's cookie and nowhere else."""

import hashlib
import secrets

import msgspec

MAX_AGENT = 200  # characters that are kept of what a browser says it is


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `session`. Times are unix milliseconds."""

    id: str  # to name it by, of no use to get in
    user_id: str
    hash: str  # of its token, SHA-256
    created_at: int
    used_at: int  # to the minute
    agent: str = ""
    address: str = ""  # from where it began

    def is_live(self, *, now: int, idle_ms: float, longest_ms: float) -> bool:
        return now < self.used_at + idle_ms and now < self.created_at + longest_ms


def new_token() -> str:
    """43 characters, 256 bits."""
    return secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """What is kept of a token. It is random and long enough that a slow hash would add nothing."""
    return hashlib.sha256(token.encode()).hexdigest()
