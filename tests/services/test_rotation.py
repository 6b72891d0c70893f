"""Rotating keys beside everything else that goes on."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from tests.services.test_keeper import NOW, Rotating, connected
from vidprod.config import Config
from vidprod.platforms.base import Tokens
from vidprod.services import rotation
from vidprod.services.clock import Clock
from vidprod.services.keeper import Keeper
from vidprod.services.rotation import rotate_keys
from vidprod.store.sqlite import Store
from vidprod.store.sqlite.accounts import Connecting
from vidprod.vault import KEY_FILE, new_key, open_vault

TOKENS = Tokens(access_token="access-0", refresh_token="refresh-0", expires_in_s=7200)


async def test_all_is_sealed_with_a_new_key_and_the_old_one_is_not_needed(tmp_path: Path) -> None:
    config = Config(data_dir=str(tmp_path))
    async with await Store.open(tmp_path / "vidprod.db", now=NOW, reserve_bytes=1 << 16) as store:
        vault = open_vault(tmp_path, ())
        old = vault.key_id
        accounts = [await connected(store, vault, TOKENS, NOW, external_id=f"open-{n}") for n in range(5)]
        key = "a" * 64
        sealed = vault.seal(b"verifier", place=f"connecting|{key}|sealed")
        one = Connecting(state_hash=key, platform="youtube", flavour="", sealed=sealed, created_at=NOW)
        await store.write(lambda db: db.accounts.begin_connecting(one))

        rotated = await rotate_keys(store, vault, config)
        assert (rotated.resealed, rotated.unused, rotated.broken) == (6, [old], [])
        assert rotated.key_id == vault.key_id != old

        lines = (tmp_path / KEY_FILE).read_text().splitlines()
        assert [line.partition(":")[0] for line in lines] == [vault.key_id, old]
        (tmp_path / KEY_FILE).write_text(lines[0] + "\n")
        alone = open_vault(tmp_path, ())
        keeper = Keeper(store, alone, Rotating(), Clock(wall=lambda: NOW))
        assert {await keeper.token(account_id) for account_id in accounts} == {"access-0"}
        begun = await store.write(lambda db: db.accounts.finish_connecting(key))
        assert begun is not None
        assert alone.open(begun.sealed, place=f"connecting|{key}|sealed") == b"verifier"


async def test_keys_of_the_setting_are_taken_as_they_are(tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    config = msgspec.structs.replace(Config(data_dir=str(tmp_path)), secret_keys=(new, old))
    async with await Store.open(tmp_path / "vidprod.db", now=NOW, reserve_bytes=1 << 16) as store:
        account_id = await connected(store, open_vault(tmp_path, (old,)), TOKENS, NOW)
        for resealed in (1, 0):
            rotated = await rotate_keys(store, open_vault(tmp_path, (new, old)), config)
            assert rotated.resealed == resealed
        keeper = Keeper(store, open_vault(tmp_path, (new,)), Rotating(), Clock(wall=lambda: NOW))
        assert await keeper.token(account_id) == "access-0"
    assert not (tmp_path / KEY_FILE).exists()


async def test_what_cannot_be_opened_stays_and_is_named(tmp_path: Path) -> None:
    config = Config(data_dir=str(tmp_path))
    async with await Store.open(tmp_path / "vidprod.db", now=NOW, reserve_bytes=1 << 16) as store:
        vault, lost = open_vault(tmp_path, ()), open_vault(tmp_path, (new_key(),))
        account_id = await connected(store, lost, TOKENS, NOW)
        await connected(store, vault, TOKENS, NOW, external_id="open-2")
        before = await store.read(lambda db: db.accounts.tokens(account_id))
        rotated = await rotate_keys(store, vault, config)
        assert (rotated.resealed, rotated.unused, rotated.broken) == (1, [], [f"account|{account_id}|tokens"])
        assert await store.read(lambda db: db.accounts.tokens(account_id)) == before


async def test_a_rotation_that_ends_half_way_loses_nothing_and_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)
    config = Config(data_dir=str(tmp_path))
    async with await Store.open(tmp_path / "vidprod.db", now=NOW, reserve_bytes=1 << 16) as store:
        vault = open_vault(tmp_path, ())
        accounts = [await connected(store, vault, TOKENS, NOW, external_id=f"open-{n}") for n in range(5)]
        write, batches = store.write, iter((True, False))

        async def ends(fn, *, urgent=False):  # type: ignore[no-untyped-def]
            if not next(batches):
                raise asyncio.CancelledError
            return await write(fn, urgent=urgent)

        monkeypatch.setattr(store, "write", ends)
        with pytest.raises(asyncio.CancelledError):
            await rotate_keys(store, vault, config)
        monkeypatch.setattr(store, "write", write)

        again = open_vault(tmp_path, ())  # as the next start reads it
        sealed = [await store.read(lambda db, one=one: db.accounts.tokens(one)) for one in accounts]  # type: ignore[misc]
        assert len({again.sealed_with(one) for one in sealed}) == 2
        keeper = Keeper(store, again, Rotating(), Clock(wall=lambda: NOW))
        assert {await keeper.token(account_id) for account_id in accounts} == {"access-0"}
        rotated = await rotate_keys(store, again, config)
        assert (rotated.resealed, len(rotated.unused), rotated.broken) == (5, 2, [])


async def test_a_token_renewed_meanwhile_is_not_lost(tmp_path: Path) -> None:
    config, at = Config(data_dir=str(tmp_path)), [NOW]
    async with await Store.open(tmp_path / "vidprod.db", now=NOW, reserve_bytes=1 << 16) as store:
        vault, platform = open_vault(tmp_path, ()), Rotating()
        keeper = Keeper(store, vault, platform, Clock(wall=lambda: at[0]))
        account_id = await connected(store, vault, TOKENS, NOW)
        at[0] += 3 * 3_600_000
        platform.gate.clear()
        asking = asyncio.create_task(keeper.token(account_id))
        await platform.waiting.wait()
        await rotate_keys(store, vault, config)  # while the answer is under way
        platform.gate.set()
        assert await asking == "access-1"
        assert await keeper.token(account_id) == "access-1"
        assert (await rotate_keys(store, vault, config)).resealed == 1
        assert await keeper.renew(account_id, "access-1") == "access-2"
