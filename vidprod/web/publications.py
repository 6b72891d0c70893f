"""Publications over HTTP: asked for, seen, moved, approved, cancelled; the calendar, and what a post will say."""

from collections.abc import Callable, Sequence
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from litestar import patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from vidprod.domain.account import Account, Platform
from vidprod.domain.post import Count, Fields, Post, Wording, compose, counts, default_wording, faults, merge
from vidprod.domain.publication import (
    OVER,
    STATES,
    ErrorKind,
    Phase,
    Publication,
    PublicationState,
    When,
)
from vidprod.domain.receipt import Receipt
from vidprod.domain.schedule import day_bounds, local_day, zone_of
from vidprod.domain.target import parse_when
from vidprod.errors import BadRequest, BadTarget, BadWording
from vidprod.store.sqlite import Tables, composing, planning, steering
from vidprod.web.auth import who
from vidprod.web.desk import Desk, HttpRequest, checked
from vidprod.web.given import BadBody, given
from vidprod.web.moments import moment
from vidprod.web.paging import check_cursor, states_of
from vidprod.web.reading import read

CALENDAR_DAYS = 35  # shown, where nobody says until when
MOST_CALENDAR_DAYS = 400
_GONE = "a deleted take"
_NOBODY_TRIES = frozenset({"approval", "paused", "reauth", "missed"})  # these wait for somebody, not for a time


class WaitView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why it does not move: a code for programs, a sentence, and until when; null: until somebody does something."""

    code: str
    message: str
    until: str | None


class PublicationErrorView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How one attempt ended. `code` and `message` are the platform's own."""

    at: str
    step: str
    kind: ErrorKind
    code: str
    message: str
    trace: str


class PublicationView(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A publication as it is now. Times are RFC 3339 in UTC. `due_at`: when it shall go out; `retry_at`: when it is
    tried or looked at again by itself; `missed_at`: it came due while it could not go out, and waits for somebody;
    `said`: the platform's own words; `segment_index` is null once the job was deleted."""

    id: str
    segment_id: str
    segment_index: int | None
    filename: str
    job_id: str
    account_id: str
    account_name: str
    platform: Platform
    state: PublicationState
    post: Post
    when: When
    due_at: str
    run_at: str
    retry_at: str | None
    needs_approval: bool
    approved_at: str | None
    missed_at: str | None
    wait: WaitView | None
    phase: Phase | None
    attempt: int
    failures: int
    errors: list[PublicationErrorView]
    sha256: str
    size: int
    said: str
    privacy_seen: str
    remote_id: str | None
    url: str | None
    deadline_at: str | None
    created_at: str
    published_at: str | None
    finalized_at: str | None


class PublicationPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some publications, newest first, and where the next page starts."""

    publications: list[PublicationView]
    next_cursor: str | None


class CalendarDay(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A day of the calendar's zone, and what is due on it."""

    date: str
    publications: list[PublicationView]


class CalendarView(msgspec.Struct, frozen=True, kw_only=True):
    """Days on which something is due, in order. What was cancelled is not among it."""

    days: list[CalendarDay]
    zone: str


class PublicationOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One segment to one account. `when`: "slot", the next one that is free; "now"; or a time with its offset.
    `wording`: what is not said is taken from the account."""

    segment_id: str
    account_id: str
    when: Annotated[str, msgspec.Meta(max_length=60)] = "slot"
    wording: Wording = Wording()


class PublicationEdit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be changed. `wording`: what it names is said instead, and is no template; `post`: said instead of
    all."""

    when: Annotated[str, msgspec.Meta(max_length=60)] | None = None
    wording: Wording | None = None
    post: Post | None = None


class Rewording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Other words for the next attempt; as for a change."""

    wording: Wording | None = None
    post: Post | None = None


class Seen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody saw who looked at the platform. `url`: where it is; null: it is not there."""

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)] | None


