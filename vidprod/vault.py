"""The vault: seals what must not lie in the clear, with AES-256-GCM, bound to the row and column it is for; and signs
addresses that only we can have made.

A sealed value is `1`, the key's id, a nonce of 12 bytes and the ciphertext. Keys come from the setting `secret_keys`,
the first seals and all open; without the setting, from a file of mode 0600 in the data directory that is made when it
is first needed.
"""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from vidprod.errors import BadConfig, SealBroken

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_FILE = "secret.keys"

_FORMAT = b"1"
_LOCKED = b"2"
_HARDNESS = 1 << 16
_KEY_BYTES, _NONCE_BYTES, _ID_BYTES, _SALT_BYTES = 32, 12, 8, 16


class Vault:
    """Seals with one key, opens with any it has."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """
        Args:
            keys: by id, 32 bytes each; the first one seals.
        """
        self.take(keys)

    def take(self, keys: Mapping[str, bytes]) -> None:
        """These instead of those it has: whoever holds this vault seals with the first of them from now on."""
        self._keys = dict(keys)
        self._ciphers: dict[str, AESGCM] = {}
        # another key for another use: HKDF's second step (RFC 5869) with the use as its info
        self._signing = [hmac.digest(key, b"vidprod address\x01", hashlib.sha256) for key in keys.values()]
        self.key_id = next(iter(keys))

    @property
    def key_ids(self) -> list[str]:
        """Of all keys it has; the first one seals."""
        return list(self._keys)

    def seal(self, value: bytes, *, place: str) -> bytes:
        """
        Args:
            place: "account|acc_…|tokens": it opens for no other.
        """
        nonce = secrets.token_bytes(_NONCE_BYTES)
        head = _FORMAT + self.key_id.encode().ljust(_ID_BYTES)
        return head + nonce + self._cipher(self.key_id).encrypt(nonce, value, _bound(place, head))

    def open(self, sealed: bytes, *, place: str) -> bytes:
        """Raises SealBroken: sealed for another place, changed, or with a key that is not here."""
        from cryptography.exceptions import InvalidTag

        head, rest = sealed[: 1 + _ID_BYTES], sealed[1 + _ID_BYTES :]
        if head[:1] != _FORMAT or self.sealed_with(sealed) not in self._keys:
            raise SealBroken(
                f"{place} was sealed with the key {self.sealed_with(sealed)!r}, which is not in secret_keys"
            )
        try:
            return self._cipher(self.sealed_with(sealed)).decrypt(
                rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], _bound(place, head)
            )
        except InvalidTag:
            raise SealBroken(f"what lies at {place} was changed, or was sealed for another place") from None

    def sign(self, text: str) -> str:
        """43 characters that go into an address: HMAC-SHA256 in base64url."""
        return _signature(self._signing[0], text)

    def signed(self, text: str, signature: str) -> bool:
        """Whether one of our keys made it."""
        return any(hmac.compare_digest(_signature(key, text).encode(), signature.encode()) for key in self._signing)

    def _cipher(self, key_id: str) -> "AESGCM":
        # loaded with the first secret: 7 MB that a daemon without accounts and endpoints never needs
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        if key_id not in self._ciphers:
            self._ciphers[key_id] = AESGCM(self._keys[key_id])
        return self._ciphers[key_id]

    @staticmethod
    def sealed_with(sealed: bytes) -> str:
        """The id of the key."""
        return sealed[1 : 1 + _ID_BYTES].decode(errors="replace").rstrip()


def _signature(key: bytes, text: str) -> str:
    return base64.urlsafe_b64encode(hmac.digest(key, text.encode(), hashlib.sha256)).rstrip(b"=").decode()


def _bound(place: str, head: bytes) -> bytes:
    return head + place.encode()


def lock_away(value: bytes, *, passphrase: str) -> bytes:
    """`value` as nobody can read it without the passphrase: `2`, a salt of 16 bytes, a nonce of 12, and AES-256-GCM
    with a key of scrypt (N = 2^16, r = 8, p = 2: 64 MB for half a second).

    Source: OWASP Password Storage Cheat Sheet, which holds these numbers for as good as N = 2^17, p = 1.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    return _LOCKED + salt + nonce + AESGCM(_stretched(passphrase, salt)).encrypt(nonce, value, _LOCKED)


