"""API keys at rest: their hashes. A key that was revoked stays, so that it is known whose it was."""

from collections.abc import Sequence

import msgspec

from vidprod.domain.key import Key, make_key
from vidprod.domain.who import Scope
from vidprod.errors import Conflict, NotFound
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import Table, to_json

_scopes = msgspec.json.Decoder(list[Scope])


def _key(row: Row) -> Key:
    return Key(**{**row, "scopes": _scopes.decode(row["scopes"])})


class Keys(Table):
    """The rows of `api_key`."""

    def add(self, key: Key) -> Key:
        """Raises Conflict when its id or public id is taken."""
        self._run(
            """
            insert into api_key (id, user_id, name, public_id, hash, scopes, created_at, expires_at)
            values (:id, :user_id, :name, :public_id, :hash, :scopes, :created_at, :expires_at)
            """,
            id=key.id,
            user_id=key.user_id,
            name=key.name,
            public_id=key.public_id,
            hash=key.hash,
            scopes=to_json(key.scopes),
            created_at=key.created_at,
            expires_at=key.expires_at,
        )
        return key

    def get(self, key_id: str) -> Key:
        """Raises NotFound."""
        row = self._one("select * from api_key where id = :id", id=key_id)
        if row is None:
            raise NotFound(f"there is no key {key_id}")
        return _key(row)

    def find(self, public_id: str) -> Key | None:
        row = self._one("select * from api_key where public_id = :public_id", public_id=public_id)
        return None if row is None else _key(row)

    def list(self) -> Sequence[Key]:
        """All, the newest first; those too that are revoked."""
        return [_key(row) for row in self._all("select * from api_key order by id desc")]

    def are_kept(self) -> bool:
        """Whether any was made and not revoked. One that has expired counts: that it ends must open no door."""
        return bool(self._value("select exists (select 1 from api_key where revoked_at is null)"))

    def touch(self, key_id: str, *, now: int) -> None:
        """It was used just now."""
        self._run("update api_key set used_at = :now where id = :id", id=key_id, now=now)

    def revoke(self, key_id: str, *, now: int) -> Key:
        """From now on nobody gets in with it; one that is revoked stays as it is. Raises NotFound."""
        self._run("update api_key set revoked_at = :now where id = :id and revoked_at is null", id=key_id, now=now)
        return self.get(key_id)

    def rotate(self, key_id: str, *, keep_s: int, now: int) -> tuple[Key, str]:
        """Another key of the same name and scopes, for as long as this one was made for, and what it is shown as. This
        one works too for `keep_s`, if it would have worked so long. Two of a line live at most: one that this replaced
        itself ends now.

        Raises:
            NotFound: there is no such key.
            Conflict: it lets nobody in any more, or was rotated already.
        """
        old = self.get(key_id)
        if not old.is_live(now=now):
            raise Conflict(f"The key {old.public_id} works no more.", hint="Make a new one.")
        if old.replaced_by is not None:
            raise Conflict(f"The key {old.public_id} was rotated already.", hint="Rotate the newest.")
        until = None if old.expires_at is None else now + old.expires_at - old.created_at
        key, secret = make_key(old.name, old.scopes, user_id=old.user_id, expires_at=until, now=now)
        self.add(key)
        self._run(
            "update api_key set revoked_at = :now where replaced_by = :id and revoked_at is null", id=key_id, now=now
        )
        self._run(
            """
            update api_key
            set replaced_by = :by, expires_at = min(coalesce(expires_at, :until), :until)
            where id = :id
            """,
            id=key_id,
            by=key.id,
            until=now + keep_s * 1000,
        )
        return key, secret
