"""The keeper of tokens, against a platform that kills a refresh token the moment it gives out the next."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.store.given import prepared
from vidprod.domain.account import Account, Flavour, Platform
from vidprod.domain.ids import new_id
from vidprod.errors import NoSpace, PlatformError, Unanswered
from vidprod.platforms.base import App, Tokens
from vidprod.services.clock import Clock
from vidprod.services.keeper import Keeper
from vidprod.services.tokens import ends, seal
from vidprod.store.sqlite import Store, Tables
from vidprod.vault import Vault

NOW = 1_800_000_000_000
HOUR, DAY = 3_600_000, 86_400_000
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Rotating:
    """A platform's token endpoint, and the ways there. Each refresh token is good once."""

    platform: Platform = "tiktok"
    rotates: bool = True
    good: str = "refresh-0"
    number: int = 0
    asked: list[str] = field(default_factory=list)  # the refresh tokens that were spent, good or not
    answers: list[Callable[[], Tokens]] = field(default_factory=list)  # instead of a plain one
    before: list[Exception] = field(default_factory=list)  # nothing came about: raised before anything is done
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: asyncio.Event = field(default_factory=asyncio.Event)
    configured: bool = True
    inspected: list[str] = field(default_factory=list)  # access tokens
    taken_back: list[Exception] = field(default_factory=list)  # what inspecting tells instead
    says: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.gate.set()

    def login(self, platform: Platform, flavour: Flavour) -> "Rotating":
        return self

    def app(self, platform: Platform, flavour: Flavour) -> App | None:
        return App(client_id="id", client_secret="secret") if self.configured else None

    async def refresh(self, app: App, tokens: Tokens) -> Tokens:
        self.asked.append(tokens.refresh_token)
        self.waiting.set()
        await self.gate.wait()
        if self.before:
            raise self.before.pop(0)
        if tokens.refresh_token != self.good:
            raise PlatformError("Refresh token is invalid or expired.", kind="REAUTH", code="invalid_grant")
        self.number += 1
        if self.rotates:
            self.good = f"refresh-{self.number}"
        if self.answers:
            return self.answers.pop(0)()
        return self.brought()

    async def inspect(self, app: App, tokens: Tokens, notices: Sequence[str]) -> list[str]:
        self.inspected.append(tokens.access_token)
        if self.taken_back:
            raise self.taken_back.pop(0)
        return [*notices[:0], *self.says]

    def brought(self) -> Tokens:
        return Tokens(
            access_token=f"access-{self.number}",
            refresh_token=self.good if self.rotates else "",
            expires_in_s=7200,
            refresh_expires_in_s=180 * 86400 if self.rotates else None,
        )


@dataclass
class Room:
    """A store, a clock that is set by hand, a platform, a keeper."""

    store: Store
    at: list[int]
    platform: Rotating
    keeper: Keeper
    vault: Vault

    async def connect(self, tokens: Tokens | None = None, *, external_id: str = "open-1") -> str:
        """An account's id."""
        tokens = tokens or Tokens(
            access_token="access-0",
            refresh_token=self.platform.good,
            expires_in_s=7200,
            refresh_expires_in_s=180 * 86400,
            scopes=("video.upload",),
            extra={"page_token": "page-0"},
        )
        return await connected(
            self.store, self.vault, tokens, self.at[0], platform=self.platform.platform, external_id=external_id
        )

    async def account(self, account_id: str) -> Account:
        return await self.store.read(lambda db: db.accounts.get(account_id))

    async def events(self) -> list[tuple[str, dict[str, object]]]:
        found = await self.store.read(lambda db: db.events.after(0))
        return [(event.type, event.data) for event in found]


