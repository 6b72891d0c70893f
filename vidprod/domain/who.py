"""Who asks: anybody where nobody is asked, the owner, or a program with a key; and what each of them may."""

from typing import Literal, get_args

import msgspec

Scope = Literal["read", "upload", "publish", "admin"]

SCOPES: tuple[Scope, ...] = get_args(Scope)
MEANINGS: dict[Scope, str] = {
    "read": "look at everything but keys and webhooks",
    "upload": "send takes, cancel, retry and delete jobs, make segments again",
    "publish": "plan, approve, change and cancel publications, pause accounts",
    "admin": "all of that, and accounts, webhooks, keys",
}
USUAL: tuple[Scope, ...] = ("read", "upload")  # of a key for which nothing is said
EVERYTHING: frozenset[Scope] = frozenset(SCOPES)


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. `open`: nobody is asked here, and each may do all."""

    kind: Literal["open", "owner", "key"]
    user_id: str
    key_id: str | None = None
    session_id: str | None = None
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or "admin" in self.scopes