class Draft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What somebody is about to say. Without a segment it is made up of an example."""

    account_id: str
    segment_id: str | None = None
    wording: Wording = Wording()


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What comes of it, how much of each limit that uses as the platform counts, and what the platform would refuse.
    `post` and `counts` are null where a template cannot be filled in."""

    post: Post | None
    counts: dict[str, Count] | None
    faults: list[str]


@post("/v1/publications")
async def publish_segment(request: HttpRequest, desk: NamedDependency[Desk]) -> PublicationView:
    """Plan one segment for one account."""
    order = await given(request, PublicationOrder)
    checked(order.segment_id, "seg")
    checked(order.account_id, "acc")

    def plan(db: Tables) -> Publication:
        return planning.plan(
            db, order.segment_id, order.account_id, when=order.when, wording=order.wording, now=desk.clock()
        )

    return await _changed(desk, plan)


@read("/v1/publications")
async def list_publications(
    desk: NamedDependency[Desk],
    limit: Annotated[int, QueryParameter(ge=1, le=100, description="publications a page")] = 50,
    cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before")] = None,
    states: Annotated[
        str | None, QueryParameter(name="state", description="only these, separated by commas: scheduled,unknown")
    ] = None,
    account: Annotated[str | None, QueryParameter(description="only of this account")] = None,
    job: Annotated[str | None, QueryParameter(description="only of this job")] = None,
    segment: Annotated[str | None, QueryParameter(description="only of this segment")] = None,
    since: Annotated[
        str | None, QueryParameter(name="from", description="due from then on; RFC 3339 with an offset")
    ] = None,
    until: Annotated[str | None, QueryParameter(name="to", description="due before then")] = None,
) -> PublicationPage:
    """Publications, newest first."""
    wanted = states_of(states, STATES)
    for given_id, prefix in ((account, "acc"), (job, "job"), (segment, "seg")):
        if given_id is not None:
            checked(given_id, prefix)
    due_from, due_to = _span(since, until)
    check_cursor(cursor, "pub")

    def page(db: Tables) -> PublicationPage:
        found = db.publications.list(
            limit=limit + 1,
            before=cursor,
            states=wanted,
            account_id=account,
            job_id=job,
            segment_id=segment,
            due_from=due_from,
            due_to=due_to,
        )
        return PublicationPage(
            publications=view_publications(db, found[:limit]),
            next_cursor=found[limit - 1].id if len(found) > limit else None,
        )

    return await desk.store.read(page)


@read("/v1/publications/{publication_id:str}")
async def get_publication(desk: NamedDependency[Desk], publication_id: FromPath[str]) -> PublicationView:
    """How a publication is doing."""
    checked(publication_id, "pub")
    return await desk.store.read(lambda db: view_publication(db, db.publications.get(publication_id)))


@patch("/v1/publications/{publication_id:str}")
async def change_publication(
    request: HttpRequest, desk: NamedDependency[Desk], publication_id: FromPath[str]
) -> PublicationView:
    """Give a planned one another time or other words. An approval counts for the words that were approved."""
    checked(publication_id, "pub")
    edit = await given(request, PublicationEdit)
    if edit == PublicationEdit():
        raise BadBody("Nothing is to be changed.", hint="Name `when`, `wording` or `post`.")

    def change(db: Tables) -> Publication:
        return steering.change(
            db, publication_id, when=edit.when, wording=edit.wording, post=edit.post, now=desk.clock()
        )

    return await _changed(desk, change)


@post("/v1/publications/{publication_id:str}/approve", status_code=200)
async def approve_publication(desk: NamedDependency[Desk], publication_id: FromPath[str]) -> PublicationView:
    """Let it go out when it is due."""
    checked(publication_id, "pub")
    return await _changed(desk, lambda db: steering.approve(db, publication_id, now=desk.clock()))


@post("/v1/publications/{publication_id:str}/cancel", status_code=200)
async def cancel_publication(desk: NamedDependency[Desk], publication_id: FromPath[str]) -> PublicationView:
    """Do not publish it. Refused where something of it may be public already."""
    checked(publication_id, "pub")
    return await _changed(desk, lambda db: steering.cancel(db, publication_id, now=desk.clock()), urgent=True)


