"""Accounts at rest: one row for what a platform calls one account, tokens that no late answer overwrites."""

import msgspec
import pytest

from tests.store.given import NOW, an_account
from vidprod.domain.account import Account, AccountSettings
from vidprod.domain.ids import new_id
from vidprod.errors import Conflict, NotFound
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.accounts import Connecting
from vidprod.store.sqlite.standing import disconnect_account, need_reauth, pause_account, resume_account


async def connected(store: Store, *, external_id: str = "UC1", name: str = "Ann") -> Account:
    account = an_account(external_id=external_id, name=name)
    return await store.write(lambda db: db.accounts.add(account, b"sealed"))


async def event_types(store: Store) -> list[str]:
    return [event.type for event in await store.read(lambda db: db.events.after(0))]


async def test_an_account_is_kept_as_it_was_connected(store: Store) -> None:
    account = an_account()
    assert await store.write(lambda db: db.accounts.add(account, b"sealed")) == account
    assert await store.read(lambda db: db.accounts.get(account.id)) == account
    assert await store.read(lambda db: db.accounts.find("youtube", "", "UC1")) == account
    assert await store.read(lambda db: db.accounts.find("tiktok", "", "UC1")) is None
    assert await store.read(lambda db: db.accounts.tokens(account.id)) == b"sealed"
    with pytest.raises(NotFound):
        await store.read(lambda db: db.accounts.get(new_id("acc", now=NOW)))


async def test_one_that_is_connected_again_keeps_its_id_settings_and_pause(store: Store) -> None:
    account = await connected(store)
    settings = AccountSettings(automatic=True, slots=["Mon-Fri 12:00"])

    def change(db: Tables) -> None:
        db.accounts.set_settings(account.id, settings)
        db.accounts.pause(account.id, now=NOW + 1)
        need_reauth(db, account.id, "revoked", now=NOW + 2)

    await store.write(change)
    again = msgspec.structs.replace(account, name="Ann B.", connected_at=NOW + 3, settings=AccountSettings())
    now_there = await store.write(lambda db: db.accounts.add(again, b"other"))
    assert now_there == msgspec.structs.replace(again, settings=settings, paused_at=NOW + 1)
    assert await store.read(lambda db: db.accounts.tokens(account.id)) == b"other"
    assert len(await store.read(lambda db: db.accounts.list())) == 1


async def test_the_same_account_under_another_id_is_refused(store: Store) -> None:
    await connected(store)
    with pytest.raises(Conflict):
        await connected(store)


async def test_a_refresh_replaces_the_tokens_it_was_begun_with(store: Store) -> None:
    account = await connected(store)
    await store.write(lambda db: db.accounts.begin_refresh(account.id, now=NOW + 10))
    assert await store.read(lambda db: db.accounts.refreshing_at(account.id)) == NOW + 10

    def store_answer(db: Tables) -> Account:
        return db.accounts.set_tokens(
            account.id,
            b"newer",
            scopes=["a", "b"],
            access_expires_at=NOW + 20,
            refresh_expires_at=NOW + 30,
            since=NOW + 10,
            now=NOW + 11,
        )

    refreshed = await store.write(store_answer)
    assert (refreshed.refreshed_at, refreshed.access_expires_at, refreshed.refresh_expires_at) == (
        NOW + 11,
        NOW + 20,
        NOW + 30,
    )
    assert refreshed.scopes == ["a", "b"]
    assert await store.read(lambda db: db.accounts.refreshing_at(account.id)) is None
    with pytest.raises(Conflict):  # its answer comes a second time
        await store.write(store_answer)


async def test_an_answer_for_tokens_that_were_replaced_is_dropped(store: Store) -> None:
    account = await connected(store)
    await store.write(lambda db: db.accounts.begin_refresh(account.id, now=NOW + 10))
    await store.write(lambda db: db.accounts.add(account, b"connected anew"))
    with pytest.raises(Conflict):
        await store.write(
            lambda db: db.accounts.set_tokens(
                account.id,
                b"late",
                scopes=[],
                access_expires_at=None,
                refresh_expires_at=None,
                since=NOW + 10,
                now=NOW + 11,
            )
        )
    assert await store.read(lambda db: db.accounts.tokens(account.id)) == b"connected anew"


