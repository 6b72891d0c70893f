"""Connecting Instagram accounts by either login, at simulated authorisation servers."""

import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.platforms.instagram_stage import Gate, Hands, Stage
from vidprod.domain.account import Flavour
from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms.base import App, Tokens
from vidprod.platforms.instagram_login import FACEBOOK_SCOPES, INSTAGRAM_SCOPES, InstagramLogin
from vidprod.platforms.simulators.instagram import InstagramSim
from vidprod.platforms.simulators.instagram_login import ACCOUNTS, LONG_S, PERSON, SimAccount
from vidprod.platforms.simulators.oauth import pressed
from vidprod.platforms.simulators.transport import SimTransport, application
from vidprod.platforms.simulators.world import World
from vidprod.platforms.wire import Wire

APP = App(client_id="4711", client_secret="app-secret")
HOME = "https://video.example/oauth/instagram"
DAY_S = 86_400


class Desk:
    """A login, a simulated Instagram, and somebody who presses buttons."""

    def __init__(self, flavour: Flavour, **more: Any) -> None:
        self.wall = Hands()
        self.world = World(wall=self.wall, seed=5)
        self.sim = InstagramSim(self.world, clients={APP.client_id: APP.client_secret}, **more)
        self.gate = Gate(SimTransport(application(self.sim.handlers())))
        self.wire = Wire(simulator_url=self.world.base_url, transport=self.gate)
        self.login = InstagramLogin(self.wire, flavour)
        self.who = PERSON if flavour == "facebook_login" else ACCOUNTS[0].scoped_id

    async def code(self, *, scopes: Sequence[str] | None = None, allow: bool = True) -> str:
        """What a browser brings back."""
        asked = self.login.ask(APP, redirect_uri=HOME, state="s1", direct=False)
        assert asked.verifier == ""
        page = pressed(asked.url, account=self.who, scopes=scopes, allow=allow)
        async with httpx.AsyncClient(transport=self.gate.inner) as browser:
            answer = await browser.get(page)
        assert answer.status_code == 302
        self.back = answer.headers["location"]
        told = parse_qs(urlsplit(self.back).query)
        assert told["state"] == ["s1"]
        return told["code"][0] if "code" in told else told["error"][0]

    async def tokens(self, **more: Any) -> Tokens:
        return await self.login.exchange(APP, code=await self.code(**more), redirect_uri=HOME, verifier="")


@pytest.fixture
async def desk() -> AsyncIterator[Callable[..., Desk]]:
    made: list[Desk] = []

    def make(flavour: Flavour = "facebook_login", **more: Any) -> Desk:
        made.append(Desk(flavour, **more))
        return made[-1]

    yield make
    for one in made:
        await one.wire.close()


def test_a_browser_is_sent_to_the_page_of_its_login() -> None:
    wire = Wire()
    for flavour, page, scopes in (
        ("facebook_login", "https://www.facebook.com/v26.0/dialog/oauth", FACEBOOK_SCOPES),
        ("instagram_login", "https://www.instagram.com/oauth/authorize", INSTAGRAM_SCOPES),
    ):
        asked = InstagramLogin(wire, flavour).ask(APP, redirect_uri=HOME, state="s t", direct=True)  # type: ignore[arg-type]
        address, _, query = asked.url.partition("?")
        assert address == page
        assert parse_qs(query) == {
            "client_id": ["4711"],
            "redirect_uri": [HOME],
            "response_type": ["code"],
            "scope": [",".join(scopes)],
            "state": ["s t"],
        }
        assert "app-secret" not in asked.url


# Facebook Login


async def test_a_code_becomes_a_token_of_sixty_days_and_an_account_for_each_linked_page(
    desk: Callable[..., Desk],
) -> None:
    at = desk()
    tokens = await at.tokens()
    assert tokens.expires_in_s == LONG_S
    assert tokens.refresh_token == ""
    assert tokens.scopes == FACEBOOK_SCOPES
    first, second = await at.login.identify(APP, tokens)
    assert [first.external_id, second.external_id] == [one.ig_id for one in ACCOUNTS]
    assert [first.username, second.username] == ["robin.cooks", "robin.bakes"]
    for identity, account in zip((first, second), ACCOUNTS, strict=True):
        assert identity.tokens is not None
        assert identity.tokens.access_token == tokens.access_token
        assert identity.tokens.extra["page_id"] == account.page_id
        assert identity.tokens.extra["page_token"] == at.sim.logins.page_token(tokens.access_token, account)
        (notice,) = identity.notices
        assert "until 2026-" in notice


async def test_pages_are_read_to_the_end_of_the_list_and_no_address_of_theirs_is_followed(
    desk: Callable[..., Desk],
) -> None:
    at = desk()
    at.sim.logins.page_size = 1
    tokens = await at.tokens()
    at.gate.asked.clear()
    assert len(await at.login.identify(APP, tokens)) == 2
    lists = [one for one in at.gate.asked if one.url.path.endswith("me/accounts")]
    assert [one.url.params.get("after") for one in lists] == [None, "1", "2"]
    assert not [one for one in lists if "access_token" in one.url.params]


