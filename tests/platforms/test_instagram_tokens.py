"""The two tokens of an Instagram account, and the budget of its calls."""

from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from tests.platforms.instagram_stage import HOSTS, POST, Stage, refusal
from vidprod.config import Config
from vidprod.domain.account import Flavour
from vidprod.platforms.base import App
from vidprod.platforms.registry import logins, publishers

FLAVOURS: tuple[Flavour, ...] = ("facebook_login", "instagram_login")
DAY_S = 86_400


# tokens


async def test_while_pages_are_shown_nothing_the_persons_token_is_used(stage: Callable[..., Stage]) -> None:
    on = stage()
    on.sim.outage.add("page")
    handle = await on.walk()
    assert (await on.read(handle)).url is not None
    assert len(on.sim.posts()) == 1


async def test_an_outage_that_begins_before_publishing_is_read_round(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.ready()
    assert handle["by"] == "page"
    on.world.order("instagram.publish", "100/33")
    handle = await on.publish(handle)
    assert len(on.sim.posts()) == 1
    publishes = [one for one in on.gate.asked if one.url.path.endswith("media_publish")]
    assert [one.headers["authorization"] for one in publishes] == [
        f"Bearer {on.grant.page_token}",
        f"Bearer {on.grant.tokens[0]}",
    ]


async def test_an_outage_that_hid_a_post_that_went_live_does_not_post_it_twice(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.ready()
    await on.publish(handle)
    on.world.order("instagram.publish", "100/33")
    assert "media_id" not in await on.publish(handle)
    assert len(on.sim.posts()) == 1


async def test_while_nobody_is_shown_anything_it_is_tried_again_slowly(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.ready()
    on.sim.outage |= {"page", "user"}
    error = await refusal(on.read(handle))
    assert (error.kind, error.code, error.retry_after_s) == ("RETRY", "100/33", 300)


@pytest.mark.parametrize("point", ["container", "status", "publish"])
async def test_a_dead_token_is_renewed_once_and_the_same_call_made_again(
    stage: Callable[..., Stage], point: str
) -> None:
    on = stage("instagram_login")
    on.grant.newer.append(
        on.sim.logins.long_token("instagram", on.grant.external_id, on.sim.logins.instagram.issued[0].scopes)
    )
    if point == "container":
        on.world.order("instagram.container", "190/467")
        handle = await on.begin()
    handle = await on.ready()
    on.world.order(f"instagram.{point}", "190/467")
    if point == "status":
        assert (await on.read(handle)).state == "ready"
    if point == "publish":
        assert (await on.publish(handle))["media_id"]
        assert len(on.sim.posts()) == 1
    assert on.grant.newer == []


async def test_failure_11_a_token_that_has_ended_asks_for_a_person(stage: Callable[..., Stage]) -> None:
    on = stage("instagram_login")
    handle = await on.ready()
    on.wall.pass_s(61 * DAY_S)
    error = await refusal(on.read(handle))
    assert error.kind == "REAUTH"


async def test_a_dead_page_token_gives_way_to_the_persons(stage: Callable[..., Stage]) -> None:
    on = stage()
    on.grant.page_token = "EAAp" + "0" * 48
    handle = await on.walk()
    assert handle["by"] == "user"
    assert len(on.sim.posts()) == 1


async def test_what_was_taken_back_ends_both_tokens(stage: Callable[..., Stage]) -> None:
    on = stage()
    handle = await on.begin()
    on.sim.logins.facebook.withdraw("10000000000000099")
    for call in (on.send(handle), on.read(handle), on.begin()):
        error = await refusal(call)
        assert error.kind == "REAUTH"


# budgets


async def test_a_budget_that_is_nearly_used_is_said_once(stage: Callable[..., Stage]) -> None:
    on = stage()
    with capture_logs() as said:
        handle = await on.begin()
        assert said == []
        on.sim.answers.used_percent = 83
        await on.read(handle)
        await on.read(handle)
    assert [(one["log_level"], one["account"], one["used"]) for one in said] == [("warning", "acc_1", 83)]
    assert on.instagram.used == {"acc_1": 83}


@pytest.mark.parametrize("flavour", FLAVOURS)
async def test_the_version_of_the_graph_api_is_a_setting(stage: Callable[..., Stage], flavour: Flavour) -> None:
    on = stage(flavour)
    config = Config(graph_version=24)
    adapter = publishers(on.wire, config, now=on.wall)["instagram", flavour]
    await adapter.begin(on.grant, POST, on.media)
    assert on.gate.paths() == [f"POST /graph.{HOSTS[flavour]}.com/v24.0/{on.grant.external_id}/media"]
    asked = logins(on.wire, config)["instagram", "facebook_login"].ask(
        App(client_id="1", client_secret="2"), redirect_uri="https://video.example/", state="s", direct=False
    )
    assert "www.facebook.com/v24.0/dialog/oauth" in asked.url
