"""The simulated TikTok: it speaks as the sheet's samples do, and holds to the rules of the real one."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.platforms.clips import clip, clip_of
from tests.platforms.tiktok import APP, DIRECT, DRAFT, START, Far, Held, far
from vidprod.errors import PlatformError
from vidprod.platforms.base import Tokens
from vidprod.platforms.simulators.oauth import challenge_of, pressed
from vidprod.platforms.simulators.tiktok_faults import BY_CHANCE, FAULTS
from vidprod.platforms.simulators.tiktok_rules import Creator, Rules
from vidprod.platforms.simulators.tiktok_uploads import UPLOAD_HOSTS
from vidprod.platforms.simulators.world import Fault
from vidprod.platforms.tiktok_login import challenge
from vidprod.platforms.wire import Answer

INIT, INBOX = "/v2/post/publish/video/init/", "/v2/post/publish/inbox/video/init/"
CREATOR, STATUS = "/v2/post/publish/creator_info/query/", "/v2/post/publish/status/fetch/"
HOME = "http://127.0.0.1:8080/oauth/tiktok"
ALL = ("user.info.basic", "user.info.profile", "video.upload", "video.publish")
CLIP = clip()


@pytest.fixture
async def there() -> AsyncIterator[Far]:
    far_end = far()
    yield far_end
    await far_end.wire.close()


def body(
    size: int = len(CLIP), chunk: int | None = None, count: int = 1, *, privacy: str = "SELF_ONLY", **info: Any
) -> dict[str, Any]:
    """The sheet's sample of an init."""
    said = {
        "title": "… #tag",
        "privacy_level": privacy,
        "disable_comment": False,
        "disable_duet": True,
        "disable_stitch": True,
        "video_cover_timestamp_ms": 1000,
        "brand_content_toggle": False,
        "brand_organic_toggle": False,
        "is_aigc": False,
    }
    return {
        "post_info": said | info,
        "source_info": {
            "source": "FILE_UPLOAD",
            "video_size": size,
            "chunk_size": size if chunk is None else chunk,
            "total_chunk_count": count,
        },
    }


async def begun(there: Far, grant: Held, path: str = INIT, **asked: Any) -> dict[str, str]:
    answer = await there.call(grant, path, body(**asked))
    assert answer.status == 200, answer.body
    return dict(answer.json()["data"])


async def put(
    there: Far, made: dict[str, str], data: bytes = CLIP, span: str = "", mime: str = "video/mp4", **headers: str
) -> Answer:
    first = f"bytes 0-{len(data) - 1}/{len(data)}"
    said = {"Content-Type": mime, "Content-Length": str(len(data)), "Content-Range": span or first, **headers}
    return await there.wire.call("PUT", made["upload_url"], headers=said, content=data)


async def status(there: Far, grant: Held, made: dict[str, str]) -> dict[str, Any]:
    answer = await there.call(grant, STATUS, {"publish_id": made["publish_id"]})
    assert answer.json()["error"]["code"] == "ok"
    return dict(answer.json()["data"])


