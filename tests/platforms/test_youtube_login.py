"""Connecting a YouTube channel at the simulated Google."""

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.platforms.tube import ANN, APP, BEN, DAY_MS, HOME, NOBODY, Tube
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms.base import Login
from vidprod.platforms.simulators.oauth import challenge_of
from vidprod.platforms.wire import Answer, Wire
from vidprod.platforms.youtube_login import (
    MANAGE,
    READ,
    SCOPES,
    UNAUDITED,
    UNMOVED,
    UPLOAD,
    YouTubeLogin,
    login_error_of,
)


@pytest.fixture
def tube(tmp_path: Path) -> Tube:
    return Tube(tmp_path)


def test_it_is_connected_as_every_platform_is() -> None:
    login: Login = YouTubeLogin(Wire())
    assert (login.platform, login.flavour) == ("youtube", "")


def test_a_person_is_sent_to_google_for_offline_access_with_consent_and_pkce() -> None:
    asked = YouTubeLogin(Wire()).ask(APP, redirect_uri=HOME, state="st", direct=False)
    parts = urlsplit(asked.url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "accounts.google.com", "/o/oauth2/v2/auth")
    assert query == {
        "client_id": "client-1",
        "redirect_uri": HOME,
        "response_type": "code",
        "scope": " ".join(SCOPES),
        "access_type": "offline",
        "prompt": "consent",
        "state": "st",
        "code_challenge": challenge_of(asked.verifier, "base64url"),
        "code_challenge_method": "S256",
    }
    assert 43 <= len(asked.verifier) <= 128


async def test_what_was_allowed_becomes_tokens_and_a_channel(tube: Tube) -> None:
    tokens = await tube.granted(account=BEN)
    assert tokens.refresh_token
    assert tokens.expires_in_s == 3599
    assert tokens.scopes == SCOPES
    (identity,) = await tube.login.identify(APP, tokens)
    assert (identity.external_id, identity.name, identity.username) == (BEN, "Ben Example", "benexample")


async def test_what_is_limited_is_said_in_words(tmp_path: Path) -> None:
    tube = Tube(tmp_path, testing=True)
    (identity,) = await tube.login.identify(APP, await tube.granted())
    assert identity.notices[0] == UNAUDITED
    assert "ends 7 days after" in identity.notices[1]


@pytest.mark.parametrize(("left", "words"), [(READ, "to upload videos"), (UPLOAD, "to see the channel")])
async def test_a_permission_that_was_unticked_is_named(tube: Tube, left: str, words: str) -> None:
    with pytest.raises(PlatformError, match=words) as raised:
        await tube.granted(scopes=[left])
    assert (raised.value.kind, raised.value.code) == ("REAUTH", "missing_scope")


async def test_the_permission_that_holds_the_others_is_enough(tube: Tube) -> None:
    assert (await tube.granted(scopes=[MANAGE])).scopes == (MANAGE,)


async def test_videos_are_published_also_where_they_may_not_be_managed_and_it_is_said(tube: Tube) -> None:
    tokens = await tube.granted(scopes=[UPLOAD, READ])
    (identity,) = await tube.login.identify(APP, tokens)
    assert UNMOVED in identity.notices
    (identity,) = await tube.login.identify(APP, await tube.granted())
    assert UNMOVED not in identity.notices


@pytest.mark.parametrize("code", ["invalid_grant", "invalid_rapt", "rapt_required"])
def test_a_refresh_token_that_died_is_asked_for_again_whatever_killed_it(code: str) -> None:
    error = login_error_of(Answer(status=400, headers=httpx.Headers(), body=json.dumps({"error": code}).encode()))
    assert (error.kind, error.code) == ("REAUTH", code)
    assert error.hint


async def test_failure_12_a_grant_without_a_refresh_token_is_not_kept(tube: Tube) -> None:
    """Google gives one only with consent; asked for it each time, it comes each time."""
    await tube.granted()
    with pytest.raises(PlatformError, match="no refresh token") as raised:
        await tube.granted(without="prompt")
    assert (raised.value.kind, raised.value.code) == ("REAUTH", "no_refresh_token")
    assert "myaccount.google.com" in raised.value.hint
    assert (await tube.granted()).refresh_token


async def test_an_account_without_a_channel_is_told_to_make_one(tube: Tube) -> None:
    tokens = await tube.granted(account=NOBODY)
    with pytest.raises(PlatformError, match="no YouTube channel") as raised:
        await tube.login.identify(APP, tokens)
    assert raised.value.kind == "REAUTH"


async def test_a_renewal_brings_an_access_token_and_leaves_the_refresh_token(tube: Tube) -> None:
    tokens = await tube.granted()
    newer = await tube.login.refresh(APP, tokens)
    assert newer.access_token != tokens.access_token
    assert (newer.refresh_token, newer.scopes) == (tokens.refresh_token, tokens.scopes)


async def test_a_grant_that_was_taken_back_has_to_be_given_again(tube: Tube) -> None:
    tokens = await tube.granted()
    tube.sim.auth.withdraw(ANN)
    with pytest.raises(PlatformError, match="expired or revoked") as raised:
        await tube.login.refresh(APP, tokens)
    assert (raised.value.kind, raised.value.code) == ("REAUTH", "invalid_grant")


async def test_failure_12_a_grant_of_a_project_in_testing_ends_after_seven_days(tmp_path: Path) -> None:
    tube = Tube(tmp_path, testing=True)
    tokens = await tube.granted()
    assert tokens.refresh_expires_in_s == 7 * 86_400
    tube.wall.at += 7 * DAY_MS
    with pytest.raises(PlatformError) as raised:
        await tube.login.refresh(APP, tokens)
    assert raised.value.kind == "REAUTH"
    assert "testing" in raised.value.hint


@pytest.mark.parametrize("fault", ["500", "503", "html", "truncated"])
async def test_a_renewal_that_google_could_not_answer_is_tried_again(tube: Tube, fault: str) -> None:
    tokens = await tube.granted()
    tube.world.order("youtube.token", fault)
    with pytest.raises(PlatformError) as raised:
        await tube.login.refresh(APP, tokens)
    assert raised.value.kind == "RETRY"


@pytest.mark.parametrize("fault", ["reset", "lost_answer"])
async def test_a_renewal_without_an_answer_ends_no_grant(tube: Tube, fault: str) -> None:
    tokens = await tube.granted()
    tube.world.order("youtube.token", fault)
    with pytest.raises(Unanswered):
        await tube.login.refresh(APP, tokens)
    assert (await tube.login.refresh(APP, tokens)).access_token


async def test_a_wrong_secret_is_a_setting_to_mend(tmp_path: Path) -> None:
    tube = Tube(tmp_path, clients={"client-1": "another"})
    with pytest.raises(PlatformError) as raised:
        await tube.granted()
    assert (raised.value.kind, raised.value.code) == ("FIX", "invalid_client")
    assert "youtube_client_secret" in raised.value.hint


async def test_a_grant_is_given_back_once_and_for_all(tube: Tube) -> None:
    tokens = await tube.granted()
    await tube.login.revoke(APP, tokens)
    await tube.login.revoke(APP, tokens)
    with pytest.raises(PlatformError):
        await tube.login.refresh(APP, tokens)
