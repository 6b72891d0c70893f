"""The simulated Instagram: what it enforces, and that it speaks as the real one does."""

import json
from collections.abc import AsyncIterator, Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.platforms.clips import clip
from tests.platforms.instagram_stage import HOSTS, SIZE, Slow, Stage
from vidprod.domain.account import Flavour
from vidprod.platforms.simulators.instagram import CONTAINERS_A_DAY, InstagramSim
from vidprod.platforms.simulators.instagram_graph import BY_CHANCE, FAULTS
from vidprod.platforms.simulators.instagram_login import PERSON, SCOPES
from vidprod.platforms.simulators.world import World

V = "v26.0"
FACEBOOK, INSTAGRAM = "graph.facebook.com", "graph.instagram.com"
REELS = {"media_type": "REELS"}
BYTES = {**REELS, "upload_type": "resumable"}


class Caller:
    """Whoever asks, without our adapter between."""

    def __init__(self, on: Stage) -> None:
        self.on = on
        self.host = FACEBOOK if on.flavour == "facebook_login" else INSTAGRAM
        self.token = on.grant.page_token or on.grant.tokens[0]
        self.me = on.grant.external_id
        self.client = httpx.AsyncClient(transport=on.gate, base_url=on.world.base_url)

    async def get(self, path: str, *, token: str | None = None, **params: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token if token is None else token}"}
        return await self.client.get(f"/{self.host}/{path}", params=params, headers=headers)

    async def post(self, path: str, form: dict[str, str], *, token: str | None = None) -> httpx.Response:
        return await self.client.post(
            f"/{self.host}/{path}", data={"access_token": self.token if token is None else token, **form}
        )

    async def create(self, **form: str) -> httpx.Response:
        return await self.post(f"{V}/{self.me}/media", {**BYTES, **form})

    async def upload(self, container: str, body: bytes, **headers: str) -> httpx.Response:
        given = {"Authorization": f"OAuth {self.token}", "offset": "0", "file_size": str(len(body)), **headers}
        return await self.client.post(
            f"/rupload.facebook.com/ig-api-upload/{V}/{container}", content=body, headers=given
        )

    async def finished(self, body: bytes | None = None, **form: str) -> str:
        """A container that can be published."""
        container = str((await self.create(**form)).json()["id"])
        await self.upload(container, self.on.body if body is None else body)
        self.on.wall.pass_s(self.on.sim.uploads.processing_s)
        return container

    async def publish(self, container: str) -> httpx.Response:
        return await self.post(f"{V}/{self.me}/media_publish", {"creation_id": container})

    async def status(self, container: str) -> dict[str, Any]:
        told: dict[str, Any] = (await self.get(f"{V}/{container}", fields="status_code,status")).json()
        return told


@pytest.fixture
async def caller(tmp_path: Path) -> AsyncIterator[Callable[..., Caller]]:
    made: list[Caller] = []

    def make(flavour: Flavour = "facebook_login", **more: Any) -> Caller:
        made.append(Caller(Stage(flavour, tmp_path, **more)))
        return made[-1]

    yield make
    for one in made:
        await one.client.aclose()


def numbers(answer: httpx.Response) -> str:
    error = answer.json()["error"]
    assert set(error) >= {"message", "type", "code", "fbtrace_id"}
    return f"{error['code']}/{error['error_subcode']}" if "error_subcode" in error else str(error["code"])


# the wire, as in the samples of the real one


async def test_a_container_for_bytes_comes_with_the_address_to_send_them_to(caller: Callable[..., Caller]) -> None:
    told = (await caller().create()).json()
    assert set(told) == {"id", "uri"}
    assert told["id"].startswith("17")
    assert told["uri"] == f"http://simulators/rupload.facebook.com/ig-api-upload/{V}/{told['id']}"


async def test_a_container_tells_its_status_in_a_code_and_in_words(caller: Callable[..., Caller]) -> None:
    by = caller()
    container = (await by.create()).json()["id"]
    told = await by.status(container)
    assert set(told) == {"status_code", "status", "id"}
    assert told["status_code"] == "IN_PROGRESS"
    assert told["status"].startswith("In Progress: ")
    by.on.world.order("instagram.processing", "2207082")
    await by.upload(container, by.on.body)
    by.on.wall.pass_s(20)
    assert await by.status(container) == {
        "status_code": "ERROR",
        "status": "Error: Media upload has failed with error code 2207082",
        "id": container,
    }


