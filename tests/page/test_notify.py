"""The switch that lets this device be told what came of a take."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from playwright.sync_api import Browser, BrowserContext, Route, expect

from tests.page.conftest import OpenPage
from tests.page.fake_daemon import FakeDaemon
from vidprod.domain.event import Event
from vidprod.domain.notification import Notification, kind_of, message_of, tag_of

SUBSCRIBES = """
PushManager.prototype.subscribe = async (options) => {
  window.asked = options;
  const keys = { p256dh: "BA", auth: "AA" };
  const toJSON = () => ({ endpoint: "https://push.example/1", expirationTime: null, keys });
  window.mine = { toJSON, options, unsubscribe: async () => { window.left = true; window.mine = null; } };
  return window.mine;
};
PushManager.prototype.getSubscription = async () => window.mine ?? null;
"""
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Safari/604.1"


@pytest.fixture
def asking(chromium: Browser) -> Any:
    made: list[BrowserContext] = []

    def context(script: str, **options: Any) -> BrowserContext:
        made.append(chromium.new_context(**options))
        made[-1].add_init_script(script)
        return made[-1]

    yield context
    for one in made:
        one.close()


def test_a_device_is_told_only_after_somebody_pressed_the_switch(
    far: FakeDaemon, open_at: OpenPage, asking: Callable[..., BrowserContext]
) -> None:
    context = asking(SUBSCRIBES, permissions=["notifications"])
    page = open_at(far.url, context=context)
    sent: list[tuple[str, str, Any]] = []

    def give(route: Route) -> None:
        request = route.request
        sent.append((request.method, urlsplit(request.url).path, json.loads(request.post_data or "null")))
        route.fulfill(json={"public_key": "BAECAw", "id": "sub_1"}, status=200)

    page.route("**/v1/push/**", give)
    switch = page.get_by_role("switch", name="Notify this device")
    expect(switch).to_have_attribute("aria-checked", "false")
    assert sent == []
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "true")
    assert [(method, path) for method, path, _ in sent] == [
        ("GET", "/v1/push/key"),
        ("POST", "/v1/push/subscriptions"),
        ("POST", "/v1/push/subscriptions/sub_1/test"),
    ]
    assert sent[1][2]["endpoint"] == "https://push.example/1"
    assert page.evaluate("[asked.userVisibleOnly, ...asked.applicationServerKey]") == [True, 4, 1, 2, 3]
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "false")
    assert sent[-1][:2] == ("DELETE", "/v1/push/subscriptions/sub_1")
    assert page.evaluate("left")


def test_what_the_daemon_sends_is_what_the_browser_shows(
    far: FakeDaemon, open_at: OpenPage, asking: Callable[..., BrowserContext]
) -> None:
    context = asking("", permissions=["notifications"])
    page = open_at(far.url, context=context)
    page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    session, found = context.new_cdp_session(page), []
    session.on("ServiceWorker.workerRegistrationUpdated", lambda told: found.extend(told["registrations"]))
    session.send("ServiceWorker.enable")
    while not found:  # it tells of those that were there before
        page.evaluate("null")
    event = Event(id=1, type="publication.missed", at=0, data={})
    kind = kind_of(event)
    assert kind is not None
    notification = Notification(
        id="not_1", subscription_id="sub_1", tag=tag_of(kind, event), kind=kind, urgent=True,
        data={"take": "talk.mov", "part": 2}, run_at=0, expires_at=0, created_at=0,
    )  # fmt: skip
    session.send(
        "ServiceWorker.deliverPushMessage",
        {
            "origin": far.url,
            "registrationId": found[-1]["registrationId"],
            "data": msgspec.json.encode(message_of(notification)).decode(),
        },
    )
    shown = page.evaluate(
        """async () => {
          const registration = await navigator.serviceWorker.ready;
          for (let looks = 0; looks < 200; looks++) {
            const [one] = await registration.getNotifications();
            if (one) return [one.title, one.body, one.tag, one.data.url];
            await new Promise((again) => setTimeout(again, 50));
          }
          return null;
        }"""
    )
    assert shown == [
        "A post missed its time",
        "Part 2 of talk.mov. Send it now, or choose another time.",
        "missed",
        "/#calendar",
    ]


def test_an_iphone_says_what_to_do_first(
    far: FakeDaemon, open_at: OpenPage, asking: Callable[..., BrowserContext]
) -> None:
    page = open_at(far.url, context=asking("delete window.PushManager;", user_agent=IPHONE))
    expect(page.locator("#notify-words")).to_contain_text("Add to Home Screen")
    expect(page.get_by_role("switch", name="Notify this device")).to_have_count(0)
