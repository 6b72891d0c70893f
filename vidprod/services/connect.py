"""Connecting accounts: a browser is sent to the platform, comes back with a code, and the account is stored.

What comes back is taken only for an authorisation that was begun here, once, within 10 minutes: `state` is 32 random
bytes of which only the SHA-256 is kept, so who reads the database cannot finish one, and its verifier lies sealed.
"""

import contextlib
import hashlib
import secrets
from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import msgspec

from vidprod.config import PREFIX, Config
from vidprod.domain.account import DIRECT_SCOPE, Account, AccountSettings, Choices, Flavour, LoginWay, Platform
from vidprod.domain.ids import new_id
from vidprod.domain.post import NAMES
from vidprod.domain.user import OWNER_ID
from vidprod.errors import BadRequest, Conflict, PlatformError, SealBroken
from vidprod.platforms.base import App, Grant, Identity, Login, Publisher, Tokens
from vidprod.platforms.registry import WAYS, settings_of
from vidprod.services.clock import Clock
from vidprod.services.keeper import Keeper
from vidprod.services.rotation import Rotated, rotate_keys
from vidprod.services.tokens import ends, opened, seal
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.accounts import Connecting
from vidprod.store.sqlite.standing import about, disconnect_account, held_by
from vidprod.telemetry import log
from vidprod.vault import Vault

LASTS_MS = 10 * 60_000  # of the wall clock: a person reads a page and presses a button

_NEED_REFRESH_TOKENS = frozenset({"youtube", "tiktok"})
_NAMES: Mapping[tuple[Platform, Flavour], str] = {
    ("youtube", ""): "YouTube",
    ("tiktok", ""): "TikTok",
    ("instagram", "facebook_login"): "Instagram, through Facebook",
    ("instagram", "instagram_login"): "Instagram",
}
_NOBODY: Mapping[tuple[Platform, Flavour], str] = {
    ("youtube", ""): "This Google account has no YouTube channel: make one at youtube.com, then connect again.",
    ("tiktok", ""): "TikTok did not say whose account it is: connect again.",
    (
        "instagram",
        "facebook_login",
    ): "No Facebook Page with a linked Instagram account was found: link the professional "
    "account to a Page in Instagram's settings, and choose both when you connect again.",
    ("instagram", "instagram_login"): "Instagram named no professional account: switch it to Business or Creator in "
    "its settings, then connect again.",
}
_WHERE_TO_SET_UP: Mapping[tuple[Platform, Flavour], str] = {
    ("youtube", ""): "the OAuth client in your Google Cloud project",
    ("tiktok", ""): "your app at TikTok for Developers",
    ("instagram", "facebook_login"): "your app at Meta for Developers",
    ("instagram", "instagram_login"): "the Instagram app of your app at Meta for Developers",
}

_logger = log.get(__name__)


class Ways(Protocol):
    """How accounts are connected, and as whom: `platforms/registry.py`."""

    def login(self, platform: Platform, flavour: Flavour) -> Login: ...

    def publisher(self, platform: Platform, flavour: Flavour) -> Publisher: ...

    def app(self, platform: Platform, flavour: Flavour) -> App | None: ...


@runtime_checkable
class Choosing(Protocol):
    """A platform that says what a post may be: TikTok."""

    async def choices(self, grant: Grant) -> Choices: ...


class NotConnected(BadRequest):
    """Nothing was connected."""

    code = "not_connected"


class _Promise(msgspec.Struct, frozen=True, kw_only=True):
    """What lies sealed while the browser is away."""

    verifier: str
    redirect_uri: str
    direct: bool
    user_id: str = OWNER_ID  # of one that was begun before this was written


_promise = msgspec.json.Decoder(_Promise)


