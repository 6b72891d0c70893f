"""A daemon that asks who comes, its owner, and keys."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.web.conftest import Live, running
from vidprod.domain.key import make_key
from vidprod.domain.user import OWNER_ID
from vidprod.domain.who import Scope

NAME, PASSWORD = "Ann", "korrekt pferd batterie"
PAGE = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}  # what a browser says for our own page


@asynccontextmanager
async def guarded(root: Path, **settings: Any) -> AsyncIterator[Live]:
    """One that has an owner; nobody is signed in."""
    async with running(root, **{"access": "ask", **settings}) as live:
        answer = await live.client.post("/setup", json={"name": NAME, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        live.client.cookies.clear()
        yield live


async def sign_in(live: Live, **more: str) -> httpx.Response:
    return await live.client.post("/login", json={"name": NAME, "password": PASSWORD, **more}, headers=PAGE)


async def key_for(live: Live, *scopes: Scope, user_id: str = OWNER_ID, expires_at: int | None = None) -> dict[str, str]:
    """The header of a new key."""
    key, secret = make_key("a test", list(scopes), user_id=user_id, expires_at=expires_at, now=0)
    await live.store.write(lambda db: db.keys.add(key))
    return {"Authorization": f"Bearer {secret}"}


def strange(live: Live) -> httpx.AsyncClient:
    """A client without cookies, who knows the daemon by its address alone."""
    return httpx.AsyncClient(base_url=live.url, timeout=20)
