"""Web Push: a notification sealed for one browser, and the word that it is from us. No network here.

The message is encrypted for the browser's key (RFC 8291, coding aes128gcm of RFC 8188): a push service passes on what
it cannot read. VAPID (RFC 8292) tells the service who sends, with the key that the browser subscribed with.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vidprod.errors import BadRequest

MOST_BYTES = 3993  # of a message: RFC 8291, 4: services need not take more than 4096 of what is sent
TOKEN_S = 12 * 3600  # RFC 8292, 2: at most 24 h; services want few of them
_RECORD_BYTES = 4096
_CURVE = ec.SECP256R1()
_POINT_BYTES, _AUTH_BYTES, _SCALAR_BYTES = 65, 16, 32


class BadSubscription(BadRequest):
    """The subscription is none that a browser makes."""

    code = "bad_subscription"
    status = 422
    hint = "Send what `PushSubscription.toJSON()` gives."


def new_key() -> bytes:
    """A private key of VAPID: 32 bytes."""
    return _scalar(ec.generate_private_key(_CURVE))


def public_of(private: bytes) -> str:
    """What a browser subscribes with, and a service knows us by: the point, in base64url."""
    return encoded(_point(_loaded(private).public_key()))


def check_keys(p256dh: str, auth: str) -> None:
    """Raises BadSubscription for what no browser gives."""
    if len(decoded(auth)) != _AUTH_BYTES:
        raise BadSubscription(f"keys.auth must be {_AUTH_BYTES} bytes in base64url")
    _their(decoded(p256dh))


def encrypted(
    message: bytes, *, p256dh: str, auth: str, private: bytes | None = None, salt: bytes | None = None
) -> bytes:
    """The body of a request to the push service, whose Content-Encoding is aes128gcm.

    Args:
        p256dh, auth: of the subscription, in base64url.
        private, salt: 32 and 16 bytes, of this message alone; drawn when not given.
    Raises:
        BadSubscription: the keys are none.
    """
    assert len(message) <= MOST_BYTES
    ours = _loaded(private) if private is not None else ec.generate_private_key(_CURVE)
    salt = salt if salt is not None else secrets.token_bytes(16)
    theirs = decoded(p256dh)
    our_point = _point(ours.public_key())
    shared = ours.exchange(ec.ECDH(), _their(theirs))
    secret = _expanded(_hmac(decoded(auth), shared), b"WebPush: info\0" + theirs + our_point, 32)
    key = _hmac(salt, secret)
    cipher = AESGCM(_expanded(key, b"Content-Encoding: aes128gcm\0", 16))
    sealed = cipher.encrypt(
        _expanded(key, b"Content-Encoding: nonce\0", 12), message + b"\x02", None
    )  # the last record
    return salt + _RECORD_BYTES.to_bytes(4, "big") + bytes([len(our_point)]) + our_point + sealed


class Vapid:
    """Our word for one push service after the other. Each is kept until half of its time is over."""

    def __init__(self, private: bytes, *, contact: str, now_s: Callable[[], float]) -> None:
        """
        Args:
            contact: a mailto: or an https: address, for who runs a service that we trouble.
            now_s: unix seconds.
        """
        self._key = _loaded(private)
        self._public = public_of(private)
        self._contact = contact
        self._now_s = now_s
        self._tokens: dict[str, tuple[str, int]] = {}

    def authorization(self, endpoint: str) -> str:
        """The header for a request to this endpoint."""
        parts = urlsplit(endpoint)
        audience, now_s = f"{parts.scheme}://{parts.netloc}", int(self._now_s())
        token, until_s = self._tokens.get(audience, ("", 0))
        if not now_s < until_s - TOKEN_S // 2 <= now_s + TOKEN_S:  # a clock that was set back counts, too
            until_s = now_s + TOKEN_S
            token = signed({"aud": audience, "exp": until_s, "sub": self._contact}, self._key)
            self._tokens[audience] = token, until_s
        return f"vapid t={token}, k={self._public}"


def signed(claims: dict[str, str | int], key: ec.EllipticCurvePrivateKey) -> str:
    """A JWT, signed with ES256. Source: RFC 7515; RFC 7518, 3.4."""
    told = f"{_part({'typ': 'JWT', 'alg': 'ES256'})}.{_part(claims)}"
    r, s = decode_dss_signature(key.sign(told.encode(), ec.ECDSA(SHA256())))
    return f"{told}.{encoded(r.to_bytes(_SCALAR_BYTES, 'big') + s.to_bytes(_SCALAR_BYTES, 'big'))}"


def topic_of(tag: str) -> str:
    """A later message of the same topic takes the place of one that was not delivered: at most 32 characters."""
    return encoded(hashlib.sha256(tag.encode()).digest()[:18])


def encoded(value: bytes) -> str:
    """base64url without its padding, as all of this has it."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Raises BadSubscription."""
    try:
        plain = text.rstrip("=").replace("-", "+").replace("_", "/")
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise BadSubscription("the keys must be in base64url") from None


def _their(point: bytes) -> ec.EllipticCurvePublicKey:
    """Raises BadSubscription for what is no point of the curve: it could tell about our key."""
    try:
        if len(point) != _POINT_BYTES:
            raise ValueError
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, point)
    except ValueError:
        raise BadSubscription("keys.p256dh must be a point of P-256, uncompressed, in base64url") from None


def _loaded(private: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(private, "big"), _CURVE)


def _scalar(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_numbers().private_value.to_bytes(_SCALAR_BYTES, "big")


def _point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _part(value: dict[str, str] | dict[str, str | int]) -> str:
    return encoded(msgspec.json.encode(value))


def _hmac(key: bytes, value: bytes) -> bytes:
    return hmac.digest(key, value, hashlib.sha256)


def _expanded(key: bytes, info: bytes, size: int) -> bytes:
    """HKDF's second step, for at most one block. Source: RFC 5869, 2.3."""
    return _hmac(key, info + b"\x01")[:size]
