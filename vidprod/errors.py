"""The error tree. Each type is a decision its catcher can make; `code` is what the API and the logs call it.

VidProdError
├── BadRequest          the caller must change the request (400, 422)
│   ├── BadRecipe       a recipe option is unknown or out of range
│   ├── BadSlot         a weekly slot or its time zone cannot be read (422)
│   ├── BadTarget       an account to publish to is not there, or its time cannot be read (422)
│   ├── BadWording      a title or caption names a field that there is not (422)
│   └── BadConfig       a setting is unknown or out of range
├── NotFound            no such job, segment or event (404)
├── Conflict            the thing is in a state that does not allow this (409)
├── TooLarge            more bytes than the limit (413)
├── NotAVideo           the first bytes are not a video we read (415)
├── NoSpace             the volume is too full (507)
├── TooMany             more requests than a client may make in that time (429)
├── Unavailable         stopping, or busy: the same request may succeed later (503)
├── Refused             the media cannot be processed, and never will (the job fails, no retry)
├── TryLater            this attempt failed, the next may succeed
│   └── ChildDied       the media child ended by a signal, a limit or silence
├── ModelMissing        what finds faces is not installed: go on without
├── BadTrack            the file that says where faces are cannot be read: go on without
├── ClaimLost           another attempt owns the task now: drop the result
├── BadArchive          a backup or what moves house is damaged, cut off or none (422)
├── SealBroken          a sealed value cannot be opened: its key is not here, or it was changed
├── PlatformError       a platform said no, or could not be asked; `kind` says what to do
│   └── Unanswered      it was asked and no answer came: it may have been done
└── StoreError          the database cannot be used as it is
    ├── SchemaTooNew    written by a newer version
    └── ForeignVolume   media on the volume, but no database
"""


class VidProdError(Exception):
    """Something went wrong."""

    code = "internal"
    status = 500
    hint = ""

    def __init__(self, message: str = "", *, code: str = "", hint: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())
        self.code = code or type(self).code
        self.hint = hint or type(self).hint

    @property
    def in_words(self) -> str:
        """The message, and what can be done about it."""
        return f"{self} {self.hint}".strip()


class BadRequest(VidProdError):
    """The request cannot be understood."""

    code = "bad_request"
    status = 400


class BadRecipe(BadRequest):
    """A recipe option is unknown or out of range."""

    code = "bad_recipe"
    status = 422


class BadSlot(BadRequest):
    """A weekly slot or its time zone cannot be read."""

    code = "bad_slot"
    status = 422


class BadCut(BadRequest):
    """A segment cannot be cut there."""

    code = "bad_cut"
    status = 422


class BadTarget(BadRequest):
    """An account to publish to is not there, or its time cannot be read."""

    code = "bad_target"
    status = 422


class BadWording(BadRequest):
    """A title or caption names a field that there is not."""

    code = "bad_wording"
    status = 422


class BadConfig(BadRequest):
    """A setting is unknown or out of range."""

    code = "bad_config"


class NotFound(VidProdError):
    """There is no such thing here."""

    code = "not_found"
    status = 404


class Conflict(VidProdError):
    """The present state does not allow this."""

    code = "conflict"
    status = 409


class TooLarge(VidProdError):
    """The upload is larger than the limit."""

    code = "too_large"
    status = 413


class NotAVideo(VidProdError):
    """The file is not a video."""

    code = "not_a_video"
    status = 415
    hint = "Send a video file: MP4, MOV, MKV, WebM, AVI, MPEG-TS, FLV or 3GP."


class NoSpace(VidProdError):
    """The volume is too full."""

    code = "no_space"
    status = 507
    hint = "Delete finished jobs or enlarge the volume, then try again."
    retry_after_s: int | None = None  # when the pruner will have made room, where that is known


class TooMany(VidProdError):
    """Too many requests."""

    code = "too_many_requests"
    status = 429
    hint = "Try again after as many seconds as Retry-After says."
    retry_after_s: float

    def __init__(self, message: str = "", *, code: str = "", hint: str = "", retry_after_s: float = 1.0) -> None:
        super().__init__(message, code=code, hint=hint)
        self.retry_after_s = retry_after_s


class Unavailable(VidProdError):
    """The daemon cannot take this now."""

    code = "unavailable"
    status = 503
    hint = "Try again in a few seconds."
    retry_after_s = 5


class Refused(VidProdError):
    """The media cannot be processed."""

    code = "refused"
    status = 422


class TryLater(VidProdError):
    """This attempt failed; the next may succeed."""

    code = "try_later"
    status = 503
    output = ""  # the last lines the child wrote to its standard error


class ChildDied(TryLater):
    """The media child ended before it answered."""

    code = "child_died"


class ModelMissing(VidProdError):
    """What finds faces is not installed."""

    code = "model_missing"


class BadTrack(VidProdError):
    """The file is not a track of faces."""

    code = "bad_track"


class ClaimLost(VidProdError):
    """Another attempt owns the task now."""

    code = "claim_lost"
    status = 409


class BadArchive(VidProdError):
    """What was given is no whole archive."""

    code = "bad_archive"
    status = 422
    hint = "Take another backup: nothing was changed."


class SealBroken(VidProdError):
    """A sealed value cannot be opened."""

    code = "seal_broken"


class PlatformError(VidProdError):
    """A platform refused, or could not be asked."""

    code = "platform"
    status = 502

    def __init__(
        self,
        message: str = "",
        *,
        kind: str = "RETRY",
        code: str = "",
        hint: str = "",
        http_status: int | None = None,
        retry_after_s: float | None = None,
        until: int | None = None,
        tries: int | None = None,
        trace: str = "",
    ) -> None:
        """
        Args:
            message: the platform's own words.
            kind: what to do: RETRY, REFRESH, REAUTH, QUOTA, FIX, POLICY, NEWHANDLE, RECONCILE; `platforms/base.py`.
            retry_after_s: as it asked; until: unix ms at which a quota is anew, where that is known.
            tries: so often it is worth trying again at most; None: as often as what was asked.
            trace: what its support asks for: log_id, fbtrace_id.
        """
        super().__init__(message, code=code, hint=hint)
        self.kind = kind
        self.http_status = http_status
        self.retry_after_s = retry_after_s
        self.until = until
        self.tries = tries
        self.trace = trace


class Unanswered(PlatformError):
    """A request was sent and no answer came: it may have been done."""

    code = "unanswered"

    def __init__(self, message: str = "") -> None:
        super().__init__(message, kind="RECONCILE")


class StoreError(VidProdError):
    """The database cannot be used as it is."""

    code = "store"


class SchemaTooNew(StoreError):
    """The database was written by a newer version."""

    code = "schema_too_new"


class SchemaTooOld(StoreError):
    """The database was written by an older version."""

    code = "schema_too_old"
    hint = "Start the daemon of this version: it brings the database up to date."


class ForeignVolume(StoreError):
    """The volume holds media but no database."""

    code = "media_without_database"
