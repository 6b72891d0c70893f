"""A job: one request by a user, this video with this recipe.

queued → processing → completed
   │         ├──────→ failed      (retry → queued)
   └─────────┴──────→ cancelled   (retry → queued)
"""

from typing import Literal, get_args

import msgspec

from vidprod.domain.recipe import Recipe
from vidprod.domain.target import Target
from vidprod.domain.user import OWNER_ID

JobState = Literal["queued", "processing", "completed", "failed", "cancelled"]
Priority = Literal["high", "normal", "low"]

STATES: tuple[JobState, ...] = get_args(JobState)
FINAL: frozenset[str] = frozenset({"completed", "failed", "cancelled"})


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Why something ended badly: a code for programs, a sentence, and what to do."""

    code: str
    message: str
    hint: str = ""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `job`. Times are unix milliseconds."""

    id: str
    user_id: str = OWNER_ID
    video_id: str
    state: JobState
    priority: Priority
    recipe: Recipe
    created_at: int
    started_at: int | None = None
    finished_at: int | None = None
    error: Fault | None = None
    warnings: list[str] = []
    targets: list[Target] = []  # where its segments go
    review: bool = False  # not before somebody keeps them
    media_deleted_at: int | None = None  # when the pruner took the segments' files
