"""The simulated Instagram: who may ask, how often, and how it fails."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.platforms.instagram_caller import BYTES, Caller, V, numbers
from tests.platforms.instagram_stage import HOSTS, Stage
from vidprod.domain.account import Flavour
from vidprod.platforms.simulators.instagram import InstagramSim
from vidprod.platforms.simulators.instagram_graph import BY_CHANCE, FAULTS
from vidprod.platforms.simulators.instagram_login import PERSON, SCOPES
from vidprod.platforms.simulators.world import World

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


async def test_comments_are_turned_off_of_what_is_public(caller: Callable[..., Caller]) -> None:
    by = caller()
    reel = (await by.publish(await by.finished())).json()["id"]
    told = {"fields": "is_comment_enabled"}
    assert (await by.get(f"{V}/{reel}", **told)).json()["is_comment_enabled"] is True
    assert numbers(await by.post(f"{V}/{reel}", {})) == "100"
    assert (await by.post(f"{V}/{reel}", {"comment_enabled": "false"})).json() == {"success": True}
    assert (await by.get(f"{V}/{reel}", **told)).json()["is_comment_enabled"] is False
    by.token = by.on.sim.logins.long_token("facebook", PERSON, SCOPES["facebook"][:2])
    assert numbers(await by.post(f"{V}/{reel}", {"comment_enabled": "true"})) == "10"


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
                case "instagram.comments":
                    return await by.post(f"{V}/{reel}", {"comment_enabled": "false"})
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
