"""The bytes of a simulated container: sent to rupload.facebook.com, or fetched as Meta does; then looked at."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from urllib.robotparser import RobotFileParser

import httpx
from litestar import Response, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from vidprod.platforms.simulators.inspect import Inspection
from vidprod.platforms.simulators.instagram_graph import BY_CHANCE, Answers, AnyRequest, Refused, lose
from vidprod.platforms.simulators.instagram_login import DAY_MS, Host, Logins
from vidprod.platforms.simulators.world import Broken, Fault, World

PROCESSING_S = 20
SLOW_PROCESSING_S = 600
CONTAINER_LIFE_MS = DAY_MS
FETCH_S = 10.0  # of the wall
_AGENT = "facebookexternalhit/1.1"


@dataclass(kw_only=True)
class Container:
    """A post that is not one yet. Times are unix ms of the world."""

    id: str
    account: str  # by the number of the host it was made at
    host: Host
    caption: str
    asked: Mapping[str, str]
    created_at: int
    size: int = 0  # as told by who sends
    inspection: Inspection = field(default_factory=Inspection)
    ready_at: int | None = None  # None: bytes are missing
    error: str = ""
    media_id: str = ""

    def status(self, now: int) -> str:
        """As it is told. `now`: unix ms of the world."""
        if self.media_id:
            return "PUBLISHED"
        if self.ready_at is not None and now >= self.ready_at and self.error:
            return "ERROR"
        if now >= self.created_at + CONTAINER_LIFE_MS:
            return "EXPIRED"
        return "IN_PROGRESS" if self.ready_at is None or now < self.ready_at else "FINISHED"


class Uploads:
    """How containers get their bytes."""

    def __init__(
        self,
        world: World,
        answers: Answers,
        logins: Logins,
        containers: Mapping[str, Container],
        *,
        inspects: bool,
        fetches: bool,
        fetch_transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        """
        Args:
            containers: by id; looked at each time.
            inspects: files are refused that Instagram would refuse.
            fetches: `video_url` is really fetched, by `fetch_transport` or over the network.
        """
        self.world = world
        self.answers = answers
        self.logins = logins
        self.containers = containers
        self.inspects = inspects
        self.fetches = fetches
        self.fetch_s = FETCH_S
        self.processing_s = PROCESSING_S
        self._fetch_transport = fetch_transport

    def handlers(self) -> list[HTTPRouteHandler]:
        @post("/rupload.facebook.com/ig-api-upload/{version:str}/{container:str}", status_code=200)
        async def upload(request: AnyRequest, version: FromPath[str], container: FromPath[str]) -> Response[Any]:
            return await self._upload(request, container)

        return [upload]

    async def fetch(self, container: Container, url: str) -> None:
        """Fetch the file as Meta does: no redirect, no robots.txt that forbids, a video. Raises Refused."""
        if not url.isascii() or urlsplit(url).scheme not in ("http", "https"):
            raise Refused("9004/2207052")
        if self.fetches:
            try:
                async with (
                    asyncio.timeout(self.fetch_s),
                    httpx.AsyncClient(
                        transport=self._fetch_transport, headers={"User-Agent": _AGENT}, trust_env=False
                    ) as client,
                ):
                    await _fetch(client, url, container.inspection)
            except (TimeoutError, httpx.TimeoutException):
                raise Refused("-2/2207003") from None
            except httpx.HTTPError:
                raise Refused("9004/2207052") from None
        self._process(container)

    async def _upload(self, request: AnyRequest, container_id: str) -> Response[Any]:
        fault = await self.answers.fault("instagram.upload")
        if fault is not None and (answer := self.answers.ended(fault)) is not None:
            return answer
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            caller = self.logins.caller("facebook", token if scheme == "OAuth" else "")
        except Refused:
            return self.answers.debug("NotAuthorizedError", "The token is missing or not good", status=401)
        container = self.containers.get(container_id)
        if container is None or container.account not in caller.accounts:
            return self.answers.debug("NotFoundError", "There is no such container", status=404)
        told = (request.headers.get("offset", ""), request.headers.get("file_size", ""))
        if not all(one.isdigit() for one in told):
            return self.answers.debug("ParameterError", "offset and file_size are required")
        offset, size = (int(one) for one in told)
        if container.ready_at is not None:
            return self.answers.good({"success": True, "message": "Upload successful."})
        if offset not in (0, container.inspection.size) or (container.size and container.size != size):
            return self.answers.debug(
                "OffsetInvalidError", f"There are {container.inspection.size} bytes, not {offset}"
            )
        return await self._received(request, container, offset=offset, size=size, fault=fault)

    async def _received(
        self, request: AnyRequest, container: Container, *, offset: int, size: int, fault: Fault | None
    ) -> Response[Any]:
        """Take what comes, or as much of it as the fault lets in."""
        name = fault.name if fault is not None else ""
        inspection = container.inspection if offset else Inspection()
        wanted = size - offset
        if name in ("partial", "cut"):
            wanted = wanted // 2
        async for piece in _pieces(request):
            if name == "transient":
                continue
            if wanted < len(piece):
                inspection.feed(piece[:wanted])
                wanted = 0
                if name == "cut":
                    container.size, container.inspection = size, inspection
                    raise Broken
                continue
            inspection.feed(piece)
            wanted -= len(piece)
        if name == "transient":
            return self.answers.debug("ProcessingFailedError", "Request processing failed")
        container.size, container.inspection = size, inspection
        if inspection.size < size:
            return self.answers.debug("PartialRequestError", "Partial request (did not match length of file)")
        self._process(container)
        lose(fault)
        if name == "stored_but_400":
            return self.answers.debug("ProcessingFailedError", "Request processing failed")
        return self.answers.good({"success": True, "message": "Upload successful."})

    def _process(self, container: Container) -> None:
        """All bytes are there: from now on it takes its time."""
        fault = self.world.fault("instagram.processing", by_chance=BY_CHANCE["instagram.processing"])
        name = fault.name if fault is not None else ""
        seconds = {"slow": SLOW_PROCESSING_S, "stuck": 10 * 86_400}.get(name, self.processing_s)
        container.ready_at = self.world.now() + seconds * 1000
        container.error = name if name.isdigit() else self._fault_of(container)

    def _fault_of(self, container: Container) -> str:
        """The number of what is wrong with the file."""
        if not self.inspects or not container.inspection.size:
            return ""
        facts = container.inspection.facts()
        if wrong := facts.faults("instagram"):
            return wrong[0].code
        offset_ms = int(container.asked.get("thumb_offset", "0"))
        return "2207057" if facts.duration_us is not None and offset_ms * 1000 >= facts.duration_us else ""


async def _fetch(client: httpx.AsyncClient, url: str, inspection: Inspection) -> None:
    """The file into `inspection`. Raises Refused, httpx.HTTPError."""
    parts = urlsplit(url)
    robots = await client.get(f"{parts.scheme}://{parts.netloc}/robots.txt")
    if robots.status_code == 200:
        rules = RobotFileParser()
        rules.parse(robots.text.splitlines())
        if not rules.can_fetch(_AGENT, url):
            raise Refused("9004/2207052", "The media could not be fetched: robots.txt forbids it.")
    async with client.stream("GET", url) as answer:
        if answer.status_code != 200 or not answer.headers.get("content-type", "").startswith("video/"):
            raise Refused("9004/2207052")
        async for piece in answer.aiter_bytes():
            inspection.feed(piece)


async def _pieces(request: AnyRequest) -> AsyncIterator[bytes]:
    async for piece in request.stream():
        if piece:
            yield piece
