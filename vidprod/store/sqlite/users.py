"""Users at rest: the owner's row, password and authenticator, and the codes for when that is lost."""

from collections.abc import Iterable

from vidprod.domain.user import OWNER_ID, User
from vidprod.errors import Conflict, NotFound
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import Table


def _user(row: Row) -> User:
    return User(
        id=row["id"],
        name=row["name"],
        password=row["password"],
        password_at=row["password_at"],
        totp=row["totp"],
        totp_at=row["totp_at"],
        created_at=row["created_at"],
    )


class Users(Table):
    """The rows of `user` and `recovery_code`."""

    def get(self, user_id: str = OWNER_ID) -> User:
        """Raises NotFound."""
        row = self._one("select * from user where id = :id", id=user_id)
        if row is None:
            raise NotFound(f"there is no user {user_id}")
        return _user(row)

    def find(self, name: str) -> User | None:
        """One who can sign in, by name, without regard to case."""
        row = self._one("select * from user where fold(name) = fold(:name) and password is not null", name=name)
        return None if row is None else _user(row)

    def can_sign_in(self) -> bool:
        """Whether anybody has a password."""
        return bool(self._value("select exists (select 1 from user where password is not null)"))

    def claim(self, name: str, password: str, *, now: int) -> User:
        """The first password, of who sets VidProd up. Raises Conflict: there is an owner already."""
        row = self._one(
            """
            update user set name = :name, password = :password, password_at = :now
            where id = :id and password is null
            returning *
            """,
            id=OWNER_ID,
            name=name,
            password=password,
            now=now,
        )
        if row is None:
            raise Conflict("There is an owner already.", code="has_owner", hint="Sign in at /login.")
        return _user(row)

    def set_password(self, user_id: str, password: str, *, now: int, name: str | None = None) -> User:
        """Another password, and another name where one is given. Raises NotFound."""
        row = self._one(
            """
            update user set password = :password, password_at = :now, name = coalesce(:name, name)
            where id = :id
            returning *
            """,
            id=user_id,
            password=password,
            name=name,
            now=now,
        )
        if row is None:
            raise NotFound(f"there is no user {user_id}")
        return _user(row)

    def rehash(self, user_id: str, password: str, *, was: str) -> None:
        """The same password, hashed as it is hashed now; not if it has changed meanwhile."""
        self._run(
            "update user set password = :password where id = :id and password = :was",
            id=user_id,
            password=password,
            was=was,
        )

    def forget(self, user_id: str) -> None:
        """As before the setup: neither password nor authenticator. Sessions are another table's."""
        self._run(
            """
            update user
            set name = '', password = null, password_at = null, totp = null, totp_at = null, totp_step = null
            where id = :id
            """,
            id=user_id,
        )
        self._run("delete from recovery_code where user_id = :id", id=user_id)

    def begin_totp(self, user_id: str, sealed: bytes) -> None:
        """A secret that is asked for once it was confirmed. Raises Conflict: one is asked for already."""
        if not self._run(
            """
            update user set totp = :sealed, totp_step = null
            where id = :id and totp_at is null and password is not null
            """,
            id=user_id,
            sealed=sealed,
        ):
            raise Conflict("An authenticator is in use already.", hint="Turn it off first.")

    def confirm_totp(self, user_id: str, *, was: bytes, now: int) -> None:
        """From now on its codes are asked for. Raises Conflict: the secret is not the one that was begun last."""
        if not self._run(
            "update user set totp_at = :now where id = :id and totp_at is null and totp = :was",
            id=user_id,
            was=was,
            now=now,
        ):
            raise Conflict("Another authenticator was begun meanwhile.", hint="Begin anew.")

    def end_totp(self, user_id: str) -> None:
        """No codes are asked for any more."""
        self._run("update user set totp = null, totp_at = null, totp_step = null where id = :id", id=user_id)
        self._run("delete from recovery_code where user_id = :id", id=user_id)

    def take_step(self, user_id: str, step: int) -> bool:
        """Whether the code of this step was not taken before, nor one of a later step. Source: RFC 6238, 5.2."""
        return bool(
            self._run(
                "update user set totp_step = :step where id = :id and coalesce(totp_step, -1) < :step",
                id=user_id,
                step=step,
            )
        )

    def set_recovery_codes(self, user_id: str, hashes: Iterable[str]) -> None:
        """These instead of those there were."""
        self._run("delete from recovery_code where user_id = :id", id=user_id)
        for one in hashes:
            self._run("insert into recovery_code (hash, user_id) values (:hash, :id)", hash=one, id=user_id)

    def use_recovery_code(self, user_id: str, code_hash: str, *, now: int) -> bool:
        """Whether it was one that had not been used."""
        return bool(
            self._run(
                """
                update recovery_code set used_at = :now
                where hash = :hash and user_id = :id and used_at is null
                """,
                hash=code_hash,
                id=user_id,
                now=now,
            )
        )

    def recovery_codes_left(self, user_id: str) -> int:
        return int(
            self._value("select count(*) from recovery_code where user_id = :id and used_at is null", id=user_id)
        )
