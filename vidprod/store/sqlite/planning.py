"""When a segment goes where, and what is said with it: publications are planned, moved and missed here.

Each function runs inside one transaction, whoever asks for it. Times are unix milliseconds of publishing's clock.

In a job the order of the segments is kept: a later one goes out after those before it. A time that somebody named is
kept to the minute; slots and "at once" leave the account's gap around every other publication and stop at its daily
cap, counted in days of its zone.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from vidprod.domain.account import Account, AccountSettings
from vidprod.domain.ids import new_id
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
from vidprod.domain.publication import Publication, Wait, When
from vidprod.domain.schedule import (
    Week,
    day_bounds,
    free_moment,
    free_slots,
    local_day,
    next_slots,
    parse_slots,
    slots_between,
    zone_of,
)
from vidprod.domain.segment import Rendition, Segment
from vidprod.domain.target import Moment, Target, parse_when
from vidprod.errors import BadSlot, BadTarget, BadWording, Conflict
from vidprod.store.sqlite.announce import announce
from vidprod.store.sqlite.plans import Taken
from vidprod.store.sqlite.tables import Tables

HAND_OVER_MS = 24 * 3_600_000  # before its time a video is handed to a platform that publishes it by itself
LEAST_AHEAD_MS = 3_600_000  # a time nearer than this is not handed over: platforms refuse what is almost now
_SLIP_MS = 15 * 60_000  # what goes out so long after its time was uploaded and processed meanwhile: it keeps its time
_LATE_MS = 60_000  # what somebody names as a time may be so long ago, and means now
_NO_TITLE = re.compile("[_<>]")  # YouTube refuses the last two
_TITLE_CHARACTERS = 70  # of a file's name; with its part it is a title everywhere


class Rhythm(msgspec.Struct, frozen=True, kw_only=True):
    """How an account wants its publications spaced, read from its settings."""

    zone: ZoneInfo
    week: Week
    gap_ms: int
    daily_cap: int | None


def rhythm_of(settings: AccountSettings) -> Rhythm:
    """Raises BadSlot."""
    return Rhythm(
        zone=zone_of(settings.zone),
        week=_week(tuple(settings.slots)),
        gap_ms=1000 * settings.gap_s,
        daily_cap=settings.daily_cap,
    )


@lru_cache(maxsize=256)
def _week(slots: tuple[str, ...]) -> Week:
    return parse_slots(slots)


def plan_segment(db: Tables, segment: Segment, *, now: int) -> list[Publication]:
    """What its job's targets ask for, once it is ready and kept. What was planned of it already stays: it may have been
    published, or somebody may not want it to be."""
    if segment.review != "kept":
        return []
    planned = {one.account_id for one in db.publications.of_segment(segment.id)}
    return [
        _plan_target(db, segment, target, now=now)
        for target in db.jobs.get(segment.job_id).targets
        if target.account_id not in planned
    ]


def _plan_target(db: Tables, segment: Segment, target: Target, *, now: int) -> Publication:
    """Whatever is wrong with it, the segment is ready: what the platform would refuse is said at once, and is waiting
    for other words."""
    account = db.accounts.get(target.account_id)
    wording, take = _said_by(target.wording)
    wording = merge(segment.wording, wording)
    when, due_at, wrong = _moment_or_hold(db, segment, account, parse_when(target.when), now=now)
    try:
        post = compose_for(db, segment, account, wording, take=take)
    except BadWording as error:  # as with slots that cannot be read
        wrong = Wait(code="hold", message=f"{error}. {error.hint}")
        post = compose_for(db, segment, account, Wording(title=take or "", caption="", hashtags=[]))
    found = faults_of(post, segment, account)
    hold = wrong or (Wait(code="hold", message="; ".join(found)) if found else None)
    planned = _add(db, segment, account, post, when=when, due_at=due_at, hold=hold, approve=wrong is not None, now=now)
    if hold is not None:
        announce(db, "waiting", planned, code=hold.code, message=hold.message, now=now)
    return planned


def _said_by(wording: Wording) -> tuple[Wording, str | None]:
    """What a target says with each segment, and what it calls the take."""
    if wording.title is None or names_fields(wording.title):
        return wording, None
    return msgspec.structs.replace(wording, title=None), wording.title  # the account says what comes of it


def plan_again(db: Tables, segment: Segment, ended: Publication, *, now: int) -> Publication | None:
    """What was cancelled with the segment is planned anew with what was said, now that the segment is taken back. None:
    it is on its way to the account, or the account is gone."""
    account = db.accounts.get(ended.account_id)
    others = db.publications.of_segment(segment.id)
    if account.state == "disconnected" or any(
        one.account_id == account.id and one.state not in ("rejected", "cancelled") for one in others
    ):
        return None
    at = ended.due_at if ended.when == "at" and ended.due_at > now else None
    asked = Moment(when="at", at=at) if at is not None else Moment(when="now" if ended.when == "now" else "slot")
    when, due_at, wrong = _moment_or_hold(db, segment, account, asked, now=now)
    return _add(db, segment, account, ended.post, when=when, due_at=due_at, hold=wrong, now=now)


def _moment_or_hold(
    db: Tables, segment: Segment, account: Account, asked: Moment, *, now: int
) -> tuple[When, int, Wait | None]:
    """As `_moment`; where the account's slots cannot be read, by settings of another version, somebody is asked."""
    try:
        when, due_at = _moment(db, segment, account, rhythm_of(account.settings), asked, now=now)
    except BadSlot as error:
        return asked.when, max(now, asked.at or 0), Wait(code="hold", message=str(error))
    return when, due_at, None


