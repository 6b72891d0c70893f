"""The keeper of tokens: renews them early, one at a time for each account, and loses none on the way.

A platform may kill a refresh token the moment it gives out the next (TikTok does). So a renewal is written down before
it is asked for, its answer is on disk before the new token is used, and nobody asks while another asks. What a crash
in between leaves is a mark: the account is tried with the token it has, and if the platform does not take it any more,
somebody is told to connect it again.

When each is renewed (see `_is_due`):

an access token     5 minutes before it ends, by whoever needs it
a refresh token     weekly, so that an account at rest keeps it: TikTok's end after 180 days, Google's after 6 months
Instagram's token   after 30 of its 60 days: there is nothing that renews it once it has ended

Daily the platform is asked whether what was granted still stands, where it tells: what a person takes back at Facebook
would else show only when something is to be published.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from vidprod.domain.account import Account, AccountSettings, Flavour, Platform
from vidprod.domain.post import NAMES
from vidprod.errors import Conflict, PlatformError, SealBroken, VidProdError
from vidprod.platforms.base import App, Grant, Tokens
from vidprod.services.clock import Clock
from vidprod.services.tokens import ends, merged, opened, seal
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.accounts import SAME_END_MS
from vidprod.store.sqlite.standing import about, held_by, need_reauth
from vidprod.telemetry import log
from vidprod.vault import Vault

EARLY_MS = 5 * 60_000
USABLE_MS = 30_000  # a token that could not be renewed is still good for one call
EVERY_S = 3600.0  # of the clock, between two rounds of `refresh_due`
WARN_DAYS = (1, 7, 14)

_DAY_MS = 86_400_000
_KEEP_ALIVE_MS = 7 * _DAY_MS
_RENEW_ALONE_MS = 30 * _DAY_MS  # of a token that renews itself
_CLOSES_WITHIN_S = 1.5  # after the drain, within the 10 s that a stop may take

_logger = log.get(__name__)


class Renewer(Protocol):
    """Of a login what the keeper needs of it."""

    async def refresh(self, app: App, tokens: Tokens) -> Tokens:
        """As `platforms.base.Login`. Raises PlatformError (REAUTH, RETRY)."""

    async def inspect(self, app: App, tokens: Tokens, notices: Sequence[str]) -> list[str]:
        """As `platforms.base.Login`. Raises PlatformError."""


class Renewers(Protocol):
    """Who renews tokens, and as whom: `platforms/registry.py`."""

    def login(self, platform: Platform, flavour: Flavour) -> Renewer: ...

    def app(self, platform: Platform, flavour: Flavour) -> App | None: ...


@dataclass(eq=False)
class Granted:
    """The right to act for one account, as publishers want it: `platforms.base.Grant`."""

    keeper: "Keeper"
    account_id: str
    external_id: str
    username: str
    flavour: Flavour
    settings: AccountSettings

    async def token(self) -> str:
        return await self.keeper.token(self.account_id)

    async def renew(self, refused: str) -> str:
        return await self.keeper.renew(self.account_id, refused)

    async def extra(self, name: str) -> str:
        return await self.keeper.also(self.account_id, name)


class Keeper:
    """One for the daemon: two would spend each other's refresh tokens."""

    def __init__(self, store: Store, vault: Vault, renewers: Renewers, clock: Clock) -> None:
        self._store = store
        self._vault = vault
        self._renewers = renewers
        self._clock = clock
        self._locks: dict[str, asyncio.Lock] = {}
        self._renewing: set[asyncio.Task[str]] = set()
        self._unsaved: dict[str, tuple[int, Tokens]] = {}  # answers that the volume did not take
        self._inspected: dict[str, int] = {}  # by account: when it was last asked whether its grant stands

    def lock(self, account_id: str) -> AbstractAsyncContextManager[None]:
        """Held by whoever changes the tokens of an account."""
        return self._locks.setdefault(account_id, asyncio.Lock())

    async def grant(self, account_id: str) -> Grant:
        """Raises NotFound. Whether its tokens are any good is seen when one is asked for."""
        account = await self._store.read(lambda db: db.accounts.get(account_id))
        return Granted(
            keeper=self,
            account_id=account.id,
            external_id=account.external_id,
            username=account.username,
            flavour=account.flavour,
            settings=account.settings,
        )

    async def token(self, account_id: str) -> str:
        """An access token that is good for some minutes.

        Raises:
            PlatformError: REAUTH: somebody has to connect the account again. RETRY: it could not be renewed now.
        """
        account, tokens = await self._open(account_id)
        if _lasts(account, EARLY_MS, now=self._clock.now()):
            return tokens.access_token
        try:
            return await self._renewed(account_id, refused=None)
        except PlatformError as error:
            if error.kind != "REAUTH" and _lasts(account, USABLE_MS, now=self._clock.now()):
                return tokens.access_token
            raise

    async def renew(self, account_id: str, refused: str) -> str:
        """Another access token than `refused`. Raises as `token` does."""
        return await self._renewed(account_id, refused=refused)

    async def also(self, account_id: str, name: str) -> str:
        """What else was granted; "" where there is no such thing. Raises PlatformError (REAUTH)."""
        _, tokens = await self._open(account_id)
        return tokens.extra.get(name, "")

    async def refresh_due(self) -> None:
        """Renew what should not wait until it is needed, take up what a crash left, and say what will end soon.

        Not while all publishing is held: another home may live by the same tokens, and a renewal would end them.
        """
        now = self._clock.now()
        if await self._store.read(held_by) is not None:
            return
        found = await self._store.read(
            lambda db: [
                (account, db.accounts.refreshing_at(account.id), db.accounts.tokens(account.id))
                for account in db.accounts.list()
                if account.state == "connected"
            ]
        )
        for account, mark, sealed in found:
            if (key_id := self._vault.sealed_with(sealed)) not in self._vault.key_ids:
                _logger.error("tokens cannot be opened: their key is missing", account=account.id, sealed_with=key_id)
            elif mark is not None or _is_due(account, now=now):
                await self._look_after(account)
            elif now - self._inspected.get(account.id, 0) >= _DAY_MS:
                self._inspected[account.id] = now
                await self._inspect(account.id)
        await self._store.write(lambda db: _warn_all(db, now=self._clock.now()))

    async def close(self) -> None:
        """Wait for renewals under way: their answers may be the only good tokens there are."""
        if self._renewing:
            await asyncio.wait(self._renewing, timeout=_CLOSES_WITHIN_S)
        for account_id in list(self._unsaved):
            with contextlib.suppress(PlatformError):
                await self._save_what_is_left(account_id)

    async def _look_after(self, account: Account) -> None:
        try:
            _, tokens = await self._open(account.id)
            await self._renewed(account.id, refused=tokens.access_token)
        except VidProdError as error:  # the others have their turn
            _logger.warning("tokens were not renewed", account=account.id, platform=account.platform, why=str(error))

    async def _inspect(self, account_id: str) -> None:
        """Under the lock: what is told is told of the tokens that the account has now."""
        async with self.lock(account_id):
            try:
                account, tokens = await self._open(account_id)
                app = self._renewers.app(account.platform, account.flavour)
                if app is None:
                    return
                login = self._renewers.login(account.platform, account.flavour)
                notices = await login.inspect(app, tokens, account.notices)
            except VidProdError as error:
                if not isinstance(error, PlatformError) or error.kind != "REAUTH":
                    _logger.warning("a grant was not inspected", account=account_id, why=str(error))
                    return
                fault = f"{error} {error.hint or 'Connect the account again.'}"
                await self._store.write(lambda db: need_reauth(db, account_id, fault, now=self._clock.now()))
                return
            if notices != account.notices:
                await self._store.write(lambda db: _set_notices(db, account, notices))

    async def _renewed(self, account_id: str, *, refused: str | None) -> str:
        """In a task of its own: who asked may be cancelled, what was asked of the platform goes on."""
        task = asyncio.create_task(self._renew(account_id, refused=refused))
        self._renewing.add(task)
        task.add_done_callback(self._over)
        return await asyncio.shield(task)

    def _over(self, task: "asyncio.Task[str]") -> None:
        self._renewing.discard(task)
        if not task.cancelled():
            task.exception()  # seen: whoever waited may be gone

    async def _renew(self, account_id: str, *, refused: str | None) -> str:
        async with self.lock(account_id):
            await self._save_what_is_left(account_id)
            account, tokens = await self._open(account_id)
            if _is_another(account, tokens, refused=refused, now=self._clock.now()):
                return tokens.access_token
            return await self._ask(account, tokens)

    async def _ask(self, account: Account, tokens: Tokens) -> str:
        app = self._renewers.app(account.platform, account.flavour)
        if app is None:
            raise PlatformError(f"the settings name no app for {account.platform}", kind="RETRY", code="no_app")
        earlier, mark = await self._store.write(lambda db: _begin(db, account.id, now=self._clock.now()))
        try:
            answer = await self._renewers.login(account.platform, account.flavour).refresh(app, tokens)
        except PlatformError as error:
            raise await self._not_renewed(account, error, earlier=earlier, mark=mark) from None
        if not answer.access_token:
            raise PlatformError(f"{account.platform} answered a renewal without a token", kind="RETRY", code="empty")
        newer = merged(tokens, answer)
        self._unsaved[account.id] = (mark, newer)
        await self._save_what_is_left(account.id)
        kept = (await self._open(account.id))[1]  # another one, where it was connected anew meanwhile
        return kept.access_token

    async def _save_what_is_left(self, account_id: str) -> None:
        """An answer reaches the disk before it is used; one that did not is tried again before anything else."""
        if account_id not in self._unsaved:
            return
        mark, newer = self._unsaved[account_id]

        def save(db: Tables) -> None:
            account, now = db.accounts.get(account_id), self._clock.now()
            access, refresh = ends(newer, now=now)
            db.accounts.set_tokens(
                account_id,
                seal(self._vault, account_id, newer),
                scopes=list(newer.scopes) or account.scopes,
                access_expires_at=access,
                refresh_expires_at=refresh or account.refresh_expires_at,
                since=mark,
                now=now,
            )

        try:
            await self._store.write(save, urgent=True)
        except Conflict:
            _logger.info("tokens of an earlier connection are dropped", account=account_id)
        except VidProdError as error:
            raise PlatformError(f"renewed tokens cannot be stored: {error}", kind="RETRY", code=error.code) from error
        del self._unsaved[account_id]

    async def _not_renewed(
        self, account: Account, error: PlatformError, *, earlier: int | None, mark: int
    ) -> PlatformError:
        if error.kind == "REAUTH":
            fault = _why_dead(account, error, answer_was_lost=earlier is not None)

            def tell(db: Tables) -> None:
                if db.accounts.refreshing_at(account.id) == mark:  # else it was connected anew meanwhile
                    need_reauth(db, account.id, fault, now=self._clock.now())

            await self._store.write(tell, urgent=True)
            return PlatformError(fault, kind="REAUTH", code=error.code, http_status=error.http_status)
        if error.code == "not_sent" and earlier is None:  # else it is not known what became of it: the mark stays
            await self._store.write(lambda db: db.accounts.end_refresh(account.id, since=mark))
        if error.kind == "RETRY":
            return error
        return PlatformError(  # a lost answer or a wrong setting is no reason to give a publication up
            str(error), kind="RETRY", code=error.code, hint=error.hint, http_status=error.http_status
        )

    async def _open(self, account_id: str) -> tuple[Account, Tokens]:
        account, sealed = await self._store.read(lambda db: _row(db, account_id))
        if sealed is None or account.state != "connected":
            raise PlatformError(account.fault or "the account is not connected", kind="REAUTH", code=account.state)
        try:
            return account, opened(self._vault, account, sealed)
        except SealBroken as error:
            raise PlatformError(
                str(error), kind="RETRY", code=error.code, hint="Bring the key back, or connect the account again."
            ) from None


