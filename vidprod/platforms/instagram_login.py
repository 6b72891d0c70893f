"""How Instagram accounts are connected: through the Facebook page they are linked to, or by themselves.

Facebook Login    code → token of an hour → token of 60 days; then the pages, each with a token of its own that has no
                  end, and the account that is linked to it. There is no refresh: the same exchange, asked with a token
                  that is still good, gives a newer one.
Instagram Login   code → token of an hour → token of 60 days, which can be refreshed from its second day on.

Sources: Meta, "Get long-lived access tokens", "Business login for Instagram".
"""

import dataclasses
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from vidprod.domain.account import Flavour, Platform
from vidprod.errors import PlatformError
from vidprod.platforms import graph
from vidprod.platforms.base import App, Asked, Identity, Tokens
from vidprod.platforms.wire import Answer, Wire

FACEBOOK_SCOPES = (
    "instagram_basic",
    "instagram_content_publish",
    "pages_show_list",
    "pages_read_engagement",
    "business_management",
    "instagram_manage_comments",
)
INSTAGRAM_SCOPES = (
    "instagram_business_basic",
    "instagram_business_content_publish",
    "instagram_business_manage_comments",
)

_NEEDED = {
    "facebook_login": ("instagram_basic", "instagram_content_publish", "pages_show_list"),
    "instagram_login": ("instagram_business_basic", "instagram_business_content_publish"),
}
_OF_COMMENTS = {
    "facebook_login": "instagram_manage_comments",
    "instagram_login": "instagram_business_manage_comments",
}
_NOT_GRANTED, _UNTIL = "Not granted:", "Facebook lets this be used until"  # what is said anew each time begins so
_PAGE_FIELDS = "id,name,access_token,instagram_business_account{id,username,name}"
_MOST_PAGES = 50  # of lists, so that one that has no end comes to an end
_TIMEOUT_S = 30.0


class InstagramLogin:
    """One of the two logins."""

    platform: Platform = "instagram"

    def __init__(self, wire: Wire, flavour: Flavour, *, version: str = graph.VERSION) -> None:
        self.flavour: Flavour = flavour
        self._wire = wire
        self._way: _Facebook | _Instagram
        self._way = _Facebook(wire, version) if flavour == "facebook_login" else _Instagram(wire, version)

    def ask(self, app: App, *, redirect_uri: str, state: str, direct: bool) -> Asked:
        query = {
            "client_id": app.client_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": ",".join(self._way.scopes),
            "state": state,
        }
        return Asked(url=f"{self._wire.url(self._way.page)}?{urlencode(query)}", verifier="")  # neither has PKCE

    async def exchange(self, app: App, *, code: str, redirect_uri: str, verifier: str) -> Tokens:
        # Instagram puts "#_" behind the redirect; whoever copied the address by hand has it in the code
        return await self._way.exchange(app, code.removesuffix("#_"), redirect_uri)

    async def refresh(self, app: App, tokens: Tokens) -> Tokens:
        return await self._way.refresh(app, tokens)

    async def identify(self, app: App, tokens: Tokens) -> list[Identity]:
        return await self._way.identify(app, tokens)

    async def inspect(self, app: App, tokens: Tokens, notices: Sequence[str]) -> list[str]:
        return await self._way.inspect(app, tokens, notices)

    async def revoke(self, app: App, tokens: Tokens) -> None:
        """Nothing: Instagram Login has no call for it, and Facebook's takes back all the person ever granted, of every
        page and account. What is connected ends in the person's own settings."""


