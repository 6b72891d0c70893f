"""Notifications on their way: a real store, a push service over real HTTP, and a browser that reads what comes."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.store.given import NOW, a_rendition, a_segment, prepared, upload
from tests.webhooks.browser import Browser
from tests.webhooks.receiver import Receiver, Request, answer, receiving
from vidprod.config import Config
from vidprod.domain.ids import new_id
from vidprod.domain.notification import FOR_URGENT, MOST_AN_HOUR, Address, Subscription
from vidprod.errors import NoSpace
from vidprod.services import pusher, written
from vidprod.services.clock import JumpingClock
from vidprod.services.pusher import Pusher
from vidprod.store.sqlite import Store
from vidprod.store.sqlite.table import to_json
from vidprod.vault import Vault
from vidprod.webhooks.push import new_key, public_of

MINUTE, HOUR = 60_000, 3_600_000


def taken(request: Request) -> bytes:
    return answer(201)


@dataclass
class Phone:
    """A daemon's pusher, a push service, and the browsers that subscribed."""

    store: Store
    vault: Vault
    service: Receiver
    clock: JumpingClock
    public: str
    browsers: dict[str, Browser] = field(default_factory=dict)  # by path

    async def subscribe(self, path: str = "/send/abc") -> str:
        browser = self.browsers[path] = Browser()
        subscription_id = new_id("sub", now=NOW)
        told = Address(endpoint=self.service.url(path), p256dh=browser.p256dh, auth=browser.auth)
        sealed = self.vault.seal(to_json(told).encode(), place=f"subscription|{subscription_id}|sealed")
        row = Subscription(id=subscription_id, hash=path.rjust(64, "0"), host="127.0.0.1", created_at=NOW)
        await self.store.write(lambda db: db.subscriptions.add(row, sealed))
        return subscription_id

    async def happens(self, event_type: str, *, job_id: str | None = None, **data: Any) -> None:
        await self.store.write(lambda db: db.events.record(event_type, job_id=job_id, data=data, now=self.clock.now()))

    async def later(self, ms: int) -> None:
        """So much time passes, with all that comes due in it."""
        await self.clock.run(until=self.clock.now() + ms)

    def shown(self) -> list[dict[str, Any]]:
        """What the browsers could read of what came."""
        return [json.loads(self.browsers[one.path].read(one.body)) for one in self.service.requests]

    async def left(self) -> list[str]:
        found = await self.store.read(lambda db: db.subscriptions.list(user_id="usr_" + "0" * 26))
        return [one.id for one in found]


class Busy(Pusher):
    """Its clock stands still while it works."""

    async def _send_what_is_due(self) -> int | None:
        with self._clock.working():
            return await super()._send_what_is_due()


@contextlib.asynccontextmanager
async def a_phone(tmp_path: Path, behave: Callable[[Request], "bytes | str"] = taken) -> AsyncIterator[Phone]:
    clock, vault = JumpingClock(since=NOW), Vault({"a": bytes(32)})
    config = Config(webhook_allow=("127.0.0.1",), public_url="https://video.example")
    async with (
        await Store.open(prepared(tmp_path / "vidprod.db"), now=NOW, reserve_bytes=1 << 20) as store,
        receiving() as service,
    ):
        service.behave = behave
        private = new_key()
        sealed = vault.seal(private, place="push_key|vapid|private")
        await store.write(lambda db: db.subscriptions.keep_key(sealed, now=NOW))
        busy = Busy(store=store, vault=vault, config=config, clock=clock, spread=lambda: 0.0)
        running = asyncio.create_task(busy.run())
        yield Phone(store, vault, service, clock, public_of(private))
        running.cancel()
        await asyncio.wait({running})


@pytest.fixture
async def phone(tmp_path: Path) -> AsyncIterator[Phone]:
    async with a_phone(tmp_path) as phone:
        yield phone


async def a_take(phone: Phone, *, segments: int = 3) -> tuple[str, list[str]]:
    job = await upload(phone.store, filename="talk.mov")
    made = [a_segment(job.id, index=index) for index in range(segments)]

    def rows(db: Any) -> None:
        db.segments.add_all(made)
        for one in made:
            db.segments.ready(one.id, a_rendition(), now=NOW)

    await phone.store.write(rows)
    return job.id, [one.id for one in made]


