"""TikTok accounts are connected as Login Kit v2 wants it, and its refresh tokens are good once."""

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.platforms.tiktok import APP, Far, far
from tests.platforms.tiktok_calls import CREATOR, code_of
from vidprod.errors import PlatformError
from vidprod.platforms.base import Tokens
from vidprod.platforms.simulators.oauth import challenge_of, pressed
from vidprod.platforms.simulators.tiktok_rules import Rules
from vidprod.platforms.tiktok_login import challenge

HOME = "http://127.0.0.1:8080/oauth/tiktok"
ALL = ("user.info.basic", "user.info.profile", "video.upload", "video.publish")


async def granted(there: Far, *, direct: bool = True, scopes: tuple[str, ...] | None = None) -> tuple[str, str]:
    """A code and the verifier that goes with it, by the page."""
    asked = there.login.ask(APP, redirect_uri=HOME, state="s", direct=direct)
    async with httpx.AsyncClient(transport=there.transport) as browser:
        page = await browser.get(asked.url)
        assert "TikTok (simulated)" in page.text
        back = await browser.get(pressed(asked.url, account=there.creator().open_id, scopes=scopes))
    answer = parse_qs(urlsplit(back.headers["Location"]).query)
    assert answer["state"] == ["s"]
    return answer["code"][0], asked.verifier


def test_the_challenge_is_hex_as_in_the_sheet() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge(verifier) == "13d31e961a1ad8ec2f16b10c4c982e0876a878ad6df144566ee1894acb70f9c3"
    assert challenge_of(verifier, "hex") == challenge(verifier)


async def test_a_person_is_asked_with_a_client_key_and_scopes_with_commas(there: Far) -> None:
    drafts = parse_qs(urlsplit(there.login.ask(APP, redirect_uri=HOME, state="s", direct=False).url).query)
    assert drafts["client_key"] == ["key"]
    assert drafts["scope"] == ["user.info.basic,user.info.profile,video.upload"]
    assert drafts["redirect_uri"] == [HOME]
    direct = parse_qs(urlsplit(there.login.ask(APP, redirect_uri=HOME, state="s", direct=True).url).query)
    assert direct["scope"] == ["user.info.basic,user.info.profile,video.upload,video.publish"]
    assert direct["code_challenge"] != drafts["code_challenge"]


async def test_an_account_is_connected_renewed_and_given_back(there: Far) -> None:
    code, verifier = await granted(there)
    tokens = await there.login.exchange(APP, code=code, redirect_uri=HOME, verifier=verifier)
    assert tokens.access_token.startswith("act.")
    assert tokens.refresh_token.startswith("rft.")
    assert (tokens.expires_in_s, tokens.refresh_expires_in_s) == (7200, 15_552_000)
    assert tokens.scopes == ALL
    [identity] = await there.login.identify(APP, tokens)
    creator = there.creator()
    assert (identity.external_id, identity.name, identity.username) == (
        creator.open_id,
        creator.nickname,
        creator.username,
    )
    assert identity.notices == ()
    newer = await there.login.refresh(APP, tokens)
    assert newer.refresh_token != tokens.refresh_token
    assert newer.extra == {"open_id": creator.open_id}
    await there.login.revoke(APP, newer)
    with pytest.raises(PlatformError) as caught:
        await there.login.identify(APP, newer)
    assert caught.value.kind == "REFRESH"


async def test_tokens_come_as_in_the_sample(there: Far) -> None:
    code, verifier = await granted(there, scopes=("user.info.basic", "video.publish"))
    form = {"client_key": "key", "client_secret": "x", "grant_type": "authorization_code", "code": code}
    answer = await there.wire.call(
        "POST",
        "https://open.tiktokapis.com/v2/oauth/token/",
        form=form | {"redirect_uri": HOME, "code_verifier": verifier},
    )
    said = answer.json()
    assert said.pop("access_token").startswith("act.")
    assert said.pop("refresh_token").startswith("rft.")
    assert said == {
        "expires_in": 7200,
        "refresh_expires_in": 15_552_000,
        "open_id": there.creator().open_id,
        "scope": "user.info.basic,video.publish",
        "token_type": "Bearer",
    }


async def test_what_was_not_granted_is_said_in_words(there: Far) -> None:
    code, verifier = await granted(there, scopes=("user.info.basic",))
    tokens = await there.login.exchange(APP, code=code, redirect_uri=HOME, verifier=verifier)
    [identity] = await there.login.identify(APP, tokens)
    assert identity.username == ""
    assert [notice.split(":")[0] for notice in identity.notices] == [
        "Drafts cannot be delivered",
        "Posts have no address",
        "Direct posts are not granted",
    ]


async def test_an_app_that_is_not_audited_is_told_when_it_connects() -> None:
    there = far(rules=Rules(audited=False))
    held = there.grant()
    [identity] = await there.login.identify(APP, held.tokens)
    assert identity.notices == (
        "This TikTok app is not audited: direct posts are private, and the account must be set to private too.",
    )


