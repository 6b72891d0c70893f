"""The owner, sessions and keys at rest; and that every row is somebody's."""

from pathlib import Path

import apsw
import msgspec
import pytest

from tests.store.given import NOW, a_job, a_video, an_account
from vidprod.domain.endpoint import Endpoint
from vidprod.domain.ids import new_id
from vidprod.domain.key import Key, hash_of
from vidprod.domain.session import Session
from vidprod.domain.user import OWNER_ID
from vidprod.errors import Conflict, NotFound, StoreError
from vidprod.store.sqlite import Store
from vidprod.store.sqlite.connection import open_database, rows
from vidprod.store.sqlite.migrate import migrate, shipped

HOUR = 3600_000


def a_session(*, at: int = NOW, name: str = "a") -> Session:
    return Session(id=new_id("ses", now=at), user_id=OWNER_ID, hash=name * 64, created_at=at, used_at=at, agent="curl")


def a_key(public_id: str = "AbCdEfGh", *, expires_at: int | None = None) -> Key:
    return Key(
        id=new_id("key", now=NOW),
        user_id=OWNER_ID,
        name="a script",
        public_id=public_id,
        hash="ab" * 32,
        scopes=["read", "upload"],
        created_at=NOW,
        expires_at=expires_at,
    )


async def test_the_owner_is_there_from_the_beginning_but_lets_nobody_in(store: Store) -> None:
    owner = await store.read(lambda db: db.users.get())
    assert (owner.id, owner.name, owner.password, owner.asks_for_code) == (OWNER_ID, "", None, False)
    assert not await store.read(lambda db: db.users.can_sign_in())
    assert await store.read(lambda db: db.users.find("")) is None


async def test_the_first_password_is_set_once(store: Store) -> None:
    await store.write(lambda db: db.users.claim("Ann", "$argon2id$1", now=NOW))
    with pytest.raises(Conflict, match="There is an owner already"):
        await store.write(lambda db: db.users.claim("Eve", "$argon2id$2", now=NOW + 1))
    found = await store.read(lambda db: db.users.find("ANN"))
    assert found is not None
    assert (found.name, found.password, found.password_at) == ("Ann", "$argon2id$1", NOW)


async def test_a_rehash_does_not_bring_an_older_password_back(store: Store) -> None:
    await store.write(lambda db: db.users.claim("Ann", "old", now=NOW))
    await store.write(lambda db: db.users.set_password(OWNER_ID, "new", now=NOW + 1))
    await store.write(lambda db: db.users.rehash(OWNER_ID, "old, hashed better", was="old"))
    assert (await store.read(lambda db: db.users.get())).password == "new"


async def test_a_code_is_taken_once_and_none_before_it(store: Store) -> None:
    async def taken(step: int) -> bool:
        return await store.write(lambda db: db.users.take_step(OWNER_ID, step))

    assert [await taken(step) for step in (7, 7, 6, 8)] == [True, False, False, True]


async def test_an_authenticator_is_asked_for_once_it_was_confirmed(store: Store) -> None:
    with pytest.raises(Conflict):  # without a password it would lock nobody out, and nobody in
        await store.write(lambda db: db.users.begin_totp(OWNER_ID, b"one"))
    await store.write(lambda db: db.users.claim("Ann", "hash", now=NOW))
    await store.write(lambda db: db.users.begin_totp(OWNER_ID, b"one"))
    await store.write(lambda db: db.users.begin_totp(OWNER_ID, b"two"))
    assert not (await store.read(lambda db: db.users.get())).asks_for_code
    with pytest.raises(Conflict, match="Another authenticator"):
        await store.write(lambda db: db.users.confirm_totp(OWNER_ID, was=b"one", now=NOW))
    await store.write(lambda db: db.users.confirm_totp(OWNER_ID, was=b"two", now=NOW))
    assert (await store.read(lambda db: db.users.get())).asks_for_code
    with pytest.raises(Conflict, match="in use already"):
        await store.write(lambda db: db.users.begin_totp(OWNER_ID, b"three"))
    await store.write(lambda db: db.users.end_totp(OWNER_ID))
    assert (await store.read(lambda db: db.users.get())).totp is None


async def test_a_recovery_code_helps_once(store: Store) -> None:
    codes = [digit * 64 for digit in "0123"]
    await store.write(lambda db: db.users.set_recovery_codes(OWNER_ID, codes))
    used = [await store.write(lambda db: db.users.use_recovery_code(OWNER_ID, codes[1], now=NOW)) for _ in range(2)]
    assert used == [True, False]
    assert not await store.write(lambda db: db.users.use_recovery_code(OWNER_ID, "f" * 64, now=NOW))
    assert await store.read(lambda db: db.users.recovery_codes_left(OWNER_ID)) == 3
    await store.write(lambda db: db.users.set_recovery_codes(OWNER_ID, codes[2:]))
    assert await store.read(lambda db: db.users.recovery_codes_left(OWNER_ID)) == 2