async def test_a_warning_holds_for_the_end_it_was_about(store: Store) -> None:
    account = await connected(store)

    def refresh(db: Tables, end: int) -> None:
        db.accounts.begin_refresh(account.id, now=NOW)
        db.accounts.set_tokens(
            account.id, b"x", scopes=[], access_expires_at=None, refresh_expires_at=end, since=NOW, now=NOW
        )

    await store.write(lambda db: refresh(db, NOW + 100))
    await store.write(lambda db: db.accounts.warned(account.id, now=NOW + 5))
    await store.write(lambda db: refresh(db, NOW + 2100))  # the same end, counted anew
    assert await store.read(lambda db: db.accounts.warned_at(account.id)) == NOW + 5
    await store.write(lambda db: refresh(db, NOW + 86_400_000))
    assert await store.read(lambda db: db.accounts.warned_at(account.id)) is None


async def test_dead_tokens_are_told_once(store: Store) -> None:
    account = await connected(store)
    await store.write(lambda db: need_reauth(db, account.id, "revoked", now=NOW))
    after = await store.write(lambda db: need_reauth(db, account.id, "again", now=NOW))
    assert (after.state, after.fault) == ("needs_reauth", "revoked")
    assert await event_types(store) == ["account.needs_reauth"]
    with pytest.raises(Conflict):
        await store.write(lambda db: db.accounts.begin_refresh(account.id, now=NOW))


async def test_a_pause_is_told_once_and_lasts_until_it_is_ended(store: Store) -> None:
    account = await connected(store)
    for _ in range(2):
        paused = await store.write(lambda db: pause_account(db, account.id, now=NOW + 1))
        assert paused.paused_at == NOW + 1
    for _ in range(2):
        resumed = await store.write(lambda db: resume_account(db, account.id, now=NOW + 2))
        assert resumed.paused_at is None
    assert await event_types(store) == ["account.paused", "account.resumed"]


async def test_a_parked_account_is_never_let_go_earlier(store: Store) -> None:
    account = await connected(store)
    await store.write(lambda db: db.accounts.park(account.id, until=NOW + 10))
    parked = await store.write(lambda db: db.accounts.park(account.id, until=NOW + 5))
    assert parked.parked_until == NOW + 10


async def test_a_disconnected_account_has_no_tokens_and_is_not_listed(store: Store) -> None:
    account, other = await connected(store), await connected(store, external_id="UC2", name="Bob")
    await store.write(lambda db: disconnect_account(db, account.id, now=NOW))
    assert [one.id for one in await store.read(lambda db: db.accounts.list())] == [other.id]
    assert len(await store.read(lambda db: db.accounts.list(disconnected=True))) == 2
    with pytest.raises(Conflict, match="disconnected"):
        await store.read(lambda db: db.accounts.tokens(account.id))
    with pytest.raises(Conflict):
        await store.write(lambda db: disconnect_account(db, account.id, now=NOW))
    again = await store.write(lambda db: db.accounts.add(account, b"back"))
    assert (again.id, again.state) == (account.id, "connected")


async def test_every_change_wakes_the_publisher(store: Store) -> None:
    account = await connected(store)
    await store.read(lambda db: None)  # what was committed before is handed out
    store.feed.publishing.clear()
    await store.write(lambda db: db.accounts.pause(account.id, now=NOW))
    await store.read(lambda db: None)
    assert store.feed.publishing.is_set()


async def test_an_authorisation_under_way_serves_once(store: Store) -> None:
    one = Connecting(state_hash="a" * 64, platform="tiktok", flavour="", sealed=b"s", created_at=NOW)
    old = Connecting(state_hash="b" * 64, platform="tiktok", flavour="", sealed=b"s", created_at=NOW - 1)

    def begin(db: Tables) -> None:
        db.accounts.begin_connecting(one)
        db.accounts.begin_connecting(old)

    await store.write(begin)
    assert await store.write(lambda db: db.accounts.prune_connecting(before_ms=NOW)) == 1
    assert await store.write(lambda db: db.accounts.finish_connecting("b" * 64)) is None
    assert await store.write(lambda db: db.accounts.finish_connecting("a" * 64)) == one
    assert await store.write(lambda db: db.accounts.finish_connecting("a" * 64)) is None