def code_of(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json()["error"]["code"]


# Login Kit


async def granted(there: Far, *, direct: bool = True, scopes: tuple[str, ...] | None = None) -> tuple[str, str]:
    """A code and the verifier that goes with it, by the page."""
    asked = there.login.ask(APP, redirect_uri=HOME, state="s", direct=direct)
    async with httpx.AsyncClient(transport=there.transport) as browser:
        page = await browser.get(asked.url)
        assert "TikTok (simulated)" in page.text
        back = await browser.get(pressed(asked.url, account=there.creator().open_id, scopes=scopes))
    answer = parse_qs(urlsplit(back.headers["Location"]).query)
    assert answer["state"] == ["s"]
    return answer["code"][0], asked.verifier


def test_the_challenge_is_hex_as_in_the_sheet() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert challenge(verifier) == "13d31e961a1ad8ec2f16b10c4c982e0876a878ad6df144566ee1894acb70f9c3"
    assert challenge_of(verifier, "hex") == challenge(verifier)


async def test_a_person_is_asked_with_a_client_key_and_scopes_with_commas(there: Far) -> None:
    drafts = parse_qs(urlsplit(there.login.ask(APP, redirect_uri=HOME, state="s", direct=False).url).query)
    assert drafts["client_key"] == ["key"]
    assert drafts["scope"] == ["user.info.basic,user.info.profile,video.upload"]
    assert drafts["redirect_uri"] == [HOME]
    direct = parse_qs(urlsplit(there.login.ask(APP, redirect_uri=HOME, state="s", direct=True).url).query)
    assert direct["scope"] == ["user.info.basic,user.info.profile,video.upload,video.publish"]
    assert direct["code_challenge"] != drafts["code_challenge"]


async def test_an_account_is_connected_renewed_and_given_back(there: Far) -> None:
    code, verifier = await granted(there)
    tokens = await there.login.exchange(APP, code=code, redirect_uri=HOME, verifier=verifier)
    assert tokens.access_token.startswith("act.")
    assert tokens.refresh_token.startswith("rft.")
    assert (tokens.expires_in_s, tokens.refresh_expires_in_s) == (7200, 15_552_000)
    assert tokens.scopes == ALL
    [identity] = await there.login.identify(APP, tokens)
    creator = there.creator()
    assert (identity.external_id, identity.name, identity.username) == (
        creator.open_id,
        creator.nickname,
        creator.username,
    )
    assert identity.notices == ()
    newer = await there.login.refresh(APP, tokens)
    assert newer.refresh_token != tokens.refresh_token
    assert newer.extra == {"open_id": creator.open_id}
    await there.login.revoke(APP, newer)
    with pytest.raises(PlatformError) as caught:
        await there.login.identify(APP, newer)
    assert caught.value.kind == "REFRESH"


async def test_tokens_come_as_in_the_sample(there: Far) -> None:
    code, verifier = await granted(there, scopes=("user.info.basic", "video.publish"))
    form = {"client_key": "key", "client_secret": "x", "grant_type": "authorization_code", "code": code}
    answer = await there.wire.call(
        "POST",
        "https://open.tiktokapis.com/v2/oauth/token/",
        form=form | {"redirect_uri": HOME, "code_verifier": verifier},
    )
    said = answer.json()
    assert said.pop("access_token").startswith("act.")
    assert said.pop("refresh_token").startswith("rft.")
    assert said == {
        "expires_in": 7200,
        "refresh_expires_in": 15_552_000,
        "open_id": there.creator().open_id,
        "scope": "user.info.basic,video.publish",
        "token_type": "Bearer",
    }


async def test_what_was_not_granted_is_said_in_words(there: Far) -> None:
    code, verifier = await granted(there, scopes=("user.info.basic",))
    tokens = await there.login.exchange(APP, code=code, redirect_uri=HOME, verifier=verifier)
    [identity] = await there.login.identify(APP, tokens)
    assert identity.username == ""
    assert [notice.split(":")[0] for notice in identity.notices] == [
        "Drafts cannot be delivered",
        "Posts have no address",
        "Direct posts are not granted",
    ]


async def test_an_app_that_is_not_audited_is_told_when_it_connects() -> None:
    there = far(rules=Rules(audited=False))
    held = there.grant()
    [identity] = await there.login.identify(APP, held.tokens)
    assert identity.notices == (
        "This TikTok app is not audited: direct posts are private, and the account must be set to private too.",
    )


async def test_a_ban_is_said_when_it_connects_and_hinders_nothing(there: Far) -> None:
    there.creator().banned = True
    [identity] = await there.login.identify(APP, there.grant().tokens)
    assert identity.notices == ("TikTok says of direct posts at present: The user is banned from making new posts.",)


@pytest.mark.parametrize(("verifier", "redirect"), [("wrong", HOME), ("", HOME), (None, "http://127.0.0.1:1/other")])
async def test_a_code_is_good_for_who_asked_for_it(there: Far, verifier: str | None, redirect: str) -> None:
    code, right = await granted(there)
    with pytest.raises(PlatformError) as caught:
        await there.login.exchange(
            APP, code=code, redirect_uri=redirect, verifier=right if verifier is None else verifier
        )
    assert (caught.value.kind, caught.value.code) == ("REAUTH", "invalid_grant")


async def test_the_challenge_of_rfc_7636_is_not_taken(there: Far) -> None:
    asked = there.login.ask(APP, redirect_uri=HOME, state="s", direct=False)
    url = asked.url.replace(challenge(asked.verifier), challenge_of(asked.verifier, "base64url"))
    async with httpx.AsyncClient(transport=there.transport) as browser:
        back = await browser.get(pressed(url, account=there.creator().open_id))
    code = parse_qs(urlsplit(back.headers["Location"]).query)["code"][0]
    with pytest.raises(PlatformError) as caught:
        await there.login.exchange(APP, code=code, redirect_uri=HOME, verifier=asked.verifier)
    assert caught.value.code == "invalid_grant"


@pytest.mark.parametrize(("grace_s", "after_s", "taken"), [(0, 0, False), (30, 29, True), (30, 30, False)])
async def test_a_used_refresh_token_is_dead_at_once_or_after_the_grace(
    grace_s: int, after_s: float, taken: bool
) -> None:
    there = far(rules=Rules(grace_s=grace_s))
    tokens = there.grant().tokens
    await there.login.refresh(APP, tokens)
    there.wall.pass_s(after_s)
    if taken:
        assert (await there.login.refresh(APP, tokens)).refresh_token != tokens.refresh_token
        return
    with pytest.raises(PlatformError) as caught:
        await there.login.refresh(APP, tokens)
    assert (caught.value.kind, caught.value.code) == ("REAUTH", "invalid_grant")


@pytest.mark.parametrize("oauth_status", [200, 400])
async def test_an_error_of_oauth_may_come_with_200(oauth_status: int) -> None:
    there = far(rules=Rules(oauth_status=oauth_status))
    answer = await there.wire.call(
        "POST",
        "https://open.tiktokapis.com/v2/oauth/token/",
        form={"client_key": "key", "client_secret": "x", "grant_type": "refresh_token", "refresh_token": "rft.none"},
    )
    assert answer.status == oauth_status
    assert set(answer.json()) == {"error", "error_description", "log_id"}
    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("500", "RETRY"), ("503", "RETRY"), ("html", "RETRY"), ("reset", "RECONCILE"), ("invalid_grant", "REAUTH")],
)
async def test_a_renewal_that_failed_is_final_only_where_tiktok_says_so(there: Far, fault: str, kind: str) -> None:
    tokens = there.grant().tokens
    there.world.order("tiktok.token", fault)
    with pytest.raises(PlatformError) as caught:
        await there.login.refresh(APP, tokens)
    assert caught.value.kind == kind
    assert (await there.login.refresh(APP, tokens)).access_token