async def test_forgetting_the_owner_leaves_the_row_and_no_way_in(store: Store) -> None:
    await store.write(lambda db: db.users.claim("Ann", "hash", now=NOW))
    await store.write(lambda db: db.users.begin_totp(OWNER_ID, b"sealed"))
    await store.write(lambda db: db.users.confirm_totp(OWNER_ID, was=b"sealed", now=NOW))
    await store.write(lambda db: db.users.set_recovery_codes(OWNER_ID, ["a" * 64]))
    await store.write(lambda db: db.users.forget(OWNER_ID))
    owner = await store.read(lambda db: db.users.get())
    assert (owner.name, owner.password, owner.totp, owner.totp_at) == ("", None, None, None)
    assert await store.read(lambda db: db.users.recovery_codes_left(OWNER_ID)) == 0


async def test_sessions_are_found_by_the_hash_of_their_token_and_ended(store: Store) -> None:
    first = await store.write(lambda db: db.sessions.add(a_session(name="a")))
    second = await store.write(lambda db: db.sessions.add(a_session(at=NOW + HOUR, name="b")))
    assert await store.read(lambda db: db.sessions.find("a" * 64)) == first
    assert await store.read(lambda db: db.sessions.find("c" * 64)) is None
    await store.write(lambda db: db.sessions.touch(first.id, now=NOW + 2 * HOUR))
    await store.write(lambda db: db.sessions.touch(first.id, now=NOW))  # the clock was put back
    found = await store.read(lambda db: db.sessions.list(OWNER_ID))
    assert [(one.id, one.used_at) for one in found] == [(first.id, NOW + 2 * HOUR), (second.id, NOW + HOUR)]
    await store.write(lambda db: db.sessions.end(first.id))
    with pytest.raises(NotFound):
        await store.read(lambda db: db.sessions.get(first.id))
    assert await store.write(lambda db: db.sessions.end_all(OWNER_ID)) == 1


async def test_sessions_that_are_over_are_forgotten(store: Store) -> None:
    oldest = await store.write(lambda db: db.sessions.add(a_session(name="a")))
    await store.write(lambda db: db.sessions.add(a_session(at=NOW + 5 * HOUR, name="b")))
    await store.write(lambda db: db.sessions.add(a_session(at=NOW + 9 * HOUR, name="c")))
    await store.write(lambda db: db.sessions.touch(oldest.id, now=NOW + 9 * HOUR))
    idle, age = NOW + 6 * HOUR, NOW + HOUR
    assert await store.write(lambda db: db.sessions.forget_over(unused_since=idle, older_than=age)) == 2
    assert [one.hash[0] for one in await store.read(lambda db: db.sessions.list(OWNER_ID))] == ["c"]


def test_a_session_ends_unused_and_in_any_case() -> None:
    session = a_session()
    assert session.is_live(now=NOW + 2 * HOUR - 1, idle_ms=2 * HOUR, longest_ms=3 * HOUR)
    assert not session.is_live(now=NOW + 2 * HOUR, idle_ms=2 * HOUR, longest_ms=3 * HOUR)
    used = msgspec.structs.replace(session, used_at=NOW + 2 * HOUR)
    assert used.is_live(now=NOW + 3 * HOUR - 1, idle_ms=2 * HOUR, longest_ms=3 * HOUR)
    assert not used.is_live(now=NOW + 3 * HOUR, idle_ms=2 * HOUR, longest_ms=3 * HOUR)


async def test_keys_are_found_by_their_public_id_and_revoked(store: Store) -> None:
    key = await store.write(lambda db: db.keys.add(a_key()))
    assert await store.read(lambda db: db.keys.find("AbCdEfGh")) == key
    assert await store.read(lambda db: db.keys.find("abcdefgh")) is None
    assert await store.read(lambda db: db.keys.are_kept())
    await store.write(lambda db: db.keys.touch(key.id, now=NOW + 5))
    revoked = await store.write(lambda db: db.keys.revoke(key.id, now=NOW + 10))
    again = await store.write(lambda db: db.keys.revoke(key.id, now=NOW + 20))
    assert (revoked.used_at, revoked.revoked_at, again.revoked_at) == (NOW + 5, NOW + 10, NOW + 10)
    assert not revoked.is_live(now=NOW + 10)
    assert not await store.read(lambda db: db.keys.are_kept())
    with pytest.raises(NotFound):
        await store.write(lambda db: db.keys.revoke("key_x", now=NOW))