def _row(db: Tables, account_id: str) -> tuple[Account, bytes | None]:
    account = db.accounts.get(account_id)
    return account, None if account.state == "disconnected" else db.accounts.tokens(account_id)


def _set_notices(db: Tables, account: Account, notices: list[str]) -> None:
    if db.accounts.get(account.id).notices == account.notices:  # else something was said meanwhile: another day
        db.accounts.set_notices(account.id, notices)


def _begin(db: Tables, account_id: str, *, now: int) -> tuple[int | None, int]:
    """The mark that was there, and the one that is there now: a first one without an answer stays."""
    if (held := held_by(db)) is not None:
        raise PlatformError(held.message, kind="RETRY", code=held.why)
    earlier = db.accounts.refreshing_at(account_id)
    try:
        db.accounts.begin_refresh(account_id, now=earlier or now)
    except Conflict as error:
        raise PlatformError(str(error), kind="REAUTH", code="not_connected") from None
    return earlier, earlier or now


def _lasts(account: Account, margin_ms: int, *, now: int) -> bool:
    return account.access_expires_at is None or now + margin_ms < account.access_expires_at


def _is_another(account: Account, tokens: Tokens, *, refused: str | None, now: int) -> bool:
    """Whether somebody else has renewed it while we waited for our turn."""
    if refused is None:
        return _lasts(account, EARLY_MS, now=now)
    return tokens.access_token != refused


