"""The format of API keys."""

import zlib

import pytest

from vidprod.domain.key import hash_of, is_whole, make_key, new_secret, public_id_of
from vidprod.domain.user import OWNER_ID

KEY = new_secret(bytes(range(32)))


def test_a_key_is_a_prefix_256_bits_and_a_checksum() -> None:
    assert new_secret(b"\0" * 32)[:-6] == "vp_live_" + "0" * 43
    assert len(KEY) == 8 + 43 + 6
    assert is_whole(KEY)
    assert new_secret() != new_secret()
    assert new_secret(b"\xff" * 32).startswith("vp_live_")
    # the checksum is CRC-32 of all before it, in base 62: scanners can tell one from a word that looks like it
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    assert sum(digits.index(c) * 62**place for place, c in enumerate(reversed(KEY[-6:]))) == zlib.crc32(
        KEY[:-6].encode()
    )


@pytest.mark.parametrize("place", range(len(KEY)))
def test_a_typing_error_is_seen_without_a_look_at_the_database(place: int) -> None:
    wrong = "Z" if KEY[place] != "Z" else "Y"
    assert not is_whole(KEY[:place] + wrong + KEY[place + 1 :])


@pytest.mark.parametrize("other", ["", "vp_live_", KEY[:-1], KEY + "0", f"{KEY}\n", KEY.lower(), KEY.replace("_", "-")])
def test_what_has_not_the_shape_is_none(other: str) -> None:
    assert not is_whole(other)


def test_what_is_kept_does_not_let_in() -> None:
    key, secret = make_key(
        "a", ["publish", "read", "read"], user_id=OWNER_ID, expires_at=None, now=1, entropy=bytes(range(32))
    )
    assert secret == KEY
    assert (key.public_id, key.hash, key.scopes) == (public_id_of(KEY), hash_of(KEY), ["read", "publish"])
    assert len(key.public_id) == 8
    assert KEY[20:] not in str(key)
