"""How the simulated YouTube answers: in Google's envelope and with its clock, or with what goes wrong instead."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from litestar import MediaType, Response

from vidprod.platforms.simulators.oauth import OAuthRefused
from vidprod.platforms.simulators.world import Broken, Fault, World
from vidprod.platforms.simulators.youtube_faults import CHANCES, NO_FAULT, REASONS, Refused
from vidprod.platforms.simulators.youtube_session import Asked

Answered = Response[bytes]


class Answers:
    """Of all its hosts."""

    def __init__(self, world: World) -> None:
        self.requests: Counter[str] = Counter()  # by point
        self.slow_s = 0.05  # of the wall
        self._world = world

    async def at(self, point: str, request: Asked, work: Callable[[Asked, Fault], Awaitable[Answered]]) -> Answered:
        """The answer to a request, or what goes wrong instead.

        Args:
            work: is given the fault, as some are its own to show.
        """
        self.requests[point] += 1
        fault = self._world.fault(point, CHANCES[point]) or NO_FAULT
        name = fault.name
        match name:
            case "reset":
                raise Broken
            case "500" | "503":
                return self.error("internalError" if name == "500" else "backendError")
            case "html":
                return _html("<!DOCTYPE html><html><title>Error 502 (Server Error)!!1</title></html>", status=502)
            case "slow":
                await asyncio.sleep(self.slow_s)
        if name in REASONS:
            return self.error(name)
        answer = await self._worked(request, fault, work)
        if name == "lost_answer":
            raise Broken
        if name == "truncated":
            answer.content = answer.content[: len(answer.content) // 2]
        return answer

    async def _worked(
        self, request: Asked, fault: Fault, work: Callable[[Asked, Fault], Awaitable[Answered]]
    ) -> Answered:
        try:
            return await work(request, fault)
        except Refused as refused:
            return self.error(refused.reason, refused.message)
        except OAuthRefused as refused:
            told = {"error": refused.error, "error_description": refused.description}
            return self.json(told, status=refused.status)

    def error(self, reason: str, message: str = "") -> Answered:
        status, domain, words = REASONS[reason]
        first: dict[str, Any] = {
            "message": message or words,
            "domain": domain,
            "reason": "rateLimitExceeded" if reason == "uploadsPerDay" else reason,
        }
        if status == 401:
            first |= {"location": "Authorization", "locationType": "header"}
        return self.json({"error": {"code": status, "message": message or words, "errors": [first]}}, status=status)

    def json(self, value: Mapping[str, Any], *, status: int = 200) -> Answered:
        return self._answer(json.dumps(value).encode(), status, {"Content-Type": "application/json; charset=UTF-8"})

    def text(self, text: str, *, status: int) -> Answered:
        return self._answer(text.encode(), status, {"Content-Type": "text/plain; charset=utf-8"})

    def empty(self, status: int, **headers: str) -> Answered:
        return self._answer(b"", status, headers)

    def _answer(self, content: bytes, status: int, headers: Mapping[str, str]) -> Answered:
        now = format_datetime(datetime.fromtimestamp(self._world.now() / 1000, UTC), usegmt=True)
        return Response(content, status_code=status, headers={"Date": now, **headers})


def _html(text: str, *, status: int) -> Answered:
    return Response(text.encode(), status_code=status, media_type=MediaType.HTML)