async def test_a_renewal_whose_answer_was_lost_has_killed_the_token(there: Far) -> None:
    tokens = there.grant().tokens
    there.world.order("tiktok.token", "lost_answer")
    with pytest.raises(PlatformError):
        await there.login.refresh(APP, tokens)
    with pytest.raises(PlatformError) as caught:
        await there.login.refresh(APP, tokens)
    assert caught.value.kind == "REAUTH"


async def test_a_renewal_keeps_what_the_answer_does_not_bring(there: Far) -> None:
    there.transport.instead += [httpx.Response(200, json={"access_token": "act.new", "expires_in": "7200"})]
    before = Tokens(access_token="old", refresh_token="rft.old", scopes=("video.upload",), extra={"open_id": "x"})
    after = await there.login.refresh(APP, before)
    assert after == Tokens(
        access_token="act.new",
        refresh_token="rft.old",
        expires_in_s=7200,
        scopes=("video.upload",),
        extra={"open_id": "x"},
    )


async def test_a_token_is_good_for_two_hours(there: Far) -> None:
    grant = there.grant()
    there.wall.pass_s(7199)
    assert (await there.call(grant, CREATOR)).status == 200
    there.wall.pass_s(1)
    assert code_of(await there.call(grant, CREATOR)) == (401, "access_token_invalid")
    assert code_of(await there.call(None, CREATOR)) == (401, "access_token_invalid")


# creator_info


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


# init


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
@pytest.mark.parametrize(("size", "chunk", "count", "now", "before"), STRICT_OR_LAX)
async def test_failure_5_chunk_plans_are_checked_as_now_or_as_before(
    size: int, chunk: int, count: int, now: bool, before: bool, strict: bool
) -> None:
    """platforms.md 6, 5: "The chunk size is invalid" above 64 MB since August 2026."""
    there = far(rules=Rules(strict=strict))
    answer = await there.call(there.grant(), INIT, body(size, chunk, count))
    taken = now if strict else before
    assert code_of(answer) == ((200, "ok") if taken else (400, "invalid_params"))
    if (size, strict) == (66_259_900, True) and not taken:
        assert answer.json()["error"]["message"] == "The chunk size is invalid"


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


