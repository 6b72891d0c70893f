"""The wire: where requests go, whose addresses are believed, and what an error tells."""

import httpx
import pytest
from litestar import get

from vidprod.errors import PlatformError, Unanswered
from vidprod.platforms.simulators.transport import SimTransport, application
from vidprod.platforms.simulators.world import Broken
from vidprod.platforms.wire import MOST_BYTES, Answer, Wire

SECRET = "https://upload.example.com/x?upload_id=very-secret"


def wire(answer: httpx.Response | Exception, seen: list[httpx.Request] | None = None, **more: str) -> Wire:
    def handle(request: httpx.Request) -> httpx.Response:
        if seen is not None:
            seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Wire(transport=httpx.MockTransport(handle), **more)  # type: ignore[arg-type]


async def test_requests_go_to_the_simulator_below_the_name_of_the_host() -> None:
    seen: list[httpx.Request] = []
    simulated = wire(httpx.Response(200), seen, simulator_url="http://127.0.0.1:9/")
    await simulated.call("GET", "https://www.googleapis.com/youtube/v3/videos", params={"id": "x"})
    await simulated.call("GET", "http://127.0.0.1:9/www.googleapis.com/upload?upload_id=1")
    assert [str(request.url) for request in seen] == [
        "http://127.0.0.1:9/www.googleapis.com/youtube/v3/videos?id=x",
        "http://127.0.0.1:9/www.googleapis.com/upload?upload_id=1",
    ]


@pytest.mark.parametrize(
    ("address", "is_theirs"),
    [
        ("https://googleapis.com/x", True),
        ("https://www.googleapis.com/x", True),
        ("http://www.googleapis.com/x", False),
        ("https://www.googleapis.com.example.com/x", False),
        ("https://notgoogleapis.com/x", False),
        ("https://example.com/googleapis.com", False),
        ("https://googleapis.com@example.com/", False),
        ("//www.googleapis.com/x", False),
        ("", False),
        ("https://[", False),
    ],
)
def test_an_address_that_was_given_out_is_believed_at_the_platforms_own_hosts(address: str, is_theirs: bool) -> None:
    assert Wire().is_of(address, "googleapis.com") is is_theirs


@pytest.mark.parametrize(
    ("address", "is_theirs"),
    [
        ("http://127.0.0.1:9/www.googleapis.com/x", True),
        ("http://127.0.0.1:9/example.com/x", False),
        ("https://www.googleapis.com/x", False),
        ("http://127.0.0.1:90/www.googleapis.com/x", False),
    ],
)
def test_beside_simulators_addresses_are_theirs(address: str, is_theirs: bool) -> None:
    assert Wire(simulator_url="http://127.0.0.1:9").is_of(address, "googleapis.com") is is_theirs


@pytest.mark.parametrize(
    "error", [httpx.ReadError(SECRET), httpx.ReadTimeout(SECRET), httpx.RemoteProtocolError(SECRET)]
)
async def test_a_request_without_an_answer_may_have_been_done_and_its_error_holds_no_address(error: Exception) -> None:
    with pytest.raises(Unanswered, match=r"^upload\.example\.com gave no answer") as raised:
        await wire(error).call("PUT", SECRET)
    assert raised.value.kind == "RECONCILE"
    assert "very-secret" not in str(raised.value)
    assert raised.value.__suppress_context__


async def test_a_simulators_name_is_that_of_the_platform_it_stands_for() -> None:
    simulated = wire(httpx.ReadError(""), simulator_url="http://127.0.0.1:9")
    for address in ("https://www.googleapis.com/x", "http://127.0.0.1:9/www.googleapis.com/x"):
        with pytest.raises(Unanswered, match=r"^www\.googleapis\.com gave no answer"):
            await simulated.call("GET", address)


@pytest.mark.parametrize("error", [httpx.ConnectError(SECRET), httpx.ConnectTimeout(SECRET), httpx.PoolTimeout(SECRET)])
async def test_a_request_that_was_never_sent_can_be_sent_again(error: Exception) -> None:
    with pytest.raises(PlatformError, match="cannot be reached") as raised:
        await wire(error).call("PUT", SECRET)
    assert not isinstance(raised.value, Unanswered)
    assert (raised.value.kind, raised.value.code) == ("RETRY", "not_sent")
    assert "very-secret" not in str(raised.value)


async def test_an_answer_without_end_is_cut_off() -> None:
    answer = await wire(httpx.Response(200, content=bytes(MOST_BYTES + 100))).call("GET", SECRET)
    assert len(answer.body) == MOST_BYTES


async def test_redirects_are_answers() -> None:
    answer = await wire(httpx.Response(308, headers={"Location": "https://elsewhere.example"})).call("PUT", SECRET)
    assert answer.status == 308


@pytest.mark.parametrize("body", [b"<html>", b'{"a":', b"[1]", b"null", b"\xff"])
def test_a_body_that_is_no_object_is_an_empty_one(body: bytes) -> None:
    assert Answer(status=200, headers=httpx.Headers(), body=body).json() == {}


async def test_a_simulator_that_breaks_off_gives_no_answer() -> None:
    @get("/www.example.com/x", sync_to_thread=False)
    def breaks() -> str:
        raise Broken

    simulated = Wire(simulator_url="http://simulators", transport=SimTransport(application([breaks])))
    with pytest.raises(Unanswered):
        await simulated.call("GET", "https://www.example.com/x")
