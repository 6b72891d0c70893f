"""Web Push against the examples of its RFCs, and against a browser's side that is written here from them."""

import json

import pytest
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from tests.webhooks.browser import Browser
from vidprod.webhooks.push import (
    MOST_BYTES,
    TOKEN_S,
    BadSubscription,
    Vapid,
    check_keys,
    decoded,
    encoded,
    encrypted,
    new_key,
    public_of,
    signed,
    topic_of,
)

# RFC 8291, section 5 and appendix A
MESSAGE = b"When I grow up, I want to be a watermelon"
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
P256DH = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
RECEIVER = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_"
    "yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)

# RFC 8292, section 2.4
TOKEN = (
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJFUzI1NiJ9.eyJhdWQiOiJodHRwczovL3B1c2guZXhhbXBsZS5uZXQiLCJleHAiOjE0NTM1MjM3NjgsInN1YiI6"
    "Im1haWx0bzpwdXNoQGV4YW1wbGUuY29tIn0.i3CYb7t4xfxCDquptFOepC9GAu_HLGkMlMuCGSK2rpiUfnK9ojFwDXb1JrErtmysazNjjvW2L9Ok"
    "SSHzvoD1oA"
)
TOKEN_KEY = "BA1Hxzyi1RUM1b5wjxsn7nGxAszw2u61m164i3MrAIxHF6YK5h4SDYic-dRuU_RCPCfA5aq9ojSwk5Y2EmClBPs"
CLAIMS: dict[str, str | int] = {
    "aud": "https://push.example.net",
    "exp": 1453523768,
    "sub": "mailto:push@example.com",
}


def verify(token: str, public: str) -> dict[str, object]:
    """What a push service does with it."""
    told, _, signature = token.rpartition(".")
    raw = decoded(signature)
    assert len(raw) == 64
    r, s = (int.from_bytes(half, "big") for half in (raw[:32], raw[32:]))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), decoded(public))
    key.verify(encode_dss_signature(r, s), told.encode(), ec.ECDSA(SHA256()))
    claims: dict[str, object] = json.loads(decoded(told.partition(".")[2]))
    return claims


def test_the_message_of_the_rfc_is_encrypted_as_it_is_there() -> None:
    body = encrypted(MESSAGE, p256dh=P256DH, auth=AUTH, private=decoded(SENDER), salt=decoded(SALT))
    assert encoded(body) == BODY


def test_the_browser_of_these_tests_reads_the_message_of_the_rfc() -> None:
    assert Browser(decoded(RECEIVER), decoded(AUTH)).read(decoded(BODY)) == MESSAGE


@pytest.mark.parametrize("size", [0, 1, 200, MOST_BYTES])
def test_a_browser_reads_what_is_sealed_for_it_and_no_other_does(size: int) -> None:
    browser, other, message = Browser(), Browser(), b"x" * size
    body = encrypted(message, p256dh=browser.p256dh, auth=browser.auth)
    assert len(body) <= 4096
    assert browser.read(body) == message
    with pytest.raises(InvalidTag):
        other.read(body)


def test_no_two_messages_are_sealed_alike() -> None:
    browser = Browser()
    bodies = {encrypted(b"the same", p256dh=browser.p256dh, auth=browser.auth) for _ in range(4)}
    assert len(bodies) == len({body[:16] for body in bodies}) == len({body[21:86] for body in bodies}) == 4


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [
        (P256DH, "AAAA"),
        (P256DH, "!!!!"),
        ("", AUTH),
        (encoded(b"\x04" + b"\x01" * 64), AUTH),  # no point of the curve
        (encoded(b"\x02" + b"\x01" * 32), AUTH),  # compressed
        ("é", AUTH),
    ],
)
def test_keys_that_no_browser_has_are_refused(p256dh: str, auth: str) -> None:
    with pytest.raises(BadSubscription):
        check_keys(p256dh, auth)


def test_keys_may_come_padded() -> None:
    check_keys(P256DH + "=", AUTH + "==")


def test_the_token_of_the_rfc_verifies_and_says_what_ours_says() -> None:
    assert verify(TOKEN, TOKEN_KEY) == CLAIMS
    key = ec.generate_private_key(ec.SECP256R1())
    assert signed(CLAIMS, key).rpartition(".")[0] == TOKEN.rpartition(".")[0]


def test_a_service_knows_us_by_our_key() -> None:
    private = new_key()
    told = Vapid(private, contact="mailto:me@video.example", now_s=lambda: 1000).authorization(
        "https://push.example:8443/to/somebody"
    )
    token, public = told.removeprefix("vapid t=").split(", k=")
    assert public == public_of(private)
    assert verify(token, public) == {
        "aud": "https://push.example:8443",
        "exp": 1000 + TOKEN_S,
        "sub": "mailto:me@video.example",
    }
    with pytest.raises(InvalidSignature):
        verify(token, public_of(new_key()))


def test_a_token_is_used_for_half_of_its_time_and_for_one_service() -> None:
    now = [1000.0]
    vapid = Vapid(new_key(), contact="mailto:me@video.example", now_s=lambda: now[0])
    first = vapid.authorization("https://a.example/1")
    assert vapid.authorization("https://a.example/2") == first
    assert vapid.authorization("https://b.example/1") != first
    now[0] += TOKEN_S // 2
    second = vapid.authorization("https://a.example/1")
    assert second != first
    now[0] -= 10 * TOKEN_S  # the clock was set back: what is far ahead would not be taken
    assert vapid.authorization("https://a.example/1") not in (first, second)


def test_a_topic_is_short_and_tells_nothing() -> None:
    topic = topic_of("made:job_01jq2v0000000000000000000")
    assert len(topic) <= 32
    assert "job" not in topic
    assert topic != topic_of("made:job_2")
