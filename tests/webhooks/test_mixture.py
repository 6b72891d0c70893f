"""Many deliveries to receivers of every kind: none is lost, and each attempt comes when it was promised."""

from pathlib import Path

import pytest

from tests.store.conftest import tmp_path as tmp_path  # in memory: it is not the disk that is tested
from tests.webhooks.mixture import Outcome, run, told


def check(outcome: Outcome) -> None:
    print(told(outcome))
    assert outcome.lost == 0
    assert outcome.unheard == 0
    assert outcome.forged == 0
    assert outcome.untimely == []
    assert {state for kind, state in outcome.states if kind in ("well", "broken", "busy", "hang", "reset", "huge")} == {
        "delivered"
    }
    assert {state for kind, state in outcome.states if kind == "redirect"} == {"failed"}
    assert outcome.states["gone", "failed"] > 0


async def test_of_a_hundred_deliveries_none_is_lost_and_all_are_timely(tmp_path: Path) -> None:
    check(await run(tmp_path, deliveries=160, each=2))


@pytest.mark.soak
async def test_of_10_000_deliveries_none_is_lost_and_all_are_timely(tmp_path: Path) -> None:
    check(await run(tmp_path, deliveries=11_600, each=5))