async def test_a_page_that_is_only_seen_through_a_business_is_found(desk: Callable[..., Desk]) -> None:
    hidden = dataclasses.replace(ACCOUNTS[1], business="900000000000001")
    at = desk(accounts=(ACCOUNTS[0], hidden))
    assert [one.external_id for one in await at.login.identify(APP, await at.tokens())] == [
        ACCOUNTS[0].ig_id,
        hidden.ig_id,
    ]


async def test_what_was_not_granted_is_said(desk: Callable[..., Desk]) -> None:
    at = desk()
    tokens = await at.tokens(scopes=["instagram_basic", "pages_show_list"])
    assert tokens.scopes == ("instagram_basic", "pages_show_list")
    identity, _ = await at.login.identify(APP, tokens)
    assert identity.notices[:2] == (
        "Not granted: instagram_content_publish. Nothing can be published without.",
        "Not granted: instagram_manage_comments. Comments cannot be turned off without.",
    )


async def test_a_person_without_a_linked_account_is_told_what_to_do(desk: Callable[..., Desk]) -> None:
    at = desk(accounts=())
    with pytest.raises(PlatformError) as caught:
        await at.login.identify(APP, await at.tokens())
    assert (caught.value.kind, caught.value.code) == ("FIX", "no_account")
    assert "link it to a Facebook page" in caught.value.hint


async def test_a_long_token_is_exchanged_for_a_newer_one_and_the_pages_stays(desk: Callable[..., Desk]) -> None:
    at = desk()
    (identity, _) = await at.login.identify(APP, await at.tokens())
    assert identity.tokens is not None
    at.wall.pass_s(30 * DAY_S)
    newer = await at.login.refresh(APP, identity.tokens)
    assert newer.access_token != identity.tokens.access_token
    assert (newer.expires_in_s, newer.extra, newer.scopes) == (LONG_S, identity.tokens.extra, identity.tokens.scopes)


async def test_an_expired_token_cannot_be_exchanged(desk: Callable[..., Desk]) -> None:
    at = desk()
    tokens = await at.tokens()
    at.wall.pass_s(LONG_S)
    with pytest.raises(PlatformError) as caught:
        await at.login.refresh(APP, tokens)
    assert (caught.value.kind, caught.value.code) == ("REAUTH", "190/463")
    assert "has expired" in caught.value.hint


async def test_a_grant_that_stands_is_said_with_its_end_as_it_is_now(desk: Callable[..., Desk]) -> None:
    at = desk()
    identity, _ = await at.login.identify(APP, await at.tokens())
    assert identity.tokens is not None
    (until,) = identity.notices
    at.wall.pass_s(10 * DAY_S)
    later, other = await at.login.inspect(APP, identity.tokens, [until, "It was to be public and is private."])
    assert later > until
    assert later.startswith("Facebook lets this be used until 2026-")
    assert other == "It was to be public and is private."


async def test_what_was_taken_back_at_facebook_is_noticed(desk: Callable[..., Desk]) -> None:
    at = desk()
    tokens = await at.tokens()
    for issued in at.sim.logins.facebook.issued:
        issued.scopes = tuple(one for one in issued.scopes if one != "instagram_content_publish")
    with pytest.raises(PlatformError) as lost:
        await at.login.inspect(APP, tokens, [])
    assert (lost.value.kind, str(lost.value)) == ("REAUTH", "Not granted any more: instagram_content_publish.")
    at.sim.logins.facebook.withdraw(PERSON)
    with pytest.raises(PlatformError) as caught:
        await at.login.inspect(APP, tokens, [])
    assert (caught.value.kind, caught.value.code) == ("REAUTH", "invalid_token")


async def test_where_facebook_does_not_tell_everything_stays_as_it_is(desk: Callable[..., Desk]) -> None:
    at = desk()
    stranger = App(client_id=APP.client_id, client_secret="wrong")
    assert await at.login.inspect(stranger, await at.tokens(), ["as it was"]) == ["as it was"]


# Instagram Login


@pytest.mark.parametrize("wraps", [True, False])
async def test_a_code_becomes_a_token_of_sixty_days_whichever_way_the_short_one_comes(
    desk: Callable[..., Desk], wraps: bool
) -> None:
    at = desk("instagram_login")
    at.sim.logins.wraps = wraps
    tokens = await at.tokens()
    assert (tokens.expires_in_s, tokens.scopes, tokens.refresh_token) == (LONG_S, INSTAGRAM_SCOPES, "")
    (identity,) = await at.login.identify(APP, tokens)
    assert (identity.external_id, identity.username, identity.name) == (
        ACCOUNTS[0].scoped_id,
        "robin.cooks",
        "Robin cooks",
    )
    assert (identity.notices, identity.tokens) == ((), None)


async def test_what_stands_behind_the_redirect_is_no_part_of_the_code(desk: Callable[..., Desk]) -> None:
    at = desk("instagram_login")
    code = await at.code()
    assert at.back.endswith("#_")
    tokens = await at.login.exchange(APP, code=f"{code}#_", redirect_uri=HOME, verifier="")
    assert tokens.access_token.startswith("IGA")


