"""Endpoints over HTTP, with a deliverer beside and a receiver that checks signatures as any receiver would."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.web.conftest import Live, mp4, running
from tests.web.made import now_ms
from tests.webhooks.receiver import Receiver, Request, answer, receiving, well
from vidprod.domain.ids import new_id
from vidprod.services.clock import Clock
from vidprod.services.deliverer import Deliverer
from vidprod.store.sqlite.deliveries import Deliveries
from vidprod.vault import open_vault
from vidprod.web import endpoints
from vidprod.webhooks.signing import new_secret

STRANGER = new_id("end", now=1)


@dataclass
class Hooked:
    """A daemon that delivers, and a receiver."""

    live: Live
    receiver: Receiver

    async def ask(self, method: str, path: str, *, status: int = 200, **more: Any) -> Any:
        answered = await self.live.client.request(method, path, **more)
        assert answered.status_code == status, answered.text
        return answered.json() if answered.content else None

    async def add(self, path: str = "/hook", **more: Any) -> dict[str, Any]:
        asked = {"url": self.receiver.url(path), **more}
        made: dict[str, Any] = await self.ask("POST", "/v1/endpoints", json=asked, status=201)
        return made

    async def happens(self, event_type: str = "job.completed", **data: Any) -> None:
        await self.live.store.write(lambda db: db.events.record(event_type, data=data, now=now_ms()))

    async def delivered(self, endpoint: dict[str, Any], count: int) -> list[dict[str, Any]]:
        """The deliveries to an endpoint, once so many are over."""
        path = f"/v1/endpoints/{endpoint['id']}/deliveries?state=delivered,failed"
        found = await self.until(path, lambda seen: len(seen["deliveries"]) >= count)
        deliveries: list[dict[str, Any]] = found["deliveries"]
        return deliveries

    async def until(self, path: str, is_so: Callable[[Any], bool]) -> Any:
        """What is at `path`, once it is so."""
        async with asyncio.timeout(10):
            while True:
                if is_so(seen := await self.ask("GET", path)):
                    return seen
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def hooked_up(root: Path, **settings: Any) -> AsyncIterator[Hooked]:
    settings = {"webhook_allow": ("127.0.0.1",), **settings}
    async with running(root, **settings) as live, receiving() as receiver:
        deliverer = Deliverer(store=live.store, vault=open_vault(root, ()), config=live.config, clock=Clock())
        delivering = asyncio.create_task(deliverer.run())
        yield Hooked(live, receiver)
        delivering.cancel()
        await asyncio.wait({delivering})


@pytest.fixture
async def hooked(tmp_path: Path) -> AsyncIterator[Hooked]:
    async with hooked_up(tmp_path) as hooked:
        yield hooked


async def test_an_endpoint_is_added_its_secret_shown_once_and_events_verify_with_it(hooked: Hooked) -> None:
    made = await hooked.add(types=["job.*", "job.*"], description="my script")
    assert (made["state"], made["types"], made["description"]) == ("enabled", ["job.*"], "my script")
    seen = await hooked.ask("GET", f"/v1/endpoints/{made['id']}")
    assert "secret" not in seen
    assert {**seen, "secret": made["secret"]} == made
    await hooked.happens("step.completed")
    await hooked.happens("job.completed", segments=2)
    [request] = await hooked.receiver.received(1)
    assert Webhook(made["secret"]).verify(request.body, request.headers)["data"]["segments"] == 2
    [delivery] = await hooked.delivered(made, 1)
    full = await hooked.ask("GET", f"/v1/deliveries/{delivery['id']}")
    assert full["body"].encode() == request.body
    [attempt] = full["attempts"]
    assert (attempt["number"], attempt["status"], attempt["answer"]) == (1, 200, "ok")
    assert (await hooked.live.client.get("/v1/endpoints")).json()["endpoints"] == [seen]
    assert made["secret"] not in (await hooked.live.client.get("/v1/events")).text


async def test_a_secret_of_ones_own_may_be_given(hooked: Hooked) -> None:
    secret = new_secret()
    assert (await hooked.add(secret=secret))["secret"] == secret
    refused = await hooked.ask(
        "POST", "/v1/endpoints", json={"url": hooked.receiver.url(), "secret": "whsec_hush"}, status=400
    )
    assert refused["code"] == "bad_secret"
    assert "hush" not in json.dumps(refused)


async def test_the_secret_lies_sealed(tmp_path: Path) -> None:
    async with hooked_up(tmp_path) as hooked:
        made = await hooked.add()
        turned = await hooked.ask("POST", f"/v1/endpoints/{made['id']}/rotate")
    kept = (tmp_path / "vidprod.db").read_bytes()
    assert made["id"].encode() in kept
    for secret in (made["secret"], turned["secret"]):
        assert secret.removeprefix("whsec_").encode() not in kept


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"url": "http://receiver.example/"}, "bad_webhook_url", "only https on the ports 443 and 8443"),
    ({"url": "https://169.254.169.254/latest"}, "bad_webhook_url", "metadata"),
    ({"url": "https://[::ffff:10.0.0.1]/"}, "bad_webhook_url", "a private network"),
    ({"url": "https://video.example/hook"}, "bad_webhook_url", "this daemon itself"),
    ({"url": "https://u:p@receiver.example/"}, "bad_webhook_url", "without a user"),
    ({"url": ""}, "bad_body", "url"),
    ({}, "bad_body", "url is missing"),
    ({"url": "https://receiver.example/", "types": ["jobs.completed"]}, "bad_endpoint", "'jobs.completed'"),
    ({"url": "https://receiver.example/", "types": ["*"]}, "bad_endpoint", "'*'"),
    ({"url": "https://receiver.example/", "types": "job.*"}, "bad_body", "types"),
    ({"url": "https://receiver.example/", "colour": 1}, "bad_body", "colour"),
]


async def test_what_cannot_be_an_endpoint_is_told(tmp_path: Path) -> None:
    async with running(tmp_path, public_url="https://video.example") as live:
        for asked, code, words in REFUSED:
            answered = await live.client.post("/v1/endpoints", json=asked)
            assert answered.status_code == (422 if code == "bad_body" else 400), asked
            assert answered.json()["code"] == code
            assert words in answered.json()["detail"]
        assert (await live.client.get("/v1/endpoints")).json() == {"endpoints": []}


async def test_what_is_edited_changes_and_the_rest_stays(hooked: Hooked) -> None:
    made = await hooked.add("/old", types=["job.*"], description="mine")
    path = f"/v1/endpoints/{made['id']}"
    edited = await hooked.ask("PATCH", path, json={"url": hooked.receiver.url("/new")})
    assert (edited["types"], edited["description"]) == (["job.*"], "mine")
    await hooked.ask("PATCH", path, json={"types": [], "description": ""})
    await hooked.happens("step.completed")
    [request] = await hooked.receiver.received(1)
    assert request.path == "/new"
    assert (await hooked.ask("PATCH", path, json={"url": "https://10.0.0.1/"}, status=400))["code"] == "bad_webhook_url"
    assert (await hooked.ask("PATCH", path, json={"state": "enabled"}, status=422))["code"] == "bad_body"


async def test_a_test_is_sent_whatever_it_wants_and_tells_how_it_went(hooked: Hooked) -> None:
    hooked.receiver.behave = lambda request: answer(500, b"no such hook")
    made = await hooked.add(types=["job.failed"])
    delivery = await hooked.ask("POST", f"/v1/endpoints/{made['id']}/test", status=202)
    assert (delivery["event_type"], delivery["state"]) == ("endpoint.test", "pending")
    [request] = await hooked.receiver.received(1)
    assert request.headers["webhook-id"] == delivery["id"]
    full = await hooked.until(f"/v1/deliveries/{delivery['id']}", lambda seen: bool(seen["attempts"]))
    assert full["attempts"][0]["error"] == "it answered 500 Internal Server Error"
    assert full["attempts"][0]["answer"] == "no such hook"
    assert full["run_at"] is not None
    seen = await hooked.ask("GET", f"/v1/endpoints/{made['id']}")
    assert seen["failing_since"] is not None
    assert seen["waiting"] == 1


async def test_a_rotated_secret_signs_beside_the_one_before(hooked: Hooked) -> None:
    made = await hooked.add()
    turned = await hooked.ask("POST", f"/v1/endpoints/{made['id']}/rotate")
    assert turned["secret"] != made["secret"]
    assert turned["older_secret_until"] is not None
    await hooked.happens()
    [request] = await hooked.receiver.received(1)
    for secret in (made["secret"], turned["secret"]):
        Webhook(secret).verify(request.body, request.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(request.body, request.headers)


async def test_two_rotations_at_once_both_sign(hooked: Hooked) -> None:
    made = await hooked.add()
    path = f"/v1/endpoints/{made['id']}/rotate"
    answers = await asyncio.gather(*(hooked.live.client.post(path) for _ in range(5)))
    turned = [one.json()["secret"] for one in answers if one.status_code == 200]
    assert {one.status_code for one in answers} <= {200, 409}
    await hooked.happens()
    [request] = await hooked.receiver.received(1)
    for secret in (made["secret"], *turned):
        Webhook(secret).verify(request.body, request.headers)


async def test_disabled_it_hears_nothing_and_enabled_it_hears_again(hooked: Hooked) -> None:
    made = await hooked.add()
    path = f"/v1/endpoints/{made['id']}"
    off = await hooked.ask("POST", f"{path}/disable")
    assert (off["state"], off["disabled_reason"]) == ("disabled", "disabled by hand")
    assert (await hooked.ask("POST", f"{path}/disable", status=409))["code"] == "conflict"
    assert (await hooked.ask("POST", f"{path}/test", status=409))["hint"] == "Enable it first."
    await hooked.happens("job.failed")
    on = await hooked.ask("POST", f"{path}/enable")
    assert (on["state"], on["disabled_reason"]) == ("enabled", None)
    await hooked.happens("job.completed")
    [request] = await hooked.receiver.received(1)
    assert json.loads(request.body)["type"] == "job.completed"
    events = (await hooked.ask("GET", "/v1/events"))["events"]
    assert [event["type"] for event in events] == [
        "endpoint.created",
        "endpoint.disabled",
        "job.failed",
        "endpoint.enabled",
        "job.completed",
    ]
    assert hooked.receiver.url() not in json.dumps(events)


async def test_deleted_it_is_gone_with_what_waited(hooked: Hooked) -> None:
    made = await hooked.add()
    await hooked.ask("POST", f"/v1/endpoints/{made['id']}/disable")
    await hooked.ask("DELETE", f"/v1/endpoints/{made['id']}", status=204)
    assert (await hooked.ask("GET", "/v1/endpoints"))["endpoints"] == []
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate"), ("POST", "/enable"), ("GET", "/deliveries")):
        await hooked.ask(method, f"/v1/endpoints/{made['id']}{path}", status=404)


async def test_one_with_a_long_log_goes_in_parts_that_hold_up_no_other_write(
    hooked: Hooked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "AT_ONCE", 2)
    made = await hooked.add()
    for _ in range(5):
        await hooked.happens()
    await hooked.delivered(made, 5)
    forgotten: list[int] = []
    forget = Deliveries.forget

    def counted(deliveries: Deliveries, endpoint_id: str, *, limit: int) -> int:
        forgotten.append(forget(deliveries, endpoint_id, limit=limit))
        return forgotten[-1]

    monkeypatch.setattr(Deliveries, "forget", counted)
    await hooked.ask("DELETE", f"/v1/endpoints/{made['id']}", status=204)
    assert forgotten == [2, 2, 1]
    await hooked.ask("GET", f"/v1/endpoints/{made['id']}", status=404)


async def test_what_is_not_there_is_not_found(hooked: Hooked) -> None:
    for name in ("end_x", "job_" + "0" * 26, STRANGER, "..%2f..%2fetc"):
        await hooked.ask("GET", f"/v1/endpoints/{name}", status=404)
        await hooked.ask("GET", f"/v1/deliveries/{name}", status=404)


async def test_deliveries_are_listed_page_by_page_and_by_state(hooked: Hooked) -> None:
    def only_even(request: Request) -> bytes:
        return well(request) if json.loads(request.body)["data"]["n"] % 2 == 0 else answer(410)

    hooked.receiver.behave = only_even
    made = await hooked.add()
    for n in (0, 2, 4, 6, 7):
        await hooked.happens(n=n)
    await hooked.delivered(made, 5)
    path = f"/v1/endpoints/{made['id']}/deliveries"
    first = await hooked.ask("GET", f"{path}?limit=3")
    second = await hooked.ask("GET", f"{path}?limit=3&cursor={first['next_cursor']}")
    ids = [one["id"] for one in first["deliveries"] + second["deliveries"]]
    assert (len(ids), second["next_cursor"]) == (5, None)
    assert ids == sorted(ids, reverse=True)
    [failed] = (await hooked.ask("GET", f"{path}?state=failed"))["deliveries"]
    assert failed["state"] == "failed"
    assert len((await hooked.ask("GET", f"{path}?state=delivered"))["deliveries"]) == 4
    for wrong in ("state=lost", "cursor=job_1", "limit=0"):
        await hooked.ask("GET", f"{path}?{wrong}", status=400)


async def test_one_is_delivered_again_on_request(hooked: Hooked) -> None:
    made = await hooked.add()
    await hooked.happens()
    [delivery] = await hooked.delivered(made, 1)
    again = await hooked.ask("POST", f"/v1/deliveries/{delivery['id']}/replay", status=202)
    assert again["state"] == "pending"
    first, second = await hooked.receiver.received(2)
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == delivery["id"]
    assert first.body == second.body


async def test_what_happened_in_a_time_is_delivered_again(hooked: Hooked) -> None:
    made = await hooked.add()
    for _ in range(3):
        await hooked.happens()
    await hooked.delivered(made, 3)
    path, now = f"/v1/endpoints/{made['id']}/replay", datetime.now(UTC)
    before, after = (now - timedelta(hours=1)).isoformat(), (now + timedelta(hours=1)).isoformat()
    assert await hooked.ask("POST", path, json={"from": before, "state": "failed"}, status=202) == {"replayed": 0}
    assert await hooked.ask("POST", path, json={"from": before, "to": after}, status=202) == {"replayed": 3}
    ids = [request.headers["webhook-id"] for request in await hooked.receiver.received(6)]
    assert len(set(ids)) == 3
    for wrong in ({}, {"from": "yesterday"}, {"from": "2026-11-21T10:00:00"}):
        await hooked.ask("POST", path, json=wrong, status=422)
    await hooked.ask("POST", path, json={"from": after, "to": before}, status=400)


async def test_the_webhook_of_a_job_hears_of_that_job_alone(hooked: Hooked) -> None:
    accepted = await hooked.live.client.put(
        "/upload", params={"webhook_url": hooked.receiver.url("/job")}, content=mp4(10_000)
    )
    assert accepted.status_code == 202
    job_id, secret = accepted.json()["job_id"], accepted.json()["webhook_secret"]
    await hooked.live.upload()
    await hooked.ask("DELETE", f"/v1/jobs/{job_id}", status=204)
    requests = await hooked.receiver.received(4)
    told = [Webhook(secret).verify(request.body, request.headers) for request in requests]
    assert sorted(one["type"] for one in told) == ["job.cancelled", "job.created", "job.deleted", "video.stored"]
    assert {one["data"]["job_id"] for one in told} == {job_id}
    [endpoint] = (await hooked.ask("GET", f"/v1/endpoints?job_id={job_id}"))["endpoints"]
    assert endpoint["job_id"] == job_id
    assert (await hooked.ask("GET", "/v1/endpoints"))["endpoints"] == []
    await hooked.live.upload()  # with its job gone it does not begin to hear of others
    await hooked.delivered(endpoint, 4)
    assert len(hooked.receiver.requests) == 4


async def test_the_webhook_of_a_job_may_be_signed_with_a_secret_of_ones_own(hooked: Hooked) -> None:
    secret = new_secret()
    fields = {"webhook_url": hooked.receiver.url(), "webhook_secret": secret}
    accepted = await hooked.live.client.post("/upload", data=fields, files={"file": ("a.mp4", mp4(10_000))})
    assert accepted.status_code == 202
    assert "webhook_secret" not in accepted.json()
    [request, *_] = await hooked.receiver.received(2)
    Webhook(secret).verify(request.body, request.headers)


async def test_a_repeated_upload_tells_no_secret_and_makes_no_second_endpoint(hooked: Hooked) -> None:
    headers = {"Idempotency-Key": "once"}
    url = f"/upload?webhook_url={hooked.receiver.url()}"
    first = (await hooked.live.client.put(url, content=mp4(10_000), headers=headers)).json()
    again = (await hooked.live.client.put(url, content=mp4(10_000), headers=headers)).json()
    assert again == {name: value for name, value in first.items() if name != "webhook_secret"}
    assert len((await hooked.ask("GET", f"/v1/endpoints?job_id={first['job_id']}"))["endpoints"]) == 1


async def test_a_webhook_that_may_not_be_is_told_before_the_file_is_taken(hooked: Hooked) -> None:
    for fields, code in (
        ({"webhook_url": "https://10.0.0.1/"}, "bad_webhook_url"),
        ({"webhook_url": "ftp://receiver.example/"}, "bad_webhook_url"),
        ({"webhook_secret": "whsec_hush"}, "bad_recipe"),
        ({"webhook_url": "https://receiver.example/", "webhook_secret": "whsec_hush"}, "bad_secret"),
    ):
        refused = await hooked.live.client.post("/upload", data=fields, files={"file": ("a.mp4", mp4(10_000))})
        assert refused.json()["code"] == code
        assert "hush" not in refused.text
        assert await hooked.live.left_over() == set()


async def test_a_secret_in_an_address_is_refused(hooked: Hooked) -> None:
    params = {"webhook_url": "https://receiver.example/", "webhook_secret": new_secret()}
    refused = await hooked.live.client.put("/upload", params=params, content=mp4(10_000))
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_recipe")
    assert params["webhook_secret"] not in refused.text


async def test_the_description_of_the_api_names_what_is_asked_for(hooked: Hooked) -> None:
    document = await hooked.ask("GET", "/openapi.json")
    body = document["paths"]["/v1/endpoints"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert document["components"]["schemas"][body["$ref"].rpartition("/")[2]]["required"] == ["url"]
    query = [one["name"] for one in document["paths"]["/upload"]["put"]["parameters"]]
    assert "webhook_url" in query
    assert "webhook_secret" not in query
