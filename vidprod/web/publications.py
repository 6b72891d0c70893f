"""Publications over HTTP: asked for, seen, moved, approved, cancelled."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from litestar import patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from vidprod.domain.post import Post, Wording
from vidprod.domain.publication import STATES, Publication
from vidprod.domain.receipt import Receipt
from vidprod.store.sqlite import Tables, planning, steering
from vidprod.web.auth import who
from vidprod.web.desk import Desk, HttpRequest, checked
from vidprod.web.given import BadBody, given
from vidprod.web.paging import check_cursor, span_of, states_of
from vidprod.web.publication_view import PublicationView, view_publication, view_publications
from vidprod.web.reading import read


class PublicationPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some publications, newest first, and where the next page starts."""

    publications: list[PublicationView]
    next_cursor: str | None


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
    due_from, due_to = span_of(since, until)
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


async def _changed(desk: Desk, fn: Callable[[Tables], Publication], *, urgent: bool = False) -> PublicationView:
    return await desk.store.write(lambda db: view_publication(db, fn(db)), urgent=urgent)


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
]
