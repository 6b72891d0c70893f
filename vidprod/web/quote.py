"""A quote over HTTP: what a take will take, asked before its first byte."""

from typing import Annotated, Any, get_type_hints

import msgspec
from litestar.di import NamedDependency
from msgspec import Meta

from vidprod.domain.account import Account
from vidprod.domain.quote import (
    Ahead,
    Pace,
    Past,
    WorkKind,
    guessed_s,
    kind_of,
    needs_of,
    pace_of,
    queue_s,
    share_until_first,
    work_s,
)
from vidprod.domain.target import check_accounts, resolve
from vidprod.errors import BadRequest, BadSlot, NoSpace, TooMany, Unavailable
from vidprod.store.sqlite import Tables
from vidprod.store.sqlite.standing import PAUSED_AT
from vidprod.store.sqlite.timing import first_moment
from vidprod.web.desk import Desk, HttpRequest
from vidprod.web.moments import moment
from vidprod.web.reading import read
from vidprod.web.room import admit_new, fits_at, room_now
from vidprod.web.uploads.order import Order, read_order
from vidprod.web.uploads.receive import too_large

_MOST = 10**15  # of anything: a figure above it is a slip
_FAR_S = 366 * 86_400.0  # what will be made later than that is planned by nobody


class BadQuestion(BadRequest):
    """What the take is like cannot be read."""

    code = "bad_quote"
    status = 422


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What the guess comes from: so many takes that were made here; 0: a benchmark on another machine."""

    work: WorkKind
    jobs: int


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What a take would take if it were sent now. `processing_s` counts from its last byte, with the takes before it
    (`queue_s` of it); it is a guess, and between low and high nine times of ten. `first_post_at`: null where no account
    takes its segments by itself. `free_bytes`: what nobody else was promised. `fits_at`: null also where no room comes
    by itself."""

    upload_s: float | None
    duration_s: float
    duration_guessed: bool
    processing_s: float
    processing_low_s: float
    processing_high_s: float
    queue_s: float
    first_post_at: str | None
    first_post_needs_approval: bool
    needs_bytes: int
    source_bytes: int
    segments_bytes: int
    working_bytes: int
    free_bytes: int
    fits: bool
    fits_at: str | None
    refusal: str | None
    basis: Basis


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked beside the options of an upload. `rate`: bytes a second, as the sender measured it."""

    size: Annotated[int, Meta(ge=1, le=_MOST)]
    duration_s: Annotated[float, Meta(gt=0, le=_MOST)] | None = None
    width: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    height: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    rate: Annotated[float, Meta(gt=0, le=_MOST)] | None = None


_FIGURES = get_type_hints(Question, include_extras=True)
_RIGHT = {
    "size": "a whole number of bytes, at least 1",
    "duration_s": "a number of seconds above 0",
    "width": "a whole number of pixels",
    "height": "a whole number of pixels",
    "rate": "a number of bytes a second above 0",
}


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """What one look into the database tells."""

    past: list[Past]
    ahead: list[Ahead]
    waiting: int
    accounts: list[Account]
    paused: bool


@read("/v1/quote")
async def get_quote(request: HttpRequest, desk: NamedDependency[Desk]) -> Quote:
    """How long a take of `size` bytes would need and how much room, before any of it is sent. Query parameters: what is
    known of it (`duration_s`, `width`, `height`), `rate`, the bytes a second that the sender measured, and the options
    of the upload."""
    question, order = _asked(request)
    known = await desk.store.read(_look)
    check_accounts(order.publish, known.accounts)
    duration_s = question.duration_s or guessed_s(known.past, question.size)
    kind = kind_of(order.recipe)
    pixels = question.width * question.height if question.width and question.height else None
    pace = pace_of(known.past, kind, pixels=pixels)
    before_s = queue_s(known.ahead, known.past, children=desk.config.children)
    before_s *= known.waiting / len(known.ahead) if known.ahead else 1
    upload_s = question.size / question.rate if question.rate else None
    room = room_now(desk, known.past, known.ahead, waiting=known.waiting)
    needs = needs_of(known.past, kind, size=question.size, duration_s=duration_s, segment_s=order.recipe.segment_s)
    needed = max(needs.total, room.with_segments(question.size))
    refusal, at = _over_limit(desk, question, duration_s), None
    if refusal is None and needed > room.left:
        refusal, at = str(room.refusal(needed)), await fits_at(desk, room, needed)
    if refusal is None:
        refusal, at = await _not_now(desk, question.size)
    first_s = (upload_s or 0) + before_s + _until_first_s(order, duration_s, pace)
    first = await desk.store.read(lambda db: _first_post(desk, db, order, known, after_s=first_s))
    return Quote(
        upload_s=upload_s,
        duration_s=duration_s,
        duration_guessed=question.duration_s is None,
        processing_s=before_s + work_s(duration_s, pace.likely),
        processing_low_s=before_s * _less(pace) + work_s(duration_s, pace.low),
        processing_high_s=before_s * _more(pace) + work_s(duration_s, pace.high),
        queue_s=before_s,
        first_post_at=None if first is None else moment(first[0]),
        first_post_needs_approval=first is not None and first[1],
        needs_bytes=needed,
        source_bytes=needs.source,
        segments_bytes=needs.segments,
        working_bytes=needs.working,
        free_bytes=room.left,
        fits=refusal is None,
        fits_at=moment(at),
        refusal=refusal,
        basis=Basis(work=kind, jobs=pace.jobs),
    )


def _asked(request: HttpRequest) -> tuple[Question, Order]:
    """Raises BadQuestion, BadRecipe."""
    fields = list(request.query_params.multi_items())
    told = {name: value for name, value in fields if name in _FIGURES}
    good: dict[str, Any] = {}
    faults = [] if "size" in told else ["size: must be given, in bytes"]
    for name, value in told.items():
        try:
            good[name] = msgspec.convert(value, _FIGURES[name], strict=False)
        except msgspec.ValidationError:
            faults.append(f"{name}={value[:60]!r}: must be {_RIGHT[name]}")
    if faults:
        raise BadQuestion("; ".join(faults), hint="Leave out what is not known, but for size.")
    order = read_order((name, value) for name, value in fields if name not in _FIGURES)
    return Question(**good), order


def _look(db: Tables) -> _Known:
    ahead, waiting = db.history.ahead()
    return _Known(
        past=db.history.past(),
        ahead=ahead,
        waiting=waiting,
        accounts=list(db.accounts.list(disconnected=True)),
        paused=db.facts.get(PAUSED_AT) is not None,
    )


def _over_limit(desk: Desk, question: Question, duration_s: float) -> str | None:
    """Why it would never be taken, in words; None: it may be."""
    config = desk.config
    if question.size > config.max_upload_bytes:
        return str(too_large(question.size, config.max_upload_bytes))
    if question.duration_s is not None and duration_s > config.max_duration_s:
        return f"The take is longer than {config.max_duration_s} s, the longest that is made."
    return None


async def _not_now(desk: Desk, size: int) -> tuple[str | None, int | None]:
    """Why no upload is let in at this moment, and when to come again, unix ms: the machine is strained, or the day's
    bytes are used up."""
    try:
        await admit_new(desk, size)
    except (NoSpace, TooMany, Unavailable) as error:
        after_s = error.retry_after_s
        return str(error), None if after_s is None else desk.now() + round(1000 * after_s)
    return None, None


def _until_first_s(order: Order, duration_s: float, pace: Pace) -> float:
    share = share_until_first(duration_s, order.recipe.segment_s, tracks=order.recipe.tracks(None))
    return share * work_s(duration_s, pace.likely)


def _less(pace: Pace) -> float:
    return pace.low / pace.likely if pace.likely else 1.0


def _more(pace: Pace) -> float:
    return pace.high / pace.likely if pace.likely else 1.0


def _first_post(desk: Desk, db: Tables, order: Order, known: _Known, *, after_s: float) -> tuple[int, bool] | None:
    """When the first segment goes out somewhere, unix ms, and whether somebody has to approve it before; None: none
    does by itself."""
    if known.paused or after_s > _FAR_S:
        return None
    ready_at = desk.clock() + round(1000 * after_s * desk.config.clock_speed)
    accounts = {one.id: one for one in known.accounts if one.state == "connected" and one.paused_at is None}
    found = []
    for target in resolve(order.publish, accounts.values()):
        account = accounts.get(target.account_id)
        if account is None:
            continue
        try:
            found.append((first_moment(db, account, target.when, ready_at=ready_at), account.settings.approve))
        except BadSlot:  # it will wait until somebody says when
            continue
    return min(found, default=None)


HANDLERS = [get_quote]