def plan(db: Tables, segment_id: str, account_id: str, *, when: str, wording: Wording, now: int) -> Publication:
    """One segment to one account, as somebody asks for it. Its wording is taken to the letter.

    Args:
        when: "slot", "now" or a time with its offset.
    Raises:
        NotFound: there is no such segment or account.
        Conflict: the segment is not ready, the account is disconnected, or it is planned or published there already.
        BadTarget, BadSlot, BadWording: the time is over, the account's slots cannot be read, or the platform would
            refuse what is said, naming every fault.
    """
    segment, account = db.segments.get(segment_id), db.accounts.get(account_id)
    if segment.rendition is None or segment.deleted_at is not None:
        gone = "its file was deleted" if segment.deleted_at is not None else f"it is {segment.state}"
        raise Conflict(f"the segment {segment_id} cannot be published: {gone}")
    if segment.review != "kept":
        waits = "it waits to be kept" if segment.review == "waiting" else "it was dropped"
        raise Conflict(f"the segment {segment_id} cannot be published: {waits}", code="not_kept", hint="Keep it first.")
    if account.state == "disconnected":
        raise Conflict(f"the account {account_id} ({account.name}) is disconnected", hint="Connect it again first.")
    asked = parse_when(when)
    refuse_past(asked, now=now)
    post = compose_for(db, segment, account, merge(wording, segment.wording))
    refuse_faults(post, segment, account)
    found, due_at = _moment(db, segment, account, rhythm_of(account.settings), asked, alone=True, now=now)
    return _add(db, segment, account, post, when=found, due_at=due_at, now=now)


def refuse_past(asked: Moment, *, now: int) -> None:
    """Raises BadTarget for a time that is over."""
    if asked.at is not None and asked.at < now - _LATE_MS:
        raise BadTarget("when: that time is over", hint='Name a time to come, or "now".')


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


def _add(
    db: Tables,
    segment: Segment,
    account: Account,
    post: Post,
    *,
    when: When,
    due_at: int,
    hold: Wait | None = None,
    approve: bool = False,
    now: int,
) -> Publication:
    publication = db.publications.add(
        Publication(
            id=new_id("pub", now=now),
            segment_id=segment.id,
            job_id=segment.job_id,
            account_id=account.id,
            platform=account.platform,
            state="scheduled",
            post=post,
            when=when,
            due_at=due_at,
            run_at=runs_at(account, due_at, now=now),
            needs_approval=account.settings.approve or approve,
            wait=hold,
            created_at=now,
        )
    )
    announce(db, "scheduled", publication, now=now)
    return publication


