"""An upload that resumes: bytes on their way in over several requests.

whole    open → complete (its job is there) | terminated | expired
partial  open → complete → joined (into a final one) | terminated | expired
final    complete, as soon as it is asked for: it is made of partial ones

What is refused as no video is terminated too, and `error` says why.
Source: tus 1.0.0, whose words these are; "joined" is ours.
"""

from typing import Literal

import msgspec

from vidprod.domain.job import Fault
from vidprod.domain.user import OWNER_ID

UploadState = Literal["open", "complete", "joined", "terminated", "expired"]
UploadKind = Literal["whole", "partial", "final"]


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `upload`, without its secret. Times are unix milliseconds, sizes bytes."""

    id: str
    user_id: str = OWNER_ID
    state: UploadState
    kind: UploadKind
    length: int | None = None  # None: it will be said later
    offset: int = 0  # so many bytes are on the disk
    metadata: str | None = None  # the header as it came, without a secret
    extension: str | None = None  # by the first bytes, once they are there
    parts: list[str] = []  # ids of what a final one is made of
    job_id: str | None = None
    error: Fault | None = None
    created_at: int
    expires_at: int  # moves with each byte
    finished_at: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether it may grow."""
        return self.state == "open"

    @property
    def is_gone(self) -> bool:
        return self.state in ("terminated", "expired")

    @property
    def is_full(self) -> bool:
        """Whether every byte is here."""
        return self.offset == self.length

    @property
    def still_expected(self) -> int:
        """Announced bytes that are not here yet."""
        return self.length - self.offset if self.is_open and self.length is not None else 0
