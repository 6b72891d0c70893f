"""Which platforms there are, and how this installation reaches each.

Adapters, and the HTTP client with them, are loaded when one is first needed: a daemon without accounts carries neither.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar

from vidprod.config import Config
from vidprod.domain.account import Flavour, Platform
from vidprod.errors import NotFound
from vidprod.platforms.base import App, Login, Publisher

if TYPE_CHECKING:
    from vidprod.platforms.wire import Wire

T = TypeVar("T")

Way = tuple[Platform, Flavour]

# the settings that name this installation to a platform: id and secret
_SETTINGS: dict[Way, tuple[str, str]] = {
    ("youtube", ""): ("youtube_client_id", "youtube_client_secret"),
    ("tiktok", ""): ("tiktok_client_key", "tiktok_client_secret"),
    ("instagram", "facebook_login"): ("facebook_app_id", "facebook_app_secret"),
    ("instagram", "instagram_login"): ("instagram_app_id", "instagram_app_secret"),
}
WAYS: tuple[Way, ...] = tuple(_SETTINGS)

_SIMULATED = App(client_id="vidprod-simulated", client_secret="known-to-simulators-only")  # noqa: S106


def logins(wire: "Wire", config: Config) -> Mapping[Way, Login]:
    """How accounts are connected."""
    from vidprod.platforms.instagram_login import InstagramLogin
    from vidprod.platforms.tiktok_login import TikTokLogin
    from vidprod.platforms.youtube_login import YouTubeLogin

    return {
        ("youtube", ""): YouTubeLogin(wire),
        ("tiktok", ""): TikTokLogin(wire),
        ("instagram", "facebook_login"): InstagramLogin(wire, "facebook_login", version=_graph(config)),
        ("instagram", "instagram_login"): InstagramLogin(wire, "instagram_login", version=_graph(config)),
    }


def publishers(wire: "Wire", config: Config, *, now: Callable[[], int]) -> Mapping[Way, Publisher]:
    """How clips get there.

    Args:
        now: unix ms of publishing's clock.
    """
    from vidprod.platforms.instagram import Instagram
    from vidprod.platforms.tiktok import TikTok
    from vidprod.platforms.youtube import YouTube

    return {
        ("youtube", ""): YouTube(wire),
        ("tiktok", ""): TikTok(wire, now=now),
        ("instagram", "facebook_login"): Instagram(wire, flavour="facebook_login", version=_graph(config)),
        ("instagram", "instagram_login"): Instagram(wire, flavour="instagram_login", version=_graph(config)),
    }


def _graph(config: Config) -> str:
    return f"v{config.graph_version}.0"


def app(config: Config, platform: Platform, flavour: Flavour) -> App | None:
    """How this installation is known there; None: the settings do not say. Simulators know one that needs none."""
    names = _SETTINGS.get((platform, flavour))
    if names is None:
        return None
    client_id, client_secret = (str(getattr(config, name)) for name in names)
    if client_id:
        return App(client_id=client_id, client_secret=client_secret)
    return _SIMULATED if config.simulator_url else None


def settings_of(platform: Platform, flavour: Flavour) -> tuple[str, str]:
    """The names of the settings that `app` reads."""
    return _SETTINGS[platform, flavour]


class Platforms:
    """All of them, over one wire that is made when the first is asked for."""

    def __init__(self, config: Config, *, now: Callable[[], int], wire: "Wire | None" = None) -> None:
        """
        Args:
            now: unix ms of publishing's clock.
            wire: another way than the network.
        """
        self.config = config
        self._now = now
        self._wire = wire
        self._logins: Mapping[Way, Login] = {}
        self._publishers: Mapping[Way, Publisher] = {}

    def login(self, platform: Platform, flavour: Flavour) -> Login:
        """Raises NotFound: there is no such way to log in."""
        if not self._logins:
            self._logins = logins(self._reached(), self.config)
        return self._of(self._logins, platform, flavour)

    def publisher(self, platform: Platform, flavour: Flavour) -> Publisher:
        """Raises NotFound."""
        if not self._publishers:
            self._publishers = publishers(self._reached(), self.config, now=self._now)
        return self._of(self._publishers, platform, flavour)

    def wire(self) -> "Wire":
        """The one they share."""
        return self._reached()

    def app(self, platform: Platform, flavour: Flavour) -> App | None:
        """As `app` of this configuration."""
        return app(self.config, platform, flavour)

    async def close(self) -> None:
        """Let go of the connections."""
        if self._wire is not None:
            await self._wire.close()

    def _reached(self) -> "Wire":
        if self._wire is None:
            from vidprod.platforms.wire import Wire

            self._wire = Wire(simulator_url=self.config.simulator_url, bytes_per_s=self.config.publish_bytes_per_s)
        return self._wire

    @staticmethod
    def _of(found: Mapping[Way, T], platform: Platform, flavour: Flavour) -> T:
        try:
            return found[platform, flavour]
        except KeyError:
            raise NotFound(f"there is no {platform} {flavour}".rstrip()) from None
