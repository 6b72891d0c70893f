"""Rotating keys: all that is sealed is sealed anew with the newest one, while everything goes on.

Whoever runs this owns the vault by which the rest of the process seals: a second process beside a daemon would seal
with keys that the daemon has not read.
"""

import asyncio
from pathlib import Path

import msgspec

from vidprod.config import Config
from vidprod.errors import SealBroken
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.sealed import COLUMNS
from vidprod.vault import Vault, add_key, read_keys

BATCH = 200  # rows a transaction: other writers have their turn in between


class Rotated(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `unused`: ids of keys that nothing here is sealed with any more; backups may be. `broken`:
    places that could not be opened and stay as they are."""

    key_id: str
    resealed: int
    unused: list[str]
    broken: list[str]


async def rotate_keys(store: Store, vault: Vault, config: Config) -> Rotated:
    """Seal everything with the newest key: a new one where keys are in the key file, else the setting's first.

    Raises:
        BadConfig: the key file cannot be used.
    """
    root = Path(config.data_dir)
    if not config.secret_keys:
        await asyncio.to_thread(add_key, root)
        vault.take(await asyncio.to_thread(read_keys, root, ()))
    broken: set[str] = set()

    def anew(sealed: bytes, place: str) -> bytes:
        if vault.sealed_with(sealed) == vault.key_id:
            return sealed
        try:
            return vault.seal(vault.open(sealed, place=place), place=place)
        except SealBroken:
            broken.add(place)
            return sealed

    resealed = 0
    for table, _, _ in COLUMNS:
        after, more = "", True
        while more:

            def batch(db: Tables, table: str = table, after: str = after) -> tuple[int, str]:
                return db.sealed.reseal(anew, table=table, after=after, limit=BATCH)

            changed, after = await store.write(batch)
            resealed, more = resealed + changed, after != ""
    unused = [] if broken else vault.key_ids[1:]
    return Rotated(key_id=vault.key_id, resealed=resealed, unused=unused, broken=sorted(broken))
