"""A browser's side of Web Push, written from RFC 8291 and RFC 8188 and not from our sender: it makes a subscription's
keys, and reads what was sealed for them with HKDF of the library."""

import os
from base64 import urlsafe_b64encode

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CURVE = ec.SECP256R1()


class Browser:
    """One subscription's keys."""

    def __init__(self, private: bytes | None = None, secret: bytes | None = None) -> None:
        self._key = (
            ec.generate_private_key(CURVE)
            if private is None
            else ec.derive_private_key(int.from_bytes(private, "big"), CURVE)
        )
        self._secret = secret or os.urandom(16)

    @property
    def p256dh(self) -> str:
        return _text(self._point)

    @property
    def auth(self) -> str:
        return _text(self._secret)

    @property
    def _point(self) -> bytes:
        return self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def read(self, body: bytes) -> bytes:
        """Raises InvalidTag for what was not sealed for this browser."""
        salt, size, length = body[:16], int.from_bytes(body[16:20], "big"), body[20]
        sender, record = body[21 : 21 + length], body[21 + length :]
        assert 17 <= len(record) <= size  # one record, which is the last
        shared = self._key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(CURVE, sender))
        secret = _derived(shared, salt=self._secret, info=b"WebPush: info\0" + self._point + sender, length=32)
        key = _derived(secret, salt=salt, info=b"Content-Encoding: aes128gcm\0", length=16)
        nonce = _derived(secret, salt=salt, info=b"Content-Encoding: nonce\0", length=12)
        padded = AESGCM(key).decrypt(nonce, record, None)
        message, delimiter, _ = padded.rstrip(b"\0").rpartition(b"\x02")
        assert delimiter
        return message


def _derived(secret: bytes, *, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()