def _is_due(account: Account, *, now: int) -> bool:
    """Whether it is to be renewed though nobody needs it now."""
    since = account.refreshed_at or account.connected_at
    alone = account.refresh_expires_at is not None and account.refresh_expires_at == account.access_expires_at
    return now - since >= (_RENEW_ALONE_MS if alone else _KEEP_ALIVE_MS)


def _why_dead(account: Account, error: PlatformError, *, answer_was_lost: bool) -> str:
    name = NAMES[account.platform]
    if answer_was_lost:
        return (
            f"{name} was asked for new tokens and its answer was lost, and it does not take the old ones any more: "
            "connect the account again."
        )
    return f"{name} does not take its tokens any more ({error}): connect the account again."


def _warn_all(db: Tables, *, now: int) -> None:
    for account in db.accounts.list():
        if account.state == "connected" and account.refresh_expires_at is not None:
            _warn(db, account, end=account.refresh_expires_at, now=now)


def _warn(db: Tables, account: Account, *, end: int, now: int) -> None:
    """Say that the grant ends, once at each of `WARN_DAYS` before it does."""
    days = next((days for days in WARN_DAYS if now >= end - days * _DAY_MS), None)
    if days is None:
        return
    last = db.accounts.warned_at(account.id)
    if last is not None and last >= end - days * _DAY_MS - SAME_END_MS:
        return
    db.accounts.warned(account.id, now=now)
    moment = datetime.fromtimestamp(end / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    db.events.record("account.expiring", data={**about(account), "expires_at": moment, "days": days}, now=now)
