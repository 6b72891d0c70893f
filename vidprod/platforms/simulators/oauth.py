"""An authorisation server as the platforms have them: the page where a person allows or denies, codes that are good
once, PKCE in the spelling a platform wants, and tokens that expire by the world's clock.

A simulator asks it `authorize` for its page, `redeem` and `renew` for its token endpoint, and `holder` for whoever
comes with a token.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from litestar import MediaType, Request, Response

from vidprod.platforms.simulators.world import World

Pkce = Literal["base64url", "hex", "none"]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})
_CODE_S = 600

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:30rem;margin:3rem auto;padding:0 1rem}"
    "fieldset{border:1px solid #999;border-radius:8px;margin:1rem 0;min-width:0}"
    "label{display:block;padding:.3rem 0;overflow-wrap:anywhere}:root{color-scheme:light dark}"
    "button{font:inherit;padding:.5rem 1.5rem;margin-right:1rem}"
)


class OAuthRefused(Exception):
    """What a token endpoint answers instead of tokens."""

    def __init__(self, error: str, description: str = "", *, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = status


@dataclass(kw_only=True)
class Issued:
    """An access token, and the grant it belongs to. Times are unix milliseconds of the world."""

    grant: int  # what is revoked together has the same
    account: str
    client_id: str
    scopes: tuple[str, ...]
    access_token: str
    refresh_token: str
    expires_at: int
    refresh_expires_at: int | None
    asked: Mapping[str, str] = field(default_factory=dict)  # the parameters the page was asked with


@dataclass(frozen=True, kw_only=True)
class _Code:
    account: str
    scopes: tuple[str, ...]
    asked: Mapping[str, str]
    expires_at: int


class AuthServer:
    """The authorisation server of one platform, and all it has given out."""

    def __init__(
        self,
        world: World,
        *,
        name: str,
        accounts: Mapping[str, str],
        pkce: Pkce = "base64url",
        pkce_needed: bool = False,
        access_s: int = 3600,
        refresh_s: int | None = None,
        rotates: bool = False,
        access_prefix: str = "",
        refresh_prefix: str = "",
        client: str = "client_id",
        separator: str = " ",
        clients: Mapping[str, str] | None = None,
    ) -> None:
        """
        Args:
            name: as the page shows it. accounts: by id, the names a person chooses from; looked at each time.
            pkce: how the challenge is spelt; "none": not looked at. pkce_needed: refuse who sends no challenge.
            refresh_s: life of a refresh token; None: until revoked. rotates: each renewal kills the one before.
            client: the parameter's name: "client_key". separator: of scopes.
            clients: secrets by client id; none: every client is known, by any secret.
        """
        self.accounts = accounts
        self.clients = dict(clients or {})
        self.access_s = access_s
        self.refresh_s = refresh_s
        self.rotates = rotates
        self.issued: list[Issued] = []
        self._world = world
        self._name = name
        self._pkce = pkce
        self._pkce_needed = pkce_needed
        self._access_prefix = access_prefix
        self._refresh_prefix = refresh_prefix
        self._client = client
        self._separator = separator
        self._codes: dict[str, _Code] = {}
        self._grants = 0

    def authorize(self, request: Request[Any, Any, Any]) -> Response[str]:
        """The page, or where its buttons lead: back to who asked."""
        given = parse_qsl(request.url.query, keep_blank_values=True)
        asked = {name: value for name, value in given if name not in ("decision", "account", "grant")}
        if fault := self._fault(asked):
            return _page(f"<h1>{escape(self._name)}</h1><p>{escape(fault)}</p>", status=400)
        decision = dict(given).get("decision")
        if decision is None:
            return _page(self._form(asked))
        if decision != "allow":
            return _back(asked, error="access_denied", error_description="The person denied the request.")
        account = dict(given).get("account", "")
        if account not in self.accounts:
            return _page("<p>There is no such account.</p>", status=400)
        granted = tuple(value for name, value in given if name == "grant")
        return _back(asked, code=self._code(account, granted, asked))

    def redeem(self, code: str, *, client_id: str, client_secret: str, redirect_uri: str, verifier: str) -> Issued:
        """Tokens for a code, once. Raises OAuthRefused."""
        self._check_client(client_id, client_secret)
        found = self._codes.pop(code, None)
        if found is None or found.expires_at <= self._world.now():
            raise OAuthRefused("invalid_grant", "The code is unknown, was used or has expired.")
        if found.asked[self._client] != client_id:
            raise OAuthRefused("invalid_grant", "The code was given to another client.")
        if found.asked["redirect_uri"] != redirect_uri:
            raise OAuthRefused("invalid_grant", "redirect_uri is another than the one asked with.")
        if not self._verified(found.asked.get("code_challenge", ""), verifier):
            raise OAuthRefused("invalid_grant", "code_verifier does not fit the challenge.")
        return self.issue(found.account, client_id=client_id, scopes=found.scopes, asked=found.asked)

    def renew(self, refresh_token: str, *, client_id: str, client_secret: str) -> Issued:
        """An access token for a refresh token. Raises OAuthRefused."""
        self._check_client(client_id, client_secret)
        last = next(
            (one for one in reversed(self.issued) if refresh_token and one.refresh_token == refresh_token), None
        )
        if last is None or last.client_id != client_id:
            raise OAuthRefused("invalid_grant", "Token has been expired or revoked.")
        if last.refresh_expires_at is not None and last.refresh_expires_at <= self._world.now():
            raise OAuthRefused("invalid_grant", "Token has been expired or revoked.")
        newer = self._issue(last.grant, last.account, client_id=client_id, scopes=last.scopes, asked=last.asked)
        if self.rotates:
            for one in self.issued:
                if one.grant == last.grant and one is not newer:
                    one.refresh_token = ""
        else:
            newer.refresh_token, newer.refresh_expires_at = last.refresh_token, last.refresh_expires_at
        return newer

    def issue(
        self,
        account: str,
        *,
        client_id: str,
        scopes: Iterable[str],
        asked: Mapping[str, str] | None = None,
        life_s: int | None = None,
    ) -> Issued:
        """A new grant, without a page.

        Args:
            life_s: of the access token; none: as always here.
        """
        self._grants += 1
        return self._issue(
            self._grants, account, client_id=client_id, scopes=tuple(scopes), asked=asked or {}, life_s=life_s
        )

    def holder(self, access_token: str) -> Issued | None:
        """Whose token it is; None: nobody's, or not any more."""
        now = self._world.now()
        return next(
            (one for one in reversed(self.issued) if one.access_token == access_token and one.expires_at > now), None
        )

    def revoke(self, token: str) -> bool:
        """End the grant that an access or refresh token belongs to. Whether there was one."""
        grants = {one.grant for one in self.issued if token and token in (one.access_token, one.refresh_token)}
        self.issued = [one for one in self.issued if one.grant not in grants]
        return bool(grants)

    def withdraw(self, account: str) -> None:
        """The person takes back what was granted: no token of the account is good any more."""
        self.issued = [one for one in self.issued if one.account != account]

    def expire(self, account: str) -> None:
        """Its access tokens end now; they can be renewed."""
        for one in self.issued:
            if one.account == account:
                one.expires_at = min(one.expires_at, self._world.now())

    def _issue(
        self,
        grant: int,
        account: str,
        *,
        client_id: str,
        scopes: tuple[str, ...],
        asked: Mapping[str, str],
        life_s: int | None = None,
    ) -> Issued:
        now = self._world.now()
        issued = Issued(
            grant=grant,
            account=account,
            client_id=client_id,
            scopes=scopes,
            access_token=self._world.token(self._access_prefix),
            refresh_token=self._world.token(self._refresh_prefix),
            expires_at=now + (self.access_s if life_s is None else life_s) * 1000,
            refresh_expires_at=None if self.refresh_s is None else now + self.refresh_s * 1000,
            asked=asked,
        )
        self.issued.append(issued)
        return issued

    def _fault(self, asked: Mapping[str, str]) -> str:
        """What is wrong with a request for the page. It is told there: the address to go back to may be anybody's."""
        client = asked.get(self._client, "")
        if not client or (self.clients and client not in self.clients):
            return f"invalid_client: {self._client} is missing or unknown."
        redirect = urlsplit(asked.get("redirect_uri", ""))
        if redirect.fragment or not redirect.hostname:
            return "redirect_uri_mismatch: redirect_uri must be an absolute address without a fragment."
        if redirect.scheme != "https" and not (redirect.scheme == "http" and redirect.hostname in LOOPBACK):
            return "redirect_uri_mismatch: redirect_uri must be https, or http on this machine."
        if asked.get("response_type") != "code":
            return "unsupported_response_type: response_type must be code."
        if not asked.get("scope"):
            return "invalid_scope: scope is missing."
        if self._pkce_needed and not asked.get("code_challenge"):
            return "invalid_request: code_challenge is missing."
        if asked.get("code_challenge") and asked.get("code_challenge_method") != "S256":
            return "invalid_request: code_challenge_method must be S256."
        return ""

    def _form(self, asked: Mapping[str, str]) -> str:
        hidden = "".join(
            f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in asked.items()
        )
        accounts = "".join(
            f'<label><input type="radio" name="account" value="{escape(key)}"{" checked" if number == 0 else ""}> '
            f"{escape(name)}</label>"
            for number, (key, name) in enumerate(self.accounts.items())
        )
        scopes = "".join(
            f'<label><input type="checkbox" name="grant" value="{escape(scope)}" checked> {escape(scope)}</label>'
            for scope in self._scopes(asked)
        )
        return (
            f"<h1>{escape(self._name)} (simulated)</h1>"
            f"<p>The application <b>{escape(asked[self._client])}</b> asks to act for an account.</p>"
            f'<form method="get">{hidden}<fieldset><legend>Account</legend>{accounts}</fieldset>'
            f"<fieldset><legend>It may</legend>{scopes}</fieldset>"
            '<button name="decision" value="allow">Allow</button><button name="decision" value="deny">Deny</button>'
            "</form>"
        )

    def _scopes(self, asked: Mapping[str, str]) -> list[str]:
        return [scope for scope in asked["scope"].split(self._separator) if scope]

    def _code(self, account: str, granted: tuple[str, ...], asked: Mapping[str, str]) -> str:
        code = self._world.token("code.")
        self._codes[code] = _Code(
            account=account,
            scopes=tuple(scope for scope in self._scopes(asked) if scope in granted),
            asked=asked,
            expires_at=self._world.now() + _CODE_S * 1000,
        )
        return code

    def _check_client(self, client_id: str, client_secret: str) -> None:
        if not client_id or (self.clients and self.clients.get(client_id) != client_secret):
            raise OAuthRefused("invalid_client", "The client is unknown, or its secret is another.", status=401)

    def _verified(self, challenge: str, verifier: str) -> bool:
        if self._pkce == "none" or (not challenge and not self._pkce_needed):
            return True
        return bool(challenge) and challenge_of(verifier, self._pkce) == challenge


