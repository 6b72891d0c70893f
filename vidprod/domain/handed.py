"""What is to be done about a publication that lies at its platform with a time of its own there, or without.

Its `wait` says what is wanted:

handed         that it goes public as the platform has it, whoever gave it that time
moving         that it goes public at `due_at`
withdrawing    that it does not: it was cancelled
paused, missed that it lies there until somebody resumes, or says when

The platform is told a time, not a change of one: asked twice, it does the same twice, so an answer that was lost is
read and, where need be, asked for again. Everything here is pure; times are unix milliseconds.
"""

from typing import Literal

LEAST_LEAD_MS = 15 * 60_000  # a platform is handed a time that is at least so far away

Step = Literal["leave", "hand", "withdraw", "publish", "wait", "hold", "cancel", "miss"]


def next_step(code: str, *, public_at: int | None, due_at: int, held: bool, late_ms: int, now: int) -> Step:
    """leave: all is as it shall be; hand: tell the platform `due_at`; withdraw: tell it none; publish: now; wait: until
    `due_at`, it is too near to be handed over; hold: there is a pause; cancel: it is withdrawn; miss: ask somebody.

    Args:
        code: of its `wait`.
        public_at: when the platform makes it public; None: not by itself.
        held: by a pause.
        late_ms: so long after `due_at` it still goes out.
    """
    if code == "withdrawing":
        return "cancel" if public_at is None else "withdraw"
    if held:
        return "hold" if public_at is None else "withdraw"
    if public_at is not None and (code != "moving" or is_same(public_at, due_at)):
        return "leave"
    if public_at is None and (code == "handed" or now - due_at > late_ms):
        return "miss"  # somebody took its time away at the platform, or it came due during a pause
    if due_at <= now:
        return "publish"
    if due_at - now >= LEAST_LEAD_MS:
        return "hand"
    return "wait" if public_at is None else "withdraw"


def is_same(public_at: int, due_at: int) -> bool:
    """Whether two times are one: platforms know whole seconds."""
    return public_at // 1000 == due_at // 1000
