"""A receipt: what was published, from the take to the platform's id, in a chain nobody can mend unseen.

The body says the number of the receipt and the hash of the one before it; its own hash is SHA-256 over the body as
canonical JSON: keys sorted, nothing between tokens, UTF-8, every number a whole one (what is not whole is a text). Any
language can compute it.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import msgspec

FIRST = "0" * 64  # what the first of a chain has for the hash before it


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `receipt`."""

    number: int  # 1, 2, …
    publication_id: str
    body: dict[str, Any]
    hash: str


def canonical(value: Any) -> bytes:
    """The one way to write it."""
    return json.dumps(
        _whole(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def hash_of(body: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(body)).hexdigest()


def chained(facts: dict[str, Any], *, number: int, previous: str) -> dict[str, Any]:
    """The body of the receipt that comes after the one whose hash is `previous`."""
    body: dict[str, Any] = _whole({"version": 1, "number": number, "previous": previous, **facts})
    return body


def faults(receipts: Iterable[Receipt], *, whole: bool) -> list[str]:
    """What is wrong with them, in words; none: nothing was changed since they were written.

    Args:
        receipts: by number.
        whole: they are all there are, from the first on; otherwise only those that follow each other are compared.
    """
    found = []
    before: Receipt | None = None
    for receipt in receipts:
        name = f"receipt {receipt.number} of {receipt.publication_id}"
        if hash_of(receipt.body) != receipt.hash:
            found.append(f"{name}: its body is not what was hashed")
        if receipt.body.get("number") != receipt.number:
            found.append(f"{name}: its body says it is number {receipt.body.get('number')}")
        if receipt.body.get("publication", {}).get("id") != receipt.publication_id:
            found.append(f"{name}: its body is of another publication")
        if before is None:
            expected = 1 if whole else receipt.number
            previous = FIRST if receipt.number == 1 else None
        else:
            expected = before.number + 1 if whole else receipt.number
            previous = before.hash if receipt.number == before.number + 1 else None
        if receipt.number != expected:
            found.append(f"{name}: number {expected} is missing before it")
        if previous is not None and receipt.body.get("previous") != previous:
            found.append(f"{name}: it does not follow the one before it")
        before = receipt
    return found


def _whole(value: Any) -> Any:
    """`value` with every float as the text of it: languages write them differently."""
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, dict):
        return {str(key): _whole(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_whole(one) for one in value]
    return value
