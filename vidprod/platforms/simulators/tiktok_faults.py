"""How the simulated TikTok fails when it is asked to, or by chance."""

import asyncio
from typing import Any

import msgspec
from litestar import MediaType, Response

from vidprod.platforms.simulators.tiktok_rules import ERRORS, FAIL_REASONS, Rules
from vidprod.platforms.simulators.world import Broken, Fault, World

_COMMON = ("500", "503", "html", "reset", "lost_answer", "truncated", "slow")
_CODES = tuple(ERRORS)
FAULTS: dict[str, tuple[str, ...]] = {
    "tiktok.token": (*_COMMON, "invalid_grant", "invalid_client"),
    "tiktok.user_info": (*_COMMON, *_CODES, "token_expires"),  # token_expires: as soon as the call has taken effect
    "tiktok.creator_info": (*_COMMON, *_CODES, "token_expires"),
    "tiktok.init": (*_COMMON, *_CODES, "token_expires"),
    "tiktok.put": (*_COMMON, "partial", "400", "403", "404", "416"),  # partial: half of the chunk is kept
    "tiktok.status": (*_COMMON, *_CODES, "token_expires"),
    # values: seconds; uncounted: slow, and until then no byte of it is counted
    "tiktok.processing": (*FAIL_REASONS, "slow", "uncounted", "stuck", "late_id"),
}
# What dice may choose: nothing after which an account or a clip is done with for a day. A token ends by chance, but a
# good one is never refused: twice in a row would mean that the account has to be connected again.
_SOME = (*_COMMON, "rate_limit_exceeded", "token_expires")
BY_CHANCE: dict[str, tuple[str, ...]] = {
    "tiktok.token": ("500", "503", "html", "reset", "slow"),
    "tiktok.user_info": _SOME,
    "tiktok.creator_info": _SOME,
    "tiktok.init": _SOME,
    "tiktok.put": (*_COMMON, "partial", "416"),
    "tiktok.status": _SOME,
    "tiktok.processing": ("internal", "slow"),
}


class Faults:
    """Those of one simulator."""

    def __init__(self, world: World, rules: Rules) -> None:
        self._world = world
        self._rules = rules
        self._logged = 0

    def at(self, point: str) -> Fault | None:
        return self._world.fault(point, by_chance=BY_CHANCE[point])

    async def before(self, fault: Fault | None) -> Response[bytes] | None:
        """What happens instead of an answer, before anything has taken effect."""
        match fault.name if fault is not None else "":
            case "500" | "503" as status:
                error = {"code": "internal_error", "message": ERRORS["internal_error"][1], "log_id": self.log_id()}
                return to_json({"data": {}, "error": error}, status=int(status))
            case "html":
                page = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
                return Response(page, status_code=502, media_type=MediaType.HTML)
            case "reset":
                raise Broken
        await self.wait(fault)
        return None

    async def wait(self, fault: Fault | None) -> None:
        if fault is not None and fault.name == "slow":
            await asyncio.sleep(self._rules.slow_s if fault.value is None else fault.value)

    def log_id(self) -> str:
        self._logged += 1
        return f"2026{self._logged:028d}"


def after(fault: Fault | None, answer: Response[bytes]) -> Response[bytes]:
    """What becomes of an answer after it has taken effect."""
    if fault is not None and fault.name == "lost_answer":
        raise Broken
    if fault is not None and fault.name == "truncated":
        answer.content = answer.content[: len(answer.content) // 2]
    return answer


def to_json(value: Any, *, status: int = 200) -> Response[bytes]:
    return Response(msgspec.json.encode(value), status_code=status, media_type=MediaType.JSON)
