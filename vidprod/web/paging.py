"""What a list is asked for: where its next page starts, and only what is in some states."""

from collections.abc import Collection

from vidprod.domain.ids import is_id
from vidprod.errors import BadRequest


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
