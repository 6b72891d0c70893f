"""From a phone's browser to three platforms, in real processes: the page, the daemon, the simulated platforms behind
real HTTP on a clock that runs fast, and a receiver of webhooks that trusts nothing it cannot verify."""

import http.server
import json
import os
import random
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import sync_playwright
from standardwebhooks import Webhook

from tests.acceptance.conftest import Make
from tests.acceptance.house import Daemon, eventually
from tests.acceptance.takes import take, unique
from tests.cli.test_simulate import simulating
from vidprod.platforms.simulators.oauth import pressed

SPEED = 120  # an hour in half a minute
TOKENS = re.compile(rb"(ya29\.sim-|1//sim-|act\.|rft\.|EAA|code\.|upload_id=|state=)[0-9a-f]{16}")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


@dataclass
class Receiver:
    """Who gets the webhooks."""

    port: int
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def verified(self, secret: str) -> list[dict[str, Any]]:
        """Every event, once each; raises where a signature is not right."""
        events = {}
        for headers, body in list(self.got):
            told = Webhook(secret).verify(body, {name.lower(): value for name, value in headers.items()})
            assert told == json.loads(body)
            events[headers["webhook-id"]] = told
        return list(events.values())


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.got.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """The test looks at what came instead."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(server.server_port)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def _settings(told: str) -> dict[str, str]:
    """As `vidprod simulate` prints them."""
    pairs = (word.split("=", 1) for word in told.split() if word.startswith("VIDPROD_"))
    return {name.removeprefix("VIDPROD_").lower(): value for name, value in pairs}


def _unix_ms(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)


def _every_three_minutes() -> list[str]:
    return ["daily " + ", ".join(f"{hour}:{minute:02}" for minute in range(0, 60, 3)) for hour in range(24)]


def test_a_take_sent_in_a_browser_is_on_three_platforms_at_its_planned_minutes(make: Make, tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    film = tmp_path / "talk.mp4"
    film.write_bytes(take())
    with (
        receiving() as receiver,
        simulating("--speed", str(SPEED)) as (address, told),
        sync_playwright() as playwright,
    ):
        daemon = make(webhook_allow="127.0.0.1", publish_late_s=86_400, **_settings(told))
        daemon.start()
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 360, "height": 740})
        for login in ("YouTube", "TikTok", "Instagram, through Facebook"):
            page.goto(f"{daemon.url}/#accounts")
            page.get_by_role("button", name=login, exact=False).first.click()
            page.get_by_role("button", name="Allow").click()
            page.wait_for_url(f"{daemon.url}/oauth/**")
        accounts = daemon.get("/v1/accounts")["accounts"]
        assert {one["platform"] for one in accounts} == {"youtube", "tiktok", "instagram"}
        for one in accounts:
            changed = {"automatic": True, "slots": _every_three_minutes()}
            answer = httpx.patch(f"{daemon.url}/v1/accounts/{one['id']}", json=changed)
            assert answer.status_code == 200, answer.text
        endpoint = httpx.post(f"{daemon.url}/v1/endpoints", json={"url": f"http://127.0.0.1:{receiver.port}/hook"})
        secret = endpoint.json()["secret"]

        page.goto(f"{daemon.url}/")
        page.locator("#options summary").click()
        page.locator("#segment_s").fill("4")
        page.locator("#files").set_input_files(film)
        wanted = 2 * len(accounts)
        published = eventually(lambda: _published(daemon, wanted), within_s=90, every_s=0.2, or_tell=daemon.last_log)
        browser.close()

        for one in published:
            late_ms = _unix_ms(one["published_at"]) - _unix_ms(one["due_at"])
            assert 0 <= late_ms < 15 * 60_000  # of the fast clock: 7 s here, for sending and processing
            assert _unix_ms(one["due_at"]) % 180_000 == 0
        far = httpx.get(f"{address}/far.json").json()
        assert (len(far["posts"]), far["twice"]) == (wanted, [])
        renditions = {s["sha256"] for job in daemon.jobs() for s in job["segments"]}
        assert {one["sha256"] for one in far["posts"]} == renditions

        types = eventually(
            lambda: _all_told(receiver.verified(secret), published=wanted), within_s=20, or_tell=daemon.last_log
        )
        assert {"job.created", "segment.ready", "job.completed", "publication.scheduled"} <= types
        metrics, events = httpx.get(f"{daemon.url}/metrics").text, json.dumps(daemon.events())
        daemon.stop()
    lying = b"".join(path.read_bytes() for path in daemon.root.glob("vidprod.db*"))
    for where in (lying, daemon.log.read_bytes(), metrics.encode(), events.encode()):
        assert secret.encode() not in where
        assert TOKENS.search(where) is None


@pytest.mark.soak
def test_a_daemon_that_is_killed_again_and_again_publishes_each_segment_once(make: Make) -> None:
    """`kill -9` of the whole daemon, at random moments, while platforms fail at random: real processes, real HTTP."""
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
    chance = random.Random(seed)
    print(f"SEED={seed}")
    film = take(92, (360, 640), gop=60)
    with simulating("--speed", "600", "--chance", "0.1", "--seed", str(seed)) as (address, told):
        daemon = make(publish_late_s=30 * 86_400, max_crashes=100, **_settings(told))
        daemon.start()
        accounts = [one for way in ("youtube", "instagram/facebook_login") for one in _connected(daemon, way)]
        for number in range(4):
            # the same pictures each time, and so the same segments: their titles tell them apart
            done = daemon.upload(
                unique(film, seed=f"{seed}/{number}", padding=100),
                segment_s=4,
                video="copy",
                publish=",".join(accounts),
                publish_when="now",
                title=f"take {number} part {{n}}",
                caption=f"take {number} part {{n}}",
            )
            assert done.status_code == 202, done.text
        kills = 0
        while _under_way(daemon):
            time.sleep(chance.uniform(0.2, 2.0))
            daemon.kill()
            kills += 1
            daemon.start()
        found: list[Any] = [one for state in ("published", "rejected", "unknown") for one in _all_of(daemon, state)]
        far = httpx.get(f"{address}/far.json", timeout=30).json()
        daemon.stop()
        states = Counter(one["state"] for one in found)
        print(f"{len(found)} publications, {kills} kills, {sum(far['faults'].values())} faults, {dict(states)}")
        assert kills >= 30
        posted = Counter((one["platform"], one["account"], one["title"]) for one in far["posts"])
        assert set(posted.values()) == {1}
        assert posted.total() == states["published"]
        assert len(found) == len({(one["segment_id"], one["account_id"]) for one in found}) >= 200


def _connected(daemon: Daemon, way: str) -> list[str]:
    """The ids of the accounts that the first button of the platform's page gives."""
    platform, _, flavour = way.partition("/")
    before = {one["id"] for one in daemon.get("/v1/accounts")["accounts"]}
    asked = {"platform": platform, "flavour": flavour}
    page = httpx.post(f"{daemon.url}/v1/accounts/connect", json=asked).json()["url"]
    account = re.search(r'name="account" value="([^"]+)"', httpx.get(page).text)
    assert account is not None
    back = httpx.get(pressed(page, account=account[1])).headers["location"]
    for _ in range(20):  # the platforms fail at random
        if httpx.get(back, timeout=30).status_code == 200:
            break
        page = httpx.post(f"{daemon.url}/v1/accounts/connect", json=asked).json()["url"]
        back = httpx.get(pressed(page, account=account[1])).headers["location"]
    return [one["id"] for one in daemon.get("/v1/accounts")["accounts"] if one["id"] not in before]


def _under_way(daemon: Daemon) -> bool:
    if daemon.get("/v1/jobs", state="queued,processing")["jobs"]:
        return True
    return bool(daemon.get("/v1/publications", state="scheduled,uploading,processing", limit=1)["publications"])


def _all_of(daemon: Daemon, state: str) -> list[Any]:
    found: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        page = daemon.get("/v1/publications", state=state, limit=100, **cursor)
        found += page["publications"]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


def _published(daemon: Daemon, wanted: int) -> list[Any] | None:
    found: list[Any] = daemon.get("/v1/publications", limit=100)["publications"]
    assert not [one for one in found if one["state"] in ("rejected", "cancelled")], found
    return found if [one["state"] for one in found] == ["published"] * wanted else None


def _all_told(events: list[dict[str, Any]], *, published: int) -> set[str] | None:
    types = [event["type"] for event in events]
    return set(types) if types.count("publication.published") == published else None
