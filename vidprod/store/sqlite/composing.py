"""What is said with a segment at an account, and what its platform would refuse of it.

Each function runs inside one transaction, whoever asks for it.
"""

import re
from zoneinfo import ZoneInfo

import msgspec

from vidprod.domain.account import Account
from vidprod.domain.post import (
    Fields,
    Post,
    Wording,
    compose,
    default_wording,
    disclose,
    faults,
    merge,
    names_fields,
)
from vidprod.domain.publication import Publication, Wait
from vidprod.domain.schedule import local_day, zone_of
from vidprod.domain.segment import Rendition, Segment
from vidprod.errors import BadSlot, BadWording
from vidprod.store.sqlite.announce import announce
from vidprod.store.sqlite.tables import Tables

_NO_TITLE = re.compile("[_<>]")  # YouTube refuses the last two
_TITLE_CHARACTERS = 70  # of a file's name; with its part it is a title everywhere


def compose_for(db: Tables, segment: Segment, account: Account, wording: Wording, *, take: str | None = None) -> Post:
    """What is said with the segment at the account.

    Args:
        take: what the take is called; by its file's name, when not given.
    Raises:
        BadWording: a template names a field that there is not.
    """
    video = db.videos.get(db.jobs.get(segment.job_id).video_id)
    total = db.segments.count(segment.job_id)
    try:
        day = local_day(video.created_at, zone_of(account.settings.zone))
    except BadSlot:
        day = local_day(video.created_at, ZoneInfo("UTC"))
    fields = Fields(
        title=take if take is not None else _called(video.filename),
        n=segment.index + 1,
        total=total,
        filename=video.filename,
        date=day.isoformat(),
    )
    said = merge(wording, account.settings.wording, default_wording(account.platform, total=total))
    rendition = segment.rendition
    if rendition is None:
        return compose(said, fields)
    return compose(said, fields, synthetic=rendition.synthetic, synthetic_reason=rendition.synthetic_reason)


def _called(filename: str) -> str:
    """A file's name as a title: without its extension, and not longer than titles are."""
    stem, dot, _ = filename.rpartition(".")
    title = " ".join(_NO_TITLE.sub(" ", stem if dot and stem else filename).split())
    if len(title) <= _TITLE_CHARACTERS:
        return title
    return title[: _TITLE_CHARACTERS - 1].rstrip() + "…"


def said_by(wording: Wording) -> tuple[Wording, str | None]:
    """What a target says with each segment, and what it calls the take."""
    if wording.title is None or names_fields(wording.title):
        return wording, None
    return msgspec.structs.replace(wording, title=None), wording.title  # the account says what comes of it


def refuse_faults(post: Post, segment: Segment, account: Account) -> None:
    """Raises BadWording, naming all that the platform would refuse."""
    if found := faults_of(post, segment, account):
        raise BadWording("; ".join(found), code="bad_post")


def keep_faults(db: Tables, publication: Publication) -> Publication:
    """What its platform would refuse stays said with it, whatever else was changed."""
    if publication.wait is not None or publication.state != "scheduled":
        return publication
    segment, account = db.segments.get(publication.segment_id), db.accounts.get(publication.account_id)
    if not (found := faults_of(publication.post, segment, account)):
        return publication
    wait = Wait(code="hold", message="; ".join(found))
    return db.publications.wait(publication, wait, run_at=publication.run_at)


def faults_of(post: Post, segment: Segment, account: Account) -> list[str]:
    """What of the post the account's platform would refuse, in words."""
    duration_us = None if segment.rendition is None else segment.rendition.duration_us
    direct = account.settings.delivery == "direct"
    return faults(post, account.platform, direct=direct, duration_us=duration_us)


def follow(db: Tables, segment: Segment, rendition: Rendition, *, cover_us: int | None = None, now: int) -> None:
    """The segment was made again: what is planned of it says what its new file is, and is to be approved anew.

    Args:
        cover_us: what its poster shows now; a cover that somebody chose for the publication alone stays.
    """
    before_ms, cover_ms = (at or 0 for at in (segment.wording.cover_ms, cover_us and cover_us // 1000))
    for publication in db.publications.of_segment(segment.id):
        post = disclose(publication.post, synthetic=rendition.synthetic, reason=rendition.synthetic_reason)
        if post.cover_ms == before_ms:
            post = msgspec.structs.replace(post, cover_ms=cover_ms)
        is_other = post != publication.post or publication.approved_at is not None
        if publication.state == "scheduled" and is_other:
            announce(db, "changed", keep_faults(db, db.publications.edit(publication, post)), now=now)


def follow_words(db: Tables, before: Segment, after: Segment, *, now: int) -> None:
    """Other words are said with the segment: what is planned of it says them where it said the ones before. What
    somebody chose for a publication alone stays."""
    targets = {target.account_id: target for target in db.jobs.get(after.job_id).targets}
    for publication in db.publications.of_segment(after.id):
        if publication.state != "scheduled":
            continue
        target = targets.get(publication.account_id)
        wording, take = said_by(Wording() if target is None else target.wording)
        account = db.accounts.get(publication.account_id)
        try:
            said, says = (
                compose_for(db, segment, account, merge(segment.wording, wording), take=take)
                for segment in (before, after)
            )
        except BadWording:  # of the account: it is held for that already
            continue
        changed = {
            name: getattr(says, name)
            for name in ("title", "caption")
            if getattr(publication.post, name) == getattr(said, name) != getattr(says, name)
        }
        if changed:
            post = msgspec.structs.replace(publication.post, **changed)
            announce(db, "changed", keep_faults(db, db.publications.edit(publication, post)), now=now)
