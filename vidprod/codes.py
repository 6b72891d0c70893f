"""Second factors: the codes of an authenticator (RFC 6238), and recovery codes for when it is lost."""

import base64
import hashlib
import hmac
import secrets

RECOVERY_CODES = 10

_STEP_S = 30
_ISSUER = "VidProd"
_RECOVERY_BYTES = 15  # 120 bits: enough that a plain hash of them is
_EITHER_WAY = 1  # steps that a phone's clock may be wrong


def new_secret() -> str:
    """Base 32, 160 bits. Source: RFC 4226, 4: at least 128, and 160 advised."""
    import pyotp

    return pyotp.random_base32(32)


def address_of(secret: str, *, name: str) -> str:
    """`otpauth://…`, which authenticators read out of a picture. It is a secret."""
    import pyotp

    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=_ISSUER)


def step_of(secret: str, code: str, *, now: int) -> int | None:
    """Of which half minute the code is; None: of none around now.

    Args:
        now: unix ms.
    """
    import pyotp

    totp, present, found = pyotp.TOTP(secret), now // 1000 // _STEP_S, None
    for step in range(present - _EITHER_WAY, present + _EITHER_WAY + 1):
        if hmac.compare_digest(totp.generate_otp(step).encode(), _tidy(code).encode()):
            found = step
    return found


def new_recovery_codes() -> list[str]:
    """Ten, in groups that can be copied by hand."""
    return [_grouped(secrets.token_bytes(_RECOVERY_BYTES)) for _ in range(RECOVERY_CODES)]


def recovery_hash(code: str) -> str:
    """What is kept of one."""
    return hashlib.sha256(_tidy(code).encode()).hexdigest()


def _grouped(entropy: bytes) -> str:
    text = base64.b32encode(entropy).decode().lower()
    return "-".join(text[start : start + 6] for start in range(0, len(text), 6))


def _tidy(code: str) -> str:
    return "".join(code.split()).replace("-", "").lower()
