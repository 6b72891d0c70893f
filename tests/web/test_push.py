"""Subscriptions over HTTP, with a pusher beside and a push service that a browser listens to."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.web.conftest import Live, running
from tests.webhooks.browser import Browser
from tests.webhooks.receiver import Receiver, answer, receiving
from vidprod.domain.notification import MOST_SUBSCRIPTIONS
from vidprod.services.clock import Clock
from vidprod.services.pusher import Pusher
from vidprod.webhooks.push import decoded

WHERE = "/v1/push/subscriptions"


@contextlib.asynccontextmanager
async def a_page(root: Path) -> AsyncIterator[tuple[Live, Receiver]]:
    async with running(root, webhook_allow=("127.0.0.1",)) as live, receiving() as service:
        service.behave = lambda _: answer(201)
        pusher = Pusher(store=live.store, vault=live.vault, config=live.config, clock=Clock())
        pushing = asyncio.create_task(pusher.run())
        yield live, service
        pushing.cancel()
        await asyncio.wait({pushing})


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[tuple[Live, Receiver]]:
    async with a_page(tmp_path) as page:
        yield page


def told(browser: Browser, endpoint: str, **more: Any) -> dict[str, Any]:
    """As `PushSubscription.toJSON()` has it."""
    keys = {"p256dh": browser.p256dh, "auth": browser.auth}
    return {"endpoint": endpoint, "expirationTime": None, "keys": keys, **more}


def written(root: Path) -> bytes:
    """All that lies in the database's files."""
    return b"".join(path.read_bytes() for path in root.glob("vidprod.db*"))


async def test_a_browser_subscribes_is_told_and_leaves(page: tuple[Live, Receiver]) -> None:
    live, service = page
    key = (await live.client.get("/v1/push/key")).json()["public_key"]
    assert len(decoded(key)) == 65
    assert (await live.client.get("/v1/push/key")).json()["public_key"] == key
    browser = Browser()
    made = await live.client.post(WHERE, json=told(browser, service.url("/send/1"), label="My phone"))
    assert made.status_code == 201, made.text
    view = made.json()
    assert (view["host"], view["label"], view["pushed_at"], view["failures"]) == ("127.0.0.1", "My phone", None, 0)
    assert (await live.client.post(f"{WHERE}/{view['id']}/test")).status_code == 202
    [request] = await service.received(1)
    assert json.loads(browser.read(request.body))["title"] == "Notifications work"
    assert (await live.client.delete(f"{WHERE}/{view['id']}")).status_code == 204
    assert (await live.client.get(WHERE)).json() == {"subscriptions": []}
    assert (await live.client.delete(f"{WHERE}/{view['id']}")).status_code == 404
    assert (await live.client.post(f"{WHERE}/{view['id']}/test")).status_code == 404


async def test_the_same_browser_again_is_the_same_subscription_with_its_new_keys(page: tuple[Live, Receiver]) -> None:
    live, service = page
    await live.client.get("/v1/push/key")
    first = await live.client.post(WHERE, json=told(Browser(), service.url("/send/1")))
    browser = Browser()
    again = await live.client.post(WHERE, json=told(browser, service.url("/send/1")))
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    await live.client.post(f"{WHERE}/{again.json()['id']}/test")
    [request] = await service.received(1)
    assert json.loads(browser.read(request.body))["tag"] == "test"


async def test_its_address_and_keys_lie_sealed(tmp_path: Path) -> None:
    browser = Browser()
    async with a_page(tmp_path) as (live, service):
        await live.client.get("/v1/push/key")
        made = await live.client.post(WHERE, json=told(browser, service.url("/send/capability")))
        assert made.status_code == 201
        assert "capability" not in (await live.client.get(WHERE)).text
    files = written(tmp_path)
    assert b"127.0.0.1" in files  # the service's host may be shown
    assert b"capability" not in files
    assert browser.auth.encode() not in files


async def test_what_no_browser_sends_is_refused(live: Live) -> None:
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("https://169.254.169.254/latest", {}, "link-local"),
        ("https://localhost/x", {}, "network"),
        ("https://10.0.0.1/x", {}, "private"),
        ("ftp://push.example/x", {}, "https"),
        ("https://user:secret@push.example/x", {}, "user"),
        ("https://push.example/x", {"keys": {"p256dh": "AAAA", "auth": "AAAA"}}, "auth"),
        ("https://push.example/x", {"keys": {}}, "p256dh"),
    ]
    for endpoint, more, says in cases:
        refused = await live.client.post(WHERE, json={**told(Browser(), endpoint), **more})
        assert (refused.status_code, says in refused.json()["detail"]) == (422, True), refused.text
    assert (await live.client.get(WHERE)).json() == {"subscriptions": []}


async def test_there_are_only_so_many(live: Live) -> None:
    browser = Browser()
    for number in range(MOST_SUBSCRIPTIONS):
        made = await live.client.post(WHERE, json=told(browser, f"https://push.example/{number}"))
        assert made.status_code == 201
    assert (await live.client.post(WHERE, json=told(browser, "https://push.example/more"))).status_code == 409
    assert (await live.client.post(WHERE, json=told(browser, "https://push.example/0"))).status_code == 200