# windows and caps


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


# the upload address


async def chunked(there: Far, grant: Held) -> tuple[dict[str, str], bytes]:
    """An upload of 25 kB in chunks of 10, 15: what init would not take is set afterwards."""
    data = clip_of(25_000)
    made = await begun(there, grant, size=25_000)
    upload = there.sim.uploads[made["publish_id"]]
    upload.chunk_size, upload.count = 10_000, 2
    return made, data


async def test_chunks_are_answered_with_206_and_201(there: Far) -> None:
    grant = there.grant()
    made, data = await chunked(there, grant)
    first = await put(there, made, data[:10_000], "bytes 0-9999/25000")
    assert (first.status, first.headers["Content-Range"], first.body) == (206, "bytes 0-9999/25000", b"")
    assert (await status(there, grant, made))["uploaded_bytes"] == 10_000
    assert (await put(there, made, data[10_000:], "bytes 10000-24999/25000")).status == 201
    assert (await status(there, grant, made))["uploaded_bytes"] == 25_000


@pytest.mark.parametrize(
    ("span", "length", "more", "answered"),
    [
        ("bytes 10000-24999/25000", 15_000, {}, 416),
        ("bytes 0-19999/25000", 20_000, {}, 400),  # no chunk ends there
        ("bytes 0-9999/25001", 10_000, {}, 400),
        ("bytes 0-9998/25000", 10_000, {}, 400),
        ("bytes 9999-0/25000", 10_000, {}, 400),
        ("octets 0-9999/25000", 10_000, {}, 400),
        ("bytes 0-9999/25000", 10_000, {"mime": "application/octet-stream"}, 400),
        ("bytes 0-9999/25000", 10_000, {"Authorization": "Bearer x"}, 400),
    ],
)
async def test_a_chunk_that_does_not_fit_is_refused(
    there: Far, span: str, length: int, more: dict[str, str], answered: int
) -> None:
    grant = there.grant()
    made, data = await chunked(there, grant)
    assert (await put(there, made, data[:length], span, **more)).status == answered
    assert (await status(there, grant, made))["uploaded_bytes"] == 0
    assert (await put(there, made, data[:10_000], "bytes 0-9999/25000")).status == 206


async def test_an_address_is_good_for_an_hour_with_its_token(there: Far) -> None:
    made = await begun(there, there.grant())
    assert (await put(there, {"upload_url": made["upload_url"][:-1] + "_"})).status == 403
    stranger = f"{made['upload_url'].partition('?')[0]}?upload_id=1&upload_token=x"
    assert (await put(there, {"upload_url": stranger})).status == 404
    there.wall.pass_s(3600)
    assert (await put(there, made)).status == 403


async def test_what_is_complete_takes_no_more(there: Far) -> None:
    made = await begun(there, there.grant())
    assert (await put(there, made)).status == 201
    assert (await put(there, made)).status == 416
    assert len(there.sim.posts()) == 1


@pytest.mark.parametrize(
    ("fault", "stored"),
    [("reset", 0), ("500", 0), ("html", 0), ("416", 0), ("partial", 5_000), ("lost_answer", 10_000)],
)
async def test_a_chunk_can_fail_in_each_way(there: Far, fault: str, stored: int) -> None:
    grant = there.grant()
    made, data = await chunked(there, grant)
    there.world.order("tiktok.put", fault)
    if fault in ("reset", "lost_answer"):
        with pytest.raises(PlatformError):
            await put(there, made, data[:10_000], "bytes 0-9999/25000")
    else:
        answer = await put(there, made, data[:10_000], "bytes 0-9999/25000")
        assert answer.status == {"html": 502, "partial": 206}.get(fault) or int(fault)
    assert (await status(there, grant, made))["uploaded_bytes"] == stored
    rest = data[stored:10_000]
    if rest:
        answer = await put(there, made, rest, f"bytes {stored}-9999/25000")
        assert answer.headers["Content-Range"] == "bytes 0-9999/25000"
    await put(there, made, data[10_000:], "bytes 10000-24999/25000")
    [posted] = there.sim.posts()
    assert posted.sha256 == there.sim.uploads[made["publish_id"]].inspection.sha256


@pytest.mark.parametrize(("fault", "answered"), [("403", 403), ("404", 404)])
async def test_an_address_can_die(there: Far, fault: str, answered: int) -> None:
    made = await begun(there, there.grant())
    there.world.order("tiktok.put", fault)
    assert [(await put(there, made)).status for _ in range(2)] == [answered, answered]


