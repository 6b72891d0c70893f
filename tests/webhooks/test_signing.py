"""Signatures: those of the specification, and those its own library takes."""

import base64
import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from vidprod.domain.endpoint import MOST_SECRETS, ROTATION_S, Secret, rotated, signing
from vidprod.errors import BadRequest
from vidprod.webhooks.signing import key_of, new_secret, signed

NOW = 1_800_000_000_000


def test_the_vector_of_the_specification() -> None:
    headers = signed(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        b'{"test": 2432232314}',
        at_s=1614265330,
        secrets=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("body", [b"{}", b'{"name":"Zo\xc3\xab \xe2\x80\x93 part 2"}', b"[" + b"1," * 9000 + b"1]"])
def test_a_receivers_library_takes_each_of_several_secrets(body: bytes) -> None:
    old, new = new_secret(), new_secret()
    headers = signed("msg_1", body, at_s=int(time.time()), secrets=[new, old])
    for secret in (old, new):
        Webhook(secret).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers)


@pytest.mark.parametrize("changed", ["body", "webhook-id", "webhook-timestamp"])
def test_a_receivers_library_refuses_what_was_changed(changed: str) -> None:
    secret = new_secret()
    headers = signed("msg_1", b'{"a":1}', at_s=int(time.time()), secrets=[secret])
    body = b'{"a":2}' if changed == "body" else b'{"a":1}'
    if changed != "body":
        headers[changed] = {"webhook-id": "msg_2", "webhook-timestamp": str(int(time.time()) - 1)}[changed]
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_a_new_secret_has_32_random_bytes() -> None:
    assert len(key_of(new_secret())) == 32
    assert new_secret() != new_secret()


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        base64.b64encode(bytes(32)).decode(),
        "whsk_" + base64.b64encode(bytes(32)).decode(),
        "whsec_" + "!" * 44,
        "whsec_ü",
    ],
)
def test_what_is_no_secret_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(BadRequest) as refused:
        key_of(secret)
    assert len(secret) < 10 or secret not in str(refused.value)


def test_after_a_rotation_both_secrets_sign_for_a_day() -> None:
    first = [Secret(secret="a")]
    second = rotated(first, "b", now=NOW)
    third = rotated(second, "c", now=NOW + 1000)
    assert [one.secret for one in signing(second, now=NOW + ROTATION_S * 1000 - 1)] == ["b", "a"]
    assert [one.secret for one in signing(second, now=NOW + ROTATION_S * 1000)] == ["b"]
    assert [one.secret for one in third] == ["c", "b", "a"]
    assert [one.secret for one in signing(third, now=NOW + ROTATION_S * 1000)] == ["c", "b"]
    assert [one.secret for one in rotated(third, "d", now=NOW + 2 * ROTATION_S * 1000)] == ["d", "c"]


def test_who_rotates_all_day_has_no_endless_header() -> None:
    secrets = [Secret(secret="0")]
    for number in range(1, 100):
        secrets = rotated(secrets, str(number), now=NOW + number)
    assert [one.secret for one in signing(secrets, now=NOW + 100)] == [str(99 - n) for n in range(MOST_SECRETS)]
