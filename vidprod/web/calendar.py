"""The calendar over HTTP: what is due, day by day."""

from collections.abc import Sequence
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from vidprod.domain.account import Account
from vidprod.domain.schedule import day_bounds, local_day, zone_of
from vidprod.errors import BadRequest
from vidprod.store.sqlite import Tables
from vidprod.web.desk import Desk
from vidprod.web.paging import span_of
from vidprod.web.publication_view import PublicationView, view_publications
from vidprod.web.reading import read

CALENDAR_DAYS = 35  # shown, where nobody says until when
MOST_CALENDAR_DAYS = 400


class CalendarDay(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A day of the calendar's zone, and what is due on it."""

    date: str
    publications: list[PublicationView]


class CalendarView(msgspec.Struct, frozen=True, kw_only=True):
    """Days on which something is due, in order. What was cancelled is not among it."""

    days: list[CalendarDay]
    zone: str


@read("/v1/calendar")
async def get_calendar(
    desk: NamedDependency[Desk],
    since: Annotated[
        str | None, QueryParameter(name="from", description="RFC 3339 with an offset; not given: since today")
    ] = None,
    until: Annotated[
        str | None, QueryParameter(name="to", description="before then; not given: five weeks after `from`")
    ] = None,
    zone: Annotated[
        str | None, QueryParameter(max_length=60, description="of the days; not given: that of most accounts")
    ] = None,
) -> CalendarView:
    """What is due, day by day."""
    asked_zone = None if zone is None else zone_of(zone)
    due_from, due_to = span_of(since, until)

    def look(db: Tables) -> CalendarView:
        of_days = asked_zone or _usual_zone(db.accounts.list())
        today = day_bounds(local_day(desk.clock(), of_days), of_days)[0]
        starts = due_from if due_from is not None else today
        ends = due_to if due_to is not None else starts + CALENDAR_DAYS * 86_400_000
        if ends - starts > MOST_CALENDAR_DAYS * 86_400_000:
            raise BadRequest(f"from and to are more than {MOST_CALENDAR_DAYS} days apart.", hint="Ask for less.")
        days: dict[str, list[PublicationView]] = {}
        found = db.publications.calendar(starts, ends)
        for publication, view in zip(found, view_publications(db, found), strict=True):
            days.setdefault(local_day(publication.due_at, of_days).isoformat(), []).append(view)
        return CalendarView(
            days=[CalendarDay(date=date, publications=views) for date, views in days.items()], zone=of_days.key
        )

    return await desk.store.read(look)


def _usual_zone(accounts: Sequence[Account]) -> ZoneInfo:
    names = [account.settings.zone for account in accounts]
    try:
        return zone_of(max(names, key=names.count, default="UTC"))
    except BadRequest:
        return ZoneInfo("UTC")
