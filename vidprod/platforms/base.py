"""What every platform is asked, and what it may answer: the protocol that `youtube`, `tiktok` and `instagram` follow.

Each method makes one attempt and says how it ended; who calls decides about trying again, by the kind of the error:

RETRY       the same request may succeed later       REFRESH    the access token is not taken: renew it, once
REAUTH      somebody has to connect again            QUOTA      parked until a stated time
FIX         clip, text or settings must change       POLICY     the platform has decided: never again by itself
NEWHANDLE   this handle is dead and nothing came of it: begin anew
RECONCILE   read the platform's state first

A handle is what a platform gave to send with: session address, publish id, container. It is JSON, and a secret. Where a
lost answer was found by reading, `remote_id` is the one that the reading told.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from vidprod.domain.account import AccountSettings, Flavour, Platform
from vidprod.domain.post import Post

Handle = dict[str, Any]
ReadState = Literal["absent", "uploading", "ready", "processing", "handed", "live", "rejected", "gone", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Media:
    """The file that is sent, and what a platform wants to know of it."""

    path: Path
    size: int  # bytes
    sha256: str
    duration_us: int
    width: int
    height: int
    fps: str
    mime: str = "video/mp4"
    public_url: str | None = None  # where the platform can fetch it; only where it cannot be sent


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform says of a handle. Reading never changes anything there.

    absent: nothing came of the handle, and nothing will; uploading: `stored` bytes are there, more are wanted; ready:
    all is there and it can be published; processing: nothing is to be done but wait; handed: it keeps it private until
    `public_at`, or for good where that is None; live: published, or a draft delivered; rejected: the platform will not
    publish it; gone: the platform does not know the handle; unknown: it does not tell.
    """

    state: ReadState
    stored: int = 0
    remote_id: str | None = None
    url: str | None = None
    public_at: int | None = None  # of what was handed over: unix ms
    privacy: str = ""
    said: str = ""  # in the platform's words
    kind: str = ""  # of a rejection
    code: str = ""
    settled: bool = True  # live: nothing more is to be learnt; False: the address will be known later


class Grant(Protocol):
    """The right to act for one account. Tokens are asked for at each use: they change under way."""

    account_id: str
    external_id: str
    username: str
    flavour: Flavour
    settings: AccountSettings

    async def token(self) -> str:
        """A token that is good for some minutes more; renewed first where it is not. Raises PlatformError (REAUTH)."""

    async def renew(self, refused: str) -> str:
        """Another token than `refused`, which the platform did not take. Raises PlatformError (REAUTH, RETRY)."""

    async def extra(self, name: str) -> str:
        """What else was granted with it: "page_token"; empty where there is none."""


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What an authorisation brought. Secrets: kept sealed."""

    access_token: str
    refresh_token: str = ""
    expires_in_s: int | None = None
    refresh_expires_in_s: int | None = None
    scopes: tuple[str, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whose account it is, as the platform tells."""

    external_id: str
    name: str
    username: str = ""
    notices: tuple[str, ...] = ()  # what is missing or limited, in words
    tokens: Tokens | None = None  # better ones than those it was asked with


@dataclass(frozen=True, kw_only=True)
class App:
    """How this installation is known to a platform."""

    client_id: str
    client_secret: str


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An authorisation that a browser is sent to."""

    url: str
    verifier: str  # of PKCE; kept until the redirect comes back


class Login(Protocol):
    """How accounts of one platform (and flavour) are connected."""

    platform: Platform
    flavour: Flavour

    def ask(self, app: App, *, redirect_uri: str, state: str, direct: bool) -> Asked:
        """Where a person is sent to grant. `direct`: of TikTok, direct posts are wanted and not only drafts."""

    async def exchange(self, app: App, *, code: str, redirect_uri: str, verifier: str) -> Tokens:
        """The tokens for a code. Raises PlatformError."""

    async def refresh(self, app: App, tokens: Tokens) -> Tokens:
        """Newer tokens, whole: what the answer does not bring stays as it was. Raises PlatformError (REAUTH, RETRY)."""

    async def identify(self, app: App, tokens: Tokens) -> list[Identity]:
        """The accounts these tokens can publish to. Raises PlatformError."""

    async def inspect(self, app: App, tokens: Tokens, notices: Sequence[str]) -> list[str]:
        """What there is to say of an account now, instead of `notices`; as they are where the platform does not tell.

        Raises:
            PlatformError: REAUTH: the tokens are dead, or what publishing needs was taken back.
        """

    async def revoke(self, app: App, tokens: Tokens) -> None:
        """Give the grant back, where the platform knows how. Raises PlatformError."""


class Publisher(Protocol):
    """How a clip gets to one platform."""

    platform: Platform
    begins_once: bool  # `begin` must not be repeated where its answer was lost
    publishes: bool  # has a call of its own that makes it public, after all was sent and processed

    def faults(self, post: Post, media: Media, settings: AccountSettings) -> list[str]:
        """What of it the platform would refuse, in words; checked before the first byte. None: it may be sent."""

    async def begin(self, grant: Grant, post: Post, media: Media, *, publish_at: int | None = None) -> Handle:
        """A handle to send with. Nothing is public yet.

        Args:
            publish_at: unix ms; the platform makes it public then by itself, where it can.
        Raises:
            PlatformError, Unanswered.
        """

    async def send(self, grant: Grant, handle: Handle, media: Media, *, sent: Callable[[int], None]) -> Handle:
        """Send what is missing, from `handle["stored"]` on. The handle, as it is then.

        Args:
            sent: called with the bytes sent so far, now and then.
        Raises:
            PlatformError; Unanswered: some of it, or all, may have arrived: read first.
        """

    async def publish(self, grant: Grant, handle: Handle) -> Handle:
        """The one call that makes it public; only where `publishes`, and the reading was "ready".

        Raises:
            PlatformError; Unanswered: it may be public: read first.
        """

    async def move(self, grant: Grant, handle: Handle, *, publish_at: int | None) -> Handle:
        """Have the platform keep another time for what it was handed; only where the reading was "handed". Asked again
        it does the same again, and what is public already stays so.

        Args:
            publish_at: unix ms; a time that has come makes it public. None: it stays private.
        Raises:
            PlatformError, Unanswered.
        """

    async def finish(self, grant: Grant, post: Post, reading: Reading) -> Reading:
        """Of what is live, do what was asked with it and can only be done then; asked again it does the same again.

        That it cannot be done is said in the reading and fails nothing; unsettled, it is tried again for a while.
        """

    async def read(self, grant: Grant, handle: Handle, media: Media) -> Reading:
        """What became of the handle. Raises PlatformError, Unanswered: nothing is known, ask again later."""
