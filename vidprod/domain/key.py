"""An API key: `vp_live_`, 32 random bytes in base 62, and a checksum of six characters.

The prefix lets scanners find one that leaked, the checksum tells a typing error without a look at the database. Its
first 8 random characters are its public id: by them it is found and shown. What is kept is its SHA-256.
Source: the format of GitHub's tokens.
"""

import hashlib
import re
import secrets
import string
import zlib

import msgspec

from vidprod.domain.ids import new_id
from vidprod.domain.who import SCOPES, Scope

PREFIX = "vp_live_"
PUBLIC = 8  # characters
ROTATION_S = 86_400  # for which the key before works, too

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_BODY = 43  # characters of base 62 for 256 bits
_CHECKSUM = 6  # for 32 bits
_SHAPE = re.compile(rf"{PREFIX}[0-9A-Za-z]{{{_BODY + _CHECKSUM}}}")


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `api_key`. Times are unix milliseconds."""

    id: str
    user_id: str
    name: str
    public_id: str
    hash: str
    scopes: list[Scope]
    created_at: int
    expires_at: int | None = None
    used_at: int | None = None  # to the minute
    revoked_at: int | None = None
    replaced_by: str | None = None  # the key that it was rotated to

    def is_live(self, *, now: int) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def make_key(
    name: str, scopes: list[Scope], *, user_id: str, expires_at: int | None, now: int, entropy: bytes | None = None
) -> tuple[Key, str]:
    """A key, and what it is shown as, this once."""
    secret = new_secret(entropy)
    key = Key(
        id=new_id("key", now=now),
        user_id=user_id,
        name=name,
        public_id=public_id_of(secret),
        hash=hash_of(secret),
        scopes=sorted(set(scopes), key=SCOPES.index),
        created_at=now,
        expires_at=expires_at,
    )
    return key, secret


def new_secret(entropy: bytes | None = None) -> str:
    """
    Args:
        entropy: 32 bytes; drawn from the system when not given.
    """
    number = int.from_bytes(secrets.token_bytes(32) if entropy is None else entropy, "big")
    body = PREFIX + _base62(number, _BODY)
    return body + _checksum(body)


def is_whole(text: str) -> bool:
    """Whether it has the shape of a key and its checksum is right: what has not was never one of ours."""
    return _SHAPE.fullmatch(text) is not None and text[-_CHECKSUM:] == _checksum(text[:-_CHECKSUM])


def public_id_of(secret: str) -> str:
    return secret[len(PREFIX) :][:PUBLIC]


def hash_of(secret: str) -> str:
    """What is kept of a key. 256 random bits need no slow hash, which each request would have to pay for."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), _CHECKSUM)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
