"""Where a platform fetches a segment's file: the signed address, tried from outside before a platform is told of it.

What Meta says when it cannot fetch a file names neither the reason nor the host; so we look first.
"""

from collections.abc import Callable

from vidprod.config import Config
from vidprod.domain.address import path_of
from vidprod.domain.segment import Segment
from vidprod.errors import PlatformError
from vidprod.platforms.wire import Wire
from vidprod.vault import Vault

_TIMEOUT_S = 15.0


class PublicAddress:
    """Gives out addresses of segments that the internet can reach, or says why it cannot."""

    def __init__(self, *, config: Config, vault: Vault, wire: Wire, now: Callable[[], int]) -> None:
        """`now`: unix ms of the wall clock, by which the address ends."""
        self._config, self._vault, self._wire, self._now = config, vault, wire, now

    async def of(self, segment: Segment) -> str:
        """The address of the segment's file, from where it was just read.

        Raises:
            PlatformError: FIX: there is no public address, or something else answers there; RETRY: nobody answers.
        """
        if not self._config.public_url:
            raise PlatformError(
                "Instagram Login takes no file: it fetches it, and this daemon has no public address.",
                kind="FIX",
                code="no_public_url",
                hint="Set public_url to the https address at which the internet reaches this daemon, or connect the "
                "account through Facebook Login, which is sent the file.",
            )
        path = path_of(segment.id, making=segment.making, now=self._now(), sign=self._vault.sign)
        url = self._config.public_url + path
        await self._try(url, size=segment.rendition.size if segment.rendition else 0)
        return url

    async def _try(self, url: str, *, size: int) -> None:
        address = self._config.public_url
        try:
            answer = await self._wire.call("HEAD", url, timeout_s=_TIMEOUT_S, direct=True)
        except PlatformError as error:
            raise PlatformError(
                f"This daemon does not reach itself at {address}: {error}", kind="RETRY", code="public_unreachable"
            ) from error
        told = (answer.status, answer.headers.get("content-type", ""), answer.headers.get("content-length", ""))
        if told != (200, "video/mp4", str(size)):
            raise PlatformError(
                f"At {address} something else answers: status {told[0]}, {told[1] or 'no type'}, {told[2] or 'no'} "
                f"bytes instead of 200, video/mp4, {size} bytes.",
                kind="FIX",
                code="public_is_not_us",
                hint="A proxy before the daemon must pass /public/ on: no login, no redirect, not forbidden to robots.",
            )
