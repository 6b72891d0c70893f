"""What each of TikTok's answers means, and that none of its errors tells a secret."""

import json
from typing import Any

import httpx
import pytest

from tests.platforms.tiktok import HOUR_S, POST, Far, ignore, sent
from vidprod.errors import PlatformError
from vidprod.platforms.base import Media
from vidprod.platforms.simulators.tiktok_rules import ERRORS, FAIL_REASONS
from vidprod.platforms.tiktok_api import error_of, failure_of
from vidprod.platforms.wire import Answer

# the sheet's tables: HTTP, class of a read, of an init, codes
CODES = """
400 FIX       FIX       invalid_param invalid_params app_version_check_failed invalid_file_upload
403 FIX       FIX       unaudited_client_can_only_post_to_private_accounts privacy_level_option_mismatch
403 FIX       FIX       url_ownership_unverified
401 REFRESH   RECONCILE access_token_invalid
401 REAUTH    REAUTH    scope_not_authorized
400 REAUTH    REAUTH    scope_permission_missed
429 RETRY     RETRY     rate_limit_exceeded
500 RETRY     RECONCILE internal_error
403 QUOTA     QUOTA     spam_risk_too_many_posts spam_risk_too_many_pending_share reached_active_user_cap
403 POLICY    POLICY    spam_risk_user_banned_from_posting
400 RECONCILE RECONCILE invalid_publish_id token_not_authorized_for_specified_publish_id
"""
ROWS = [
    (int(status), of_read, of_init, code)
    for status, of_read, of_init, *codes in map(str.split, CODES.strip().splitlines())
    for code in codes
]
REASONS = """
FIX    file_format_check_failed duration_check_failed frame_rate_check_failed picture_size_check_failed
FIX    video_pull_failed photo_pull_failed
RETRY  internal
REAUTH auth_removed
QUOTA  spam_risk_too_many_posts
POLICY publish_cancelled spam_risk_user_banned_from_posting spam_risk_text spam_risk
"""
KINDS = {reason: kind for kind, *reasons in map(str.split, REASONS.strip().splitlines()) for reason in reasons}


def answer(body: Any, status: int = 200, **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status=status, headers=httpx.Headers(headers), body=content)


def refused(code: str, status: int) -> Answer:
    return answer({"data": {}, "error": {"code": code, "message": f"{code}.", "log_id": "2026L"}}, status)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "FIX"),
        (403, "RECONCILE"),
        (404, "RECONCILE"),
        (416, "RECONCILE"),
        (500, "RETRY"),
        (503, "RETRY"),
        (429, "RETRY"),
        (302, "RECONCILE"),
        (409, "RECONCILE"),
    ],
)
async def test_each_answer_to_a_chunk_lands_in_its_class(there: Far, take: Media, status: int, kind: str) -> None:
    grant = there.grant()
    handle = await there.tiktok.begin(grant, POST, take)
    there.transport.instead += [httpx.Response(status)]
    if status == 416:  # the status says where to go on, and that is refused as well
        told = {"data": {"status": "PROCESSING_UPLOAD", "uploaded_bytes": 0}, "error": {"code": "ok"}}
        there.transport.instead += [httpx.Response(200, json=told), httpx.Response(416)]
    with pytest.raises(PlatformError) as caught:
        await there.tiktok.send(grant, handle, take, sent=ignore)
    assert (caught.value.kind, caught.value.http_status) == (kind, status)
    assert "token" not in str(caught.value)


@pytest.mark.parametrize("status", [200, 201])
async def test_all_stored_is_said_with_201_or_200(there: Far, take: Media, status: int) -> None:
    grant = there.grant()
    handle = await there.tiktok.begin(grant, POST, take)
    there.transport.instead += [httpx.Response(status)]
    assert (await there.tiktok.send(grant, handle, take, sent=ignore))["stored"] == take.size


