"""The simulated authorisation server: what a person decides on its page, and what its tokens are good for."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from litestar import Request, Response, get

from vidprod.platforms.simulators.oauth import AuthServer, Issued, OAuthRefused, Pkce, challenge_of, pressed
from vidprod.platforms.simulators.transport import SimTransport, application
from vidprod.platforms.simulators.world import World

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
ACCOUNTS = {"ch1": "Ann", "ch2": "Ben <b>"}
HOME = "http://127.0.0.1:8080/oauth/x"
START = 1_790_000_000_000


class Hands:
    """The wall, turned by hand."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> int:
        return self.at


def server(wall: Hands | None = None, **more: Any) -> AuthServer:
    return AuthServer(World(wall=wall or Hands(), seed=1), name="Example", accounts=ACCOUNTS, **more)


def page(**more: str) -> str:
    asked = {
        "client_id": "c1",
        "redirect_uri": HOME,
        "response_type": "code",
        "scope": "read write",
        "state": "s t",
        "code_challenge": challenge_of(VERIFIER, "base64url"),
        "code_challenge_method": "S256",
    }
    return "http://simulators/auth?" + urlencode({name: value for name, value in {**asked, **more}.items() if value})


async def asked(auth: AuthServer, url: str) -> httpx.Response:
    @get("/auth", sync_to_thread=False)
    def authorize(request: Request[Any, Any, Any]) -> Response[str]:
        return auth.authorize(request)

    async with httpx.AsyncClient(transport=SimTransport(application([authorize]))) as client:
        return await client.get(url)


async def coming_back(auth: AuthServer, url: str) -> dict[str, str]:
    """What the browser brings back to the redirect's address."""
    answer = await asked(auth, url)
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(HOME + "?")
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}


async def code_of(auth: AuthServer, account: str = "ch1", scopes: Sequence[str] | None = None, **more: str) -> str:
    return (await coming_back(auth, pressed(page(**more), account=account, scopes=scopes)))["code"]


def redeemed(auth: AuthServer, code: str, **more: str) -> Issued:
    given = {"client_id": "c1", "client_secret": "x", "redirect_uri": HOME, "verifier": VERIFIER, **more}
    return auth.redeem(code, **given)


async def test_the_page_shows_who_asks_for_what_and_which_accounts_there_are() -> None:
    answer = await asked(server(), page())
    assert answer.status_code == 200
    for text in ("c1", "read", "write", "Ann", "Ben &lt;b&gt;", "Allow", "Deny"):
        assert text in answer.text


async def test_allowing_brings_back_the_state_and_a_code_for_the_chosen_account() -> None:
    auth = server()
    back = await coming_back(auth, pressed(page(), account="ch2"))
    assert back["state"] == "s t"
    issued = redeemed(auth, back["code"])
    assert (issued.account, issued.scopes) == ("ch2", ("read", "write"))
    assert auth.holder(issued.access_token) is issued


async def test_denying_brings_back_the_state_and_why() -> None:
    back = await coming_back(server(), pressed(page(), account="ch1", allow=False))
    assert (back["error"], back["state"]) == ("access_denied", "s t")


async def test_a_person_can_grant_less_than_was_asked_for_and_never_more() -> None:
    auth = server()
    assert redeemed(auth, await code_of(auth, scopes=["write", "everything"])).scopes == ("write",)


async def test_a_code_is_good_once() -> None:
    auth = server()
    code = await code_of(auth)
    redeemed(auth, code)
    with pytest.raises(OAuthRefused, match="invalid_grant"):
        redeemed(auth, code)


async def test_a_code_expires() -> None:
    wall = Hands()
    auth = server(wall)
    code = await code_of(auth)
    wall.at += 600_000
    with pytest.raises(OAuthRefused, match="expired"):
        redeemed(auth, code)


@pytest.mark.parametrize(
    "more", [{"verifier": "x" * 43}, {"verifier": ""}, {"redirect_uri": HOME + "2"}, {"client_id": "c2"}]
)
async def test_a_code_is_only_good_for_who_asked_for_it(more: dict[str, str]) -> None:
    auth = server()
    code = await code_of(auth)
    with pytest.raises(OAuthRefused, match="invalid_grant"):
        redeemed(auth, code, **more)


