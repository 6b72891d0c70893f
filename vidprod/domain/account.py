"""An account: a connected YouTube, TikTok or Instagram account that segments are published to.

connected ⇄ needs_reauth    (its tokens are dead: somebody has to connect it again)
    └──────────┴───→ disconnected   (connected again → connected)

Paused is no state of its own: any account may be paused, whatever it is otherwise, and nothing of it goes out until
it is resumed.
"""

from typing import Annotated, Literal, get_args

import msgspec

from vidprod.domain.post import Privacy, Wording
from vidprod.domain.user import OWNER_ID

Platform = Literal["youtube", "tiktok", "instagram"]
AccountState = Literal["connected", "needs_reauth", "disconnected"]
Flavour = Literal["", "facebook_login", "instagram_login"]

PLATFORMS: tuple[Platform, ...] = get_args(Platform)
MOST_GAP_S = 31 * 86_400
DIRECT_SCOPE = "video.publish"  # TikTok: to post, and not only to leave drafts


class AccountSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an account is published to. What a job does not say is taken from here."""

    automatic: Annotated[
        bool,
        msgspec.Meta(description="segments of jobs that name no accounts go here, in the account's slots or at once"),
    ] = False
    zone: Annotated[str, msgspec.Meta(description="IANA name of the time zone of slots and daily caps")] = "UTC"
    slots: Annotated[
        list[Annotated[str, msgspec.Meta(max_length=200)]],
        msgspec.Meta(max_length=50, description='weekly slots: "Mon-Fri 12:00, 18:00"; none: at once'),
    ] = []
    gap_s: Annotated[int, msgspec.Meta(ge=0, le=MOST_GAP_S, description="between two publications, at least")] = 0
    daily_cap: Annotated[int, msgspec.Meta(ge=1, description="publications a day of the zone, at most")] | None = None
    approve: Annotated[bool, msgspec.Meta(description="publications wait until somebody approves them")] = False
    delivery: Annotated[
        Literal["draft", "direct"],
        msgspec.Meta(
            description="TikTok: draft: to the inbox, finished in the app; direct: posted, which agrees to TikTok's "
            "Music Usage Confirmation, and with a paid partnership to its Branded Content Policy"
        ),
    ] = "draft"
    hands_over_time: Annotated[
        bool, msgspec.Meta(description="YouTube: uploaded early as private with the time at which it goes public")
    ] = False
    wording: Wording = Wording()


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `account`, without its secrets. Times are unix milliseconds."""

    id: str
    user_id: str = OWNER_ID
    platform: Platform
    flavour: Flavour = ""  # of Instagram: which login, and with it which hosts and ways to send
    external_id: str  # channel, open_id or professional account, as the platform names it
    name: str  # as people see it
    username: str = ""  # as in addresses
    state: AccountState
    scopes: list[str] = []  # as granted
    notices: list[str] = []  # what is missing or limited, in words
    settings: AccountSettings = AccountSettings()
    connected_at: int
    access_expires_at: int | None = None
    refresh_expires_at: int | None = None  # None: until revoked
    refreshed_at: int | None = None
    paused_at: int | None = None
    parked_until: int | None = None  # the platform's quota or a pause it imposed
    fault: str | None = None  # why it needs to be connected again


class LoginWay(msgspec.Struct, frozen=True, kw_only=True):
    """A way to connect accounts of a platform. `hint`: what to do where it is not configured, or what to know."""

    platform: Platform
    flavour: Flavour = ""
    name: str
    configured: bool
    hint: str = ""


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """What an account lets its posts be at this moment, as its owner set it in the platform's own app."""

    name: str
    username: str
    privacy: list[Privacy]
    comments: bool
    duet: bool
    stitch: bool
    longest_s: int
