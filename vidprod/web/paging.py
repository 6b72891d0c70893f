"""What a list is asked for: where its next page starts, and only what is in some states or of some time."""

from collections.abc import Collection

from vidprod.domain.ids import is_id
from vidprod.domain.target import parse_when
from vidprod.errors import BadRequest, BadTarget


def check_cursor(cursor: str | None, prefix: str) -> None:
    """Raises BadRequest for what is no `next_cursor` of a list of this noun."""
    if cursor is not None and not is_id(cursor, prefix):
        raise BadRequest(f"cursor={cursor[:60]!r} is not `next_cursor` of a page.", hint="Leave it out to begin anew.")


def states_of(text: str | None, known: Collection[str]) -> set[str] | None:
    """The states in "scheduled,unknown"; None: all of them. Raises BadRequest, with those there are."""
    if text is None:
        return None
    wanted = {state.strip() for state in text.split(",")}
    if unknown := wanted.difference(known):
        raise BadRequest(f"state={', '.join(sorted(unknown))[:60]}: must be of {', '.join(known)}.")
    return wanted


def span_of(since: str | None, until: str | None) -> tuple[int | None, int | None]:
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