async def connected(
    store: Store, vault: Vault, tokens: Tokens, now: int, *, platform: Platform = "tiktok", external_id: str = "open-1"
) -> str:
    def write(db: Tables) -> str:
        found = db.accounts.find(platform, "", external_id)
        account_id = found.id if found else new_id("acc", now=now)
        access, refresh = ends(tokens, now=now)
        account = Account(
            id=account_id,
            platform=platform,
            external_id=external_id,
            name="Ann",
            state="connected",
            scopes=list(tokens.scopes),
            connected_at=now,
            access_expires_at=access,
            refresh_expires_at=refresh,
        )
        return db.accounts.add(account, seal(vault, account_id, tokens)).id

    return await store.write(write)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    at = [NOW]
    async with await Store.open(prepared(tmp_path / "vidprod.db"), now=NOW, reserve_bytes=1 << 16) as store:
        vault, platform = Vault({"k1": b"1" * 32}), Rotating()
        keeper = Keeper(store, vault, platform, Clock(wall=lambda: at[0]))
        yield Room(store=store, at=at, platform=platform, keeper=keeper, vault=vault)
        await keeper.close()


async def test_a_token_that_lasts_is_used_as_it_is(room: Room) -> None:
    account_id = await room.connect()
    grant = await room.keeper.grant(account_id)
    assert (await grant.token(), await grant.extra("page_token"), await grant.extra("other")) == (
        "access-0",
        "page-0",
        "",
    )
    assert room.platform.asked == []


async def test_a_token_that_ends_soon_is_renewed_before_it_is_used(room: Room) -> None:
    account_id = await room.connect()
    room.at[0] += 2 * HOUR - 4 * 60_000
    assert await room.keeper.token(account_id) == "access-1"
    account = await room.account(account_id)
    assert account.access_expires_at == room.at[0] + 2 * HOUR
    assert account.refresh_expires_at == room.at[0] + 180 * DAY
    assert account.refreshed_at == room.at[0]
    assert account.scopes == ["video.upload"]  # the answer named none


async def test_many_who_need_a_token_at_once_renew_it_once(room: Room) -> None:
    account_id = await room.connect()
    room.at[0] += 3 * HOUR
    room.platform.gate.clear()
    asking = [asyncio.create_task(room.keeper.token(account_id)) for _ in range(20)]
    await room.platform.waiting.wait()
    room.platform.gate.set()
    assert await asyncio.gather(*asking) == ["access-1"] * 20
    assert room.platform.asked == ["refresh-0"]


async def test_without_a_lock_a_refresh_token_is_spent_twice(room: Room) -> None:
    """The twin of the test above: what it holds against."""

    class Unlocked(Keeper):
        def lock(self, account_id: str) -> AbstractAsyncContextManager[None]:
            return contextlib.nullcontext()

    account_id = await room.connect()
    keeper = Unlocked(room.store, room.vault, room.platform, Clock(wall=lambda: room.at[0]))
    room.at[0] += 3 * HOUR
    room.platform.gate.clear()
    asking = [asyncio.create_task(keeper.token(account_id)) for _ in range(2)]
    while len(room.platform.asked) < 2:  # noqa: ASYNC110
        await asyncio.sleep(0)
    room.platform.gate.set()
    await asyncio.gather(*asking, return_exceptions=True)
    assert room.platform.asked == ["refresh-0", "refresh-0"]


async def test_two_whose_token_was_refused_renew_it_once(room: Room) -> None:
    account_id = await room.connect()
    one, other = await asyncio.gather(
        room.keeper.renew(account_id, "access-0"), room.keeper.renew(account_id, "access-0")
    )
    assert (one, other, room.platform.asked) == ("access-1", "access-1", ["refresh-0"])


async def test_nothing_is_overwritten_with_nothing(room: Room) -> None:
    """Google's answer to a renewal holds no refresh token."""
    room.platform.rotates = False
    account_id = await room.connect()
    for number in range(1, 4):
        room.at[0] += 3 * HOUR
        assert await room.keeper.token(account_id) == f"access-{number}"
    assert room.platform.asked == ["refresh-0"] * 3
    assert await room.keeper.also(account_id, "page_token") == "page-0"
    assert (await room.account(account_id)).refresh_expires_at == NOW + 180 * DAY


async def test_an_answer_without_a_token_changes_nothing(room: Room) -> None:
    account_id = await room.connect()
    room.platform.rotates = False
    room.platform.answers.append(lambda: Tokens(access_token="", expires_in_s=7200))
    room.at[0] += 3 * HOUR
    with pytest.raises(PlatformError) as raised:
        await room.keeper.token(account_id)
    assert raised.value.kind == "RETRY"
    assert await room.keeper.token(account_id) == "access-2"


