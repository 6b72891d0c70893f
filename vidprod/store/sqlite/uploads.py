"""Uploads at rest. What moves one says from which state; from any other it raises Conflict, without one NotFound."""

from collections.abc import Sequence

import msgspec

from vidprod.domain.job import Fault
from vidprod.domain.upload import Upload
from vidprod.errors import Conflict, NotFound
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import Table, to_json

_parts = msgspec.json.Decoder(list[str])
_fault = msgspec.json.Decoder(Fault)


def _upload(row: Row) -> Upload:
    return Upload(
        id=row["id"],
        user_id=row["user_id"],
        state=row["state"],
        kind=row["kind"],
        length=row["length"],
        offset=row["offset"],
        metadata=row["metadata"],
        extension=row["extension"],
        parts=[] if row["parts"] is None else _parts.decode(row["parts"]),
        job_id=row["job_id"],
        error=None if row["error"] is None else _fault.decode(row["error"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        finished_at=row["finished_at"],
    )


class Uploads(Table):
    """The rows of `upload`."""

    def add(self, upload: Upload, *, webhook_secret: bytes | None = None) -> Upload:
        """
        Args:
            webhook_secret: sealed for "upload|<id>|webhook_secret".
        """
        self._run(
            """
            insert into upload (id, user_id, state, kind, length, "offset", metadata, webhook_secret, extension, parts,
                job_id, error, created_at, expires_at, finished_at)
            values (:id, :user_id, :state, :kind, :length, :offset, :metadata, :webhook_secret, :extension, :parts,
                :job_id, :error, :created_at, :expires_at, :finished_at)
            """,
            id=upload.id,
            user_id=upload.user_id,
            state=upload.state,
            kind=upload.kind,
            length=upload.length,
            offset=upload.offset,
            metadata=upload.metadata,
            webhook_secret=webhook_secret,
            extension=upload.extension,
            parts=to_json(upload.parts) if upload.kind == "final" else None,
            job_id=upload.job_id,
            error=None if upload.error is None else to_json(upload.error),
            created_at=upload.created_at,
            expires_at=upload.expires_at,
            finished_at=upload.finished_at,
        )
        return upload

    def get(self, upload_id: str) -> Upload:
        """Raises NotFound."""
        row = self._one("select * from upload where id = :id", id=upload_id)
        if row is None:
            raise NotFound(f"there is no upload {upload_id}")
        return _upload(row)

    def webhook_secret(self, upload_id: str) -> bytes | None:
        """Sealed, as it was added."""
        secret = self._value("select webhook_secret from upload where id = :id", id=upload_id)
        return None if secret is None else bytes(secret)

    def announce(self, upload_id: str, length: int) -> Upload:
        """The length of one that came without. Raises NotFound; Conflict when it has one already."""
        return self._moved(
            """
            update upload set length = :length
            where id = :id and state = 'open' and length is null
            returning *
            """,
            upload_id,
            "given a length",
            length=length,
        )

    def advance(self, upload_id: str, *, offset: int, extension: str | None, expires_at: int) -> Upload:
        """So many bytes are on the disk. Never backwards. Raises NotFound, Conflict."""
        return self._moved(
            """
            update upload set "offset" = :offset, extension = coalesce(:extension, extension), expires_at = :expires_at
            where id = :id and state = 'open' and "offset" <= :offset
            returning *
            """,
            upload_id,
            "continued",
            offset=offset,
            extension=extension,
            expires_at=expires_at,
        )

    def complete_part(self, upload_id: str, *, expires_at: int) -> Upload:
        """open → complete, of a partial one with all its bytes. Raises NotFound, Conflict."""
        return self._moved(
            """
            update upload set state = 'complete', "offset" = length, expires_at = :expires_at
            where id = :id and state = 'open' and kind = 'partial'
            returning *
            """,
            upload_id,
            "completed",
            expires_at=expires_at,
        )

    def complete(self, upload_id: str, *, job_id: str, extension: str, now: int) -> Upload:
        """open → complete, of a whole one with all its bytes: its job is there. Raises NotFound, Conflict."""
        return self._moved(
            """
            update upload
            set state = 'complete', "offset" = length, extension = :extension, job_id = :job_id, finished_at = :now,
                webhook_secret = null
            where id = :id and state = 'open' and kind = 'whole'
            returning *
            """,
            upload_id,
            "completed",
            job_id=job_id,
            extension=extension,
            now=now,
        )

    def join(self, upload_id: str, *, now: int) -> Upload:
        """complete → joined: the bytes of a partial one are in a final one. Raises NotFound, Conflict."""
        return self._moved(
            """
            update upload set state = 'joined', finished_at = :now
            where id = :id and state = 'complete' and kind = 'partial'
            returning *
            """,
            upload_id,
            "joined",
            now=now,
        )

    def made_of(self, parts: Sequence[str]) -> Upload | None:
        """The final upload that was made of these, in this order."""
        row = self._one("select * from upload where parts = :parts and state = 'complete'", parts=to_json(list(parts)))
        return None if row is None else _upload(row)

    def terminate(self, upload_id: str, *, error: Fault | None = None, now: int) -> Upload:
        """An unfinished one ends, its bytes may go once this is committed. Raises NotFound, Conflict."""
        return self._moved(
            """
            update upload set state = 'terminated', error = :error, finished_at = :now, webhook_secret = null
            where id = :id and finished_at is null
            returning *
            """,
            upload_id,
            "terminated",
            error=None if error is None else to_json(error),
            now=now,
        )

    def expire(self, upload_id: str, *, now: int) -> Upload:
        """One that is past its time ends, its bytes may go once this is committed. Raises NotFound, Conflict."""
        return self._moved(
            """
            update upload set state = 'expired', finished_at = :now, webhook_secret = null
            where id = :id and finished_at is null and expires_at <= :now
            returning *
            """,
            upload_id,
            "expired",
            now=now,
        )

    def expired(self, *, now: int, limit: int) -> list[Upload]:
        """Unfinished ones past their time, the longest first."""
        rows = self._all(
            """
            select * from upload
            where finished_at is null and expires_at <= :now
            order by expires_at
            limit :limit
            """,
            now=now,
            limit=limit,
        )
        return [_upload(row) for row in rows]

    def unfinished(self) -> list[Upload]:
        """Whose bytes lie in `incoming/`, the newest first."""
        rows = self._all("select * from upload where finished_at is null order by created_at desc, id desc")
        return [_upload(row) for row in rows]

    def count_unfinished(self) -> int:
        return int(self._value("select count(*) from upload where finished_at is null"))

    def prune(self, *, before_ms: int, limit: int) -> int:
        """Forget those that were over before `before_ms`. How many."""
        return self._run(
            """
            delete from upload
            where id in (select id from upload where finished_at < :before order by finished_at limit :limit)
            """,
            before=before_ms,
            limit=limit,
        )

    def _moved(self, sql: str, upload_id: str, what: str, **values: object) -> Upload:
        row = self._one(sql, id=upload_id, **values)
        if row is not None:
            return _upload(row)
        upload = self.get(upload_id)
        raise Conflict(f"the upload {upload_id} is {upload.state}, at {upload.offset}: it cannot be {what}")
