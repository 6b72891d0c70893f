"""What a post will say, over HTTP, before it is planned."""

import msgspec
from litestar import post
from litestar.di import NamedDependency

from vidprod.domain.account import Account
from vidprod.domain.post import Count, Fields, Post, Wording, compose, counts, default_wording, faults, merge
from vidprod.errors import BadWording
from vidprod.store.sqlite import Tables, composing
from vidprod.web.desk import Desk, HttpRequest, checked
from vidprod.web.given import given


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
                return _preview(
                    account, made, faults(made, account.platform, direct=account.settings.delivery == "direct")
                )
            segment = db.segments.get(segment_id)
            made = composing.compose_for(db, segment, account, merge(draft.wording, segment.wording))
            return _preview(account, made, composing.faults_of(made, segment, account))
        except BadWording as error:
            return Preview(post=None, counts=None, faults=[f"{error}. {error.hint}"])

    return await desk.store.read(look)


def _example(account: Account, wording: Wording) -> Post:
    said = merge(wording, account.settings.wording, default_wording(account.platform, total=12))
    return compose(said, Fields(title="My take", n=1, total=12, filename="my_take.mov", date="2026-01-31"))


def _preview(account: Account, made: Post, found: list[str]) -> Preview:
    return Preview(post=made, counts=counts(made, account.platform), faults=found)
