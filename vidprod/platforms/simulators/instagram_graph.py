"""How the simulated Graph API answers: its errors, its headers, and the faults that end a call before it did anything.

Errors are {"error": {"message", "type", "code", "error_subcode", "fbtrace_id", …}}, of the host that takes files
{"debug_info": {"retriable", "type", "message"}}.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any

from litestar import MediaType, Request, Response

from vidprod.platforms.simulators.world import Broken, Fault, World

AnyRequest = Request[Any, Any, Any]

SLOW_S = 0.02  # of the wall

# Errors of the Graph API by code and error_subcode: each can be ordered wherever one is answered.
CODES = (
    *("-2/2207003", "-2/2207020", "-1/2207001", "-1/2207032", "-1/2207053", "1", "1/2207057", "2", "3", "4"),
    *("4/2207051", "9/2207042", "10", "17", "24/2207006", "24/2207008", "25/2207050", "32", "100", "100/33"),
    *("100/2207023", "100/2207028", "100/2207040", "102", "190", "190/458", "190/459", "190/460", "190/463"),
    *("190/464", "190/467", "190/492", "200", "341", "352/2207026", "368", "506", "613", "9004/2207052"),
    *("9007/2207027", "36000/2207004", "36001/2207005", "36003/2207009", "36004/2207010", "80002"),
)
_COMMON = ("500", "503", "html", "reset", "lost_answer", "slow")
FAULTS: dict[str, tuple[str, ...]] = {
    "instagram.token": (*_COMMON, *CODES),
    "instagram.container": (*_COMMON, *CODES),
    # transient: nothing is kept; partial: half is kept, and said to be; cut: half is kept, and the connection ends
    "instagram.upload": (*_COMMON, "transient", "partial", "cut", "stored_but_400"),
    "instagram.status": (*_COMMON, *CODES),
    "instagram.processing": (
        *("slow", "stuck", "2207003", "2207020", "2207026", "2207032", "2207051", "2207052", "2207053", "2207057"),
        *("2207076", "2207077", "2207081", "2207082", "2207085"),
    ),
    "instagram.limit": (*_COMMON, *CODES),
    "instagram.publish": (*_COMMON, *CODES, "-1/2207085", "blocked_but_live"),
    "instagram.media": (*_COMMON, *CODES),
    "instagram.permalink": (*_COMMON, *CODES),
    "instagram.comments": (*_COMMON, *CODES),
}
# what dice may choose: nothing after which a post or an account needs a person
BY_CHANCE: dict[str, tuple[str, ...]] = {
    "instagram.token": ("500", "503", "html", "reset", "lost_answer"),
    "instagram.container": (*_COMMON, "2", "-1/2207032", "80002"),
    "instagram.upload": (*_COMMON, "transient", "partial", "cut", "stored_but_400"),
    "instagram.status": (*_COMMON, "2", "80002"),
    "instagram.processing": ("slow", "2207076", "2207077"),
    "instagram.limit": (*_COMMON, "2"),
    "instagram.publish": (*_COMMON, "2", "9007/2207027", "blocked_but_live"),
    "instagram.media": _COMMON,
    "instagram.permalink": (*_COMMON, "100/33"),
    "instagram.comments": (*_COMMON, "2"),
}

_SAID: Mapping[str, str] = {
    "2": "Service temporarily unavailable",
    "4": "Application request limit reached",
    "9/2207042": "You reached maximum number of posts that is allowed to be published by Content Publishing API.",
    "190": "Error validating access token: The session is invalid.",
    "10": "Application does not have permission for this action",
    "25/2207050": "The Instagram account is restricted.",
    "-1/2207032": "Failed to create a media container, please try again.",
    "80002": "There have been too many calls to this Instagram account. Wait a bit and try again.",
    "100/2207023": "The media type is unknown.",
    "100/2207040": "Cannot use more than 30 hashtags or 20 mentions.",
    "1/2207057": "Thumbnail offset must be greater than or equal to 0 and less than video duration.",
    "24/2207008": "The media container does not exist or has expired.",
    "36004/2207010": "The caption was too long.",
    "9004/2207052": "Only photo or video can be accepted as media type.",
    "-2/2207003": "It takes too long to download the media.",
    "9007/2207027": "Media ID is not available",
}
_NUMBERS = re.compile(r"-?\d+(/\d+)?")


class Refused(Exception):
    """An error of the Graph API instead of an answer."""

    def __init__(
        self,
        numbers: str,
        message: str = "",
        *,
        status: int = 400,
        kind: str = "OAuthException",
        title: str = "",
        regain_min: int = 0,
    ) -> None:
        super().__init__(numbers)
        self.numbers = numbers
        self.message = message or _SAID.get(numbers) or _SAID.get(numbers.split("/")[0], "An error occurred.")
        self.status = status
        self.kind = kind
        self.title = title
        self.regain_min = regain_min


class Answers:
    """What each call is answered with."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.used_percent = 3

    def good(self, told: Mapping[str, Any], *, status: int = 200, account: str = "") -> Response[Any]:
        return Response(dict(told), status_code=status, headers=self.headers(account))

    def error(self, refused: Refused) -> Response[Any]:
        code, _, subcode = refused.numbers.partition("/")
        error: dict[str, Any] = {"message": refused.message, "type": refused.kind, "code": int(code)}
        if subcode:
            error |= {"error_subcode": int(subcode), "is_transient": False}
        if refused.title:
            error |= {"error_user_title": refused.title, "error_user_msg": "We restrict certain activity."}
        error["fbtrace_id"] = self.world.token("A")[:23]
        return Response(
            {"error": error}, status_code=refused.status, headers=self.headers(regain_min=refused.regain_min)
        )

    def debug(self, kind: str, message: str, *, status: int = 400) -> Response[Any]:
        told = {"retriable": False, "type": kind, "message": message}
        return Response({"debug_info": told}, status_code=status, headers=self.headers())

    async def fault(self, point: str) -> Fault | None:
        fault = self.world.fault(point, by_chance=BY_CHANCE[point])
        if fault is not None and fault.name == "slow":
            await asyncio.sleep(SLOW_S if fault.value is None else float(fault.value))
        return fault

    def ended(self, fault: Fault) -> Response[Any] | None:
        """How a fault ends a call before it did anything; None: it goes on. Raises Broken, Refused."""
        match fault.name:
            case "reset":
                raise Broken
            case "500" | "503":
                words = "An unexpected error has occurred. Please retry your request later."
                return self.error(Refused("2", words, status=int(fault.name)))
            case "html":
                page = "<!doctype html><title>Error</title><h1>Sorry, something went wrong.</h1>"
                return Response(page, status_code=502, media_type=MediaType.HTML, headers=self.headers())
            case "80002":
                return self.error(Refused("80002", regain_min=int(fault.value or 5)))
            case "4/2207051":
                return self.error(Refused(fault.name, title="Action is blocked"))
            case name if name.startswith("190"):
                return self.error(Refused(name, status=401))
        return self.error(Refused(fault.name)) if _NUMBERS.fullmatch(fault.name) else None

    def headers(self, account: str = "", regain_min: int = 0) -> dict[str, str]:
        used = {"call_count": self.used_percent, "total_cputime": 1, "total_time": 1}
        headers = {
            "Date": formatdate(self.world.now() / 1000, usegmt=True),
            "X-App-Usage": json.dumps(used),
        }
        if account or regain_min:
            business = {"type": "instagram", **used, "estimated_time_to_regain_access": regain_min}
            headers["X-Business-Use-Case-Usage"] = json.dumps({account or "0": [business]})
        return headers


def unseen(node: str, method: str) -> Refused:
    """There is no such thing, or this token may not see it."""
    what = f"Unsupported {method.lower()} request. Object with ID '{node}' does not exist, cannot be loaded due to "
    return Refused("100/33", what + "missing permissions, or does not support this operation.")


def lose(fault: Fault | None) -> None:
    """What was asked is done; nobody hears of it."""
    if fault is not None and fault.name == "lost_answer":
        raise Broken


def chosen(told: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """Of a node what was asked for by `fields`, and its id."""
    wanted = given.get("fields", "").split(",")
    return {name: value for name, value in told.items() if name in wanted or name == "id"}


def bearer(request: AnyRequest) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme in ("Bearer", "OAuth") else ""


async def form_of(request: AnyRequest) -> dict[str, str]:
    return {name: str(value) for name, value in (await request.form()).items()}
