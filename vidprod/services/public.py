"""Where a platform fetches a segment's file: the signed address, tried from outside before a platform is told of it.

What Meta says when it cannot fetch a file names neither the reason nor the host; so we look first.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.robotparser import RobotFileParser

from vidprod.config import Config
from vidprod.domain.address import path_of
from vidprod.domain.segment import Segment
from vidprod.errors import PlatformError
from vidprod.vault import Vault

if TYPE_CHECKING:
    from vidprod.platforms.wire import Answer, Wire

_TIMEOUT_S = 15.0
_FETCHER = "facebookexternalhit"


class PublicAddress:
    """Gives out addresses of segments that the internet can reach, or says why it cannot."""

    def __init__(self, *, config: Config, vault: Vault, wire: "Callable[[], Wire]", now: Callable[[], int]) -> None:
        """
        Args:
            wire: made when it is first needed.
            now: unix ms of the wall clock, by which the address ends.
        """
        self._config, self._vault, self._wire, self._now = config, vault, wire, now

    def url_of(self, segment: Segment) -> str | None:
        """The address of the segment's file, from now on for some hours; None: there is no public address."""
        if not self._config.public_url:
            return None
        path = path_of(segment.id, making=segment.making, now=self._now(), sign=self._vault.sign)
        return self._config.public_url + path

    async def check(self, url: str, *, size: int) -> None:
        """Whether the file is there, from outside.

        Args:
            size: bytes it shall have.
        Raises:
            PlatformError: FIX: something else answers there, or robots.txt forbids it; RETRY: nobody answers.
        """
        address = self._config.public_url
        answer = await self._asked("HEAD", url)
        told = (answer.status, answer.headers.get("content-type", ""), answer.headers.get("content-length", ""))
        if told != (200, "video/mp4", str(size)):
            raise PlatformError(
                f"At {address} something else answers: status {told[0]}, {told[1] or 'no type'}, {told[2] or 'no'} "
                f"bytes instead of 200, video/mp4, {size} bytes.",
                kind="FIX",
                code="public_is_not_us",
                hint="A proxy before the daemon must pass /public/ on: no login, no redirect, not forbidden to robots.",
            )
        if _forbids(await self._asked("GET", f"{address}/robots.txt"), url):
            raise PlatformError(
                f"The robots.txt before {address} forbids Meta to fetch from there.",
                kind="FIX",
                code="public_forbidden",
                hint="A proxy before the daemon answers it: let facebookexternalhit into /public/.",
            )

    async def _asked(self, method: str, url: str) -> "Answer":
        try:
            return await self._wire().call(method, url, timeout_s=_TIMEOUT_S, direct=True)
        except PlatformError as error:
            raise PlatformError(
                f"This daemon does not reach itself at {self._config.public_url}: {error}",
                kind="RETRY",
                code="public_unreachable",
            ) from error


def _forbids(answer: "Answer", url: str) -> bool:
    """Whether Meta's fetcher, which obeys them, may not fetch `url` by these rules; no file is no rules."""
    if answer.status != 200 or "html" in answer.headers.get("content-type", ""):
        return False
    rules = RobotFileParser()
    rules.parse(answer.body.decode(errors="replace").splitlines())
    return not rules.can_fetch(_FETCHER, url)