def runs_at(account: Account, due_at: int, *, now: int) -> int:
    """When the publisher begins with what is due at `due_at`; earlier where the platform is handed the time."""
    if account.platform == "youtube" and account.settings.hands_over_time and due_at - now >= LEAST_AHEAD_MS:
        return max(now, due_at - HAND_OVER_MS)
    return due_at


def _moment(
    db: Tables, segment: Segment, account: Account, rhythm: Rhythm, asked: Moment, *, alone: bool = False, now: int
) -> tuple[When, int]:
    """When the segment goes out, and how that came to be.

    Args:
        alone: the time was named for this segment; else for its job, whose later segments follow.
    """
    by_hand = alone and asked.when == "now"  # whoever sends the second part now does not mean "after the first one"
    before = None if by_hand else db.plans.before(account.id, segment.job_id, segment.index)
    if asked.at is not None and (alone or before is None):
        return "at", max(now, asked.at)
    earliest = max(now, before or 0, asked.at or 0)
    if rhythm.week and asked.when != "now":
        moments = _free(db, account.id, rhythm, after=earliest)
        if (slot := next(moments, None)) is not None:
            return "slot", slot
    taken = db.plans.taken(account.id, since=_since(earliest, rhythm)).at
    due_at = free_moment(earliest, taken, zone=rhythm.zone, gap_ms=rhythm.gap_ms, daily_cap=rhythm.daily_cap)
    return asked.when, due_at


def first_moment(db: Tables, account: Account, when: str, *, ready_at: int) -> int:
    """When the first segment of a take that is not there yet would go out, if it were planned now.

    Args:
        when: "slot", "now" or a time with its offset; ready_at: when the segment will be made.
    Raises:
        BadSlot: the account's slots cannot be read.
    """
    asked, rhythm = parse_when(when), rhythm_of(account.settings)
    if asked.at is not None:
        return max(ready_at, asked.at)
    if rhythm.week and asked.when != "now":
        moments = _free(db, account.id, rhythm, after=ready_at)
        if (slot := next(moments, None)) is not None:
            return slot
    taken = db.plans.taken(account.id, since=_since(ready_at, rhythm)).at
    return free_moment(ready_at, taken, zone=rhythm.zone, gap_ms=rhythm.gap_ms, daily_cap=rhythm.daily_cap)


def next_free_slot(db: Tables, publication: Publication, *, now: int) -> int | None:
    """The slot its account has for it next; None: the account has no slots. Raises BadSlot."""
    account = db.accounts.get(publication.account_id)
    rhythm = rhythm_of(account.settings)
    index = db.segments.get(publication.segment_id).index
    before = db.plans.before(account.id, publication.job_id, index)
    return next(_free(db, account.id, rhythm, after=max(now, before or 0)), None)


def _free(db: Tables, account_id: str, rhythm: Rhythm, *, after: int) -> Iterator[int]:
    """The slots that the account has left after `after`."""
    return _left(rhythm, db.plans.taken(account_id, since=_since(after, rhythm)), after=after)


def _left(rhythm: Rhythm, taken: Taken, *, after: int) -> Iterator[int]:
    return free_slots(
        (moment for moment in next_slots(rhythm.week, rhythm.zone, after) if moment not in taken.slots),
        taken.at,
        zone=rhythm.zone,
        gap_ms=rhythm.gap_ms,
        daily_cap=rhythm.daily_cap,
    )


def _since(moment: int, rhythm: Rhythm) -> int:
    """From when on publications count for what goes out from `moment` on."""
    return min(moment - rhythm.gap_ms, day_bounds(local_day(moment, rhythm.zone), rhythm.zone)[0])


def respaces(before: AccountSettings, after: AccountSettings) -> bool:
    """Whether what is planned in slots is to be planned anew after a change of settings."""
    return any(
        getattr(before, name) != getattr(after, name)
        for name in ("zone", "slots", "gap_s", "daily_cap", "hands_over_time")
    )


