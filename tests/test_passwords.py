"""Passwords: what is taken, how it is hashed, and that strangers cannot make the machine do more than it can bear."""

import asyncio
import statistics
import time
from importlib import resources

import pytest

from vidprod import passwords
from vidprod.errors import Unavailable
from vidprod.passwords import COMMON, LONGEST, MOST_WAITING, BadPassword, Passwords, check, is_outdated

GOOD = "korrekt pferd batterie"


@pytest.mark.parametrize("good", [GOOD, "Ab3$xy78", "ünïcödé wörds", "日本語のパスワードです", "x y z q " * 16])
def test_anything_long_enough_is_taken(good: str) -> None:
    check(good, name="Ann")


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("", "has 0 characters"),
        ("seven77", "has 7 characters"),
        ("password", "one of the commonest"),
        ("PassWord1", "one of the commonest"),
        ("qwertyuiop", "one of the commonest"),
        ("Annabell", "the name"),
        ("x" * (LONGEST + 1), "are the most"),
    ],
)
def test_what_would_be_tried_first_is_refused(bad: str, why: str) -> None:
    with pytest.raises(BadPassword, match=why) as caught:
        check(bad, name="annabell")
    assert len(bad) < 9 or bad not in str(caught.value)


def test_the_list_holds_3000_that_the_rule_of_length_would_take() -> None:
    common = resources.files("vidprod").joinpath(COMMON).read_text().splitlines()
    assert len(common) == len(set(common)) == 3000  # OWASP ASVS 5.0, 6.2.4
    assert [one for one in common if len(one) < 8 or one != one.casefold()] == []


async def test_a_password_is_known_again_whole_and_no_other() -> None:
    keeper = Passwords()
    long = "a" * 127
    hashed = await keeper.hash(long + "x")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    answers = [await keeper.verify(hashed, one) for one in (long + "x", long + "y", long, (long + "X"), "")]
    assert answers == [True, False, False, False, False]  # nothing is cut off, nothing folded
    assert await keeper.hash(long + "x") != hashed
    assert not await keeper.verify("no hash at all", GOOD)
    keeper.close()


def test_the_hash_of_nobody_is_made_as_hashes_are_made_now() -> None:
    """Or a name that nobody has would be told by the time it takes."""
    assert not is_outdated(passwords._NOBODYS)
    assert is_outdated(passwords._NOBODYS.replace("m=19456", "m=9216"))


async def test_nobodys_password_takes_as_long_as_a_wrong_one() -> None:
    keeper = Passwords()
    hashed = await keeper.hash(GOOD)

    async def took_s(of: str | None) -> float:
        began = time.perf_counter()
        assert not await keeper.verify(of, "wrong")
        return time.perf_counter() - began

    rounds = [(await took_s(hashed), await took_s(None)) for _ in range(9)]
    known, unknown = (statistics.median(times) for times in zip(*rounds, strict=True))
    assert 0.5 < unknown / known < 2
    # the twin: without a verification it would be a thousand times quicker
    assert known > 0.005
    keeper.close()


async def test_one_runs_at_a_time_and_what_is_too_many_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    together, most = 0, 0
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(hashed: str, password: str) -> bool:
        nonlocal together, most
        together += 1
        most = max(most, together)
        asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(10)
        together -= 1
        return True

    monkeypatch.setattr(passwords, "_verify", slow)
    keeper = Passwords()
    waiting = [asyncio.create_task(keeper.verify("x", "y")) for _ in range(1 + MOST_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="Too many"):
        await keeper.verify("x", "y")
    waiting[0].cancel()  # whoever went away has not given the memory back
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="Too many"):
        await keeper.verify("x", "y")
    gate.set()
    done = await asyncio.gather(*waiting, return_exceptions=True)
    assert done.count(True) == MOST_WAITING
    assert most == 1
    assert await keeper.verify("x", "y")
    keeper.close()
