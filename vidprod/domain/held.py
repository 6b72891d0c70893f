"""Publishing is held: by more than a pause. Nothing is sent, nothing is asked of a platform, no token is renewed.

What was restored from a backup does not know what went out since; what was moved to another home goes out there. Both
are facts in the database, which outlive the process, and are told in words wherever somebody asks why nothing goes out.
"""

from typing import Literal

import msgspec

Why = Literal["restored", "moved"]


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """The fact `publishing_held`. Times are unix milliseconds of publishing's clock."""

    why: Why
    since: int
    message: str
    paused_before: int | None = None  # since when a person had paused all publishing already