async def test_a_finished_take_is_told_so_that_only_the_browser_can_read_it(phone: Phone) -> None:
    await phone.subscribe()
    job_id, _ = await a_take(phone)
    await phone.happens("job.completed", job_id=job_id)
    await phone.later(MINUTE)
    [request] = phone.service.requests
    assert b"talk" not in request.body
    assert phone.shown() == [
        {"title": "talk.mov is ready", "body": "3 segments made.", "url": "/#takes", "tag": f"made-{job_id}"}
    ]
    headers = request.headers
    assert (headers["content-encoding"], headers["content-type"]) == ("aes128gcm", "application/octet-stream")
    assert (headers["urgency"], int(headers["ttl"])) == ("normal", 12 * 3600 - 5)
    assert len(headers["topic"]) <= 32
    assert headers["authorization"].endswith(f", k={phone.public}")


async def test_nothing_is_written_for_nobody(phone: Phone) -> None:
    await phone.happens("account.needs_reauth", account_id="acc_1", platform="youtube", name="Ann")
    assert await phone.store.read(lambda db: db.notifications.next_due_at()) is None


@pytest.mark.parametrize(
    ("event", "data", "title"),
    [
        ("account.needs_reauth", {"name": "Ann"}, "Ann has to be connected again"),
        ("publication.missed", {}, "A post missed its time"),
        ("publication.rejected", {"platform": "tiktok"}, "TikTok refused a post"),
        ("publication.unknown", {"platform": "instagram"}, "Is it on Instagram?"),
        ("publication.waiting", {"code": "approval"}, "A post waits for you"),
        ("owner.password_changed", {}, "The password was changed"),
        ("owner.signed_in", {"new_device": True}, "Signed in with a new device"),
        ("owner.signed_in", {"new_device": False}, None),
        ("key.created", {"name": "a script"}, "There is a new key"),
        ("key.revoked", {"name": "a script"}, None),
        ("publication.waiting", {"code": "quota"}, None),
        ("publication.uploading", {}, None),
        ("step.completed", {}, None),
    ],
)
async def test_a_person_is_told_what_came_of_it_or_what_to_do(
    phone: Phone, event: str, data: dict[str, Any], title: str | None
) -> None:
    await phone.subscribe()
    await phone.happens(event, **data)
    await phone.later(MINUTE)
    assert [one["title"] for one in phone.shown()] == ([title] if title else [])
    if title:
        assert phone.service.requests[0].headers["urgency"] == "high"


async def test_what_comes_together_is_told_once(phone: Phone) -> None:
    await phone.subscribe()
    job_id, segments = await a_take(phone)
    for segment_id in segments:
        await phone.happens("publication.published", job_id=job_id, segment_id=segment_id, platform="youtube")
    await phone.later(MINUTE)
    assert [(one["title"], one["body"]) for one in phone.shown()] == [
        ("3 posts are out", "Part 3 of talk.mov was the last of them.")
    ]


async def test_every_browser_is_told_with_its_own_keys(phone: Phone) -> None:
    await phone.subscribe("/one")
    await phone.subscribe("/two")
    await phone.happens("publication.missed")
    await phone.later(MINUTE)
    assert {request.path for request in phone.service.requests} == {"/one", "/two"}
    assert phone.shown()[0] == phone.shown()[1]


@pytest.mark.parametrize("status", [404, 410])
async def test_a_browser_that_is_gone_is_forgotten(tmp_path: Path, status: int) -> None:
    async with a_phone(tmp_path, lambda _: answer(status)) as phone:
        await phone.subscribe()
        await phone.happens("publication.missed")
        await phone.later(MINUTE)
        assert await phone.left() == []
        await phone.happens("publication.missed")
        await phone.later(24 * HOUR)
        assert len(phone.service.requests) == 1


async def test_a_service_that_is_down_is_asked_again_ever_later(tmp_path: Path) -> None:
    asked: list[int] = []

    def behave(request: Request) -> bytes:
        asked.append(it.clock.now() - NOW)
        return answer(500)

    async with a_phone(tmp_path, behave) as it:
        await it.subscribe()
        await it.happens("job.completed")
        await it.later(24 * HOUR)
        gaps = [after - before for before, after in itertools.pairwise(asked)]
        assert gaps[:3] == [MINUTE, 5 * MINUTE, 15 * MINUTE]
        assert set(gaps[3:]) == {HOUR}
        assert asked[-1] < 12 * HOUR  # then it is no news any more
        assert await it.store.read(lambda db: db.notifications.next_due_at()) is None


