"""Codes of an authenticator, as RFC 6238 has them, and recovery codes."""

import base64

from vidprod.codes import address_of, new_recovery_codes, new_secret, recovery_hash, step_of

SECRET = base64.b32encode(b"12345678901234567890").decode()  # of the RFC's examples


def test_codes_are_those_of_the_standard() -> None:
    # RFC 6238, appendix B, with its last six digits
    for at_s, code in ((59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")):
        assert step_of(SECRET, code, now=at_s * 1000) == at_s // 30


def test_a_clock_may_be_wrong_by_one_step_and_no_more() -> None:
    at, step = 1_234_567_890_000, 41_152_263
    steps = [step_of(SECRET, "005924", now=at + shift * 30_000) for shift in (-2, -1, 0, 1, 2)]
    assert steps == [None, step, step, step, None]


def test_a_code_may_be_written_with_a_gap_and_nothing_else_is_one() -> None:
    assert step_of(SECRET, " 287 082 ", now=59_000) == 1
    for wrong in ("", "287083", "28708", "\uff12\uff18\uff17\uff10\uff18\uff12", "287082287082"):
        assert step_of(SECRET, wrong, now=59_000) is None


def test_a_secret_has_160_bits_and_its_address_names_us() -> None:
    secret = new_secret()
    assert len(base64.b32decode(secret)) == 20
    assert address_of(secret, name="Ann B") == f"otpauth://totp/VidProd:Ann%20B?secret={secret}&issuer=VidProd"


def test_recovery_codes_differ_and_are_known_however_they_are_written() -> None:
    codes = new_recovery_codes()
    assert len(set(codes)) == 10
    assert all(len(code.replace("-", "")) * 5 >= 112 for code in codes)  # OWASP ASVS 5.0, 6.5.2: a plain hash will do
    assert recovery_hash(f" {codes[0].upper().replace('-', ' ')}") == recovery_hash(codes[0])