@post("/v1/publications/{publication_id:str}/retry", status_code=200)
async def retry_publication(
    request: HttpRequest, desk: NamedDependency[Desk], publication_id: FromPath[str]
) -> PublicationView:
    """Try a rejected one anew, at once; in other words where the body has `wording` or `post`."""
    checked(publication_id, "pub")
    asked = await given(request, Rewording)

    def retry(db: Tables) -> Publication:
        return steering.retry(db, publication_id, wording=asked.wording, post=asked.post, now=desk.clock())

    return await _changed(desk, retry)


@post("/v1/publications/{publication_id:str}/check", status_code=200)
async def check_publication(desk: NamedDependency[Desk], publication_id: FromPath[str]) -> PublicationView:
    """Ask the platform now what became of it."""
    checked(publication_id, "pub")
    return await _changed(desk, lambda db: steering.check(db, publication_id, now=desk.clock()))


@post("/v1/publications/{publication_id:str}/settle", status_code=200)
async def settle_publication(
    request: HttpRequest, desk: NamedDependency[Desk], publication_id: FromPath[str]
) -> PublicationView:
    """Say of one that is unknown for hours what you saw when you looked at the platform, as JSON `{url}`: it is there,
    and published, or with null it is not, and may be retried. Said by mistake, it may be published twice, or never."""
    checked(publication_id, "pub")
    seen, asks = await given(request, Seen), who(request)
    by = asks.key_id or asks.user_id

    def settle(db: Tables) -> Publication:
        return steering.settle(db, publication_id, url=seen.url, by=by, now=desk.clock())

    return await _changed(desk, settle)


@post("/v1/publications/{publication_id:str}/publish", status_code=200)
async def publish_now(desk: NamedDependency[Desk], publication_id: FromPath[str]) -> PublicationView:
    """Publish a planned one now, also one that was missed or not approved yet."""
    checked(publication_id, "pub")
    return await _changed(desk, lambda db: steering.publish(db, publication_id, now=desk.clock()))


@read("/v1/publications/{publication_id:str}/receipt")
async def get_receipt(desk: NamedDependency[Desk], publication_id: FromPath[str]) -> Receipt:
    """What was published, from the take to the platform's id, chained by hash. `vidprod receipt verify` checks it."""
    checked(publication_id, "pub")
    return await desk.store.read(lambda db: db.receipts.of(publication_id))


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
    due_from, due_to = _span(since, until)

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


@post("/v1/posts/preview", status_code=200)
async def preview_post(request: HttpRequest, desk: NamedDependency[Desk]) -> Preview:
    """What a wording comes to at an account, as its platform counts it. Nothing is planned."""
    draft = await given(request, Draft)
    account_id = checked(draft.account_id, "acc")
    segment_id = None if draft.segment_id is None else checked(draft.segment_id, "seg")

    def look(db: Tables) -> Preview:
        account = db.accounts.get(account_id)
        try:
            if segment_id is None:
                made = _example(account, draft.wording)
                return _preview(account, made, faults(made, account.platform, direct=_is_direct(account)))
            segment = db.segments.get(segment_id)
            made = composing.compose_for(db, segment, account, merge(draft.wording, segment.wording))
            return _preview(account, made, composing.faults_of(made, segment, account))
        except BadWording as error:
            return Preview(post=None, counts=None, faults=[f"{error}. {error.hint}"])

    return await desk.store.read(look)


def _example(account: Account, wording: Wording) -> Post:
    said = merge(wording, account.settings.wording, default_wording(account.platform, total=12))
    return compose(said, Fields(title="My take", n=1, total=12, filename="my_take.mov", date="2026-01-31"))


def _is_direct(account: Account) -> bool:
    return account.settings.delivery == "direct"