class Connector:
    """Connects and disconnects accounts."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        ways: Ways,
        keeper: Keeper,
        *,
        config: Config,
        clock: Clock,
        now: Callable[[], int],
    ) -> None:
        """
        Args:
            clock: by which tokens end.
            now: unix ms of the wall clock, by which a person has 10 minutes.
        """
        self._store = store
        self._vault = vault
        self._ways = ways
        self._keeper = keeper
        self._config = config
        self._clock = clock
        self._now = now

    def ways(self, origin: str) -> list[LoginWay]:
        """How accounts can be connected, and what is missing where they cannot.

        Args:
            origin: where browsers reach this daemon: "http://127.0.0.1:8000".
        """
        return [self._way(platform, flavour, origin=origin) for platform, flavour in WAYS]

    async def ask(self, platform: Platform, flavour: Flavour, *, direct: bool, origin: str, user_id: str) -> str:
        """Where a browser is to be sent. A secret: whoever opens it can connect their account here.

        Args:
            flavour: of Instagram; "": the one that is configured, Facebook Login first.
            direct: of TikTok, the permission to post, and not only to leave drafts, is asked for too.
            user_id: whose the account will be.
        Raises:
            BadRequest: the platform has no such login.
            Conflict: the settings do not say how this installation is known there.
        """
        flavour = flavour or self._usual(platform)
        if (platform, flavour) not in WAYS:
            raise BadRequest(f"flavour={flavour}: {NAMES[platform]} has no such login.")
        app = self._app(platform, flavour, origin=origin)
        state, redirect_uri = secrets.token_urlsafe(32), f"{origin}/oauth/{platform}"
        asked = self._ways.login(platform, flavour).ask(app, redirect_uri=redirect_uri, state=state, direct=direct)
        promise = _Promise(verifier=asked.verifier, redirect_uri=redirect_uri, direct=direct, user_id=user_id)
        key, now = _hash(state), self._now()
        sealed = self._vault.seal(msgspec.json.encode(promise), place=_place(key))

        def begin(db: Tables) -> None:
            db.accounts.prune_connecting(before_ms=now - LASTS_MS)
            db.accounts.begin_connecting(
                Connecting(state_hash=key, platform=platform, flavour=flavour, sealed=sealed, created_at=now)
            )

        await self._store.write(begin)
        return asked.url

    async def finish(self, platform: str, answer: Mapping[str, str]) -> list[Account]:
        """The accounts that an answer of the platform, in the query of the redirect, connects.

        Raises:
            NotConnected: saying why, and what to do.
        """
        begun = await self._begun(platform, answer.get("state", ""))
        name = NAMES[begun.platform]
        if "error" in answer or not answer.get("code"):
            raise NotConnected(_denied(name, answer))
        try:
            promise = _promise.decode(self._vault.open(begun.sealed, place=_place(begun.state_hash)))
            origin = promise.redirect_uri.removesuffix(f"/oauth/{platform}")
            app = self._app(begun.platform, begun.flavour, origin=origin)
            tokens, found = await self._identified(begun, app, promise, code=answer["code"])
        except (PlatformError, Conflict, SealBroken) as error:
            _logger.warning("an account was not connected", platform=begun.platform, why=str(error))
            raise NotConnected(_sentence(f"{name}: {error}"), hint=error.hint or "Connect again.") from error
        return await self._store.write(lambda db: [self._store_one(db, begun, one, tokens, promise) for one in found])

    async def disconnect(self, account_id: str) -> Account:
        """Its tokens are given back where the platform knows how, and forgotten in any case.

        Raises:
            NotFound; Conflict: it is disconnected already, or another home lives by its tokens.
        """
        if (held := await self._store.read(held_by)) is not None:
            raise Conflict(held.message, code=held.why)
        async with self._keeper.lock(account_id):
            tokens, shared = await self._last_tokens(account_id)
            account = await self._store.write(lambda db: disconnect_account(db, account_id, now=self._clock.now()))
        app = self._ways.app(account.platform, account.flavour)
        if tokens is None or app is None or shared:
            return account
        try:
            await self._ways.login(account.platform, account.flavour).revoke(app, tokens)
        except PlatformError as error:  # it is forgotten here all the same
            _logger.warning("tokens were not revoked", account=account_id, platform=account.platform, why=str(error))
        return account

    async def choices(self, account_id: str) -> Choices:
        """What the account lets its posts be at this moment: asked of the platform.

        Raises:
            NotFound; Conflict: its platform has no such question, or has not granted it; PlatformError.
        """
        account = await self._store.read(lambda db: db.accounts.get(account_id))
        publisher = self._ways.publisher(account.platform, account.flavour)
        if not isinstance(publisher, Choosing):
            raise Conflict(f"{NAMES[account.platform]} offers the same to every account.")
        if account.state != "connected" or DIRECT_SCOPE not in account.scopes:
            raise Conflict("Direct posts are not granted.", hint="Connect the account again and ask for them.")
        return await publisher.choices(await self._keeper.grant(account_id))

    async def rotate_keys(self) -> Rotated:
        """Seal everything with the newest key: this process is the one whose vault seals."""
        return await rotate_keys(self._store, self._vault, self._config)

    async def _begun(self, platform: str, state: str) -> Connecting:
        key, now = _hash(state), self._now()
        begun = await self._store.write(lambda db: db.accounts.finish_connecting(key)) if state else None
        if begun is None or begun.created_at < now - LASTS_MS or begun.platform != platform:
            raise NotConnected(
                "This address belongs to no connection that was begun here in the last 10 minutes, or it was used.",
                hint="Begin again on the accounts page.",
                code="unknown_state",
            )
        return begun

    async def _identified(
        self, begun: Connecting, app: App, promise: _Promise, *, code: str
    ) -> tuple[Tokens, list[Identity]]:
        login = self._ways.login(begun.platform, begun.flavour)
        tokens = await login.exchange(app, code=code, redirect_uri=promise.redirect_uri, verifier=promise.verifier)
        if begun.platform in _NEED_REFRESH_TOKENS and not tokens.refresh_token:
            raise PlatformError(
                "no refresh token was given, so publishing would end within hours.",
                kind="REAUTH",
                code="no_refresh_token",
                hint="Take VidProd's access back in the settings of your account there, then connect again.",
            )
        found = await login.identify(app, tokens)
        if not found:
            raise PlatformError(_NOBODY[begun.platform, begun.flavour], kind="REAUTH", code="no_account")
        return tokens, found

    def _store_one(
        self, db: Tables, begun: Connecting, identity: Identity, given: Tokens, promise: _Promise
    ) -> Account:
        now, tokens = self._clock.now(), identity.tokens or given
        known = db.accounts.find(begun.platform, begun.flavour, identity.external_id)
        account_id = known.id if known else new_id("acc", now=now)
        access, refresh = ends(tokens, now=now)
        scopes = list(tokens.scopes or given.scopes)
        account = db.accounts.add(
            Account(
                id=account_id,
                user_id=promise.user_id,
                platform=begun.platform,
                flavour=begun.flavour,
                external_id=identity.external_id,
                name=identity.name,
                username=identity.username,
                state="connected",
                scopes=scopes,
                notices=list(identity.notices),
                settings=AccountSettings(delivery="direct" if promise.direct and DIRECT_SCOPE in scopes else "draft"),
                connected_at=now,
                access_expires_at=access,
                refresh_expires_at=refresh,
            ),
            seal(self._vault, account_id, tokens),
        )
        db.events.record("account.connected", data={**about(account), "again": known is not None}, now=now)
        return account

    async def _last_tokens(self, account_id: str) -> tuple[Tokens | None, bool]:
        """Of an account that is about to go, and whether another lives by the same grant."""

        def read(db: Tables) -> list[tuple[Account, bytes]]:
            mine = db.accounts.get(account_id)
            return [
                (one, db.accounts.tokens(one.id))
                for one in db.accounts.list()
                if (one.platform, one.flavour) == (mine.platform, mine.flavour)
            ]

        found: dict[str, Tokens] = {}
        for account, sealed in await self._store.read(read):
            with contextlib.suppress(SealBroken):  # then there is nothing to give back
                found[account.id] = opened(self._vault, account, sealed)
        mine = found.pop(account_id, None)
        return mine, mine is not None and mine.access_token in {one.access_token for one in found.values()}

    def _usual(self, platform: Platform) -> Flavour:
        flavours = [flavour for one, flavour in WAYS if one == platform]
        return next((flavour for flavour in flavours if self._ways.app(platform, flavour)), flavours[0])

    def _app(self, platform: Platform, flavour: Flavour, *, origin: str) -> App:
        app = self._ways.app(platform, flavour)
        if app is None:
            raise Conflict(
                f"{_NAMES[platform, flavour]} is not set up", hint=self._how_to_set_up(platform, flavour, origin)
            )
        return app

    def _way(self, platform: Platform, flavour: Flavour, *, origin: str) -> LoginWay:
        configured, hint = self._ways.app(platform, flavour) is not None, ""
        if not configured:
            hint = self._how_to_set_up(platform, flavour, origin)
        elif flavour == "instagram_login" and not self._config.public_url:
            hint = "Without public_url nothing can be published: Instagram fetches segments from there."
        elif flavour == "facebook_login":
            hint = "For a professional account that is linked to a Facebook Page."
        return LoginWay(
            platform=platform, flavour=flavour, name=_NAMES[platform, flavour], configured=configured, hint=hint
        )

    def _how_to_set_up(self, platform: Platform, flavour: Flavour, origin: str) -> str:
        names = settings_of(platform, flavour)
        variables = " and ".join(PREFIX + name.upper() for name in names)
        there = _WHERE_TO_SET_UP[platform, flavour]
        return (
            f"Set {names[0]} and {names[1]} ({variables}) to what {there} says, and enter there the redirect address "
            f"{origin}/oauth/{platform}."
        )


def _hash(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


def _place(state_hash: str) -> str:
    return f"connecting|{state_hash}|sealed"


def _denied(name: str, answer: Mapping[str, str]) -> str:
    """Their words are bounded: they come from the address, which anybody may have written."""
    if answer.get("error") in ("access_denied", "user_cancelled_authorize"):
        return f"It was not allowed at {name}: nothing was connected."
    told = answer.get("error_description") or answer.get("error_message") or answer.get("error") or "it sent no code"
    return _sentence(f"{name} refused: {told[:300]}")


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
