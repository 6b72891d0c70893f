"""Endpoints at rest. Their secrets are bytes here, sealed and opened by who holds the vault."""

from collections.abc import Sequence

import msgspec

from vidprod.domain.endpoint import SILENCE_S, Endpoint
from vidprod.errors import Conflict, NotFound
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import Table, to_json

_types = msgspec.json.Decoder(list[str])


def read_endpoint(row: Row) -> Endpoint:
    return Endpoint(
        id=row["id"],
        user_id=row["user_id"],
        url=row["url"],
        types=_types.decode(row["types"]),
        job_id=row["job_id"],
        state=row["state"],
        disabled_reason=row["disabled_reason"],
        description=row["description"],
        created_at=row["created_at"],
        failing_since=row["failing_since"],
        failed_at=row["failed_at"],
        held_until=row["held_until"],
        rotated_at=row["rotated_at"],
    )


class Endpoints(Table):
    """The rows of `endpoint`."""

    def add(self, endpoint: Endpoint, sealed: bytes) -> Endpoint:
        """Raises Conflict when the id is taken."""
        self._run(
            """
            insert into endpoint (id, user_id, url, types, job_id, state, disabled_reason, description, secrets,
                created_at)
            values (:id, :user_id, :url, :types, :job_id, :state, :disabled_reason, :description, :secrets,
                :created_at)
            """,
            id=endpoint.id,
            user_id=endpoint.user_id,
            url=endpoint.url,
            types=to_json(endpoint.types),
            job_id=endpoint.job_id,
            state=endpoint.state,
            disabled_reason=endpoint.disabled_reason,
            description=endpoint.description,
            secrets=sealed,
            created_at=endpoint.created_at,
        )
        return endpoint

    def get(self, endpoint_id: str) -> Endpoint:
        """Raises NotFound."""
        row = self._one("select * from endpoint where id = :id", id=endpoint_id)
        if row is None:
            raise NotFound(f"there is no endpoint {endpoint_id}")
        return read_endpoint(row)

    def list(self, *, job_id: str | None = None) -> Sequence[Endpoint]:
        """Those that hear of everything, or those of one job; the oldest first."""
        if job_id is None:
            rows = self._all("select * from endpoint where job_id is null order by id")
        else:
            rows = self._all("select * from endpoint where job_id = :job_id order by id", job_id=job_id)
        return [read_endpoint(row) for row in rows]

    def hearing(self, job_id: str | None) -> Sequence[Endpoint]:
        """Enabled ones that hear of what happens to this job, or to none."""
        rows = self._all("select * from endpoint where job_id is null and state = 'enabled'")
        if job_id is not None:
            rows += self._all("select * from endpoint where job_id = :job_id and state = 'enabled'", job_id=job_id)
        return [read_endpoint(row) for row in rows]

    def secrets(self, endpoint_id: str) -> bytes:
        """Sealed. Raises NotFound."""
        sealed = self._value("select secrets from endpoint where id = :id", id=endpoint_id)
        if sealed is None:
            raise NotFound(f"there is no endpoint {endpoint_id}")
        return bytes(sealed)

    def rotate(self, endpoint_id: str, sealed: bytes, *, was: bytes, now: int) -> Endpoint:
        """Raises Conflict when the secrets have changed since they were read, NotFound."""
        before = self.get(endpoint_id)
        self._expect(
            self._run(
                "update endpoint set secrets = :sealed, rotated_at = :now where id = :id and secrets = :was",
                id=endpoint_id,
                sealed=sealed,
                was=was,
                now=now,
            ),
            f"the secrets of the endpoint {before.id} have changed meanwhile",
        )
        return self.get(endpoint_id)

    def edit(self, endpoint: Endpoint) -> Endpoint:
        """Its address, types and description as they are in `endpoint`. At another address it has neither failed nor
        asked for time. Raises NotFound."""
        self._run(
            """
            update endpoint
            set url = :url, types = :types, description = :description,
                failing_since = iif(url = :url, failing_since, null),
                failed_at = iif(url = :url, failed_at, null),
                held_until = iif(url = :url, held_until, null)
            where id = :id
            """,
            id=endpoint.id,
            url=endpoint.url,
            types=to_json(endpoint.types),
            description=endpoint.description,
        )
        self._outcome.delivering = True
        return self.get(endpoint.id)

    def enable(self, endpoint_id: str) -> Endpoint:
        """disabled → enabled, its failures forgotten; what waits for it goes out. Raises Conflict, NotFound."""
        before = self.get(endpoint_id)
        self._expect(
            self._run(
                """
                update endpoint
                set state = 'enabled', disabled_reason = null, failing_since = null, failed_at = null, held_until = null
                where id = :id and state = 'disabled'
                """,
                id=endpoint_id,
            ),
            f"the endpoint {before.id} is enabled already",
        )
        self._outcome.delivering = True
        return self.get(endpoint_id)

    def disable(self, endpoint_id: str, reason: str) -> Endpoint:
        """enabled → disabled; what waits for it stays, until it is enabled. Raises Conflict, NotFound."""
        before = self.get(endpoint_id)
        self._expect(
            self._run(
                """
                update endpoint
                set state = 'disabled', disabled_reason = :reason
                where id = :id and state = 'enabled'
                """,
                id=endpoint_id,
                reason=reason,
            ),
            f"the endpoint {before.id} is disabled already",
        )
        return self.get(endpoint_id)

    def delete(self, endpoint_id: str) -> None:
        """With its deliveries and their log. Raises NotFound."""
        if not self._run("delete from endpoint where id = :id", id=endpoint_id):
            raise NotFound(f"there is no endpoint {endpoint_id}")

    def works(self, endpoint_id: str) -> None:
        """Something was delivered."""
        self._run(
            "update endpoint set failing_since = null, failed_at = null where id = :id and failing_since is not null",
            id=endpoint_id,
        )

    def fails(self, endpoint_id: str, *, now: int) -> Endpoint | None:
        """An attempt failed. None when the endpoint is gone."""
        row = self._one(
            """
            update endpoint
            set failing_since = iif(failed_at >= :now - :silence, min(failing_since, :now), :now), failed_at = :now
            where id = :id
            returning *
            """,
            id=endpoint_id,
            now=now,
            silence=SILENCE_S * 1000,
        )
        return None if row is None else read_endpoint(row)

    def hold(self, endpoint_id: str, *, until: int) -> None:
        """It asked to be left alone until then."""
        self._run("update endpoint set held_until = :until where id = :id", id=endpoint_id, until=until)

    def release(self, endpoint_id: str) -> None:
        """Somebody does not want to wait until it has had its time."""
        self._run("update endpoint set held_until = null where id = :id", id=endpoint_id)
        self._outcome.delivering = True

    def prune(self, *, limit: int) -> int:
        """Delete those of jobs that are gone, once their deliveries were pruned. How many."""
        return self._run(
            """
            delete from endpoint
            where id in (
                select id from endpoint as one
                where one.job_id is not null
                    and not exists (select 1 from job where job.id = one.job_id)
                    and not exists (select 1 from delivery where delivery.endpoint_id = one.id)
                limit :limit)
            """,
            limit=limit,
        )

    def _expect(self, changed: int, otherwise: str) -> None:
        if not changed:
            raise Conflict(otherwise)