async def test_the_new_refresh_token_is_on_disk_before_the_new_access_token_is_used(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    account_id = await room.connect()
    room.at[0] += 3 * HOUR
    write, full = room.store.write, [True]

    async def refusing(fn, *, urgent=False):  # type: ignore[no-untyped-def]
        if full[0] and fn.__name__ == "save":
            raise NoSpace
        return await write(fn, urgent=urgent)

    monkeypatch.setattr(room.store, "write", refusing)
    with pytest.raises(PlatformError) as raised:
        await room.keeper.token(account_id)
    assert raised.value.kind == "RETRY"
    full[0] = False
    assert await room.keeper.token(account_id) == "access-1"  # what was brought then, not a second renewal
    assert room.platform.asked == ["refresh-0"]


async def test_a_dead_refresh_token_is_told_once_in_words(room: Room) -> None:
    account_id = await room.connect()
    room.platform.good = "another"
    room.at[0] += 3 * HOUR
    for _ in range(2):
        with pytest.raises(PlatformError) as raised:
            await room.keeper.token(account_id)
        assert raised.value.kind == "REAUTH"
    account = await room.account(account_id)
    assert account.state == "needs_reauth"
    assert account.fault == (
        "TikTok does not take its tokens any more (Refresh token is invalid or expired.): connect the account again."
    )
    assert [kind for kind, _ in await room.events()] == ["account.needs_reauth"]
    assert room.platform.asked == ["refresh-0"]  # not asked again and again


@pytest.mark.parametrize(
    "error",
    [
        PlatformError("cannot be reached", kind="RETRY", code="not_sent"),
        PlatformError("internal error", kind="RETRY", http_status=503),
        PlatformError("the client is unknown", kind="FIX", code="invalid_client"),
        Unanswered("no answer"),
    ],
    ids=["no connection", "503", "wrong secret", "lost answer"],
)
async def test_what_may_pass_ends_no_account(room: Room, error: PlatformError) -> None:
    account_id = await room.connect()
    room.platform.before.append(error)
    room.at[0] += 3 * HOUR
    with pytest.raises(PlatformError) as raised:
        await room.keeper.token(account_id)
    assert raised.value.kind == "RETRY"
    assert (await room.account(account_id)).state == "connected"
    assert await room.keeper.token(account_id) == "access-1"


async def test_a_token_that_still_lasts_a_little_is_used_when_it_cannot_be_renewed(room: Room) -> None:
    account_id = await room.connect()
    room.platform.before.append(PlatformError("cannot be reached", kind="RETRY", code="not_sent"))
    room.at[0] += 2 * HOUR - 60_000
    assert await room.keeper.token(account_id) == "access-0"
    room.platform.before.append(PlatformError("cannot be reached", kind="RETRY", code="not_sent"))
    room.at[0] += 45_000
    with pytest.raises(PlatformError):
        await room.keeper.token(account_id)


async def test_settings_without_an_app_end_no_account(room: Room) -> None:
    account_id = await room.connect()
    room.platform.configured = False
    room.at[0] += 3 * HOUR
    with pytest.raises(PlatformError) as raised:
        await room.keeper.token(account_id)
    assert (raised.value.kind, raised.value.code) == ("RETRY", "no_app")
    assert room.platform.asked == []


async def test_a_lost_answer_that_killed_the_old_token_is_told_as_that(room: Room) -> None:
    def lost() -> Tokens:
        raise Unanswered("open.tiktokapis.com gave no answer: ReadError")

    account_id = await room.connect()
    room.platform.answers.append(lost)
    room.at[0] += 3 * HOUR
    with pytest.raises(PlatformError):
        await room.keeper.token(account_id)
    with pytest.raises(PlatformError) as raised:
        await room.keeper.token(account_id)
    assert raised.value.kind == "REAUTH"
    fault = (await room.account(account_id)).fault
    assert fault is not None
    assert fault.startswith("TikTok was asked for new tokens and its answer was lost")


async def test_who_asked_may_go_and_the_answer_is_kept(room: Room) -> None:
    account_id = await room.connect()
    room.at[0] += 3 * HOUR
    room.platform.gate.clear()
    asking = asyncio.create_task(room.keeper.token(account_id))
    await room.platform.waiting.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    room.platform.gate.set()
    await room.keeper.close()
    assert await room.keeper.token(account_id) == "access-1"
    assert room.platform.asked == ["refresh-0"]


async def test_an_account_connected_anew_meanwhile_keeps_its_new_tokens(room: Room) -> None:
    account_id = await room.connect()
    room.at[0] += 3 * HOUR
    room.platform.gate.clear()
    asking = asyncio.create_task(room.keeper.token(account_id))
    await room.platform.waiting.wait()
    fresh = Tokens(access_token="fresh", refresh_token="fresh-refresh", expires_in_s=7200)
    assert await room.connect(fresh) == account_id
    room.platform.gate.set()
    assert await asking == "fresh"
    assert await room.keeper.token(account_id) == "fresh"


async def test_a_process_killed_between_the_answer_and_the_disk_leaves_a_mark(room: Room) -> None:
    account_id = await room.connect()
    room.at[0] += 3 * HOUR
    code = (
        f"import asyncio, tests.services.test_keeper as t; asyncio.run(t.die({str(room.store.path)!r}, {account_id!r}))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=ROOT)
    assert await process.wait() == -9
    assert await room.store.read(lambda db: db.accounts.refreshing_at(account_id)) == NOW + 3 * HOUR

    room.platform.good = "refresh-1"  # what the dead process was answered
    await room.keeper.refresh_due()
    account = await room.account(account_id)
    assert account.state == "needs_reauth"
    assert account.fault is not None
    assert "its answer was lost" in account.fault


async def test_a_process_killed_before_the_platform_heard_of_it_loses_nothing(room: Room) -> None:
    account_id = await room.connect()
    await room.store.write(lambda db: db.accounts.begin_refresh(account_id, now=NOW))
    await room.keeper.refresh_due()
    assert room.platform.asked == ["refresh-0"]
    assert await room.keeper.token(account_id) == "access-1"
    assert await room.store.read(lambda db: db.accounts.refreshing_at(account_id)) is None


async def die(path: str, account_id: str) -> None:
    """In a process of its own: killed when the platform has answered and nothing of it is stored."""
    platform = Rotating()
    platform.answers.append(lambda: os.kill(os.getpid(), signal.SIGKILL))  # type: ignore[arg-type,return-value]
    store = await Store.open(path, now=NOW, migrates=False)
    keeper = Keeper(store, Vault({"k1": b"1" * 32}), platform, Clock(wall=lambda: NOW + 3 * HOUR))
    await keeper.token(account_id)


async def test_an_account_at_rest_is_kept_alive_weekly(room: Room) -> None:
    account_id = await room.connect()
    room.at[0] += 6 * DAY
    await room.keeper.refresh_due()
    assert room.platform.asked == []
    room.at[0] += DAY
    await room.keeper.refresh_due()
    await room.keeper.refresh_due()
    assert room.platform.asked == ["refresh-0"]
    assert (await room.account(account_id)).refresh_expires_at == NOW + 187 * DAY


async def test_a_token_that_renews_itself_is_renewed_after_half_its_life(room: Room) -> None:
    """Instagram's: no refresh token, 60 days."""
    room.platform.good = ""
    room.platform.answers.append(lambda: Tokens(access_token="next", expires_in_s=60 * 86400))
    account_id = await room.connect(Tokens(access_token="ig", expires_in_s=60 * 86400))
    assert (await room.account(account_id)).refresh_expires_at == NOW + 60 * DAY
    room.at[0] += 29 * DAY
    await room.keeper.refresh_due()
    assert room.platform.asked == []
    room.at[0] += DAY
    await room.keeper.refresh_due()
    assert await room.keeper.token(account_id) == "next"
    assert (await room.account(account_id)).refresh_expires_at == room.at[0] + 60 * DAY


async def test_whether_a_grant_still_stands_is_asked_daily(room: Room) -> None:
    account_id = await room.connect()
    room.platform.says.append("until tomorrow")
    for _ in range(30):
        await room.keeper.refresh_due()
        room.at[0] += HOUR
    assert room.platform.inspected == ["access-0"] * 2
    assert (await room.account(account_id)).notices == ["until tomorrow"]


async def test_what_was_taken_back_is_told_before_anything_is_to_be_published(room: Room) -> None:
    account_id = await room.connect()
    room.platform.taken_back.append(PlatformError("It is not granted any more.", kind="REAUTH", code="lost_scopes"))
    await room.keeper.refresh_due()
    account = await room.account(account_id)
    assert (account.state, account.fault) == ("needs_reauth", "It is not granted any more. Connect the account again.")
    assert [name for name, _ in await room.events()] == ["account.needs_reauth"]


async def test_that_it_cannot_be_asked_now_takes_nothing_away(room: Room) -> None:
    account_id = await room.connect()
    room.platform.taken_back += [Unanswered("nobody answers"), PlatformError("later", kind="RETRY", code="2")]
    for _ in range(3):
        await room.keeper.refresh_due()
        room.at[0] += DAY
    assert (await room.account(account_id)).state == "connected"
    assert len(room.platform.inspected) == 3


async def test_one_that_cannot_be_renewed_holds_up_no_other(room: Room) -> None:
    await room.connect(external_id="a")
    await room.connect(external_id="b")
    room.platform.before.append(PlatformError("cannot be reached", kind="RETRY", code="not_sent"))
    room.at[0] += 8 * DAY
    await room.keeper.refresh_due()
    assert len(room.platform.asked) == 2


async def test_the_end_of_a_grant_is_announced_at_14_7_and_1_days_once_each(room: Room) -> None:
    """One that the platform does not renew: it is told in time to connect it again."""
    room.platform.good = "none"
    account_id = await room.connect(Tokens(access_token="ig", expires_in_s=60 * 86400))
    room.platform.before += [PlatformError("later", kind="RETRY", code="not_sent")] * 10_000
    told: list[tuple[float, object]] = []
    for hour in range(30 * 24, 60 * 24, 6):
        room.at[0] = NOW + hour * HOUR
        await room.keeper.refresh_due()
        told += [(60 - hour / 24, data["days"]) for _, data in (await room.events())[len(told) :]]
    assert told == [(14, 14), (7, 7), (1, 1)]
    assert (await room.events())[0][1] == {
        "account_id": account_id,
        "platform": "tiktok",
        "name": "Ann",
        "days": 14,
        "expires_at": "2027-03-16T08:00:00Z",
    }


async def test_a_machine_that_slept_announces_only_what_is_nearest(room: Room) -> None:
    room.platform.before += [PlatformError("later", kind="RETRY", code="not_sent")] * 10
    await room.connect(Tokens(access_token="ig", expires_in_s=60 * 86400))
    room.at[0] += 59 * DAY + HOUR
    await room.keeper.refresh_due()
    await room.keeper.refresh_due()
    assert [data["days"] for _, data in await room.events()] == [1]


async def test_tokens_whose_key_is_gone_wait_for_it(room: Room) -> None:
    account_id = await room.connect()
    keeper = Keeper(room.store, Vault({"k2": b"2" * 32}), room.platform, Clock(wall=lambda: room.at[0]))
    with pytest.raises(PlatformError) as raised:
        await keeper.token(account_id)
    assert (raised.value.kind, raised.value.code) == ("RETRY", "seal_broken")
    room.at[0] += 8 * DAY
    await keeper.refresh_due()
    assert room.platform.asked == []
    room.at[0] -= 8 * DAY
    assert (await room.account(account_id)).state == "connected"
    assert await room.keeper.token(account_id) == "access-0"


async def test_no_token_lies_in_the_clear(room: Room) -> None:
    account_id = await room.connect()
    room.at[0] += 3 * HOUR
    await room.keeper.token(account_id)
    files = [str(path) for path in room.store.path.parent.iterdir() if path.name.startswith("vidprod.db")]
    lies = await asyncio.to_thread(subprocess.check_output, ["cat", *files])  # opened here, SQLite would lose its locks
    assert b"open-1" in lies
    for secret in (b"access-0", b"access-1", b"refresh-0", b"refresh-1", b"page-0"):
        assert secret not in lies