def _preview(account: Account, made: Post, found: list[str]) -> Preview:
    return Preview(post=made, counts=counts(made, account.platform), faults=found)


async def _changed(desk: Desk, fn: Callable[[Tables], Publication], *, urgent: bool = False) -> PublicationView:
    return await desk.store.write(lambda db: view_publication(db, fn(db)), urgent=urgent)


def view_publication(db: Tables, publication: Publication) -> PublicationView:
    """Of one, inside a transaction."""
    return view_publications(db, [publication])[0]


def view_publications(db: Tables, publications: Sequence[Publication]) -> list[PublicationView]:
    """Of several, in their order, inside a transaction."""
    takes = db.plans.segments(publication.segment_id for publication in publications)
    names = {account.id: account.name for account in db.accounts.list(disconnected=True)}
    return [
        _view(publication, takes.get(publication.segment_id, (None, _GONE)), names[publication.account_id])
        for publication in publications
    ]


def _view(publication: Publication, take: tuple[int | None, str], account_name: str) -> PublicationView:
    index, filename = take
    wait = publication.wait
    return PublicationView(
        id=publication.id,
        segment_id=publication.segment_id,
        segment_index=index,
        filename=filename,
        job_id=publication.job_id,
        account_id=publication.account_id,
        account_name=account_name,
        platform=publication.platform,
        state=publication.state,
        post=publication.post,
        when=publication.when,
        due_at=moment(publication.due_at),
        run_at=moment(publication.run_at),
        retry_at=moment(publication.run_at) if _tries_again(publication) else None,
        needs_approval=publication.needs_approval,
        approved_at=moment(publication.approved_at),
        missed_at=moment(publication.missed_at),
        wait=None if wait is None else WaitView(code=wait.code, message=wait.message, until=moment(wait.until)),
        phase=publication.phase,
        attempt=publication.attempt,
        failures=publication.failures,
        errors=[
            PublicationErrorView(
                at=moment(error.at),
                step=error.step,
                kind=error.kind,
                code=error.code,
                message=error.message,
                trace=error.trace,
            )
            for error in publication.errors
        ],
        sha256=publication.sha256,
        size=publication.size,
        said=publication.said,
        privacy_seen=publication.privacy_seen,
        remote_id=publication.remote_id,
        url=publication.url,
        deadline_at=moment(publication.deadline_at),
        created_at=moment(publication.created_at),
        published_at=moment(publication.published_at),
        finalized_at=moment(publication.finalized_at),
    )


def _tries_again(publication: Publication) -> bool:
    if publication.state in OVER or publication.missed_at is not None or publication.wait is None:
        return False
    return publication.wait.code not in _NOBODY_TRIES


def _span(since: str | None, until: str | None) -> tuple[int | None, int | None]:
    """From when and to when, unix ms. Raises BadRequest: one is no time, or the end is not after the beginning."""
    due_from, due_to = _instant(since, "from"), _instant(until, "to")
    if due_from is not None and due_to is not None and due_to <= due_from:
        raise BadRequest(f"to={until} is not after from={since}.")
    return due_from, due_to


def _instant(text: str | None, name: str) -> int | None:
    """Unix ms. Raises BadRequest."""
    if text is None:
        return None
    try:
        asked = parse_when(text).at
    except BadTarget:
        asked = None
    if asked is None:
        raise BadRequest(f"{name}={text[:60]!r}: must be a time with its offset, like 2026-12-01T18:00:00+01:00.")
    return asked


def _usual_zone(accounts: Sequence[Account]) -> ZoneInfo:
    names = [account.settings.zone for account in accounts]
    try:
        return zone_of(max(names, key=names.count, default="UTC"))
    except BadRequest:
        return ZoneInfo("UTC")


HANDLERS = [
    publish_segment,
    list_publications,
    get_publication,
    change_publication,
    approve_publication,
    cancel_publication,
    retry_publication,
    check_publication,
    settle_publication,
    publish_now,
    get_receipt,
    get_calendar,
    preview_post,
]
