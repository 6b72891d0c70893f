"""The tokens of an account, as they lie sealed in its row; and how long they last."""

from dataclasses import replace

import msgspec

from vidprod.domain.account import Account
from vidprod.platforms.base import Tokens
from vidprod.vault import Vault


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What lies sealed in the row of an account. Its times are the row's own columns."""

    access_token: str
    refresh_token: str = ""
    extra: dict[str, str] = {}


_kept = msgspec.json.Decoder(Kept)


def place_of(account_id: str) -> str:
    """Where the tokens of an account are sealed for."""
    return f"account|{account_id}|tokens"


def seal(vault: Vault, account_id: str, tokens: Tokens) -> bytes:
    """As they lie in the row."""
    kept = Kept(access_token=tokens.access_token, refresh_token=tokens.refresh_token, extra=dict(tokens.extra))
    return vault.seal(msgspec.json.encode(kept), place=place_of(account_id))


def opened(vault: Vault, account: Account, sealed: bytes) -> Tokens:
    """What `seal` made. Raises SealBroken."""
    kept = _kept.decode(vault.open(sealed, place=place_of(account.id)))
    return Tokens(
        access_token=kept.access_token,
        refresh_token=kept.refresh_token,
        scopes=tuple(account.scopes),
        extra=kept.extra,
    )


def ends(tokens: Tokens, *, now: int) -> tuple[int | None, int | None]:
    """When the access token ends, and when the grant does: then somebody has to connect the account again.

    Without a refresh token the access token is all there is.
    """
    access = None if tokens.expires_in_s is None else now + tokens.expires_in_s * 1000
    refresh = None if tokens.refresh_expires_in_s is None else now + tokens.refresh_expires_in_s * 1000
    return access, refresh if tokens.refresh_token else refresh or access


def merged(old: Tokens, new: Tokens) -> Tokens:
    """What the answer leaves out stays as it was: Google sends no refresh token, and an empty one would end it all."""
    return replace(
        new,
        refresh_token=new.refresh_token or old.refresh_token,
        scopes=new.scopes or old.scopes,
        extra={**old.extra, **{name: value for name, value in new.extra.items() if value}},
    )
