"""The simulated Instagram: what it enforces of a post, and that it speaks as the real one does."""

import json
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.platforms.clips import clip
from tests.platforms.instagram_caller import REELS, Caller, V, numbers
from tests.platforms.instagram_stage import SIZE, Slow
from vidprod.platforms.simulators.instagram import CONTAINERS_A_DAY

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