async def test_what_is_not_ready_is_not_published(caller: Callable[..., Caller]) -> None:
    by = caller()
    answer = await by.publish((await by.create()).json()["id"])
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert {name: error[name] for name in ("message", "type", "code", "error_subcode", "is_transient")} == {
        "message": "Media ID is not available",
        "type": "OAuthException",
        "code": 9007,
        "error_subcode": 2207027,
        "is_transient": False,
    }


async def test_the_host_of_instagram_takes_no_bytes_and_asks_for_an_address(caller: Callable[..., Caller]) -> None:
    answer = await caller("instagram_login").create()
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert (error["message"], error["type"], error["code"]) == (
        "The parameter video_url is required",
        "IGApiException",
        100,
    )
    assert (await caller("facebook_login").create()).status_code == 200


async def test_a_block_is_said_as_a_limit_of_calls_is(caller: Callable[..., Caller]) -> None:
    by = caller()
    container = await by.finished()
    by.on.world.order("instagram.publish", "blocked_but_live")
    answer = await by.publish(container)
    assert (answer.status_code, numbers(answer)) == (400, "4/2207051")
    assert answer.json()["error"]["message"] == "Application request limit reached"
    assert "blocked" in answer.json()["error"]["error_user_title"]
    assert (await by.status(container))["status_code"] == "PUBLISHED"
    assert len(by.on.sim.posts()) == 1


async def test_an_expired_token_is_said_with_the_day(caller: Callable[..., Caller]) -> None:
    for flavour, status in (("facebook_login", 401), ("instagram_login", 400)):
        by = caller(flavour)
        by.on.wall.pass_s(61 * 86_400)
        answer = await by.get(f"{V}/{by.me}/media", token=by.on.grant.tokens[0])
        assert (answer.status_code, numbers(answer)) == (status, "190/463")
        assert "Session has expired on 2026-" in answer.json()["error"]["message"]


async def test_the_time_is_the_worlds(caller: Callable[..., Caller]) -> None:
    by = caller()
    by.on.wall.pass_s(7200)
    answer = await by.create()
    assert parsedate_to_datetime(answer.headers["date"]).timestamp() * 1000 == by.on.world.now()


async def test_budgets_are_told_with_every_answer(caller: Callable[..., Caller]) -> None:
    by = caller()
    by.on.sim.answers.used_percent = 81
    answer = await by.create()
    assert json.loads(answer.headers["x-app-usage"])["call_count"] == 81
    (business,) = json.loads(answer.headers["x-business-use-case-usage"])[by.me]
    assert (business["type"], business["call_count"]) == ("instagram", 81)
    by.on.world.order("instagram.status", "80002")
    answer = await by.get(f"{V}/{answer.json()['id']}")
    (limits,) = json.loads(answer.headers["x-business-use-case-usage"]).values()
    assert (numbers(answer), limits[0]["estimated_time_to_regain_access"]) == ("80002", 5)


# the container


@pytest.mark.parametrize(
    ("form", "refused"),
    [
        ({"media_type": "VIDEO"}, "100/2207023"),
        ({"upload_type": "", "video_url": ""}, "100"),
        ({"caption": "x" * 2201}, "36004/2207010"),
        ({"caption": " ".join(f"#a{n}" for n in range(31))}, "100/2207040"),
        ({"caption": " ".join(f"@a{n}" for n in range(21))}, "100/2207040"),
        ({"thumb_offset": "-1"}, "1/2207057"),
    ],
)
async def test_a_container_is_refused_for_what_is_wrong_with_it(
    caller: Callable[..., Caller], form: dict[str, str], refused: str
) -> None:
    answer = await caller().create(**form)
    assert (answer.status_code, numbers(answer)) == (400, refused)