def unlock(locked: bytes, *, passphrase: str) -> bytes:
    """What `lock_away` was given. Raises SealBroken: it is another passphrase, or it was changed."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt, rest = locked[1 : 1 + _SALT_BYTES], locked[1 + _SALT_BYTES :]
    if locked[:1] != _LOCKED:
        raise SealBroken("what was locked away cannot be read by this version")
    try:
        return AESGCM(_stretched(passphrase, salt)).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], _LOCKED)
    except InvalidTag:
        raise SealBroken("it is not the passphrase that it was locked away with, or it was changed") from None


def _stretched(passphrase: str, salt: bytes) -> bytes:
    return hashlib.scrypt(passphrase.encode(), salt=salt, n=_HARDNESS, r=8, p=2, maxmem=160 << 20, dklen=_KEY_BYTES)


def open_vault(root: Path, given: Iterable[str]) -> Vault:
    """The vault of a data directory.

    Args:
        given: the setting: "id:base64 of 32 bytes" each, the newest first; none: the key file, made if it is not there.
    Raises:
        BadConfig: a key cannot be read, or the file can be read by others.
    """
    return Vault(read_keys(root, given))


def keys_here(root: Path, given: Iterable[str]) -> list[str]:
    """The keys as the setting has them, the newest first; none where none was ever made. Raises BadConfig."""
    lines = list(given) or (_of_file(root / KEY_FILE) if (root / KEY_FILE).exists() else [])
    _parsed(lines)
    return lines


def put_keys(root: Path, keys: Iterable[str]) -> None:
    """These into the key file, durably. Raises BadConfig: one of them cannot be read."""
    lines = list(keys)
    _parsed(lines)
    _put(root / KEY_FILE, lines)


def read_keys(root: Path, given: Iterable[str]) -> dict[str, bytes]:
    """What `open_vault` opens with. Raises BadConfig."""
    return _parsed(list(given) or _of_file(root / KEY_FILE))


def add_key(root: Path) -> None:
    """A new key at the top of the key file; those that were there stay below it."""
    path = root / KEY_FILE
    _put(path, [new_key(), *_of_file(path)])


def new_key() -> str:
    """A key as the setting wants it."""
    return f"{secrets.token_hex(_ID_BYTES // 2)}:{base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()}"


def _of_file(path: Path) -> list[str]:
    try:
        found = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return [_made(path)]
    with os.fdopen(found) as file:
        mode = os.fstat(file.fileno()).st_mode & 0o777
        if mode & 0o077:
            raise BadConfig(f"{path} has mode {mode:03o}: others can read it", hint="chmod 600, and make a new key.")
        return [line.strip() for line in file if line.strip()]


def _made(path: Path) -> str:
    key = new_key()
    _put(path, [key])
    return key


def _put(path: Path, keys: list[str]) -> None:
    part = path.with_suffix(".part")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
        file.writelines(f"{key}\n" for key in keys)
        file.flush()
        os.fsync(file.fileno())
    part.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _parsed(lines: list[str]) -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        key_id, _, text = line.partition(":")
        try:
            key = base64.b64decode(text, validate=True)
        except binascii.Error:
            key = b""
        if not 1 <= len(key_id) <= _ID_BYTES or not key_id.isalnum() or len(key) != _KEY_BYTES:
            raise BadConfig(  # never the value: it is a secret
                f"secret_keys: key {number} must be an id of 1 to {_ID_BYTES} letters and digits, a colon, "
                "and 32 bytes in base64"
            )
        keys[key_id] = key
    return keys