@pytest.mark.parametrize(("spelling", "good"), [("hex", "hex"), ("base64url", "base64url")])
async def test_the_challenge_is_spelt_as_the_platform_wants_it(spelling: Pkce, good: Pkce) -> None:
    auth = server(pkce=spelling)
    redeemed(auth, await code_of(auth, code_challenge=challenge_of(VERIFIER, good)))
    other: Pkce = "base64url" if good == "hex" else "hex"
    code = await code_of(auth, code_challenge=challenge_of(VERIFIER, other))
    with pytest.raises(OAuthRefused, match="code_verifier"):
        redeemed(auth, code)


def test_the_challenges_are_those_of_the_vectors() -> None:
    """RFC 7636, appendix B; TikTok's spelling is the same digest in hex."""
    assert challenge_of(VERIFIER, "base64url") == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert challenge_of(VERIFIER, "hex") == "13d31e961a1ad8ec2f16b10c4c982e0876a878ad6df144566ee1894acb70f9c3"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"client_id": ""}, "invalid_client"),
        ({"redirect_uri": "http://example.com/cb"}, "redirect_uri_mismatch"),
        ({"redirect_uri": "https://example.com/cb#x"}, "redirect_uri_mismatch"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": ""}, "invalid_scope"),
        ({"code_challenge": ""}, "code_challenge is missing"),
        ({"code_challenge_method": "plain"}, "S256"),
    ],
)
async def test_who_asks_wrongly_is_told_on_the_page_and_sent_nowhere(more: dict[str, str], said: str) -> None:
    answer = await asked(server(pkce_needed=True), page(**more))
    assert answer.status_code == 400
    assert said in answer.text


def test_an_access_token_expires_by_the_clock_of_the_world_and_can_be_renewed() -> None:
    wall = Hands()
    auth = server(wall, access_s=100)
    first = auth.issue("ch1", client_id="c1", scopes=["read"])
    wall.at += 100_000
    assert auth.holder(first.access_token) is None
    second = auth.renew(first.refresh_token, client_id="c1", client_secret="x")
    assert auth.holder(second.access_token) is second
    assert second.refresh_token == first.refresh_token


def test_a_rotating_refresh_token_is_good_once() -> None:
    auth = server(rotates=True)
    first = auth.issue("ch1", client_id="c1", scopes=["read"])
    old = first.refresh_token
    second = auth.renew(old, client_id="c1", client_secret="x")
    assert second.refresh_token != old
    with pytest.raises(OAuthRefused, match="invalid_grant"):
        auth.renew(old, client_id="c1", client_secret="x")
    assert auth.renew(second.refresh_token, client_id="c1", client_secret="x").account == "ch1"


def test_a_refresh_token_has_an_end_of_its_own() -> None:
    wall = Hands()
    auth = server(wall, refresh_s=1000)
    first = auth.issue("ch1", client_id="c1", scopes=["read"])
    wall.at += 1_000_000
    with pytest.raises(OAuthRefused, match="expired"):
        auth.renew(first.refresh_token, client_id="c1", client_secret="x")


def test_what_is_revoked_or_withdrawn_is_good_for_nothing_more() -> None:
    auth = server()
    first = auth.issue("ch1", client_id="c1", scopes=["read"])
    second = auth.issue("ch1", client_id="c1", scopes=["read"])
    assert auth.revoke(first.refresh_token)
    assert not auth.revoke(first.refresh_token)
    assert auth.holder(first.access_token) is None
    assert auth.holder(second.access_token) is second
    auth.withdraw("ch1")
    assert auth.holder(second.access_token) is None


def test_a_client_with_another_secret_gets_nothing() -> None:
    auth = server(clients={"c1": "right"})
    first = auth.issue("ch1", client_id="c1", scopes=["read"])
    with pytest.raises(OAuthRefused, match="invalid_client"):
        auth.renew(first.refresh_token, client_id="c1", client_secret="wrong")
    assert auth.renew(first.refresh_token, client_id="c1", client_secret="right").account == "ch1"
