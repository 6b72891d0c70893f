"""The wire: one HTTP request to a platform, and how it ended. Redirects are off, answers are bounded, and what is
secret stays out of errors.

With `simulator_url` every request for https://HOST/PATH goes to SIMULATOR/HOST/PATH: host names are settings in no
other way.
"""

import json
import sys
from collections.abc import AsyncGenerator, AsyncIterable, Mapping
from dataclasses import dataclass
from typing import Any

from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms.pace import Pace

# httpx brings its own command line, and that rich and pygments: 3 MB of the daemon that nothing here uses
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # the import system's word for "there is none"
import httpx  # noqa: E402

MOST_BYTES = 4 << 20  # of an answer
_CONNECT_S = 15.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: httpx.Headers
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as an object; {} when it is none: a proxy's HTML, half an answer."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


class Wire:
    """Requests to platforms, over one pool of connections."""

    def __init__(
        self, *, simulator_url: str = "", transport: httpx.AsyncBaseTransport | None = None, bytes_per_s: int = 0
    ) -> None:
        """
        Args:
            transport: another way than the network: a simulator in this process.
            bytes_per_s: of all bodies that are streamed, together; 0: as fast as it goes.
        """
        self.simulator_url = simulator_url.rstrip("/")
        self._pace = Pace(bytes_per_s) if bytes_per_s else None
        self._client = httpx.AsyncClient(
            transport=transport,
            follow_redirects=False,
            trust_env=False,
            timeout=httpx.Timeout(60.0, connect=_CONNECT_S),
        )

    def url(self, url: str) -> str:
        """Where a request for `url` really goes."""
        if not self.simulator_url or url.startswith(self.simulator_url):
            return url
        return f"{self.simulator_url}/{url.removeprefix('https://')}"

    def is_of(self, url: str, *hosts: str) -> bool:
        """Whether an address that a platform gave out is at one of its hosts: "googleapis.com" and what is below it."""
        if self.simulator_url and not url.startswith(self.simulator_url + "/"):
            return False
        url = self._meant(url)
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            return False
        return parsed.scheme == "https" and any(
            parsed.host == host or parsed.host.endswith(f".{host}") for host in hosts
        )

    def _meant(self, url: str) -> str:
        """The platform's address for one that a simulator gave out."""
        if self.simulator_url and url.startswith(self.simulator_url + "/"):
            return "https://" + url.removeprefix(self.simulator_url + "/")
        return url

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        body: Any = None,
        content: bytes | AsyncIterable[bytes] | None = None,
        timeout_s: float = 60.0,
        direct: bool = False,
    ) -> Answer:
        """One request, whatever its status.

        Args:
            form: sent form-encoded; body: sent as JSON; content: sent as it is.
            direct: to that very address, beside simulators too.
        Raises:
            PlatformError: kind RETRY, code "not_sent": no connection came about, so nothing was asked.
            Unanswered: it was sent, in part or whole, and no answer came.
        """
        bodies = [content]
        if self._pace is not None and isinstance(content, AsyncIterable):
            content = self._pace(content)
            bodies.insert(0, content)
        more: dict[str, Any] = {"content": content} if content is not None else {}
        if form is not None:
            more["data"] = dict(form)
        if body is not None:
            more["content"] = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
            headers = {"Content-Type": "application/json; charset=UTF-8", **(headers or {})}
        request = self._client.build_request(
            method,
            url if direct else self.url(url),
            headers=dict(headers or {}),
            params=dict(params) if params else None,
            timeout=httpx.Timeout(timeout_s, connect=_CONNECT_S),
            **more,
        )
        host = httpx.URL(self._meant(url)).host
        try:
            answer = await self._client.send(request, stream=True)
            try:
                return Answer(status=answer.status_code, headers=answer.headers, body=await _bounded(answer))
            finally:
                await answer.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise PlatformError(
                f"{host} cannot be reached: {type(error).__name__}", kind="RETRY", code="not_sent"
            ) from None
        except httpx.HTTPError as error:  # its text may hold the address, and with it a secret
            raise Unanswered(f"{host} gave no answer: {type(error).__name__}") from None
        finally:
            for one in bodies:
                if isinstance(one, AsyncGenerator):  # one that was not sent to its end holds its file
                    await one.aclose()

    async def close(self) -> None:
        await self._client.aclose()


async def _bounded(answer: httpx.Response) -> bytes:
    body = b""
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > MOST_BYTES:
            break  # no answer of theirs is so long: what is needed is not in the rest
    return body[:MOST_BYTES]