class _Facebook:
    scopes = FACEBOOK_SCOPES

    def __init__(self, wire: Wire, version: str) -> None:
        self.page = f"https://www.facebook.com/{version}/dialog/oauth"
        self._wire = wire
        self._base = f"{graph.FACEBOOK}/{version}"

    async def exchange(self, app: App, code: str, redirect_uri: str) -> Tokens:
        short = await self._token(app, {"redirect_uri": redirect_uri, "code": code})
        tokens = await self.refresh(app, Tokens(access_token=short.access_token))
        return dataclasses.replace(tokens, scopes=await self._granted(tokens.access_token))

    async def refresh(self, app: App, tokens: Tokens) -> Tokens:
        newer = await self._token(app, {"grant_type": "fb_exchange_token", "fb_exchange_token": tokens.access_token})
        return dataclasses.replace(tokens, access_token=newer.access_token, expires_in_s=newer.expires_in_s)

    async def identify(self, app: App, tokens: Tokens) -> list[Identity]:
        scopes = await self._granted(tokens.access_token)
        told = await self._inspected(app, tokens.access_token)
        notices = (*_missing("facebook_login", scopes), *_until(told))
        found: dict[str, Identity] = {}
        async for page in self._pages(tokens.access_token):
            account = page.get("instagram_business_account")
            if not isinstance(account, dict) or not account.get("id") or str(account["id"]) in found:
                continue
            found[str(account["id"])] = Identity(
                external_id=str(account["id"]),
                name=str(account.get("name") or account.get("username") or page.get("name") or account["id"]),
                username=str(account.get("username") or ""),
                notices=(*notices, *_without_page_token(page)),
                tokens=dataclasses.replace(
                    tokens,
                    scopes=scopes,
                    extra={"page_id": str(page.get("id") or ""), "page_token": str(page.get("access_token") or "")},
                ),
            )
        if not found:
            raise PlatformError(
                "None of the pages that were granted is linked to a professional Instagram account.",
                kind="FIX",
                code="no_account",
                hint="Make the account a business or creator account, link it to a Facebook page, and allow that page.",
            )
        return list(found.values())

    async def _token(self, app: App, asked: Mapping[str, str]) -> Tokens:
        params = {"client_id": app.client_id, "client_secret": app.client_secret, **asked}
        return _tokens(await self._wire.call("GET", f"{self._base}/oauth/access_token", params=params, timeout_s=30.0))

    async def _granted(self, token: str) -> tuple[str, ...]:
        told = graph.taken(await self._get("me/permissions", token))
        return tuple(
            str(one.get("permission")) for one in graph.objects_of(told.get("data")) if one.get("status") == "granted"
        )

    async def inspect(self, app: App, tokens: Tokens, notices: Sequence[str]) -> list[str]:
        told = await self._inspected(app, tokens.access_token)
        if not isinstance(told.get("scopes"), list):
            return list(notices)
        scopes = _scopes(told["scopes"])
        lost = [one for one in _NEEDED["facebook_login"] if one in tokens.scopes and one not in scopes]
        if lost:
            raise PlatformError(
                f"Not granted any more: {', '.join(lost)}.",
                kind="REAUTH",
                code="lost_scopes",
                hint="Connect the account again and allow everything that is asked for.",
            )
        others = [one for one in notices if not one.startswith((_NOT_GRANTED, _UNTIL))]
        return [*_missing("facebook_login", scopes), *_until(told), *others]

    async def _inspected(self, app: App, token: str) -> dict[str, Any]:
        """What Facebook tells of the token; {}: nothing. Raises PlatformError: it is not good."""
        answer = await self._get("debug_token", f"{app.client_id}|{app.client_secret}", {"input_token": token})
        data = answer.json().get("data")
        if not graph.ok(answer) or not isinstance(data, dict):
            return {}  # it is only looked at
        if data.get("is_valid") is False:
            raise PlatformError("Facebook says that the token is not valid.", kind="REAUTH", code="invalid_token")
        return data

    async def _pages(self, token: str) -> AsyncIterator[dict[str, Any]]:
        """The person's pages, then those that are only seen through a business."""
        async for page in self._listed("me/accounts", token, _PAGE_FIELDS):
            yield page
        try:
            businesses = [one async for one in self._listed("me/businesses", token, "id")]
        except PlatformError:  # business_management was not granted
            return
        for business in businesses:
            for edge in ("owned_pages", "client_pages"):
                try:
                    pages = [one async for one in self._listed(f"{business.get('id')}/{edge}", token, _PAGE_FIELDS)]
                except PlatformError:
                    continue
                for page in pages:
                    yield page

    async def _listed(self, path: str, token: str, fields: str) -> AsyncIterator[dict[str, Any]]:
        """All of a list that comes in pages. The address of the next is not followed: it has the token in it."""
        after = ""
        for _ in range(_MOST_PAGES):
            params = {"fields": fields, "limit": "100", **({"after": after} if after else {})}
            told = graph.taken(await self._get(path, token, params))
            for one in graph.objects_of(told.get("data")):
                yield one
            paging = told.get("paging")
            if not isinstance(paging, dict) or not paging.get("next"):
                return
            after = str((paging.get("cursors") or {}).get("after") or "")
            if not after:
                return

    async def _get(self, path: str, token: str, params: Mapping[str, str] | None = None) -> Answer:
        return await self._wire.call(
            "GET",
            f"{self._base}/{path}",
            headers={"Authorization": f"Bearer {token}"},
            params=params,
            timeout_s=_TIMEOUT_S,
        )


