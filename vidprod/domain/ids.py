"""Ids: a prefix that says the noun, then 26 characters that sort by time."""

import secrets

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32, lower case: no i, l, o, u


def new_id(prefix: str, *, now: int, entropy: bytes | None = None) -> str:
    """`prefix_` and 26 base 32 characters: 48 bits of unix milliseconds, 80 random bits.

    Args:
        now: unix milliseconds, UTC.
        entropy: 10 bytes; drawn from the system when not given.
    Source: the ULID specification, in lower case.
    """
    number = (now << 80) | int.from_bytes(entropy if entropy is not None else secrets.token_bytes(10), "big")
    return f"{prefix}_" + "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def is_id(text: str, prefix: str) -> bool:
    """Whether `text` has the shape of an id of this noun. Nothing else may become part of a path."""
    head, _, tail = text.partition("_")
    return head == prefix and len(tail) == 26 and all(c in _ALPHABET for c in tail)