async def test_a_day_has_so_many_containers(caller: Callable[..., Caller]) -> None:
    by = caller()
    for _ in range(CONTAINERS_A_DAY):
        assert (await by.create()).status_code == 200
    assert numbers(await by.create()) == "9/2207042"
    by.on.wall.pass_s(86_400)
    assert (await by.create()).status_code == 200


async def test_a_container_lives_a_day_and_what_is_published_for_ever(caller: Callable[..., Caller]) -> None:
    by = caller()
    kept, published = await by.finished(), await by.finished()
    assert (await by.publish(published)).status_code == 200
    by.on.wall.pass_s(86_400)
    assert (await by.status(kept))["status_code"] == "EXPIRED"
    assert (await by.status(published))["status_code"] == "PUBLISHED"
    assert (await by.publish(kept)).status_code == 400


async def test_a_container_is_published_once(caller: Callable[..., Caller]) -> None:
    by = caller()
    container = await by.finished()
    assert (await by.publish(container)).json()["id"] in by.on.sim.reels
    again = await by.publish(container)
    assert (again.status_code, numbers(again)) == (400, "100")
    assert len(by.on.sim.posts()) == 1


async def test_processing_takes_its_time_by_the_clock_of_the_world(caller: Callable[..., Caller]) -> None:
    by = caller()
    container = (await by.create()).json()["id"]
    by.on.wall.pass_s(3600)
    assert (await by.status(container))["status_code"] == "IN_PROGRESS"  # no bytes yet
    await by.upload(container, by.on.body)
    by.on.wall.pass_s(19)
    assert (await by.status(container))["status_code"] == "IN_PROGRESS"
    by.on.wall.pass_s(1)
    assert (await by.status(container))["status_code"] == "FINISHED"


@pytest.mark.parametrize(("fault", "seconds"), [("slow", 600), ("stuck", None)])
async def test_processing_can_take_longer_or_for_ever(
    caller: Callable[..., Caller], fault: str, seconds: int | None
) -> None:
    by = caller()
    by.on.world.order("instagram.processing", fault)
    container = await by.finished()
    assert (await by.status(container))["status_code"] == "IN_PROGRESS"
    by.on.wall.pass_s(seconds or 86_400)
    assert (await by.status(container))["status_code"] == ("FINISHED" if seconds else "EXPIRED")


# bytes


async def test_bytes_come_with_the_word_oauth_and_both_numbers(caller: Callable[..., Caller]) -> None:
    by = caller()
    container = (await by.create()).json()["id"]
    for headers, status in (
        ({"Authorization": f"Bearer {by.token}"}, 401),
        ({"Authorization": "OAuth made-up"}, 401),
        ({"offset": ""}, 400),
        ({"file_size": "many"}, 400),
        ({"offset": "7"}, 400),
    ):
        answer = await by.upload(container, by.on.body, **headers)
        assert answer.status_code == status
        assert set(answer.json()["debug_info"]) == {"retriable", "type", "message"}
    assert (await by.upload("17", by.on.body)).status_code == 404
    answer = await by.upload(container, by.on.body)
    assert answer.json() == {"success": True, "message": "Upload successful."}


async def test_a_400_that_calls_itself_final_is_not(caller: Callable[..., Caller]) -> None:
    by = caller()
    container = (await by.create()).json()["id"]
    by.on.world.order("instagram.upload", "transient")
    answer = await by.upload(container, by.on.body)
    assert answer.status_code == 400
    assert answer.json() == {
        "debug_info": {
            "retriable": False,
            "type": "ProcessingFailedError",
            "message": "Request processing failed",
        }
    }
    assert (await by.upload(container, by.on.body)).status_code == 200


