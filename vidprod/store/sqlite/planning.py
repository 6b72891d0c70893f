"""Which segment goes to which account: publications are planned, planned anew, moved with their account, and missed.

Each function runs inside one transaction, whoever asks for it. Times are unix milliseconds of publishing's clock; how
they are found is in `timing.py`, what is said in `composing.py`.
"""

from vidprod.domain.account import Account, AccountSettings
from vidprod.domain.ids import new_id
from vidprod.domain.post import Post, Wording, merge
from vidprod.domain.publication import Publication, Wait, When
from vidprod.domain.schedule import slots_between
from vidprod.domain.segment import Segment
from vidprod.domain.target import Moment, Target, parse_when
from vidprod.errors import BadSlot, BadWording, Conflict
from vidprod.store.sqlite.announce import announce
from vidprod.store.sqlite.composing import compose_for, faults_of, refuse_faults, said_by
from vidprod.store.sqlite.tables import Tables
from vidprod.store.sqlite.timing import counts_since, moment_of, refuse_past, rhythm_of, runs_at, slots_left


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
    wording, take = said_by(target.wording)
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
    """As `moment_of`; where the account's slots cannot be read, by settings of another version, somebody is asked."""
    try:
        when, due_at = moment_of(db, segment, account, rhythm_of(account.settings), asked, now=now)
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
    found, due_at = moment_of(db, segment, account, rhythm_of(account.settings), asked, alone=True, now=now)
    return _add(db, segment, account, post, when=found, due_at=due_at, now=now)


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
    moments = slots_left(rhythm, db.plans.fixed(account_id, since=counts_since(now, rhythm), after=now), after=now)
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
