"""The scheduler: sees to it that what is planned can go out when it is due.

The rows are the truth: publications are planned in the transaction that makes their segment ready, and moved in the one
that changes an account's slots. Little is left to do now and then. What came due while it may not go out, because it is
paused, not approved or its account has to be connected again, is missed after a while: somebody is asked about it, and
it is not sent with everything else once it may. And after a start, what is planned in slots that new rules of a zone
have moved is planned anew.
"""

from vidprod.config import Config
from vidprod.errors import BadSlot
from vidprod.services.clock import Clock
from vidprod.store.sqlite import Store, Tables, planning
from vidprod.telemetry import log

_LOOKS_EVERY_S = 60.0  # of publishing's clock
_AT_MOST_OFTEN_S = 1.0  # of the wall, however fast that clock runs

_logger = log.get(__name__)


class Scheduler:
    """Its `look` is a round of `Timers`, every `every_s` seconds."""

    def __init__(self, store: Store, config: Config, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._late_ms = config.publish_late_s * 1000
        self._settled = False  # slots were compared with their zones since the start

    @property
    def every_s(self) -> float:
        """Of the wall."""
        return max(_AT_MOST_OFTEN_S, _LOOKS_EVERY_S / self._clock.speed)

    async def look(self) -> None:
        """One read where there is nothing to do, which is almost always."""
        if not self._settled:
            await self._settle()
            self._settled = True
        now = self._clock.now()
        if not await self._store.read(lambda db: db.plans.held(before=now - self._late_ms, limit=1)):
            return
        missed = await self._store.write(lambda db: planning.miss_overdue(db, now=now, late_ms=self._late_ms))
        _logger.warning("publications were missed", count=len(missed))

    async def _settle(self) -> None:
        now = self._clock.now()
        for account_id in await self._store.read(lambda db: _off(db, now)):
            moved = await self._store.write(lambda db, one=account_id: planning.replan_account(db, one, now=now))  # type: ignore[misc]
            _logger.warning("publications moved with the rules of their zone", account=account_id, count=moved)


def _off(db: Tables, now: int) -> list[str]:
    """Accounts whose planned slots are not those of their settings."""
    off = []
    for account in db.accounts.list():
        try:
            if planning.is_off(db, account.id, now=now):
                off.append(account.id)
        except BadSlot as error:
            _logger.error("an account's slots cannot be read", account=account.id, error=str(error))
    return off
