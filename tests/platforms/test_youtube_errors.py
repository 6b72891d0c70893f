"""What each error of YouTube means, and that none tells a secret."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.platforms.tube import ANN, Tube
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms.base import Handle
from vidprod.platforms.wire import Answer
from vidprod.platforms.youtube_api import error_of


@pytest.fixture
def tube(tmp_path: Path) -> Tube:
    return Tube(tmp_path)


TABLE = """
400 QUOTA     uploadLimitExceeded
400 FIX       invalidTitle invalidDescription invalidTags invalidCategoryId invalidVideoMetadata invalidPublishAt
400 FIX       invalidFilename invalidRecordingDetails invalidVideoGameRating defaultLanguageNotSet mediaBodyRequired
400 FIX       badRequest invalidParameter parseError unexpectedPart unknownPart wrongUrlForUpload
401 REFRESH   authError required expired authorizationRequired
401 REAUTH    youtubeSignupRequired
403 QUOTA     quotaExceeded dailyLimitExceeded
429 QUOTA     uploadsPerDay
403 RETRY     rateLimitExceeded userRateLimitExceeded servingLimitExceeded
403 REAUTH    forbidden insufficientPermissions authenticatedUserNotChannel
403 FIX       accessNotConfigured forbiddenPrivacySetting forbiddenLicenseSetting
403 POLICY    authenticatedUserAccountSuspended authenticatedUserAccountClosed channelSuspended channelClosed
404 RECONCILE videoNotFound
413 FIX       uploadTooLarge
416 RECONCILE requestedRangeNotSatisfiable
429 RETRY     uploadRateLimitExceeded
500 RETRY     internalError
503 RETRY     backendError notReady
"""
ROWS = [
    (int(status), reason, kind)
    for status, kind, *reasons in map(str.split, TABLE.strip().splitlines())
    for reason in reasons
]


@pytest.mark.parametrize(("status", "reason", "kind"), ROWS, ids=[row[1] for row in ROWS])
async def test_every_error_of_the_table_lands_in_its_class(tube: Tube, status: int, reason: str, kind: str) -> None:
    tube.world.order("youtube.insert", reason, reason)
    with pytest.raises(PlatformError) as raised:
        await tube.begin(tube.media())
    error = raised.value
    assert error.http_status == status
    assert error.code == ("rateLimitExceeded" if reason == "uploadsPerDay" else reason)
    # a token is renewed within the call; refused again, it has to be granted again
    assert error.kind == ("REAUTH" if kind == "REFRESH" else kind)
    assert tube.grant.renewals == (1 if kind == "REFRESH" else 0)
    assert not isinstance(error, Unanswered)


def answer(status: int, body: Any, **headers: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status=status, headers=httpx.Headers(headers), body=data)


def told(code: int, reason: str, message: str = "…", domain: str = "global") -> dict[str, Any]:
    return {
        "error": {
            "code": code,
            "message": message,
            "errors": [{"message": message, "domain": domain, "reason": reason}],
        }
    }


@pytest.mark.parametrize(
    ("given", "kind", "code"),
    [
        (answer(429, told(429, "rateLimitExceeded", "Too many")), "RETRY", "rateLimitExceeded"),
        (answer(404, b"Not Found"), "NEWHANDLE", "http_404"),
        (answer(410, b""), "NEWHANDLE", "http_410"),
        (answer(400, b"Failed to parse Content-Range header."), "RECONCILE", "http_400"),
        (answer(400, b"?"), "FIX", "http_400"),
        (answer(401, b""), "REFRESH", "http_401"),
        (answer(429, b""), "RETRY", "http_429"),
        (answer(502, b"<html>bad</html>"), "RETRY", "http_502"),
        (answer(504, b'{"error":'), "RETRY", "http_504"),
        (answer(503, told(503, "somethingNew")), "RETRY", "somethingNew"),
        (
            answer(403, {"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}),
            "FIX",
            "PERMISSION_DENIED",
        ),
        (answer(400, {"error": "flat"}), "FIX", "http_400"),
        (answer(400, {"error": {"errors": "odd"}}), "FIX", "http_400"),
    ],
)
def test_what_the_table_does_not_name_is_decided_by_its_status(given: Answer, kind: str, code: str) -> None:
    error = error_of(given)
    assert (error.kind, error.code) == (kind, code)


async def test_failure_14_three_limits_are_waited_for_in_three_ways(tmp_path: Path) -> None:
    """Of the project until midnight Pacific time, by the units and by uploads; of the channel for a day."""
    units, uploads, channel = (Tube(tmp_path) for _ in range(3))
    units.sim.units_per_day, uploads.sim.uploads_per_day, channel.sim.channels[ANN].daily_cap = 0, 0, 0
    found = []
    media = units.media()
    handle = await units.upload(media)
    with pytest.raises(PlatformError) as raised:
        await units.youtube.read(units.grant, handle, media)
    found.append(raised.value)
    for tube in (uploads, channel):
        with pytest.raises(PlatformError) as raised:
            await tube.begin(media)
        found.append(raised.value)
    assert [(error.kind, error.code, error.retry_after_s) for error in found] == [
        ("QUOTA", "quotaExceeded", None),
        ("QUOTA", "rateLimitExceeded", None),
        ("QUOTA", "uploadLimitExceeded", 86_400.0),
    ]


def test_a_wait_that_was_asked_for_is_told() -> None:
    error = error_of(answer(503, b"", **{"Retry-After": "120"}))
    assert (error.kind, error.retry_after_s) == ("RETRY", 120.0)


async def test_no_error_names_a_token_or_an_upload_address(tube: Tube) -> None:
    media = tube.media()
    handle: Handle = await tube.begin(media)
    upload_id = re.findall(r"upload_id=([\w-]+)", handle["session"])[0]
    said = []
    for fault in ("reset", "500", "html", "badRequest", "authError", "gone", "truncated"):
        tube.world.order("youtube.put", fault, *(["authError"] if fault == "authError" else []))
        with pytest.raises(PlatformError) as raised:
            await tube.send(dict(handle), media)
        said.append(f"{raised.value} {raised.value.hint} {raised.value.code} {raised.value.__cause__}")
    assert len(said) == 7
    for secret in (upload_id, tube.grant.issued.access_token, tube.grant.issued.refresh_token):
        assert secret not in " ".join(said)
