"""What the planner asks of publications: when an account is busy, what came before, what is held."""

from collections.abc import Sequence

from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import Table, to_json

_DAY_MS = 86_400_000


class Plans(Table):
    """Moments of the rows of `publication`."""

    def taken(self, account_id: str, *, since: int) -> list[Row]:
        """`at`, when publications of the account go out, or went, from `since` on, in that order, and their `due_at`:
        unix ms. What was missed goes out at no time."""
        return self._all(
            """
            select coalesce(published_at, due_at) as at, due_at from publication
            where account_id = :account_id and due_at >= :early
                and state not in ('rejected', 'cancelled') and missed_at is null
                and max(coalesce(published_at, due_at), due_at) >= :since
            order by at
            """,
            account_id=account_id,
            early=since - 2 * _DAY_MS,  # it may have gone out late
            since=since,
        )

    def before(self, account_id: str, job_id: str, index: int) -> int | None:
        """When the last of the job's segments before `index` goes out at the account; None: there is none of them."""
        at = self._value(
            """
            select max(publication.due_at) from publication
            join segment on segment.id = publication.segment_id
            where publication.job_id = :job_id and publication.account_id = :account_id
                and publication.state not in ('rejected', 'cancelled') and segment."index" < :index
            """,
            job_id=job_id,
            account_id=account_id,
            index=index,
        )
        return None if at is None else int(at)

    def in_slots(self, account_id: str, *, after: int) -> list[Row]:
        """`id`, `due_at` and `job_id` of what is planned in the account's slots after `after`, in that order."""
        return self._all(
            """
            select id, due_at, job_id from publication
            where account_id = :account_id and due_at > :after and "when" = 'slot'
                and state = 'scheduled' and attempt = 0 and missed_at is null
            order by due_at, id
            """,
            account_id=account_id,
            after=after,
        )

    def fixed(self, account_id: str, *, since: int, after: int) -> list[Row]:
        """As `taken`, with `job_id`, of what is not in `in_slots` of `after`."""
        return self._all(
            """
            select coalesce(published_at, due_at) as at, due_at, job_id from publication
            where account_id = :account_id and due_at >= :early
                and state not in ('rejected', 'cancelled') and missed_at is null
                and not ("when" = 'slot' and state = 'scheduled' and attempt = 0 and due_at > :after)
                and max(coalesce(published_at, due_at), due_at) >= :since
            order by at
            """,
            account_id=account_id,
            early=since - 2 * _DAY_MS,
            since=since,
            after=after,
        )

    def about(self, publication_ids: Sequence[str]) -> dict[str, Row]:
        """Of each its `segment_index`, `filename` and `account_name`; the first two are null once the job is gone."""
        rows = self._all(
            """
            select publication.id, segment."index" as segment_index, video.filename, account.name as account_name
            from json_each(:ids) as wanted
            cross join publication on publication.id = wanted.value
            cross join account on account.id = publication.account_id
            left join segment on segment.id = publication.segment_id
            left join job on job.id = publication.job_id
            left join video on video.id = job.video_id
            """,
            ids=to_json(publication_ids),
        )
        return {row["id"]: row for row in rows}

    def held(self, *, before: int, limit: int) -> list[str]:
        """Ids of what was due before `before`, unix ms, was never begun, and may not go out: its account or everything
        is paused, the account has to be connected again, or nobody approved it."""
        rows = self._all(
            """
            select publication.id from publication
            cross join account on account.id = publication.account_id
            where publication.state = 'scheduled' and publication.attempt = 0 and publication.missed_at is null
                and publication.due_at < :before
                and coalesce(publication.wait ->> '$.code', '') <> 'quota'
                and (account.state <> 'connected' or account.paused_at is not null
                    or (publication.needs_approval = 1 and publication.approved_at is null)
                    or exists (select 1 from fact where name = 'publishing_paused_at' and value <> 'null'))
            order by publication.due_at, publication.id
            limit :limit
            """,
            before=before,
            limit=limit,
        )
        return [row["id"] for row in rows]
