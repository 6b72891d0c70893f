"""What the faces of a take mean for its segments, and what is left out when working on them fails.

It always finishes. Faces that cannot be followed are done without, with the reason. A render that fails while it works
on them is tried again with less: first the eyes are left alone, then no crop follows either; only then is it a render
that fails like any other.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from vidprod.domain.recipe import Recipe
from vidprod.domain.step import RenderRequest, StepRequest, Tracked
from vidprod.domain.video import MediaInfo
from vidprod.errors import ChildDied, NoSpace, TryLater, VidProdError

NOT_STARTED = "child_not_started"
_NOTHING_TRIED = frozenset({NoSpace.code, NOT_STARTED})


class Given(TypedDict):
    """These fields of a RenderRequest."""

    track: str | None
    no_track: str | None


def given(recipe: Recipe, info: MediaInfo, *, track: Path, reason: str | None, without: Sequence[str]) -> Given:
    """What a render is told of the faces.

    Args:
        track: where their track lies, if there is one.
        reason: why there is none.
        without: why attempts before were given up, each of which leaves out a part.
    """
    if not recipe.tracks(info):
        return Given(track=None, no_track=None)
    if reason is not None:
        return Given(track=None, no_track=reason)
    if len(without) > 1 or (without and not recipe.follows(info)):
        return Given(track=None, no_track=without[-1])
    if not track.is_file():
        return Given(track=None, no_track="the track of the faces is not on the volume any more")
    return Given(track=str(track.resolve()), no_track=without[0] if without else None)


def less_after(error: BaseException, request: StepRequest | None) -> list[str]:
    """Why, in words, the attempt after `error` leaves out a part of `request`; a reason for each part. None: faces had
    no part in it."""
    if not isinstance(request, RenderRequest) or request.track is None:
        return []
    if not isinstance(error, TryLater) or nothing_was_tried(error):
        return []
    what = "the media child died while" if isinstance(error, ChildDied) else "the media child failed at"
    if request.recipe.corrects and request.no_track is None:
        return [f"{what} correcting: {error}"]
    why = f"{what} following: {error}"
    return [why] if request.no_track is not None else [why, why]


def nothing_was_tried(error: VidProdError) -> bool:
    """Whether a child failed before it worked on faces: that says nothing of them."""
    return error.code in _NOTHING_TRIED


def gave_up(message: str) -> str:
    """Why there is no track, after an attempt at it that ended with `message`."""
    return f"following the faces was given up: {message}"


def warnings(recipe: Recipe, info: MediaInfo, tracked: Tracked | None, *, without: Sequence[str]) -> list[str]:
    """What a job says about its faces."""
    said = [] if tracked is None else list(tracked.warnings)
    if tracked is not None and tracked.reason is not None:
        what = "eyes were not turned to the lens" if recipe.corrects else "no face was followed"
        said.append(f"{what}: {tracked.reason}")
    if without and recipe.corrects:
        said.append(f"in some segments eyes were not turned to the lens: {without[0]}")
    if len(without) > 1 and recipe.follows(info):
        said.append(f"in some segments no face was followed: {without[1]}")
    return said
