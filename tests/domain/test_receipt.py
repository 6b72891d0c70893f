"""Receipts: a chain that nobody can mend unseen."""

import hashlib
import json
from typing import Any

import msgspec
import pytest

from vidprod.domain.receipt import FIRST, Receipt, canonical, chained, faults, hash_of


def chain(n: int) -> list[Receipt]:
    receipts: list[Receipt] = []
    for number in range(1, n + 1):
        facts = {"publication": {"id": f"pub_{number}", "remote_id": "ümlaut"}, "gaze": {"corrected": 0.5, "n": 3}}
        body = chained(facts, number=number, previous=receipts[-1].hash if receipts else FIRST)
        receipts.append(Receipt(number=number, publication_id=f"pub_{number}", body=body, hash=hash_of(body)))
    return receipts


def test_a_receipt_can_be_verified_with_a_few_lines_of_any_language() -> None:
    (receipt,) = chain(1)
    assert receipt.body["gaze"] == {"corrected": "0.5", "n": 3}  # no fractions: they are written in many ways
    text = json.dumps(receipt.body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert text.encode() == canonical(receipt.body)
    assert receipt.hash == hashlib.sha256(text.encode()).hexdigest()


def test_what_was_not_changed_has_no_fault() -> None:
    assert faults(chain(3), whole=True) == []
    assert faults([chain(5)[1], *chain(5)[3:]], whole=False) == []
    assert faults([], whole=True) == []
    again = msgspec.json.decode(msgspec.json.encode(chain(3)), type=list[Receipt])
    assert faults(again, whole=True) == []


def changed(receipt: Receipt, **body: Any) -> Receipt:
    return msgspec.structs.replace(receipt, body={**receipt.body, **body})


def with_its_hash(receipt: Receipt) -> Receipt:
    return msgspec.structs.replace(receipt, hash=hash_of(receipt.body))


@pytest.mark.parametrize("whole", [True, False])
def test_whatever_is_changed_is_seen(whole: bool) -> None:
    first, second, third = chain(3)
    other = {"publication": {"id": "pub_2", "remote_id": "another"}}
    assert faults([first, changed(second, **other), third], whole=whole) == [
        "receipt 2 of pub_2: its body is not what was hashed"
    ]
    forged = with_its_hash(changed(second, **other))
    assert faults([first, forged, third], whole=whole) == ["receipt 3 of pub_3: it does not follow the one before it"]
    swapped = msgspec.structs.replace(second, publication_id="pub_9")
    assert faults([first, swapped, third], whole=whole) == ["receipt 2 of pub_9: its body is of another publication"]
    renumbered = msgspec.structs.replace(third, number=4)
    assert "receipt 4 of pub_3: its body says it is number 3" in faults([first, second, renumbered], whole=whole)
    began = with_its_hash(changed(first, previous="1" * 64))
    assert "receipt 1 of pub_1: it does not follow the one before it" in faults([began], whole=whole)


def test_of_the_whole_chain_none_may_be_missing() -> None:
    first, _, third = chain(3)
    assert faults([first, third], whole=True) == ["receipt 3 of pub_3: number 2 is missing before it"]
    assert faults([third], whole=True) == ["receipt 3 of pub_3: number 1 is missing before it"]
