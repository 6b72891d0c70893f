"""What is sealed opens for its own place and with its own keys, and for nothing else."""

import stat
from pathlib import Path

import pytest

from vidprod.errors import BadConfig, SealBroken
from vidprod.vault import KEY_FILE, Vault, new_key, open_vault

PLACE = "account|acc_1|tokens"


def test_what_is_sealed_opens_for_its_place(tmp_path: Path) -> None:
    vault = open_vault(tmp_path, [])
    sealed = vault.seal(b"act.secret", place=PLACE)
    assert b"act.secret" not in sealed
    assert vault.open(sealed, place=PLACE) == b"act.secret"


def test_what_is_sealed_does_not_open_for_another_row(tmp_path: Path) -> None:
    vault = open_vault(tmp_path, [])
    with pytest.raises(SealBroken, match="another place"):
        vault.open(vault.seal(b"x", place=PLACE), place="account|acc_2|tokens")


@pytest.mark.parametrize("at", [0, 3, 12, 25, -1])
def test_what_was_changed_does_not_open(tmp_path: Path, at: int) -> None:
    vault = open_vault(tmp_path, [])
    sealed = bytearray(vault.seal(b"a secret of some length", place=PLACE))
    sealed[at] ^= 1
    with pytest.raises(SealBroken):
        vault.open(bytes(sealed), place=PLACE)


def test_the_same_value_is_never_sealed_to_the_same_bytes(tmp_path: Path) -> None:
    vault = open_vault(tmp_path, [])
    assert len({vault.seal(b"x", place=PLACE) for _ in range(100)}) == 100


def test_the_newest_key_seals_and_older_ones_still_open(tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    sealed = open_vault(tmp_path, [old]).seal(b"x", place=PLACE)
    rotated = open_vault(tmp_path, [new, old])
    assert rotated.open(sealed, place=PLACE) == b"x"
    assert Vault.sealed_with(rotated.seal(b"x", place=PLACE)) == new.partition(":")[0]
    with pytest.raises(SealBroken, match="not in secret_keys"):
        open_vault(tmp_path, [new]).open(sealed, place=PLACE)


def test_without_the_setting_a_key_file_of_its_own_is_made_once(tmp_path: Path) -> None:
    sealed = open_vault(tmp_path, []).seal(b"x", place=PLACE)
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert open_vault(tmp_path, []).open(sealed, place=PLACE) == b"x"


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    open_vault(tmp_path, [])
    (tmp_path / KEY_FILE).chmod(0o640)
    with pytest.raises(BadConfig, match="640"):
        open_vault(tmp_path, [])


@pytest.mark.parametrize("given", ["", "nokey", "a:short", "toolongid1:" + "A" * 43 + "=", "a:" + "?" * 44])
def test_a_key_that_is_none_is_refused_without_being_told(tmp_path: Path, given: str) -> None:
    with pytest.raises(BadConfig, match="key 2") as told:
        open_vault(tmp_path, [new_key(), given])
    assert not given or given.partition(":")[2] not in str(told.value) or len(given.partition(":")[2]) < 2


def test_an_address_is_signed_by_any_of_our_keys_and_by_no_other(tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    signature = open_vault(tmp_path, [old]).sign("seg_1|2000")
    assert open_vault(tmp_path, [new, old]).signed("seg_1|2000", signature)
    assert not open_vault(tmp_path, [new, old]).signed("seg_1|2001", signature)
    assert not open_vault(tmp_path, [new]).signed("seg_1|2000", signature)
    assert not open_vault(tmp_path, [old]).signed("seg_1|2000", "ü" * 43)
