"""The sender: whatever a receiver does, one request ends soon, takes little memory, and is told in words."""

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.webhooks.certificates import Authority
from tests.webhooks.receiver import OK, Request, answer, receiving
from vidprod.webhooks.egress import Egress
from vidprod.webhooks.sender import KEPT_BYTES, Sender, Sent

BODY = b'{"type":"job.completed"}'
SOON_S = 0.3


def sender(*, whole_s: float = 10.0) -> Sender:
    return Sender(Egress(allow=["127.0.0.1"]), whole_s=whole_s)


async def sent(behaviour: bytes | str, *, whole_s: float = 10.0) -> Sent:
    """To a receiver that does so."""
    async with receiving(lambda request: behaviour) as receiver:
        return await sender(whole_s=whole_s).send(receiver.url(), headers={"webhook-id": "msg_1"}, body=BODY)


async def test_what_is_sent_arrives_as_it_is() -> None:
    async with receiving() as receiver:
        told = await sender().send(receiver.url("/hook?a=1"), headers={"webhook-id": "msg_1"}, body=BODY)
    [request] = receiver.requests
    assert (told.well, told.status, told.error, told.answer) == (True, 200, "", "ok")
    assert (request.method, request.path, request.body) == ("POST", "/hook?a=1", BODY)
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["webhook-id"] == "msg_1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["connection"] == "close"
    assert request.headers["user-agent"].startswith("VidProd/")


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_success(status: int) -> None:
    assert (await sent(answer(status))).well


@pytest.mark.parametrize("status", [300, 304, 400, 401, 404, 410, 418, 500, 599])
async def test_anything_else_is_failure(status: int) -> None:
    told = await sent(answer(status, b"no"))
    assert (told.well, told.status, told.answer) == (False, status, "no" if status != 304 else "")
    assert told.error.startswith(f"it answered {status} ")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_failure_and_not_followed(status: int) -> None:
    async with receiving() as home:

        def elsewhere(request: Request) -> bytes:
            return answer(status, location=home.url("/latest/meta-data"))

        async with receiving(elsewhere) as receiver:
            told = await sender().send(receiver.url(), headers={}, body=BODY)
    assert (told.well, told.status) == (False, status)
    assert told.error.endswith(": redirects are not followed")
    assert home.connections == 0


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("hang", "no whole answer within 0.3 s"),
        ("reset", "the connection broke: "),
        ("close", "the connection ended without an answer"),
        ("headers", "the answer is no HTTP: "),
        ("hints", "the connection ended without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\x1b[2J\r\n\r\n", "the answer is no HTTP: "),
        (b"HTTP/1.1 200", "the connection ended without an answer"),
        (b"", "the connection ended without an answer"),
    ],
)
async def test_a_receiver_that_gives_no_answer_is_told_in_words(behaviour: bytes | str, said: str) -> None:
    told = await sent(behaviour, whole_s=SOON_S)
    assert (told.well, told.status, told.answer) == (False, None, "")
    assert told.error.startswith(said)
    assert "\x1b" not in told.error


async def test_an_answer_of_10_gigabytes_is_left_after_its_beginning() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with receiving(lambda request: "huge") as receiver:
        told = await sender().send(receiver.url(), headers={}, body=BODY)
    assert (told.well, told.status, len(told.answer)) == (False, 500, KEPT_BYTES)
    assert receiver.sent < 32 << 20  # what the sockets hold
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


async def test_an_answer_that_drips_ends_at_the_deadline_and_its_status_counts() -> None:
    begun = time.monotonic()
    told = await sent("drip", whole_s=SOON_S)
    assert time.monotonic() - begun < 5
    assert told.status == 200
    assert told.well


async def test_what_it_answered_is_kept_as_text() -> None:
    told = await sent(answer(500, b"a\x00\x1b[31m\xff line\n" + b"x" * 5000))
    assert told.answer.startswith("a��[31m� line\nxxx")
    assert len(told.answer) == KEPT_BYTES


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, "120", 120),
        (503, "0", 0),
        (502, "86400", 86400),
        (504, "9" * 30, 999999999),
        (429, "Fri, 31 Dec 1999 23:59:59 GMT", 59),
        (429, "Fri, 31 Dec 1999 23:00:00 GMT", 0),
        (429, "soon", None),
        (429, "-5", None),
        (429, "", None),
        (500, "120", None),
        (200, "120", None),
    ],
)
async def test_a_receiver_that_is_too_busy_says_for_how_long(status: int, header: str, seconds: float | None) -> None:
    asked = Sender(Egress(allow=["127.0.0.1"]), now_s=lambda: 946_684_740.0)  # 1999-12-31 23:59:00
    async with receiving(lambda request: answer(status, retry_after=header)) as receiver:
        told = await asked.send(receiver.url(), headers={}, body=BODY)
    assert told.retry_after_s == seconds


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose wall clock is nine hours ahead."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_tokyo")
@pytest.mark.parametrize(
    "date", ["Fri, 31 Dec 1999 23:59:59 GMT", "Friday, 31-Dec-99 23:59:59 GMT", "Fri Dec 31 23:59:59 1999"]
)
async def test_a_date_is_one_of_utc_in_each_form_that_http_has(date: str) -> None:
    asked = Sender(Egress(allow=["127.0.0.1"]), now_s=lambda: 946_684_740.0)  # 1999-12-31 23:59:00
    async with receiving(lambda request: answer(429, retry_after=date)) as receiver:
        told = await asked.send(receiver.url(), headers={}, body=BODY)
    assert told.retry_after_s == 59


async def test_an_address_that_is_denied_or_does_not_answer_is_told_without_its_path() -> None:
    """Which may be a secret, as with many a service that takes hooks."""
    told = await Sender(Egress()).send("https://127.0.0.1/T0/B0/secret", headers={}, body=BODY)
    assert told.error == "127.0.0.1: this machine"
    async with receiving() as receiver:
        url = receiver.url("/T0/B0/secret")
    told = await sender().send(url, headers={}, body=BODY)
    assert told.error == "127.0.0.1 cannot be reached: Connection refused"


async def test_tls_all_the_way(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with receiving(lambda request: OK, tls=authority.serving("localhost")) as receiver:
        egress = Egress(allow=["127.0.0.1", "::1"], context=authority.trusting)
        told = await Sender(egress).send(receiver.url(host="localhost", scheme="https"), headers={}, body=BODY)
    assert told.well, told.error


async def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        assert (await sender().send(receiver.url(), headers={}, body=BODY)).well
    assert (proxy.connections, receiver.connections) == (0, 1)


async def test_each_request_has_a_connection_of_its_own() -> None:
    async with receiving() as receiver:
        for _ in range(3):
            await sender().send(receiver.url(), headers={}, body=BODY)
    assert receiver.connections == 3