class _Instagram:
    scopes = INSTAGRAM_SCOPES
    page = "https://www.instagram.com/oauth/authorize"

    def __init__(self, wire: Wire, version: str) -> None:
        self._wire = wire
        self._version = version

    async def exchange(self, app: App, code: str, redirect_uri: str) -> Tokens:
        answer = await self._wire.call(
            "POST",
            "https://api.instagram.com/oauth/access_token",
            form={
                "client_id": app.client_id,
                "client_secret": app.client_secret,
                "grant_type": "authorization_code",
                "redirect_uri": redirect_uri,
                "code": code,
            },
            timeout_s=_TIMEOUT_S,
        )
        short = graph.taken(answer)
        wrapped = graph.objects_of(short.get("data"))
        short = wrapped[0] if wrapped else short
        asked = {
            "grant_type": "ig_exchange_token",
            "client_secret": app.client_secret,
            "access_token": _token_of(short, answer),
        }
        tokens = _tokens(
            await self._wire.call("GET", f"{graph.INSTAGRAM}/access_token", params=asked, timeout_s=_TIMEOUT_S)
        )
        return dataclasses.replace(tokens, scopes=_scopes(short.get("permissions")))

    async def refresh(self, app: App, tokens: Tokens) -> Tokens:
        asked = {"grant_type": "ig_refresh_token", "access_token": tokens.access_token}
        newer = _tokens(
            await self._wire.call("GET", f"{graph.INSTAGRAM}/refresh_access_token", params=asked, timeout_s=_TIMEOUT_S)
        )
        return dataclasses.replace(tokens, access_token=newer.access_token, expires_in_s=newer.expires_in_s)

    async def inspect(self, app: App, tokens: Tokens, notices: Sequence[str]) -> list[str]:
        """There is no call for it; what ends is seen in 30 days, or when something is published."""
        return list(notices)

    async def identify(self, app: App, tokens: Tokens) -> list[Identity]:
        answer = await self._wire.call(
            "GET",
            f"{graph.INSTAGRAM}/{self._version}/me",
            headers={"Authorization": f"Bearer {tokens.access_token}"},
            params={"fields": "user_id,username,name,account_type"},
            timeout_s=_TIMEOUT_S,
        )
        told = graph.taken(answer)
        external_id = told.get("user_id")
        if not external_id:
            raise PlatformError("Instagram does not say whose account it is.", kind="RETRY", code="no_user_id")
        if told.get("account_type") == "PERSONAL":
            raise PlatformError(
                "A personal account cannot be published to.",
                kind="FIX",
                code="no_account",
                hint="Make it a business or creator account in the Instagram app.",
            )
        username = str(told.get("username") or "")
        return [
            Identity(
                external_id=str(external_id),
                name=str(told.get("name") or username or external_id),
                username=username,
                notices=_missing("instagram_login", tokens.scopes) if tokens.scopes else (),
            )
        ]


def _tokens(answer: Answer) -> Tokens:
    """Raises PlatformError: it is an error, or has no token in it, which would be stored over a good one."""
    told = graph.taken(answer)
    life = told.get("expires_in")
    return Tokens(
        access_token=_token_of(told, answer),
        expires_in_s=int(life) if isinstance(life, (int, str)) and str(life).isdigit() else None,
    )


def _token_of(told: Mapping[str, Any], answer: Answer) -> str:
    token = told.get("access_token")
    if not isinstance(token, str) or not token:
        raise PlatformError("The answer has no token in it.", kind="RETRY", code="no_token", http_status=answer.status)
    return token


def _scopes(told: object) -> tuple[str, ...]:
    """Of a list, or of a text with commas: both are sent."""
    if isinstance(told, str):
        told = told.split(",")
    return tuple(str(one).strip() for one in told if str(one).strip()) if isinstance(told, list) else ()


def _until(told: Mapping[str, Any]) -> tuple[str, ...]:
    """When Facebook ends the access to data, which no renewal puts off."""
    ends = told.get("data_access_expires_at")
    if not isinstance(ends, int) or ends <= 0:
        return ()
    day = datetime.fromtimestamp(ends, UTC).date().isoformat()
    return (f"{_UNTIL} {day}; connect the account again before.",)


def _missing(flavour: Flavour, scopes: Collection[str]) -> tuple[str, ...]:
    missing, found = [scope for scope in _NEEDED[flavour] if scope not in scopes], []
    if missing:
        found.append(f"{_NOT_GRANTED} {', '.join(missing)}. Nothing can be published without.")
    if _OF_COMMENTS[flavour] not in scopes:
        found.append(f"{_NOT_GRANTED} {_OF_COMMENTS[flavour]}. Comments cannot be turned off without.")
    return tuple(found)


def _without_page_token(page: Mapping[str, Any]) -> tuple[str, ...]:
    return () if page.get("access_token") else ("Facebook gave no token of the page: the person's is used.",)