async def test_a_ban_is_said_when_it_connects_and_hinders_nothing(there: Far) -> None:
    there.creator().banned = True
    [identity] = await there.login.identify(APP, there.grant().tokens)
    assert identity.notices == ("TikTok says of direct posts at present: The user is banned from making new posts.",)


@pytest.mark.parametrize(("verifier", "redirect"), [("wrong", HOME), ("", HOME), (None, "http://127.0.0.1:1/other")])
async def test_a_code_is_good_for_who_asked_for_it(there: Far, verifier: str | None, redirect: str) -> None:
    code, right = await granted(there)
    with pytest.raises(PlatformError) as caught:
        await there.login.exchange(
            APP, code=code, redirect_uri=redirect, verifier=right if verifier is None else verifier
        )
    assert (caught.value.kind, caught.value.code) == ("REAUTH", "invalid_grant")


async def test_the_challenge_of_rfc_7636_is_not_taken(there: Far) -> None:
    asked = there.login.ask(APP, redirect_uri=HOME, state="s", direct=False)
    url = asked.url.replace(challenge(asked.verifier), challenge_of(asked.verifier, "base64url"))
    async with httpx.AsyncClient(transport=there.transport) as browser:
        back = await browser.get(pressed(url, account=there.creator().open_id))
    code = parse_qs(urlsplit(back.headers["Location"]).query)["code"][0]
    with pytest.raises(PlatformError) as caught:
        await there.login.exchange(APP, code=code, redirect_uri=HOME, verifier=asked.verifier)
    assert caught.value.code == "invalid_grant"


@pytest.mark.parametrize(("grace_s", "after_s", "taken"), [(0, 0, False), (30, 29, True), (30, 30, False)])
async def test_a_used_refresh_token_is_dead_at_once_or_after_the_grace(
    grace_s: int, after_s: float, taken: bool
) -> None:
    there = far(rules=Rules(grace_s=grace_s))
    tokens = there.grant().tokens
    await there.login.refresh(APP, tokens)
    there.wall.pass_s(after_s)
    if taken:
        assert (await there.login.refresh(APP, tokens)).refresh_token != tokens.refresh_token
        return
    with pytest.raises(PlatformError) as caught:
        await there.login.refresh(APP, tokens)
    assert (caught.value.kind, caught.value.code) == ("REAUTH", "invalid_grant")


@pytest.mark.parametrize("oauth_status", [200, 400])
async def test_an_error_of_oauth_may_come_with_200(oauth_status: int) -> None:
    there = far(rules=Rules(oauth_status=oauth_status))
    answer = await there.wire.call(
        "POST",
        "https://open.tiktokapis.com/v2/oauth/token/",
        form={"client_key": "key", "client_secret": "x", "grant_type": "refresh_token", "refresh_token": "rft.none"},
    )
    assert answer.status == oauth_status
    assert set(answer.json()) == {"error", "error_description", "log_id"}
    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("500", "RETRY"), ("503", "RETRY"), ("html", "RETRY"), ("reset", "RECONCILE"), ("invalid_grant", "REAUTH")],
)
async def test_a_renewal_that_failed_is_final_only_where_tiktok_says_so(there: Far, fault: str, kind: str) -> None:
    tokens = there.grant().tokens
    there.world.order("tiktok.token", fault)
    with pytest.raises(PlatformError) as caught:
        await there.login.refresh(APP, tokens)
    assert caught.value.kind == kind
    assert (await there.login.refresh(APP, tokens)).access_token


async def test_a_renewal_whose_answer_was_lost_has_killed_the_token(there: Far) -> None:
    tokens = there.grant().tokens
    there.world.order("tiktok.token", "lost_answer")
    with pytest.raises(PlatformError):
        await there.login.refresh(APP, tokens)
    with pytest.raises(PlatformError) as caught:
        await there.login.refresh(APP, tokens)
    assert caught.value.kind == "REAUTH"


async def test_a_renewal_keeps_what_the_answer_does_not_bring(there: Far) -> None:
    there.transport.instead += [httpx.Response(200, json={"access_token": "act.new", "expires_in": "7200"})]
    before = Tokens(access_token="old", refresh_token="rft.old", scopes=("video.upload",), extra={"open_id": "x"})
    after = await there.login.refresh(APP, before)
    assert after == Tokens(
        access_token="act.new",
        refresh_token="rft.old",
        expires_in_s=7200,
        scopes=("video.upload",),
        extra={"open_id": "x"},
    )


async def test_a_token_is_good_for_two_hours(there: Far) -> None:
    grant = there.grant()
    there.wall.pass_s(7199)
    assert (await there.call(grant, CREATOR)).status == 200
    there.wall.pass_s(1)
    assert code_of(await there.call(grant, CREATOR)) == (401, "access_token_invalid")
    assert code_of(await there.call(None, CREATOR)) == (401, "access_token_invalid")