def replan_account(db: Tables, account_id: str, *, now: int) -> int:
    """What is planned in the account's slots takes the slots it has now, in the same order. How many were moved.

    Without slots all stays where it is: what was spread over weeks shall not go out at once.

    Raises:
        BadSlot: its slots or its zone cannot be read.
    """
    account = db.accounts.get(account_id)
    rhythm = rhythm_of(account.settings)
    _hand_over_anew(db, account, now=now)
    if not rhythm.week:
        return 0
    moments = _left(rhythm, db.plans.fixed(account_id, since=_since(now, rhythm), after=now), after=now)
    latest = db.plans.latest_fixed(account_id, after=now)
    moved = 0
    for row in db.plans.in_slots(account_id, after=now):
        due_at = next((moment for moment in moments if moment > latest.get(row["job_id"], 0)), None)
        if due_at is None:
            break
        if due_at != row["due_at"]:
            planned = db.publications.get(row["id"])
            run_at = runs_at(account, due_at, now=now)
            moved_to = db.publications.reschedule(planned, due_at=due_at, when="slot", run_at=run_at)
            announce(db, "changed", moved_to, now=now)
            moved += 1
    return moved


def _hand_over_anew(db: Tables, account: Account, *, now: int) -> None:
    """Whether the platform is handed the times of what is planned already may have changed."""
    for publication in db.publications.planned(account.id):
        run_at = runs_at(account, publication.due_at, now=now)
        early = publication.run_at < publication.due_at
        if early != (run_at < publication.due_at) and publication.due_at > now and publication.missed_at is None:
            db.publications.reschedule(publication, due_at=publication.due_at, when=publication.when, run_at=run_at)


def crowded(db: Tables, publication: Publication, *, now: int) -> Wait | None:
    """Why what is due in a slot does not go out yet: another one went out late, and the account's gap or its daily cap
    would not be kept. None: it may. A time that somebody named is not put off. Raises BadSlot."""
    if publication.when != "slot" or publication.due_at > now:
        return None
    rhythm = rhythm_of(db.accounts.get(publication.account_id).settings)
    if not rhythm.gap_ms and rhythm.daily_cap is None:
        return None
    starts, ends = day_bounds(local_day(now, rhythm.zone), rhythm.zone)
    went = db.plans.went(publication, since=min(starts, now - rhythm.gap_ms), slip_ms=_SLIP_MS, now=now)
    if rhythm.daily_cap is not None and sum(starts <= at for at in went) >= rhythm.daily_cap:
        until = next(next_slots(rhythm.week, rhythm.zone, ends - 1), ends)
        return Wait(code="cap", message=f"{rhythm.daily_cap} went out today, as many as a day may have.", until=until)
    if went and (until := max(went) + rhythm.gap_ms) > now:
        return Wait(code="gap", message="Another one went out a short while ago.", until=until)
    return None


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
        wording, take = _said_by(Wording() if target is None else target.wording)
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


def is_off(db: Tables, account_id: str, *, now: int) -> bool:
    """Whether something is planned in a slot that its account does not have: the rules of its zone have changed."""
    planned = [row["due_at"] for row in db.plans.in_slots(account_id, after=now)]
    if not planned:
        return False
    rhythm = rhythm_of(db.accounts.get(account_id).settings)
    slots = set(slots_between(rhythm.week, rhythm.zone, now, planned[-1] + 1))
    return bool(slots) and not slots.issuperset(planned)


def miss_overdue(db: Tables, *, now: int, late_ms: int) -> list[Publication]:
    """What came due more than `late_ms` ago, and may not go out now, is missed: somebody is asked. What may go out is
    the publisher's."""
    missed = []
    for publication_id in db.plans.held(before=now - late_ms, limit=1000):
        publication = db.publications.miss(db.publications.get(publication_id), now=now)
        assert publication.wait is not None
        announce(db, "missed", publication, code="missed", message=publication.wait.message, now=now)
        missed.append(publication)
    return missed
