"""A storm: publications to three platforms that fail by seeded dice, while the daemon crashes wherever it is.

What must hold, whatever happens: nothing is posted twice, nothing that was posted is called something else for good,
nothing is lost, and nothing is left past its deadline without a state that says so.
"""

from collections import Counter

from tests.publishing.stage import DAY_MS, HOUR_MS, START, Stage
from vidprod.domain.account import PLATFORMS
from vidprod.domain.publication import OVER, Publication
from vidprod.errors import Conflict

_TICKS = (5, 300)  # of the store and the platforms, between two crashes


async def storm(
    stage: Stage,
    *,
    segments: int,
    accounts: int = 1,
    crashes: int,
    apart_ms: int = HOUR_MS,
    ticks: tuple[int, int] = _TICKS,
) -> None:
    """Publish through it, until all is over.

    Args:
        apart_ms: between two segments.
        ticks: between two crashes, at least and at most.
    """
    connected = [await stage.connect(platform, f"a{n}") for platform in PLATFORMS for n in range(accounts)]
    await stage.plan(connected, n=segments, due_at=START + HOUR_MS, apart_ms=apart_ms)
    for _ in range(crashes):
        await stage.crash_after(stage.dice.randrange(*ticks))
        await help_out(stage)
    stage.calm()
    for _ in range(8):  # unknown ones are looked at for a while, and people do their part
        await stage.settle(until=stage.clock.time + segments * apart_ms + DAY_MS)
        await help_out(stage)


async def help_out(stage: Stage) -> None:
    """What people do: they connect again what has to be, publish what was missed, and retry what was given up."""
    for account in await stage.store.read(lambda db: db.accounts.list()):
        if account.state == "needs_reauth":
            await stage.reconnect(account.id)
    for publication in await stage.all():
        await _answer(stage, publication)


async def _answer(stage: Stage, publication: Publication) -> None:
    now = stage.clock.now()
    if publication.missed_at is not None and publication.state == "scheduled":
        await stage.store.write(lambda db: db.publications.reschedule(publication, due_at=now, when="now"))
    elif publication.state == "rejected":
        try:
            await stage.store.write(lambda db: db.publications.retry(publication, now=now))
        except Conflict:
            return


def faults(stage: Stage, publications: list[Publication]) -> list[str]:
    """What does not hold, in words."""
    found = []
    for publication in publications:
        posted = stage.posted(publication)
        if posted > 1:
            found.append(f"{publication.id} was posted {posted} times to {publication.platform}")
        if publication.state == "published" and not posted:
            found.append(f"{publication.id} is called published and was never posted")
        if publication.state != "published" and posted:
            found.append(f"{publication.id} was posted and is {publication.state}")
        if publication.state not in OVER and publication.state != "unknown":
            found.append(f"{publication.id} is left {publication.state}, {publication.wait}")
    return found


def told(stage: Stage, publications: list[Publication]) -> str:
    """What happened, for who reads a failure."""
    states = Counter(one.state for one in publications)
    return f"{dict(states)}, {stage.crashes} crashes, {sum(stage.far.happened.values())} faults {stage.far.happened}"