async def test_what_was_not_granted_to_instagram_is_said(desk: Callable[..., Desk]) -> None:
    at = desk("instagram_login")
    (identity,) = await at.login.identify(APP, await at.tokens(scopes=["instagram_business_basic"]))
    assert identity.notices == (
        "Not granted: instagram_business_content_publish. Nothing can be published without.",
        "Not granted: instagram_business_manage_comments. Comments cannot be turned off without.",
    )


async def test_a_personal_account_is_told_what_to_become(desk: Callable[..., Desk]) -> None:
    personal: SimAccount = dataclasses.replace(ACCOUNTS[0], account_type="PERSONAL")
    at = desk("instagram_login", accounts=(personal,))
    with pytest.raises(PlatformError) as caught:
        await at.login.identify(APP, await at.tokens())
    assert (caught.value.kind, caught.value.code) == ("FIX", "no_account")


async def test_a_token_is_refreshed_from_its_second_day_on_and_lives_sixty_from_then(
    desk: Callable[..., Desk],
) -> None:
    at = desk("instagram_login")
    tokens = await at.tokens()
    at.wall.pass_s(DAY_S - 1)
    with pytest.raises(PlatformError) as caught:
        await at.login.refresh(APP, tokens)
    assert caught.value.kind != "REAUTH"  # it is good as it is
    at.wall.pass_s(1)
    newer = await at.login.refresh(APP, tokens)
    assert newer.access_token != tokens.access_token
    assert (newer.expires_in_s, newer.scopes) == (LONG_S, tokens.scopes)
    at.wall.pass_s(LONG_S - 1)
    await at.login.identify(APP, newer)
    at.wall.pass_s(1)
    with pytest.raises(PlatformError) as dead:
        await at.login.refresh(APP, newer)
    assert dead.value.kind == "REAUTH"


# both


@pytest.mark.parametrize("flavour", ["facebook_login", "instagram_login"])
async def test_a_code_is_good_once(desk: Callable[..., Desk], flavour: Flavour) -> None:
    at = desk(flavour)
    code = await at.code()
    await at.login.exchange(APP, code=code, redirect_uri=HOME, verifier="")
    for again, home in ((code, HOME), ("made-up", HOME), (await at.code(), HOME + "/")):
        with pytest.raises(PlatformError) as caught:
            await at.login.exchange(APP, code=again, redirect_uri=home, verifier="")
        assert not isinstance(caught.value, Unanswered)


@pytest.mark.parametrize("flavour", ["facebook_login", "instagram_login"])
async def test_who_denies_brings_no_code_back(desk: Callable[..., Desk], flavour: Flavour) -> None:
    at = desk(flavour)
    assert await at.code(allow=False) == "access_denied"


@pytest.mark.parametrize("flavour", ["facebook_login", "instagram_login"])
@pytest.mark.parametrize("fault", ["500", "503", "html", "reset", "lost_answer", "2"])
async def test_a_refresh_that_is_not_answered_takes_nothing_away(
    desk: Callable[..., Desk], flavour: Flavour, fault: str
) -> None:
    at = desk(flavour)
    tokens = await at.tokens()
    at.wall.pass_s(2 * DAY_S)
    at.world.order("instagram.token", fault)
    with pytest.raises(PlatformError) as caught:
        await at.login.refresh(APP, tokens)
    assert caught.value.kind in ("RETRY", "RECONCILE")
    assert (await at.login.refresh(APP, tokens)).access_token


@pytest.mark.parametrize("flavour", ["facebook_login", "instagram_login"])
async def test_an_answer_without_a_token_is_no_refresh(flavour: Flavour) -> None:
    class Empty(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(200, json={"access_token": "", "expires_in": 5})

    wire = Wire(transport=Empty())
    with pytest.raises(PlatformError) as caught:
        await InstagramLogin(wire, flavour).refresh(APP, Tokens(access_token="EAAx"))
    assert (caught.value.kind, caught.value.code) == ("RETRY", "no_token")
    await wire.close()


@pytest.mark.parametrize("flavour", ["facebook_login", "instagram_login"])
async def test_disconnecting_one_account_takes_nothing_from_the_others_of_the_person(
    desk: Callable[..., Desk], flavour: Flavour
) -> None:
    at = desk(flavour)
    tokens = await at.tokens()
    at.gate.asked.clear()
    await at.login.revoke(APP, tokens)
    assert at.gate.asked == []


@pytest.mark.parametrize("flavour", ["facebook_login", "instagram_login"])
async def test_what_was_connected_can_publish(desk: Callable[..., Desk], flavour: Flavour, tmp_path: Path) -> None:
    at = desk(flavour, fetches=False)
    at.sim.uploads.processing_s = 0
    tokens = await at.tokens()
    identity = (await at.login.identify(APP, tokens))[0]
    on = Stage(flavour, tmp_path, sim=at.sim)
    on.grant.tokens = [tokens.access_token]
    on.grant.external_id = identity.external_id
    on.grant.page_token = (identity.tokens or tokens).extra.get("page_token", "")
    await on.walk()
    assert [post.account for post in at.sim.posts()] == [identity.external_id]
    await on.wire.close()
