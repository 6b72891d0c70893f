"""Accounts at rest, with their tokens sealed, and authorisations that are under way."""

from collections.abc import Sequence
from typing import Any

import msgspec

from vidprod.domain.account import Account, AccountSettings, Flavour, Platform
from vidprod.errors import Conflict, NotFound
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import Table, to_json

SAME_END_MS = 3600_000  # platforms say how many seconds are left, and count them anew each time

_settings = msgspec.json.Decoder(AccountSettings)
_texts = msgspec.json.Decoder(list[str])


class Connecting(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `connecting`: what the redirect of an authorisation is checked against. `sealed` is a secret."""

    state_hash: str
    platform: Platform
    flavour: Flavour
    sealed: bytes
    created_at: int  # unix ms


def _account(row: Row) -> Account:
    return Account(
        id=row["id"],
        user_id=row["user_id"],
        platform=row["platform"],
        flavour=row["flavour"],
        external_id=row["external_id"],
        name=row["name"],
        username=row["username"],
        state=row["state"],
        scopes=_texts.decode(row["scopes"]),
        notices=_texts.decode(row["notices"]),
        settings=_settings.decode(row["settings"]),
        connected_at=row["connected_at"],
        access_expires_at=row["access_expires_at"],
        refresh_expires_at=row["refresh_expires_at"],
        refreshed_at=row["refreshed_at"],
        paused_at=row["paused_at"],
        parked_until=row["parked_until"],
        fault=row["fault"],
    )


class Accounts(Table):
    """The rows of `account` and `connecting`. Each change of an account wakes the publisher."""

    def add(self, account: Account, tokens: bytes) -> Account:
        """Connect it, for the first time or again. One that is there by its platform, flavour and external id keeps
        its id, its settings, its pause and its parking.

        Args:
            tokens: sealed for "account|<id>|tokens".
        Raises:
            Conflict: it is there under another id: `find` it first, in the same transaction.
        """
        row = self._one(
            """
            insert into account (id, user_id, platform, flavour, external_id, name, username, state, scopes, notices,
                settings, tokens, connected_at, access_expires_at, refresh_expires_at, refreshed_at, paused_at,
                parked_until)
            values (:id, :user_id, :platform, :flavour, :external_id, :name, :username, 'connected', :scopes, :notices,
                :settings, :tokens, :connected_at, :access_expires_at, :refresh_expires_at, :refreshed_at, :paused_at,
                :parked_until)
            on conflict (platform, flavour, external_id) do update
            set name = excluded.name, username = excluded.username, state = 'connected', scopes = excluded.scopes,
                notices = excluded.notices, tokens = excluded.tokens, refreshing_at = null,
                connected_at = excluded.connected_at, access_expires_at = excluded.access_expires_at,
                refresh_expires_at = excluded.refresh_expires_at, refreshed_at = excluded.refreshed_at,
                warned_at = null, fault = null
            where id = excluded.id
            returning *
            """,
            id=account.id,
            user_id=account.user_id,
            platform=account.platform,
            flavour=account.flavour,
            external_id=account.external_id,
            name=account.name,
            username=account.username,
            scopes=to_json(account.scopes),
            notices=to_json(account.notices),
            settings=to_json(account.settings),
            tokens=tokens,
            connected_at=account.connected_at,
            access_expires_at=account.access_expires_at,
            refresh_expires_at=account.refresh_expires_at,
            refreshed_at=account.refreshed_at,
            paused_at=account.paused_at,
            parked_until=account.parked_until,
        )
        if row is None:
            raise Conflict(f"{account.platform} account {account.external_id} is connected under another id")
        self._outcome.publishing = True
        return _account(row)

    def get(self, account_id: str) -> Account:
        """Raises NotFound."""
        row = self._one("select * from account where id = :id", id=account_id)
        if row is None:
            raise NotFound(f"there is no account {account_id}")
        return _account(row)

    def find(self, platform: Platform, flavour: Flavour, external_id: str) -> Account | None:
        """By what the platform calls it."""
        row = self._one(
            """
            select * from account
            where platform = :platform and flavour = :flavour and external_id = :external_id
            """,
            platform=platform,
            flavour=flavour,
            external_id=external_id,
        )
        return None if row is None else _account(row)

    def list(self, *, disconnected: bool = False) -> Sequence[Account]:
        """By platform and name.

        Args:
            disconnected: those too that were given back.
        """
        return [
            _account(row)
            for row in self._all(
                """
                select * from account
                where state <> 'disconnected' or :disconnected
                order by platform, name collate nocase, id
                """,
                disconnected=disconnected,
            )
        ]

    def tokens(self, account_id: str) -> bytes:
        """Sealed. Raises NotFound; Conflict: it is disconnected and has none."""
        row = self._one("select tokens from account where id = :id", id=account_id)
        if row is None:
            raise NotFound(f"there is no account {account_id}")
        if row["tokens"] is None:
            raise Conflict(f"the account {account_id} is disconnected")
        sealed: bytes = row["tokens"]
        return sealed

    def refreshing_at(self, account_id: str) -> int | None:
        """When a refresh was asked for whose answer is not stored; None: there is none."""
        value = self._value("select refreshing_at from account where id = :id", id=account_id)
        return None if value is None else int(value)

    def begin_refresh(self, account_id: str, *, now: int) -> None:
        """On disk before the platform is asked: the answer may make the present tokens worthless. Raises Conflict when
        it is not connected."""
        self._moved(
            "update account set refreshing_at = :now where id = :id and state = 'connected' returning *",
            account_id,
            now=now,
        )

    def end_refresh(self, account_id: str, *, since: int) -> None:
        """Nothing came of the refresh begun at `since`: the platform was not reached, or it refused."""
        self._run(
            "update account set refreshing_at = null where id = :id and refreshing_at = :since",
            id=account_id,
            since=since,
        )

    def set_tokens(
        self,
        account_id: str,
        tokens: bytes,
        *,
        scopes: Sequence[str],
        access_expires_at: int | None,
        refresh_expires_at: int | None,
        since: int,
        now: int,
    ) -> Account:
        """What the refresh begun at `since` brought.

        Args:
            refresh_expires_at: another one than before, by more than `SAME_END_MS`, is worth new warnings.
        Raises:
            Conflict: the account was connected anew or disconnected meanwhile: its tokens are others.
        """
        return self._moved(
            """
            update account
            set tokens = :tokens, scopes = :scopes, access_expires_at = :access_expires_at,
                warned_at = iif(abs(refresh_expires_at - :refresh_expires_at) < :same, warned_at, null),
                refresh_expires_at = :refresh_expires_at, refreshed_at = :now, refreshing_at = null
            where id = :id and refreshing_at = :since and state <> 'disconnected'
            returning *
            """,
            account_id,
            tokens=tokens,
            scopes=to_json(scopes),
            access_expires_at=access_expires_at,
            refresh_expires_at=refresh_expires_at,
            since=since,
            same=SAME_END_MS,
            now=now,
        )

    def need_reauth(self, account_id: str, fault: str) -> Account:
        """connected → needs_reauth.

        Args:
            fault: why, in words.
        Raises:
            Conflict: it is not connected.
        """
        return self._moved(
            """
            update account
            set state = 'needs_reauth', fault = :fault, refreshing_at = null
            where id = :id and state = 'connected'
            returning *
            """,
            account_id,
            fault=fault,
        )

    def pause(self, account_id: str, *, now: int) -> Account:
        """Nothing of it goes out any more; one that is paused stays as it is."""
        return self._moved(
            "update account set paused_at = coalesce(paused_at, :now) where id = :id returning *", account_id, now=now
        )

    def resume(self, account_id: str) -> Account:
        """As before the pause. What the platform has parked stays parked."""
        return self._moved("update account set paused_at = null where id = :id returning *", account_id)

    def park(self, account_id: str, *, until: int) -> Account:
        """The platform wants nothing of it before `until`, unix ms; a later time that is there already stays."""
        return self._moved(
            "update account set parked_until = max(coalesce(parked_until, 0), :until) where id = :id returning *",
            account_id,
            until=until,
        )

    def set_settings(self, account_id: str, settings: AccountSettings) -> Account:
        """Raises NotFound; Conflict: it is disconnected."""
        return self._moved(
            "update account set settings = :settings where id = :id and state <> 'disconnected' returning *",
            account_id,
            settings=to_json(settings),
        )

    def set_notices(self, account_id: str, notices: Sequence[str]) -> Account:
        """What is missing or limited, in words; instead of those that were there."""
        return self._moved(
            "update account set notices = :notices where id = :id returning *", account_id, notices=to_json(notices)
        )

    def disconnect(self, account_id: str) -> Account:
        """→ disconnected: its tokens are forgotten. Raises Conflict when it is so already."""
        return self._moved(
            """
            update account
            set state = 'disconnected', tokens = null, refreshing_at = null, warned_at = null, fault = null,
                access_expires_at = null, refresh_expires_at = null, scopes = '[]', notices = '[]'
            where id = :id and state <> 'disconnected'
            returning *
            """,
            account_id,
        )

    def warned_at(self, account_id: str) -> int | None:
        """When it was last announced that its grant ends; None: not for the present end."""
        value = self._value("select warned_at from account where id = :id", id=account_id)
        return None if value is None else int(value)

    def warned(self, account_id: str, *, now: int) -> None:
        """It was announced that its grant ends."""
        self._run("update account set warned_at = :now where id = :id", id=account_id, now=now)

    def begin_connecting(self, connecting: Connecting) -> None:
        """Raises Conflict when the state is taken."""
        self._run(
            """
            insert into connecting (state_hash, platform, flavour, sealed, created_at)
            values (:state_hash, :platform, :flavour, :sealed, :created_at)
            """,
            **msgspec.structs.asdict(connecting),
        )

    def finish_connecting(self, state_hash: str) -> Connecting | None:
        """It serves once: it is gone with this. None: it never was, or was used."""
        row = self._one("delete from connecting where state_hash = :hash returning *", hash=state_hash)
        return None if row is None else Connecting(**row)

    def prune_connecting(self, *, before_ms: int) -> int:
        """Forget authorisations that nobody came back from. How many."""
        return self._run("delete from connecting where created_at < :before", before=before_ms)

    def _moved(self, sql: str, account_id: str, **values: Any) -> Account:
        row = self._one(sql, id=account_id, **values)
        if row is None:
            raise Conflict(f"the account {account_id} is {self.get(account_id).state}, or has changed meanwhile")
        self._outcome.publishing = True
        return _account(row)