async def test_a_service_that_asks_for_time_has_it(tmp_path: Path) -> None:
    asked: list[int] = []

    def behave(request: Request) -> bytes:
        asked.append(it.clock.now() - NOW)
        return answer(429, Retry_After="1800") if len(asked) == 1 else answer(201)

    async with a_phone(tmp_path, behave) as it:
        await it.subscribe()
        await it.happens("publication.missed")
        await it.later(10 * MINUTE)
        await it.happens(
            "account.needs_reauth", account_id="acc_1"
        )  # another: the browser's service waits all the same
        await it.later(2 * HOUR)
        assert len(asked) == 3
        assert asked[1] - asked[0] >= 30 * MINUTE


@pytest.mark.parametrize("status", [400, 401, 403, 413])
async def test_what_a_service_will_never_take_is_given_up(tmp_path: Path, status: int) -> None:
    async with a_phone(tmp_path, lambda _: answer(status)) as phone:
        subscription_id = await phone.subscribe()
        await phone.happens("publication.missed")
        await phone.later(24 * HOUR)
        assert len(phone.service.requests) == 1
        assert await phone.left() == [subscription_id]


async def test_nobody_is_told_more_than_so_much_in_an_hour(phone: Phone) -> None:
    await phone.subscribe()
    for number in range(MOST_AN_HOUR):
        await phone.happens("publication.published", job_id=new_id("job", now=NOW + number))
    await phone.later(30 * MINUTE)
    assert len(phone.service.requests) == MOST_AN_HOUR - FOR_URGENT
    await phone.happens("publication.missed")
    await phone.later(MINUTE)
    assert len(phone.service.requests) == MOST_AN_HOUR - FOR_URGENT + 1
    await phone.later(HOUR)
    assert len(phone.service.requests) == MOST_AN_HOUR + 1  # all of them, in the end


async def test_what_happens_while_it_is_sent_is_told_after_it(tmp_path: Path) -> None:
    async with a_phone(tmp_path) as phone:
        subscription_id = await phone.subscribe()
        await phone.happens("publication.missed")
        [due] = await phone.store.read(lambda db: db.notifications.due(now=NOW + MINUTE, limit=9))
        await phone.happens("publication.missed")
        await phone.store.write(lambda db: db.notifications.sent(due.notification, now=NOW))
        await phone.later(MINUTE)
        assert [one["title"] for one in phone.shown()] == ["2 posts missed their time"]
        assert await phone.left() == [subscription_id]


async def test_what_was_sent_is_not_sent_again_because_the_volume_is_full(
    phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(written, "PAUSE_S", 0.0)
    write, refused = phone.store.write, [0]

    async def full(work: Any, *, urgent: bool = False) -> Any:
        if urgent and refused[0] < 3:
            refused[0] += 1
            raise NoSpace
        return await write(work, urgent=urgent)

    await phone.subscribe()
    await phone.happens("publication.missed")
    monkeypatch.setattr(phone.store, "write", full)
    await phone.later(MINUTE)
    assert (len(phone.service.requests), refused) == (1, [3])


async def test_a_fault_that_nobody_foresaw_is_no_end_of_the_daemon(
    phone: Phone, monkeypatch: pytest.MonkeyPatch
) -> None:
    await phone.subscribe()
    monkeypatch.setattr(pusher, "message_of", lambda notification: 1 / 0)
    await phone.happens("publication.missed")
    await phone.later(10_000)
    monkeypatch.undo()
    await phone.later(2 * MINUTE)
    assert [one["title"] for one in phone.shown()] == ["A post missed its time"]


async def test_a_subscription_whose_key_is_lost_is_no_end_of_the_others(phone: Phone) -> None:
    lost = await phone.subscribe("/lost")
    await phone.subscribe("/kept")
    await phone.store.write(
        lambda db: db.subscriptions.renew(lost, b"1" + b"b".ljust(8) + bytes(40), label="")  # sealed with another key
    )
    await phone.happens("publication.missed")
    await phone.later(MINUTE)
    assert [request.path for request in phone.service.requests] == ["/kept"]
