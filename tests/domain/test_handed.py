import pytest

from vidprod.domain.handed import LEAST_LEAD_MS, next_step

NOW, HOUR_MS = 1_795_000_000_000, 3_600_000
LATER, SOON, NEVER = NOW + HOUR_MS, NOW + LEAST_LEAD_MS - 1, None


@pytest.mark.parametrize(
    ("code", "held", "public_at", "due_at", "step"),
    [
        ("processing", False, LATER, LATER, "leave"),
        ("handed", False, LATER, LATER, "leave"),
        ("handed", False, LATER, LATER + HOUR_MS, "leave"),  # somebody changed it there
        ("handed", False, NEVER, LATER, "miss"),  # somebody took it away there
        ("handed", True, LATER, LATER, "withdraw"),
        ("moving", True, LATER, LATER, "withdraw"),
        ("moving", True, NEVER, LATER, "hold"),
        ("moving", False, LATER, LATER + 999 - LATER % 1000, "leave"),  # the same second
        ("moving", False, LATER, LATER + HOUR_MS, "hand"),
        ("moving", False, LATER, SOON, "withdraw"),
        ("moving", False, LATER, NOW, "publish"),
        ("moving", False, NEVER, LATER, "hand"),
        ("moving", False, NEVER, SOON, "wait"),
        ("moving", False, NEVER, NOW, "publish"),
        ("paused", False, NEVER, LATER, "hand"),
        ("paused", False, NEVER, NOW - HOUR_MS, "publish"),
        ("paused", False, NEVER, NOW - HOUR_MS - 1, "miss"),
        ("withdrawing", False, LATER, LATER, "withdraw"),
        ("withdrawing", True, LATER, LATER, "withdraw"),
        ("withdrawing", False, NEVER, LATER, "cancel"),
        ("withdrawing", True, NEVER, LATER, "cancel"),
    ],
)
def test_what_is_wanted_of_a_time_that_was_handed_over(
    code: str, held: bool, public_at: int | None, due_at: int, step: str
) -> None:
    assert next_step(code, public_at=public_at, due_at=due_at, held=held, late_ms=HOUR_MS, now=NOW) == step