def challenge_of(verifier: str, pkce: Pkce) -> str:
    """What is sent ahead of a verifier: SHA-256 in base64url without padding (RFC 7636), or in hex (TikTok)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    return digest.hex() if pkce == "hex" else base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def pressed(page: str, *, account: str, allow: bool = True, scopes: Iterable[str] | None = None) -> str:
    """The address that a button of the page leads to.

    Args:
        page: its own address.
        scopes: those left ticked; none: all that were asked for, separated by spaces or commas.
    """
    parts = urlsplit(page)
    asked = parse_qsl(parts.query, keep_blank_values=True)
    granted = dict(asked).get("scope", "").replace(",", " ").split() if scopes is None else list(scopes)
    chosen = [("decision", "allow" if allow else "deny"), ("account", account), *(("grant", one) for one in granted)]
    return urlunsplit(parts._replace(query=urlencode([*asked, *chosen])))


def _page(content: str, *, status: int = 200) -> Response[str]:
    return Response(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Authorise (simulated)</title><style>{_STYLE}</style><body>{content}</body></html>",
        status_code=status,
        media_type=MediaType.HTML,
        headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"},
    )


def _back(asked: Mapping[str, str], **answer: str) -> Response[str]:
    parts = urlsplit(asked["redirect_uri"])
    query = [*parse_qsl(parts.query, keep_blank_values=True), *answer.items()]
    if "state" in asked:
        query.append(("state", asked["state"]))
    return Response(
        "",
        status_code=302,
        media_type=MediaType.HTML,
        headers={
            "Location": urlunsplit(parts._replace(query=urlencode(query))),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
        },
    )
