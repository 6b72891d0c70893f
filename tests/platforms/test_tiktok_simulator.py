"""The simulated TikTok: it speaks as the sheet's samples do, and holds to the rules of the real one."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.platforms.tiktok import DIRECT, DRAFT, START, Far, far
from tests.platforms.tiktok_calls import CREATOR, INBOX, INIT, STATUS, begun, body, code_of, put, status
from vidprod.errors import PlatformError
from vidprod.platforms.simulators.tiktok_faults import BY_CHANCE, FAULTS
from vidprod.platforms.simulators.tiktok_rules import Creator, Rules
from vidprod.platforms.simulators.tiktok_uploads import UPLOAD_HOSTS

ALL = ("user.info.basic", "user.info.profile", "video.upload", "video.publish")


@pytest.mark.parametrize(
    ("audited", "private", "options"),
    [
        (True, False, ["PUBLIC_TO_EVERYONE", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"]),
        (True, True, ["FOLLOWER_OF_CREATOR", "MUTUAL_FOLLOW_FRIENDS", "SELF_ONLY"]),
        (False, False, ["SELF_ONLY"]),
        (False, True, ["SELF_ONLY"]),
    ],
)
async def test_the_choices_of_a_creator(audited: bool, private: bool, options: list[str]) -> None:
    there = far(rules=Rules(audited=audited))
    creator = there.creator(private=private)
    creator.stitch_disabled = True
    answer = (await there.call(there.grant(private=private), CREATOR)).json()
    assert answer["error"] | {"log_id": ""} == {"code": "ok", "message": "", "log_id": ""}
    assert answer["data"] == {
        "creator_avatar_url": f"https://p16.tiktokcdn.com/{creator.username}.webp",
        "creator_username": creator.username,
        "creator_nickname": creator.nickname,
        "privacy_level_options": options,
        "comment_disabled": False,
        "duet_disabled": False,
        "stitch_disabled": True,
        "max_video_post_duration_sec": 600,
    }


@pytest.mark.parametrize(
    ("path", "without"), [(CREATOR, "video.publish"), (INIT, "video.publish"), (INBOX, "video.upload")]
)
async def test_each_call_needs_its_scope(there: Far, path: str, without: str) -> None:
    grant = there.grant(scopes=tuple(scope for scope in ALL if scope != without))
    assert code_of(await there.call(grant, path, body())) == (401, "scope_not_authorized")
    assert (await there.call(there.grant(), path, body())).status == 200


async def test_a_username_needs_its_own_scope(there: Far) -> None:
    url = "https://open.tiktokapis.com/v2/user/info/"
    grant = there.grant(scopes=("user.info.basic",))
    headers = {"Authorization": f"Bearer {grant.tokens.access_token}"}
    assert (await there.wire.call("GET", url, params={"fields": "open_id"}, headers=headers)).status == 200
    refused = await there.wire.call("GET", url, params={"fields": "open_id,username"}, headers=headers)
    assert code_of(refused) == (401, "scope_not_authorized")


async def test_an_init_gives_an_opaque_address_of_one_hour(there: Far) -> None:
    made = [await begun(there, there.grant()) for _ in UPLOAD_HOSTS]
    assert all(one["publish_id"].startswith("v_pub_file~v2-1.") and len(one["publish_id"]) <= 64 for one in made)
    addresses = [urlsplit(one["upload_url"].removeprefix("http://simulators/")) for one in made]
    assert {address.path for address in addresses} == {f"{host}/video/" for host in UPLOAD_HOSTS}
    assert all(set(parse_qs(address.query)) == {"upload_id", "upload_token"} for address in addresses)
    assert all(there.wire.is_of(one["upload_url"], "tiktokapis.com") for one in made)
    assert (await begun(there, there.grant(), INBOX))["publish_id"].startswith("v_inbox_file~")


STRICT_OR_LAX = [  # size, chunk, count, taken since August 2026, taken before
    (3_145_728, 3_145_728, 1, True, True),
    (4_999_999, 4_999_998, 1, False, False),
    (61_000_000, 61_000_000, 1, True, True),
    (64_000_000, 64_000_000, 1, True, True),
    (50_000_123, 10_000_000, 5, True, True),  # the worked example
    (50_000_123, 10_000_000, 6, False, False),
    (64_000_001, 64_000_001, 1, False, False),
    (66_259_900, 64_000_000, 1, False, True),  # what stopped working
    (66_259_900, 10_000_000, 6, True, True),
    (30_000_000, 20_000_000, 1, False, True),
    (30_000_000, 4_999_999, 6, False, False),
    (10_000_000, 11_000_000, 1, False, False),
    (4_294_967_296, 10_000_000, 429, True, True),
    (4_294_967_297, 10_000_000, 429, False, False),
    (0, 0, 0, False, False),
]


@pytest.mark.parametrize("strict", [True, False])
async def test_failure_5_chunk_plans_are_checked_as_now_or_as_before(strict: bool) -> None:
    """platforms.md 6, 5: "The chunk size is invalid" above 64 MB since August 2026."""
    there = far(rules=Rules(strict=strict))
    for size, chunk, count, now, before in STRICT_OR_LAX:
        answer = await there.call(there.grant(), INIT, body(size, chunk, count))
        taken = now if strict else before
        assert code_of(answer) == ((200, "ok") if taken else (400, "invalid_params")), (size, chunk, count)
        if (size, strict) == (66_259_900, True) and not taken:
            assert answer.json()["error"]["message"] == "The chunk size is invalid"
    await there.wire.close()


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"privacy": ""}, "invalid_params"),
        ({"privacy": "FOLLOWER_OF_CREATOR"}, "privacy_level_option_mismatch"),
        ({"brand_content_toggle": True}, "invalid_params"),
        ({"title": "a" * 2201}, "invalid_params"),
        ({"title": "🙂" * 1101}, "invalid_params"),
        ({"video_cover_timestamp_ms": "1 s"}, "invalid_params"),
    ],
)
async def test_an_init_says_what_it_may_say(there: Far, more: dict[str, Any], code: str) -> None:
    assert code_of(await there.call(there.grant(), INIT, body(**more)))[1] == code
    assert there.sim.uploads == {}


async def test_a_switch_that_is_off_must_be_sent_as_off(there: Far) -> None:
    there.creator().comment_disabled = True
    assert code_of(await there.call(there.grant(), INIT, body())) == (400, "invalid_params")
    assert (await there.call(there.grant(), INIT, body(disable_comment=True))).status == 200


async def test_a_url_to_pull_from_needs_a_verified_domain(there: Far) -> None:
    asked = body() | {"source_info": {"source": "PULL_FROM_URL", "video_url": "https://example.com/a.mp4"}}
    assert code_of(await there.call(there.grant(), INIT, asked)) == (403, "url_ownership_unverified")


async def test_a_body_that_is_no_json_is_refused(there: Far) -> None:
    headers = {"Authorization": f"Bearer {there.grant().tokens.access_token}", "Content-Type": "application/json"}
    for content, kind in ((b"{", "application/json"), (b"{}", "text/plain"), (b"[]", "application/json")):
        answer = await there.wire.call(
            "POST", f"https://open.tiktokapis.com{INIT}", headers=headers | {"Content-Type": kind}, content=content
        )
        assert code_of(answer) == (400, "invalid_params")


async def test_two_identical_inits_make_two_posts(there: Far) -> None:
    grant = there.grant()
    for _ in range(2):
        assert (await put(there, await begun(there, grant, privacy="PUBLIC_TO_EVERYONE"))).status == 201
    first, second = there.sim.posts()
    assert (first.sha256, first.title, first.account) == (second.sha256, second.title, second.account)
    assert first.remote_id != second.remote_id


async def test_an_init_without_its_bytes_never_makes_a_post(there: Far) -> None:
    grant = there.grant()
    made = await begun(there, grant)
    there.wall.pass_s(7000)
    assert await status(there, grant, made) == {"status": "PROCESSING_UPLOAD", "uploaded_bytes": 0}
    assert there.sim.posts() == []


@pytest.mark.parametrize(("path", "calls"), [(INIT, 6), (CREATOR, 20), (STATUS, 30)])
async def test_a_minute_of_a_token_holds_so_many_calls(there: Far, path: str, calls: int) -> None:
    grant, other = there.grant(), there.grant()
    asked = body() if path == INIT else {"publish_id": (await begun(there, other))["publish_id"]}
    for _ in range(calls):
        there.wall.pass_s(1)
        assert (await there.call(grant, path, asked)).status == 200
    assert code_of(await there.call(grant, path, asked)) == (429, "rate_limit_exceeded")
    assert (await there.call(other, path, asked)).status == 200
    there.wall.pass_s(60 - calls)  # the first of them is a minute old, less a second
    assert (await there.call(grant, path, asked)).status == 429
    there.wall.pass_s(1)
    assert (await there.call(grant, path, asked)).status == 200
    assert (await there.call(grant, path, asked)).status == 429


async def test_a_creator_has_so_many_direct_posts_in_24_hours() -> None:
    there = far(rules=Rules(daily_cap=2))
    for _ in range(2):
        await put(there, await begun(there, there.grant()))
        there.wall.pass_s(100)
    for path in (CREATOR, INIT):
        assert code_of(await there.call(there.grant(), path, body())) == (403, "spam_risk_too_many_posts")
    await begun(there, there.grant(), INBOX)  # drafts have a cap of their own
    await begun(there, there.grant(private=True))
    there.wall.pass_s(86_400 - 200)
    await begun(there, there.grant())


async def test_five_drafts_may_wait_in_an_inbox(there: Far) -> None:
    made = []
    for _ in range(5):
        made.append(await begun(there, there.grant(DRAFT), INBOX))
        await put(there, made[-1])
    assert code_of(await there.call(there.grant(), INBOX, body())) == (403, "spam_risk_too_many_pending_share")
    there.sim.finish(made[0]["publish_id"])
    await put(there, await begun(there, there.grant(), INBOX))
    assert (await there.call(there.grant(), INBOX, body())).status == 403
    there.wall.pass_s(86_400)
    await begun(there, there.grant(), INBOX)


async def test_owners_may_finish_their_drafts_by_themselves() -> None:
    there = far(rules=Rules(finishes_s=3600))
    grant = there.grant(DRAFT)
    made = [await begun(there, grant, INBOX) for _ in range(5)]
    for one in made:
        await put(there, one)
    there.wall.pass_s(60)
    assert (await status(there, grant, made[0]))["status"] == "SEND_TO_USER_INBOX"
    assert (await there.call(grant, INBOX, body())).status == 403
    there.wall.pass_s(3600)
    assert (await status(there, grant, made[0]))["status"] == "PUBLISH_COMPLETE"
    assert (await there.call(grant, INBOX, body())).status == 200


async def test_an_app_has_so_many_posting_users_in_24_hours() -> None:
    there = far(rules=Rules(audited=False))
    creators = [Creator(open_id=f"-p{n}", username=f"p{n}", nickname=f"P{n}", private=True) for n in range(6)]
    grants = [there.hold(there.sim.grant(there.sim.add(one).open_id), one, DIRECT) for one in creators]
    for grant in grants[:5]:
        await begun(there, grant)
    assert code_of(await there.call(grants[5], INIT, body())) == (403, "reached_active_user_cap")
    assert code_of(await there.call(grants[5], CREATOR)) == (403, "reached_active_user_cap")
    await begun(there, grants[0])
    there.wall.pass_s(86_400)
    await begun(there, there.hold(there.sim.grant("-p5"), creators[5], DIRECT))


async def test_an_unaudited_app_posts_privately_to_private_accounts() -> None:
    there = far(rules=Rules(audited=False))
    answer = await there.call(there.grant(), INIT, body())
    assert code_of(answer) == (403, "unaudited_client_can_only_post_to_private_accounts")
    assert answer.json()["data"] == {}
    private = there.grant(private=True)
    refused = await there.call(private, INIT, body(privacy="FOLLOWER_OF_CREATOR"))
    assert code_of(refused) == (403, "privacy_level_option_mismatch")
    assert (await there.call(private, INIT, body())).status == 200


async def test_a_token_can_end_between_the_init_and_the_polling(there: Far) -> None:
    grant = there.grant()
    there.world.order("tiktok.init", "token_expires")
    made = await begun(there, grant)
    assert (await put(there, made)).status == 201  # the address has its own token
    assert code_of(await there.call(grant, STATUS, made)) == (401, "access_token_invalid")
    await grant.renew(grant.tokens.access_token)
    assert (await status(there, grant, made))["status"] == "PROCESSING_UPLOAD"


async def test_a_withdrawn_grant_ends_everything(there: Far) -> None:
    grant = there.grant()
    there.sim.auth.withdraw(grant.external_id)
    assert code_of(await there.call(grant, CREATOR)) == (401, "access_token_invalid")
    with pytest.raises(PlatformError) as caught:
        await grant.renew(grant.tokens.access_token)
    assert caught.value.kind == "REAUTH"


@pytest.mark.parametrize("point", ["user_info", "creator_info", "init", "status"])
async def test_every_error_code_can_be_ordered_at_every_call(there: Far, point: str) -> None:
    path = {"creator_info": CREATOR, "init": INIT, "status": STATUS}.get(point)
    codes = [name for name in FAULTS[f"tiktok.{point}"] if "_" in name and name not in ("lost_answer", "token_expires")]
    assert len(codes) == 17
    for code in codes:
        there.world.order(f"tiktok.{point}", code)
        if path is None:
            answer = await there.wire.call("GET", "https://open.tiktokapis.com/v2/user/info/")
        else:
            answer = await there.call(there.grant(), path, body())
        assert code_of(answer)[1] == code
    assert there.sim.uploads == {}


def test_what_dice_choose_is_among_the_faults() -> None:
    assert set(BY_CHANCE) == set(FAULTS)
    assert all(set(BY_CHANCE[point]) <= set(FAULTS[point]) for point in FAULTS)


async def test_the_same_seed_fails_in_the_same_places() -> None:
    async def story() -> tuple[list[str], dict[str, int]]:
        there = far(seed=11, chance=0.4)
        there.sim.rules.daily_cap = None
        there.world.speed = 1e6
        grant, seen = there.grant(), list[str]()
        for _ in range(25):
            there.wall.at = START
            try:
                seen.append(str((await there.call(grant, CREATOR)).body[:80]))
            except PlatformError as error:
                seen.append(str(error))
        return seen, dict(there.world.happened)

    first = await story()
    assert first == await story()
    assert first[1]
