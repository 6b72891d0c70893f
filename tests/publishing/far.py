"""The far end as three small platforms: what they were sent, what they show, and how they fail by seeded dice.

They know nothing of ours and outlive every crash. Each post counts: two of one segment on one account are a double.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vidprod.domain.account import AccountSettings, Flavour, Platform
from vidprod.domain.post import Post
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms.base import Grant, Handle, Media, Reading

HOUR_MS = 3_600_000


@dataclass
class Held:
    """What one of them has of a handle."""

    account: str
    title: str
    total: int
    begun_at: int
    publish_at: int | None
    stored: int = 0
    ready_at: int | None = None  # every byte is there, and it is processed until then
    live_at: int | None = None
    shown_at: int = 0  # until then it is live and looks as if it were not, to who does not know its number
    refused: tuple[str, str] | None = None  # kind and code
    is_forgotten: bool = False  # whatever came of it


@dataclass
class Far:
    """Shared by the three."""

    now: Callable[[], int]
    seed: int = 0
    chance: float = 0.0
    held: dict[str, Held] = field(default_factory=dict)
    posts: Counter[tuple[str, str]] = field(default_factory=Counter)  # by account and title
    happened: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)  # accounts whose tokens are dead
    takes_s: int = 120  # processing, at most
    privacy: str = "public"  # as posts are shown
    settles_at: int = 0  # until then the address of what is live is not told
    ordered: dict[str, list[PlatformError | str]] = field(default_factory=dict)  # what the next calls meet

    tick: Callable[[], None] = lambda: None  # where a crash may come

    changed: Callable[[], None] = lambda: None  # what it holds did

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.breaks_half_way = False

    def order(self, point: str, *faults: PlatformError | str) -> None:
        """The next calls to `point`, say "begin" or "instagram.publish", fail so. "lost": after it took effect."""
        self.ordered.setdefault(point, []).extend(faults)

    async def before(self, platform: str, point: str, account: str) -> bool:
        """Meet what goes wrong before the call takes effect. Whether its answer will be lost."""
        self.calls[f"{platform}.{point}"] += 1
        self.log.append(f"{self.now()} {account} {point}")
        self.tick()
        await asyncio.sleep(0)
        if account in self.dead:
            raise PlatformError("its tokens are dead", kind="REAUTH", code="dead")
        for name in (f"{platform}.{point}", point):
            if waiting := self.ordered.get(name):
                fault = waiting.pop(0)
                return self._meet(fault, point) if isinstance(fault, str) else self._raise(fault)
        if self.dice.random() < self.chance:
            return self._meet(self.dice.choice(FAULTS[point]), point)
        return False

    def _raise(self, fault: PlatformError) -> bool:
        raise fault

    def _meet(self, fault: str, point: str) -> bool:
        self.happened[f"{point}:{fault}"] += 1
        match fault:
            case "part":
                self.breaks_half_way = True
            case "expired":
                raise PlatformError("the handle has expired", kind="NEWHANDLE", code="expired")
            case "503":
                raise PlatformError("try later", kind="RETRY", code="503", http_status=503)
            case "reset":
                raise Unanswered("the connection broke")
            case "quota":
                raise PlatformError(
                    "that is enough", kind="QUOTA", code="quota", until=self.now() + self.dice.randrange(1, 30) * 60_000
                )
            case "dead":
                raise PlatformError("its tokens are dead", kind="REAUTH", code="dead")
            case "garbage":
                raise KeyError("an answer that makes no sense")
        return fault == "lost"

    async def after(self, lost: bool) -> None:
        """The call took effect; its answer may not come."""
        self.tick()
        await asyncio.sleep(0)
        if lost:
            raise Unanswered("no answer came")


FAULTS: dict[str, tuple[str, ...]] = {
    "begin": ("503", "reset", "lost", "lost", "quota", "dead", "garbage"),
    "send": ("503", "reset", "part", "part", "lost", "lost", "garbage", "expired"),
    "publish": ("503", "reset", "lost", "lost", "quota", "garbage"),
    "read": ("503", "reset", "quota", "garbage"),
}


@dataclass
class Right:
    """A grant."""

    account_id: str
    far: Far
    settings: AccountSettings
    external_id: str = "external"
    username: str = "ann"
    flavour: Flavour = ""

    async def token(self) -> str:
        return "token"

    async def renew(self, refused: str) -> str:
        return "token-2"

    async def extra(self, name: str) -> str:
        return ""


class FakePlatform:
    """One of them. YouTube and TikTok post with the last byte, Instagram by a call of its own: each time it is asked,
    which is worse than the real one, and it shows the post seconds later."""

    def __init__(self, platform: Platform, far: Far) -> None:
        self.platform: Platform = platform
        self.begins_once = platform == "tiktok"
        self.publishes = platform == "instagram"
        self._far = far

    def faults(self, post: Post, media: Media, settings: AccountSettings) -> list[str]:
        return ["title: it is too long"] if len(post.title) > 100 else []

    async def begin(self, grant: Grant, post: Post, media: Media, *, publish_at: int | None = None) -> Handle:
        lost = await self._far.before(self.platform, "begin", grant.account_id)
        name = f"handle-{len(self._far.held)}"
        self._far.held[name] = Held(
            account=grant.account_id,
            title=post.title,
            total=media.size,
            begun_at=self._far.now(),
            publish_at=publish_at,
        )
        self._far.changed()
        await self._far.after(lost)
        return {"name": name, "stored": 0}

    async def send(self, grant: Grant, handle: Handle, media: Media, *, sent: Callable[[int], None]) -> Handle:
        held = self._far.held[handle["name"]]
        if held.live_at is not None or held.stored == held.total:
            self._far.happened["send:again"] += 1
            return {**handle, "stored": held.total}
        if handle["stored"] != held.stored:
            raise PlatformError("other bytes are wanted", kind="RECONCILE", code="416")
        lost = await self._far.before(self.platform, "send", grant.account_id)
        breaks, self._far.breaks_half_way = self._far.breaks_half_way, False
        data = await asyncio.to_thread(media.path.read_bytes)
        assert len(data) == held.total
        piece = max(1, held.total // 4)
        while held.stored < held.total:
            self._far.tick()
            await asyncio.sleep(0)
            held.stored = min(held.total, held.stored + piece)
            if held.stored == held.total:
                held.ready_at = self._far.now() + self._far.dice.randrange(self._far.takes_s) * 1000
                if not self.publishes:
                    self._post(held)
            self._far.changed()
            sent(held.stored)
            if breaks and held.stored < held.total:
                raise Unanswered("the connection broke half way")
        await self._far.after(lost)
        return {**handle, "stored": held.total}

    async def publish(self, grant: Grant, handle: Handle) -> Handle:
        held = self._far.held[handle["name"]]
        lost = await self._far.before(self.platform, "publish", grant.account_id)
        assert held.ready_at is not None
        assert held.ready_at <= self._far.now()
        held.shown_at = self._far.now() + self._far.dice.randrange(1, 20) * 1000
        self._post(held)
        await self._far.after(lost)
        return {**handle, "media": "1"}

    async def move(self, grant: Grant, handle: Handle, *, publish_at: int | None) -> Handle:
        return handle

    async def finish(self, grant: Grant, post: Post, reading: Reading) -> Reading:
        return reading

    async def read(self, grant: Grant, handle: Handle, media: Media) -> Reading:
        await self._far.before(self.platform, "read", grant.account_id)
        held, now = self._far.held[handle["name"]], self._far.now()
        if held.is_forgotten:
            return Reading(state="gone", code="2207008", said="it is not known")
        if held.refused is not None:
            return Reading(state="rejected", kind=held.refused[0], code=held.refused[1], said="it was refused")
        shown = held.shown_at <= now or "media" in handle
        if held.live_at is not None and (held.ready_at or 0) <= now and shown:
            if held.publish_at is not None and held.publish_at > now:
                return Reading(state="processing", stored=held.stored, said="scheduled")
            settled = now >= self._far.settles_at
            return Reading(
                state="live",
                remote_id=handle["name"],
                url=f"https://far/{handle['name']}" if settled else None,
                privacy=self._far.privacy,
                said="as far as it goes",
                settled=settled,
            )
        if held.stored < held.total:
            gone = now - held.begun_at > 2 * HOUR_MS
            return Reading(state="absent" if gone else "uploading", stored=held.stored)
        return Reading(state="ready" if self.publishes and (held.ready_at or 0) <= now else "processing")

    def _post(self, held: Held) -> None:
        held.live_at = self._far.now()
        self._far.posts[held.account, held.title] += 1
        self._far.changed()


class FakePlatforms:
    """As the registry gives them out."""

    def __init__(self, far: Far) -> None:
        self._all: dict[Platform, FakePlatform] = {
            platform: FakePlatform(platform, far) for platform in ("youtube", "tiktok", "instagram")
        }

    def publisher(self, platform: Platform, flavour: Flavour) -> Any:
        return self._all[platform]