# status


async def test_a_public_post_goes_through_its_stations_by_the_clock(there: Far) -> None:
    grant = there.grant()
    made = await begun(there, grant, privacy="PUBLIC_TO_EVERYONE")
    await put(there, made)
    size = len(CLIP)
    assert await status(there, grant, made) == {"status": "PROCESSING_UPLOAD", "uploaded_bytes": size}
    there.wall.pass_s(5)
    assert await status(there, grant, made) == {"status": "PUBLISH_COMPLETE", "uploaded_bytes": size}
    there.wall.pass_s(60)
    told = await status(there, grant, made)
    [post_id] = told.pop("publicaly_available_post_id")
    assert told == {"status": "PUBLISH_COMPLETE", "uploaded_bytes": size}
    assert isinstance(post_id, int)
    assert 2**53 < post_id < 2**63
    assert str(post_id) == there.sim.posts()[0].remote_id


async def test_an_id_goes_over_the_wire_as_a_number_of_64_bits(there: Far) -> None:
    grant = there.grant()
    made = await begun(there, grant, privacy="PUBLIC_TO_EVERYONE")
    await put(there, made)
    there.sim.uploads[made["publish_id"]].post_id = 7_400_000_000_000_000_001
    there.wall.pass_s(60)
    answer = await there.call(grant, STATUS, {"publish_id": made["publish_id"]})
    assert b'"publicaly_available_post_id":[7400000000000000001]' in answer.body
    assert json.loads(answer.body)["data"]["publicaly_available_post_id"] == [7400000000000000001]


async def test_a_draft_goes_to_the_inbox_and_is_finished_by_its_owner(there: Far) -> None:
    grant = there.grant(DRAFT, scopes=("video.upload",))
    made = await begun(there, grant, INBOX)
    await put(there, made)
    there.wall.pass_s(60)
    assert (await status(there, grant, made))["status"] == "SEND_TO_USER_INBOX"
    there.sim.finish(made["publish_id"])
    assert (await status(there, grant, made))["status"] == "PUBLISH_COMPLETE"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no video at all", "file_format_check_failed"),
        (clip(video=b"av01"), "file_format_check_failed"),
        (clip(seconds=61), "duration_check_failed"),
        (clip(fps=15), "frame_rate_check_failed"),
        (clip(width=200), "picture_size_check_failed"),
    ],
)
async def test_a_file_is_looked_at_and_its_failure_comes_inside_ok(there: Far, data: bytes, reason: str) -> None:
    there.creator().longest_s = 60
    grant = there.grant()
    made = await begun(there, grant, size=len(data))
    assert (await put(there, made, data)).status == 201
    there.wall.pass_s(60)
    told = await status(there, grant, made)
    assert (told["status"], told["fail_reason"]) == ("FAILED", reason)
    assert there.sim.posts() == []


async def test_an_id_that_is_not_known_and_one_of_another(there: Far) -> None:
    made = await begun(there, there.grant())
    none = await there.call(there.grant(), STATUS, {"publish_id": "v_pub_file~v2-1.0"})
    assert code_of(none) == (400, "invalid_publish_id")
    other = await there.call(there.grant(private=True), STATUS, {"publish_id": made["publish_id"]})
    assert code_of(other) == (400, "token_not_authorized_for_specified_publish_id")


async def test_processing_can_be_slow_stuck_or_late_with_the_id(there: Far) -> None:
    grant, made = there.grant(), list[dict[str, str]]()
    for fault in (Fault("slow", 300), Fault("stuck"), Fault("late_id", 300)):
        there.world.order("tiktok.processing", fault)
        made.append(await begun(there, grant, privacy="PUBLIC_TO_EVERYONE"))
        await put(there, made[-1])
    seen = []
    for seconds in (0, 60, 300, 3600):
        there.wall.pass_s(seconds)
        told = [await status(there, grant, one) for one in made]
        seen.append([one["status"] + " with id" * ("publicaly_available_post_id" in one) for one in told])
    running, complete, known = "PROCESSING_UPLOAD", "PUBLISH_COMPLETE", "PUBLISH_COMPLETE with id"
    assert seen == [
        [running, running, running],
        [running, running, complete],
        [known, running, known],
        [known, running, known],
    ]


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


# faults


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
