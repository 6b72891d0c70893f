"""Sessions at rest."""

from collections.abc import Sequence

from vidprod.domain.session import Session
from vidprod.errors import NotFound
from vidprod.store.sqlite.table import Table


class Sessions(Table):
    """The rows of `session`."""

    def add(self, session: Session) -> Session:
        self._run(
            """
            insert into session (id, user_id, hash, created_at, used_at, agent, address)
            values (:id, :user_id, :hash, :created_at, :used_at, :agent, :address)
            """,
            id=session.id,
            user_id=session.user_id,
            hash=session.hash,
            created_at=session.created_at,
            used_at=session.used_at,
            agent=session.agent,
            address=session.address,
        )
        return session

    def find(self, token_hash: str) -> Session | None:
        """By the hash of its token."""
        row = self._one("select * from session where hash = :hash", hash=token_hash)
        return None if row is None else Session(**row)

    def get(self, session_id: str) -> Session:
        """Raises NotFound."""
        row = self._one("select * from session where id = :id", id=session_id)
        if row is None:
            raise NotFound(f"there is no session {session_id}")
        return Session(**row)

    def list(self, user_id: str) -> Sequence[Session]:
        """Of a user, the one that was used last first; those too that are over."""
        rows = self._all("select * from session where user_id = :id order by used_at desc, id desc", id=user_id)
        return [Session(**row) for row in rows]

    def touch(self, session_id: str, *, now: int) -> None:
        """It was used just now. A clock that was put back takes nothing away."""
        self._run("update session set used_at = :now where id = :id and used_at < :now", id=session_id, now=now)

    def end(self, session_id: str) -> None:
        """Whoever holds its token is a stranger from now on."""
        self._run("delete from session where id = :id", id=session_id)

    def end_all(self, user_id: str) -> int:
        """Everywhere. How many."""
        return self._run("delete from session where user_id = :id", id=user_id)

    def forget_over(self, *, unused_since: int, older_than: int) -> int:
        """Those that let nobody in any more. How many."""
        return self._run(
            "delete from session where used_at <= :unused or created_at <= :older",
            unused=unused_since,
            older=older_than,
        )