async def test_half_of_the_bytes_can_be_kept_and_the_rest_sent_after(caller: Callable[..., Caller]) -> None:
    by = caller()
    container = (await by.create()).json()["id"]
    by.on.world.order("instagram.upload", "partial")
    assert (await by.upload(container, by.on.body)).status_code == 400
    told = (await by.get(f"{V}/{container}", fields="status_code,video_status")).json()
    phase = told["video_status"]["uploading_phase"]
    assert phase == {"status": "in_progress", "bytes_transferred": SIZE // 2}
    headers = {"offset": str(SIZE // 2), "file_size": str(SIZE)}
    assert (await by.upload(container, by.on.body[SIZE // 2 :], **headers)).status_code == 200
    assert by.on.sim.containers[container].inspection.sha256 == by.on.media.sha256


@pytest.mark.parametrize(
    ("more", "form", "number"),
    [
        ({"edit_list": True}, {}, "2207026"),
        ({"moov_first": False}, {}, "2207026"),
        ({"seconds": 2.0}, {}, "2207026"),
        ({"width": 2160, "height": 3840}, {}, "2207026"),
        ({"video": b"vp09"}, {}, "2207026"),
        ({}, {"thumb_offset": "12000"}, "2207057"),
        ({}, {"thumb_offset": "11999"}, ""),
    ],
)
async def test_a_file_is_looked_at(
    caller: Callable[..., Caller], more: dict[str, Any], form: dict[str, str], number: str
) -> None:
    by = caller()
    told = await by.status(await by.finished(clip(**more), **form))
    assert told["status_code"] == ("ERROR" if number else "FINISHED")
    assert told["status"].endswith(number or "published.")


async def test_files_can_be_left_unlooked_at(caller: Callable[..., Caller]) -> None:
    by = caller(inspects=False)
    assert (await by.status(await by.finished(b"no video")))["status_code"] == "FINISHED"


# addresses


async def test_an_address_is_really_fetched(caller: Callable[..., Caller]) -> None:
    by = caller("instagram_login")
    answer = await by.post(f"{V}/{by.me}/media", {**REELS, "video_url": "https://daemon.example/public/a.mp4"})
    assert set(answer.json()) == {"id"}
    assert by.on.cellar.asked == ["/robots.txt", "/public/a.mp4"]
    by.on.wall.pass_s(20)
    await by.publish(answer.json()["id"])
    assert by.on.sim.posts()[0].sha256 == by.on.media.sha256


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({"robots": "User-agent: *\nDisallow: /public/"}, "9004/2207052"),
        ({"robots": "User-agent: facebookexternalhit\nDisallow: /"}, "9004/2207052"),
        ({"robots": "User-agent: *\nDisallow: /v1/"}, ""),
        ({"status": 302}, "9004/2207052"),
        ({"status": 404}, "9004/2207052"),
        ({"media_type": "text/html"}, "9004/2207052"),
    ],
)
async def test_an_address_that_meta_would_not_take_is_refused(
    caller: Callable[..., Caller], change: dict[str, Any], refused: str
) -> None:
    by = caller("instagram_login")
    vars(by.on.cellar).update(change)
    answer = await by.post(f"{V}/{by.me}/media", {**REELS, "video_url": "https://daemon.example/public/a.mp4"})
    assert (numbers(answer) if answer.status_code == 400 else "") == refused


async def test_an_address_that_is_slow_runs_into_their_patience(caller: Callable[..., Caller]) -> None:
    by = caller("instagram_login", fetch_transport=Slow())
    answer = await by.post(f"{V}/{by.me}/media", {**REELS, "video_url": "https://daemon.example/public/a.mp4"})
    assert numbers(answer) == "-2/2207003"


@pytest.mark.parametrize("address", ["https://dämon.example/a.mp4", "ftp://daemon.example/a.mp4", "a.mp4"])
async def test_an_address_that_is_none_is_refused(caller: Callable[..., Caller], address: str) -> None:
    by = caller("instagram_login")
    assert numbers(await by.post(f"{V}/{by.me}/media", {**REELS, "video_url": address})) == "9004/2207052"
    assert by.on.cellar.asked == []


async def test_fetching_can_be_left_out(caller: Callable[..., Caller]) -> None:
    by = caller("instagram_login", fetches=False)
    answer = await by.post(f"{V}/{by.me}/media", {**REELS, "video_url": "https://nowhere.example/a.mp4"})
    by.on.wall.pass_s(20)
    assert (await by.publish(answer.json()["id"])).status_code == 200


# limits, lists and links


async def test_a_day_has_so_many_posts(caller: Callable[..., Caller]) -> None:
    by = caller()
    by.on.sim.quota_total = 2
    for _ in range(2):
        assert (await by.publish(await by.finished())).status_code == 200
    told = (await by.get(f"{V}/{by.me}/content_publishing_limit", fields="config,quota_usage")).json()
    assert told == {"data": [{"quota_usage": 2, "config": {"quota_total": 2, "quota_duration": 86_400}}]}
    assert numbers(await by.publish(await by.finished())) == "9/2207042"
    by.on.wall.pass_s(86_400)
    assert (await by.publish(await by.finished())).status_code == 200


async def test_posts_are_listed_the_newest_first(caller: Callable[..., Caller]) -> None:
    by = caller()
    for caption in ("one", "two", ""):
        await by.publish(await by.finished(caption=caption))
    fields = "id,caption,timestamp,permalink,media_product_type"
    listed = (await by.get(f"{V}/{by.me}/media", fields=fields, limit="2")).json()["data"]
    assert [one.get("caption") for one in listed] == [None, "two"]
    assert set(listed[1]) == set(fields.split(","))
    assert listed[1]["timestamp"].endswith("+0000")
    (link,) = (await by.get(f"{V}/{listed[1]['id']}", fields="permalink")).json().keys() - {"id"}
    assert link == "permalink"


async def test_a_link_can_fail_after_the_post_is_public(caller: Callable[..., Caller]) -> None:
    by = caller()
    reel = (await by.publish(await by.finished())).json()["id"]
    by.on.world.order("instagram.permalink", "100/33", "500")
    assert numbers(await by.get(f"{V}/{reel}", fields="permalink")) == "100/33"
    assert (await by.get(f"{V}/{reel}", fields="permalink")).status_code == 500
    assert "permalink" in (await by.get(f"{V}/{reel}", fields="permalink")).json()


# who may


async def test_one_kind_of_token_can_be_shown_nothing(caller: Callable[..., Caller]) -> None:
    by = caller()
    container = (await by.create()).json()["id"]
    by.on.sim.outage.add("page")
    assert numbers(await by.get(f"{V}/{container}")) == "100/33"
    assert numbers(await by.create()) == "100/33"
    assert (await by.get(f"{V}/{container}", token=by.on.grant.tokens[0])).status_code == 200
    by.on.sim.outage = {"user"}
    assert (await by.get(f"{V}/{container}")).status_code == 200
    assert numbers(await by.get(f"{V}/{container}", token=by.on.grant.tokens[0])) == "100/33"


async def test_a_page_token_has_no_end_and_dies_with_the_grant(caller: Callable[..., Caller]) -> None:
    by = caller()
    by.on.wall.pass_s(400 * 86_400)
    assert (await by.create()).status_code == 200
    by.on.sim.logins.facebook.withdraw(PERSON)
    answer = await by.create()
    assert (answer.status_code, numbers(answer)) == (401, "190/458")


async def test_a_page_token_is_good_for_its_own_account(caller: Callable[..., Caller]) -> None:
    by = caller()
    other = by.on.sim.accounts[1].ig_id
    assert numbers(await by.post(f"{V}/{other}/media", BYTES)) == "100/33"
    assert (await by.post(f"{V}/{other}/media", BYTES, token=by.on.grant.tokens[0])).status_code == 200


@pytest.mark.parametrize("flavour", ["facebook_login", "instagram_login"])
async def test_without_the_permission_nothing_is_published(caller: Callable[..., Caller], flavour: Flavour) -> None:
    by = caller(flavour)
    host = HOSTS[flavour]
    person = PERSON if host == "facebook" else by.me
    token = by.on.sim.logins.long_token(host, person, SCOPES[host][:1])
    answer = await by.post(f"{V}/{by.me}/media", BYTES, token=token)
    assert (answer.status_code, numbers(answer)) == (403, "10")
    assert (await by.get(f"{V}/{by.me}/media", token=token)).status_code == 200


async def test_a_token_of_one_host_is_nothing_at_the_other(caller: Callable[..., Caller]) -> None:
    by, other = caller("facebook_login"), caller("instagram_login")
    assert numbers(await by.get(f"{V}/{by.me}/media", token=other.token)) == "190"
    assert numbers(await other.get(f"{V}/{other.me}/media", token=by.token)) == "190"


@pytest.mark.parametrize("version", ["v20.0", "me", "v1"])
async def test_an_old_version_or_none_is_refused(caller: Callable[..., Caller], version: str) -> None:
    by = caller()
    assert numbers(await by.get(f"{version}/{by.me}/media")) == "2635"


async def test_a_short_token_is_no_long_one(caller: Callable[..., Caller]) -> None:
    by = caller("instagram_login")
    short = by.on.sim.logins.instagram.issue(by.me, client_id="c", scopes=SCOPES["instagram"]).access_token
    by.on.wall.pass_s(1800)
    refused = await by.get("refresh_access_token", grant_type="ig_refresh_token", access_token=short)
    assert numbers(refused) == "100"
    asked = {"grant_type": "ig_exchange_token", "client_secret": "x", "access_token": short}
    told = (await by.get("access_token", **asked)).json()
    assert (told["token_type"], told["expires_in"]) == ("bearer", 5_183_944)
    assert numbers(await by.get("access_token", **asked | {"access_token": told["access_token"]})) == "100"


async def test_a_token_can_be_inspected_by_its_application(caller: Callable[..., Caller]) -> None:
    by = caller()
    token = by.on.grant.tokens[0]
    data = (await by.get(f"{V}/debug_token", token="c|secret", input_token=token)).json()["data"]
    assert (data["is_valid"], data["expires_at"]) == (True, by.on.world.now() // 1000 + 5_183_944)
    data = (await by.get(f"{V}/debug_token", token="c|secret", input_token="made-up")).json()["data"]
    assert data["is_valid"] is False
    assert numbers(await by.get(f"{V}/debug_token", token=token, input_token=token)) == "190"


# faults


async def test_every_fault_can_be_ordered_and_happens(caller: Callable[..., Caller]) -> None:
    by = caller(size=4096)
    by.on.sim.quota_total = 10_000
    reel = (await by.publish(await by.finished())).json()["id"]

    async def reached(point: str) -> httpx.Response | None:
        """The answer at a point; None: none came."""
        container = await by.finished() if point in ("instagram.publish", "instagram.status") else ""
        if point in ("instagram.upload", "instagram.processing"):
            container = (await by.create()).json()["id"]
        by.on.world.order(point, name)
        try:
            match point:
                case "instagram.token":
                    asked = {"grant_type": "fb_exchange_token", "fb_exchange_token": by.on.grant.tokens[0]}
                    return await by.get(f"{V}/oauth/access_token", **asked)
                case "instagram.container":
                    return await by.create()
                case "instagram.upload" | "instagram.processing":
                    return await by.upload(container, by.on.body)
                case "instagram.status":
                    return await by.get(f"{V}/{container}")
                case "instagram.limit":
                    return await by.get(f"{V}/{by.me}/content_publishing_limit")
                case "instagram.publish":
                    return await by.publish(container)
                case "instagram.media":
                    return await by.get(f"{V}/{by.me}/media")
            return await by.get(f"{V}/{reel}")
        except httpx.ReadError:
            return None

    for point, names in FAULTS.items():
        assert set(BY_CHANCE[point]) <= set(names)
        for name in names:
            answer = await reached(point)
            assert by.on.world.happened[f"{point}:{name}"] == 1
            assert not by.on.world.ordered[point]
            assert (answer is None) == (name in ("reset", "lost_answer", "cut"))
            if answer is not None and "/" in name:
                assert numbers(answer) == name
            by.on.wall.pass_s(3600)
            by.token = by.on.sim.logins.long_token("facebook", PERSON, SCOPES["facebook"])


async def test_the_same_seed_fails_in_the_same_places(tmp_path: Path) -> None:
    async def walked() -> dict[str, int]:
        on = Stage("facebook_login", tmp_path, size=4096)
        on.world.chance = 0.5
        for _ in range(10):
            try:
                await on.walk()
            except Exception:
                on.wall.pass_s(60)
        await on.wire.close()
        return dict(on.world.happened)

    first = await walked()
    assert len(first) > 3
    assert first == await walked()


def test_its_accounts_can_be_chosen() -> None:
    sim = InstagramSim(World(seed=1), accounts=())
    assert dict(sim.logins.instagram.accounts) == {}