async def test_each_fail_reason_lands_in_its_class_and_is_said_in_words(there: Far, take: Media) -> None:
    grant = there.grant()
    for reason, kind in KINDS.items():
        there.world.order("tiktok.processing", reason)
        handle = await sent(there, grant, take)
        there.wall.pass_s(60)
        reading = await there.tiktok.read(grant, handle, take)
        assert (reading.state, reading.kind, reading.code) == ("rejected", kind, reason)
        assert reading.said.endswith(".")
        assert reason not in reading.said
    assert there.sim.posts() == []


def test_a_reason_that_is_new_is_not_tried_again_and_is_named() -> None:
    assert failure_of("spam_risk_of_another_kind") == ("POLICY", "TikTok refused it: spam_risk_of_another_kind.")
    assert failure_of("colour_check_failed") == ("FIX", "TikTok refused it: colour_check_failed.")
    assert failure_of("") == ("FIX", "TikTok refused it: no reason given.")


@pytest.mark.parametrize(("status", "of_read", "of_init", "code"), ROWS)
def test_each_error_code_lands_in_its_class(status: int, of_read: str, of_init: str, code: str) -> None:
    error = error_of(refused(code, status))
    assert (error.kind, error_of(refused(code, status), init=True).kind) == (of_read, of_init)
    assert (error.code, error.http_status, error.trace, str(error)) == (code, status, "2026L", f"{code}.")


@pytest.mark.parametrize(
    ("code", "seconds"),
    [
        ("rate_limit_exceeded", 60),
        ("spam_risk_too_many_posts", 24 * HOUR_S),
        ("spam_risk_too_many_pending_share", HOUR_S),
        ("reached_active_user_cap", 24 * HOUR_S),
    ],
)
def test_what_is_used_up_says_for_how_long(code: str, seconds: int) -> None:
    assert error_of(refused(code, 403)).retry_after_s == seconds


def test_the_simulator_knows_every_row_of_the_tables() -> None:
    assert set(ERRORS) | {"invalid_param"} == {code for *_, code in ROWS}
    assert set(FAIL_REASONS) == set(KINDS)


async def test_an_init_is_made_once_whatever_it_answers(there: Far, take: Media) -> None:
    grant = there.grant()
    for number, (code, of_init) in enumerate((row[3], row[2]) for row in ROWS if row[3] in ERRORS):
        there.world.order("tiktok.init", code)
        with pytest.raises(PlatformError) as caught:
            await there.tiktok.begin(grant, POST, take)
        assert (caught.value.code, caught.value.kind) == (code, of_init)
        assert len(there.transport.paths("video/init")) == number + 1
        there.wall.pass_s(60)


@pytest.mark.parametrize(
    ("status", "kind", "of_init"),
    [
        (400, "FIX", "FIX"),
        (401, "REFRESH", "RECONCILE"),
        (403, "POLICY", "POLICY"),
        (429, "RETRY", "RETRY"),
        (503, "RETRY", "RECONCILE"),
    ],
)
def test_a_code_that_is_new_is_judged_by_its_status(status: int, kind: str, of_init: str) -> None:
    assert error_of(refused("something_new", status)).kind == kind
    assert error_of(refused("something_new", status), init=True).kind == of_init


@pytest.mark.parametrize("body", [b"<html>502 Bad Gateway</html>", b'{"data":{"publ', b"[]", b"", b'{"error":"x"}'])
def test_what_is_no_answer_of_tiktok_leaves_an_init_open(body: bytes) -> None:
    assert error_of(answer(body, 502)).kind == "RETRY"
    assert error_of(answer(body, 502), init=True).kind == "RECONCILE"


async def test_no_error_holds_a_secret(there: Far, take: Media) -> None:
    grant = there.grant()
    handle = await there.tiktok.begin(grant, POST, take)
    secrets = [grant.tokens.access_token, handle["upload_url"].partition("upload_token=")[2]]
    said = []
    for fault in ("400", "403", "reset", "html"):
        there.world.order("tiktok.put", fault)
        try:
            await there.tiktok.send(grant, handle, take, sent=ignore)
        except PlatformError as error:
            said.append(f"{error!r} {vars(error)} {error.__cause__!r}")
    assert len(said) == 4
    assert not [secret for secret in secrets if secret in " ".join(said)]
