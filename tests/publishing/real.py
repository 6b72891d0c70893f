"""A stage whose far end is the simulators, and whose near end is all ours: adapters, logins, the keeper of tokens."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import msgspec

from tests.platforms.clips import clip
from tests.publishing.stage import START, Stage
from vidprod.domain.account import Account, AccountSettings, Platform
from vidprod.domain.ids import new_id
from vidprod.domain.publication import Publication
from vidprod.platforms import youtube_login
from vidprod.platforms.base import Tokens
from vidprod.platforms.registry import Platforms
from vidprod.platforms.simulators.app import far_end, simulators
from vidprod.platforms.simulators.instagram_login import PERSON, SCOPES, SimAccount
from vidprod.platforms.simulators.oauth import Issued
from vidprod.platforms.simulators.tiktok_rules import Creator
from vidprod.platforms.simulators.transport import SimTransport
from vidprod.platforms.simulators.world import World
from vidprod.platforms.simulators.youtube_video import Channel
from vidprod.platforms.wire import Wire
from vidprod.services.keeper import Keeper
from vidprod.services.tokens import seal

_CLIENT = "vidprod-simulated"
_LONG_S = 60 * 86_400


class Watched(SimTransport):
    """Tells of each request before it takes effect, and after it did."""

    tick: Callable[[], None] = staticmethod(lambda: None)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.tick()
        await asyncio.sleep(0)
        answer = await super().handle_async_request(request)
        self.tick()
        await asyncio.sleep(0)
        return answer


class RealStage(Stage):
    """The same stage, with everything of ours in it."""

    keeper: Keeper

    def __init__(self, root: Path, *, seed: int = 0, chance: float = 0.0, **settings: Any) -> None:
        super().__init__(root, seed=seed, simulator_url="http://simulators", **settings)
        self.world = World(wall=self.clock.now, seed=seed, chance=chance)
        self.sims = far_end(self.world)
        self.sims.youtube.answers.slow_s = self.sims.tiktok.rules.slow_s = 0.0
        self.transport = Watched(simulators(self.sims))
        wire = Wire(simulator_url=self.world.base_url, transport=self.transport)
        self.platforms = Platforms(self.config, now=self.clock.now, wire=wire)
        self._clips = random.Random(seed)
        self._connected = 0

    def make_keeper(self) -> Keeper:
        self.keeper = Keeper(self.store, self.vault, self.platforms, self.clock)
        return self.keeper

    def posted(self, publication: Publication) -> int:
        return self._posts[publication.platform, self._names[publication.account_id], publication.sha256]

    def calm(self) -> None:
        self.world.chance = 0.0

    def file_of(self, index: int, segment_id: str) -> bytes:
        return clip(size=3000, seed=self._clips.randrange(1 << 60))

    def ticked_by(self, tick: Callable[[], None]) -> None:
        self.store.tick = self.transport.tick = tick

    async def stop(self) -> None:
        await super().stop()
        if hasattr(self, "keeper"):
            for renewing in list(self.keeper._renewing):  # a crash waits for no answer
                renewing.cancel()
            await asyncio.gather(*self.keeper._renewing, return_exceptions=True)

    @cached_property
    def _names(self) -> dict[str, str]:
        return {}

    @property
    def _posts(self) -> Counter[tuple[str, str, str]]:
        return Counter((one.platform, one.account, one.sha256) for one in self.sims.posts())

    async def connect(self, platform: Platform = "youtube", name: str = "ann", **settings: Any) -> Account:
        self._connected += 1
        external_id, tokens, ends = self._granted(platform, self._add(platform, name))
        entropy = self._connected.to_bytes(10, "big")
        account = Account(
            id=new_id("acc", now=START, entropy=entropy),
            platform=platform,
            flavour="facebook_login" if platform == "instagram" else "",
            external_id=external_id,
            name=name,
            username=name,
            state="connected",
            settings=AccountSettings(**({"delivery": "direct"} | settings)),
            connected_at=START,
            access_expires_at=ends,
            refreshed_at=START,
            scopes=list(tokens.scopes),
        )
        self._names[account.id] = external_id
        await self.store.write(lambda db: db.accounts.add(account, seal(self.vault, account.id, tokens)))
        return account

    async def reconnect(self, account_id: str) -> None:
        account: Account = await self.store.read(lambda db: db.accounts.get(account_id))
        _, tokens, ends = self._granted(account.platform, account.external_id)
        again = msgspec.structs.replace(account, access_expires_at=ends, refreshed_at=self.clock.now())
        sealed = seal(self.vault, account.id, tokens)
        await self.store.write(lambda db: db.accounts.add(again, sealed))

    def _add(self, platform: Platform, name: str) -> str:
        """An account at the far end; what it is called there."""
        number = self._connected
        match platform:
            case "youtube":
                channel = Channel(id=f"UCsim{number:019}", title=name, handle=name)
                self.sims.youtube.channels[channel.id] = channel
                return channel.id
            case "tiktok":
                return self.sims.tiktok.add(
                    Creator(open_id=f"-000creator{number}", username=name, nickname=name)
                ).open_id
            case _:
                account = SimAccount(
                    ig_id=f"178414{number:011}",
                    scoped_id=f"24{number:015}",
                    username=name,
                    name=name,
                    page_id=f"10{number:013}",
                )
                self.sims.instagram.accounts.append(account)
                return account.ig_id

    def _granted(self, platform: Platform, external_id: str) -> tuple[str, Tokens, int]:
        """New tokens of it."""
        if platform == "instagram":
            token = self.sims.instagram.logins.long_token("facebook", PERSON, (*SCOPES["facebook"], "pages_show_list"))
            account = next(one for one in self.sims.instagram.accounts if one.ig_id == external_id)
            page = self.sims.instagram.logins.page_token(token, account)
            tokens = Tokens(access_token=token, expires_in_s=_LONG_S, extra={"page_token": page})
            return external_id, tokens, self.world.now() + _LONG_S * 1000
        issued: Issued
        if platform == "youtube":
            issued = self.sims.youtube.auth.issue(external_id, client_id=_CLIENT, scopes=youtube_login.SCOPES)
        else:
            issued = self.sims.tiktok.grant(external_id, client_key=_CLIENT)
        tokens = Tokens(
            access_token=issued.access_token, refresh_token=issued.refresh_token, scopes=tuple(issued.scopes)
        )
        return external_id, tokens, issued.expires_at
