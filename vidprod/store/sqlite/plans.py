"""What the planner asks of publications: when an account is busy, what came before, what is held."""

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from vidprod.domain.publication import Publication
from vidprod.store.sqlite.connection import Row
from vidprod.store.sqlite.table import Table, to_json

_DAY_MS = 86_400_000

_pairs = msgspec.json.Decoder(list[tuple[int, int | None]])


@dataclass(frozen=True)
class Taken:
    """When publications go out, or went, in order; and the moments they were planned for, which no other gets: clocks
    are set back. Unix ms."""

    at: list[int]
    slots: frozenset[int]


class Plans(Table):
    """Moments of the rows of `publication`."""

    def taken(self, account_id: str, *, since: int) -> Taken:
        """When publications of the account go out, or went, from `since` on. What was missed goes out at no time."""
        return self._taken(
            """
            select json_group_array(json_array(due_at, published_at)) from publication
            where account_id = :account_id and due_at >= :early
                and state not in ('rejected', 'cancelled') and missed_at is null
                and (due_at >= :since or published_at >= :since)
            """,
            account_id=account_id,
            since=since,
        )

    def before(self, account_id: str, job_id: str, index: int) -> int | None:
        """When the last of the job's segments before `index` goes out at the account; None: there is none of them."""
        at = self._value(
            """
            select max(publication.due_at) from publication
            join segment on segment.id = publication.segment_id
            where publication.job_id = :job_id and +publication.account_id = :account_id -- a job has few
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
            order by due_at
            """,
            account_id=account_id,
            after=after,
        )

    def fixed(self, account_id: str, *, since: int, after: int) -> Taken:
        """As `taken`, of what is not in `in_slots` of `after`."""
        return self._taken(
            """
            select json_group_array(json_array(due_at, published_at)) from publication
            where account_id = :account_id and due_at >= :early
                and state not in ('rejected', 'cancelled') and missed_at is null
                and not ("when" = 'slot' and state = 'scheduled' and attempt = 0 and due_at > :after)
                and (due_at >= :since or published_at >= :since)
            """,
            account_id=account_id,
            since=since,
            after=after,
        )

    def went(self, publication: Publication, *, since: int, slip_ms: int, now: int) -> list[int]:
        """When others of the account went out from `since` on, or are at it: when they were planned for, or, where they
        came more than `slip_ms` later, when they really did."""
        rows = self._all(
            """
            select iif(went_at - due_at > :slip_ms, went_at, due_at) as at from (
                select due_at, coalesce(published_at, :now) as went_at from publication
                where account_id = :account_id and id <> :id and due_at >= :early
                    and state in ('uploading', 'processing', 'unknown', 'published'))
            where at between :since and :now
            """,
            account_id=publication.account_id,
            id=publication.id,
            early=since - 2 * _DAY_MS,
            since=since,
            slip_ms=slip_ms,
            now=now,
        )
        return [row["at"] for row in rows]

    def latest_fixed(self, account_id: str, *, after: int) -> dict[str, int]:
        """Of each job when the last of its publications goes out that is not in `in_slots` of `after`, where that is to
        come."""
        rows = self._all(
            """
            select job_id, max(due_at) as due_at from publication
            where account_id = :account_id and due_at > :after and missed_at is null
                and state not in ('rejected', 'cancelled')
                and not ("when" = 'slot' and state = 'scheduled' and attempt = 0)
            group by job_id
            """,
            account_id=account_id,
            after=after,
        )
        return {row["job_id"]: row["due_at"] for row in rows}

    def _taken(self, sql: str, *, since: int, **values: object) -> Taken:
        # it may have gone out late; one row of all, because there may be thousands
        text = self._value(sql, since=since, early=since - 2 * _DAY_MS, **values)
        found = _pairs.decode(text)
        return Taken(
            at=sorted(due if published is None else published for due, published in found),
            slots=frozenset(due for due, _ in found),
        )

    def segments(self, segment_ids: Iterable[str]) -> dict[str, tuple[int, str]]:
        """Of each its index in its job and the name of its take's file; without those whose job was deleted."""
        rows = self._all(
            """
            select segment.id, segment."index", video.filename from json_each(:ids) as wanted
            cross join segment on segment.id = wanted.value
            cross join job on job.id = segment.job_id
            cross join video on video.id = job.video_id
            """,
            ids=to_json(sorted(set(segment_ids))),
        )
        return {row["id"]: (row["index"], row["filename"]) for row in rows}

    def held(self, *, before: int, limit: int) -> list[str]:
        """Ids of what was due before `before`, unix ms, was never begun, and may not go out: its account or everything
        is paused, the account has to be connected again, or nobody approved it."""
        rows = self._all(
            """
            select publication.id from publication
            cross join account on account.id = publication.account_id
            where publication.state = 'scheduled' and publication.attempt = 0 and publication.missed_at is null
                and publication.due_at < :before
                and coalesce(publication.wait ->> '$.code', '') not in ('quota', 'cap', 'gap')
                and (account.state <> 'connected' or account.paused_at is not null
                    or (publication.needs_approval = 1 and publication.approved_at is null)
                    or exists (select 1 from fact where name = 'publishing_paused_at' and value <> 'null'))
            order by publication.due_at
            limit :limit
            """,
            before=before,
            limit=limit,
        )
        return [row["id"] for row in rows]
