"""The door: who may come in now, by which key or session.

Three ways it can be:

- open: on this machine, as long as there is neither owner nor key, or by the setting `access`. Nobody is asked.
- setup: where others can reach it and there is neither owner nor key. Nothing works but `/setup`, with the setup code.
- asking: a session's cookie or a key, for everything that is not meant for strangers.
"""

import hmac
import secrets
import time
from collections.abc import Callable
from typing import Literal

from vidprod.config import Config
from vidprod.domain import key as keys
from vidprod.domain import session as sessions
from vidprod.domain.key import Key
from vidprod.domain.session import Session
from vidprod.domain.who import EVERYTHING, Who
from vidprod.errors import NoSpace, Unavailable, VidProdError
from vidprod.hosts import is_loopback
from vidprod.store.sqlite import Store, Tables
from vidprod.telemetry import log

Mode = Literal["open", "setup", "asking"]

_SEEN_MS = 60_000  # when somebody was here last is written once in so long
_FRESH_S = 1.0  # whether there is an owner is looked up so often: a command beside the daemon may have made one
_NOBODYS = "0" * 64  # compared with where there is no such key
_CODE_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"  # base 32
_CODE_LENGTH = 20  # 100 bits

_log = log.get(__name__)


class BadKey(VidProdError):
    """This key lets nobody in."""

    code = "bad_key"
    status = 401
    hint = "It was mistyped, revoked or has expired: `vidprod keys list` shows those there are."


class Door:
    """Who may come in now. One for the application."""

    def __init__(self, store: Store, config: Config, now: Callable[[], int]) -> None:
        self._store = store
        self._config = config
        self._now = now
        self._asks = False
        self._asked_at_s = -_FRESH_S
        self._seen: dict[str, int] = {}  # session or key → unix ms of what was written last
        self._code_hash = ""

    @property
    def asks_nobody(self) -> bool:
        """By the setting: whoever comes may come in, through a proxy too."""
        return self._config.access == "open"

    async def mode(self) -> Mode:
        """How it is now. The first time it has to be set up, its setup code goes to the log."""
        if self.asks_nobody:
            return "open"
        if time.monotonic() - self._asked_at_s >= _FRESH_S:
            self._asks = await self._store.read(_is_claimed)
            self._asked_at_s = time.monotonic()
        if self._asks:
            self._code_hash = ""
            return "asking"
        if is_private(self._config):
            return "open"
        if not self._code_hash:
            self._make_code()
        return "setup"

    def look_again(self) -> None:
        """Something about owners or keys has changed."""
        self._asked_at_s = -_FRESH_S

    def is_setup_code(self, code: str) -> bool:
        """Whether it is the one that is valid now."""
        return bool(self._code_hash) and hmac.compare_digest(_code_hash(code), self._code_hash)

    async def by_key(self, text: str) -> Who:
        """Who has this key. Raises BadKey."""
        if not keys.is_whole(text):
            raise BadKey
        key = await self._store.read(lambda db: db.keys.find(keys.public_id_of(text)))
        is_it = hmac.compare_digest(keys.hash_of(text), _NOBODYS if key is None else key.hash)
        if not is_it or key is None or not key.is_live(now=self._now()):
            raise BadKey
        await self._note(key)
        return Who(kind="key", user_id=key.user_id, key_id=key.id, scopes=frozenset(key.scopes))

    async def by_token(self, token: str) -> Who | None:
        """Whose session it is; None when it is over, or was never one of ours."""
        session = await self._store.read(lambda db: db.sessions.find(sessions.hash_of(token)))
        if session is None or not self.is_live(session):
            return None
        await self._note(session)
        return Who(kind="owner", user_id=session.user_id, session_id=session.id, scopes=EVERYTHING)

    async def still_lets_in(self, who: Who | None) -> bool:
        """Whether who came in some time ago could come in again."""

        def look(db: Tables) -> bool:
            if who is None or who.kind == "open":
                return True
            if who.session_id is not None:
                return any(one.id == who.session_id and self.is_live(one) for one in db.sessions.list(who.user_id))
            return db.keys.get(who.key_id or "").is_live(now=self._now())

        return await self._store.read(look)

    def is_live(self, session: Session) -> bool:
        return session.is_live(
            now=self._now(),
            idle_ms=self._config.session_idle_s * 1000,
            longest_ms=self._config.session_longest_s * 1000,
        )

    async def _note(self, one: Key | Session) -> None:
        """That it was used, once a minute."""
        now = self._now()
        if now - max(one.used_at or 0, self._seen.get(one.id, 0)) < _SEEN_MS:
            return
        self._seen[one.id] = now

        def write(db: Tables) -> None:
            (db.keys if isinstance(one, Key) else db.sessions).touch(one.id, now=now)

        try:
            await self._store.write(write)
        except (NoSpace, Unavailable) as error:  # no reason to let nobody in
            _log.debug("last use not written", exc_info=error)

    def _make_code(self) -> None:
        code = self._config.setup_code or "".join(secrets.choice(_CODE_ALPHABET) for _ in range(_CODE_LENGTH))
        self._code_hash = _code_hash(code)
        if self._config.setup_code:
            _log.warning("not set up yet: open /setup, with the setup code of VIDPROD_SETUP_CODE")
            return
        grouped = "-".join(code[start : start + 5] for start in range(0, _CODE_LENGTH, 5))
        _log.warning(f"not set up yet: open /setup, with the setup code {grouped}")


def is_private(config: Config) -> bool:
    """Whether only this machine can reach it: by the address it listens on, and by the one it says it has."""
    return is_loopback(config.host) and (not config.public_host or is_loopback(config.public_host))


def _is_claimed(db: Tables) -> bool:
    return db.users.can_sign_in() or db.keys.are_kept()


def _code_hash(code: str) -> str:
    """However it was written down."""
    return keys.hash_of("".join(code.split()).replace("-", "").upper())