async def test_a_key_that_has_expired_still_keeps_the_door_shut(store: Store) -> None:
    key = await store.write(lambda db: db.keys.add(a_key(expires_at=NOW + 1)))
    assert key.is_live(now=NOW)
    assert not key.is_live(now=NOW + 1)
    assert await store.read(lambda db: db.keys.are_kept())


async def test_two_keys_of_a_line_live_and_never_three(store: Store) -> None:
    async def live(at: int) -> set[str]:
        return {key.id for key in await store.read(lambda db: db.keys.list()) if key.is_live(now=at)}

    first = await store.write(lambda db: db.keys.add(a_key()))
    second, secret = await store.write(lambda db: db.keys.rotate(first.id, keep_s=3600, now=NOW))
    assert (second.name, second.scopes, second.hash) == (first.name, first.scopes, hash_of(secret))
    assert (await live(NOW), await live(NOW + HOUR)) == ({first.id, second.id}, {second.id})
    with pytest.raises(Conflict, match="rotated already"):
        await store.write(lambda db: db.keys.rotate(first.id, keep_s=3600, now=NOW))
    third, _ = await store.write(lambda db: db.keys.rotate(second.id, keep_s=60, now=NOW + 1))
    assert await live(NOW + 1) == {second.id, third.id}
    with pytest.raises(Conflict, match="works no more"):
        await store.write(lambda db: db.keys.rotate(second.id, keep_s=60, now=NOW + HOUR))


async def test_a_rotated_key_never_lives_longer_than_it_would_have(store: Store) -> None:
    first = await store.write(lambda db: db.keys.add(a_key(expires_at=NOW + 5)))
    second, _ = await store.write(lambda db: db.keys.rotate(first.id, keep_s=3600, now=NOW + 3))
    assert (await store.read(lambda db: db.keys.get(first.id))).expires_at == NOW + 5
    assert second.expires_at == NOW + 3 + 5  # for as long as the first was made for


async def test_every_row_is_the_owners_and_names_nobody_who_is_not_there(store: Store) -> None:
    video = a_video()
    endpoint = Endpoint(id=new_id("end", now=NOW), url="https://a.example/", created_at=NOW)
    await store.write(lambda db: db.videos.add(video))
    await store.write(lambda db: db.jobs.add(a_job(video)))
    await store.write(lambda db: db.accounts.add(an_account(), b"sealed"))
    await store.write(lambda db: db.endpoints.add(endpoint, b"sealed"))
    for table in ("video", "job", "account", "endpoint"):
        whose, another = f"select user_id from {table}", f"update {table} set user_id = 'usr_x'"
        assert await store.read(lambda db, sql=whose: db.jobs._value(sql)) == OWNER_ID  # type: ignore[misc]
        with pytest.raises(Conflict):
            await store.write(lambda db, sql=another: db.jobs._run(sql))  # type: ignore[misc]
    assert (await store.read(lambda db: db.videos.get(video.id))).user_id == OWNER_ID


def test_rows_of_before_become_the_owners(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "vidprod.db")
    known = shipped()
    before = next(place for place, one in enumerate(known) if one.name.endswith("_people.sql"))
    migrate(connection, now=NOW, migrations=known[:before])
    rows(
        connection,
        "insert into video (id, state, filename, extension, size, created_at) values (:id, 'stored', 'a', 'mp4', 1, 1)",
        id=a_video().id,
    )
    migrate(connection, now=NOW, migrations=known)
    assert rows(connection, "select user_id from video") == [{"user_id": OWNER_ID}]
    with pytest.raises(apsw.ConstraintError):
        rows(connection, "delete from user")


@pytest.mark.parametrize(
    "nonsense",
    [
        "update user set password = 'x'",  # since when?
        "update user set totp = x'00'",  # beside no password
        "update user set id = 'usr_1'",
        "update session set hash = 'short'",
        "update session set used_at = created_at - 1",
        "update session set user_id = 'usr_x'",
        "update api_key set scopes = '[]'",
        "update api_key set public_id = 'short'",
        "update api_key set replaced_by = 'key_x'",
        "update api_key set name = ''",
    ],
)
async def test_the_schema_refuses_nonsense_about_people(store: Store, nonsense: str) -> None:
    await store.write(lambda db: db.sessions.add(a_session()))
    await store.write(lambda db: db.keys.add(a_key()))
    with pytest.raises((StoreError, Conflict)):
        await store.write(lambda db: db.users._run(nonsense))
