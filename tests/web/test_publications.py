"""Publications over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tests.web.conftest import Live
from tests.web.made import complete, now_ms
from vidprod.domain.account import Account, AccountSettings, Platform
from vidprod.domain.ids import new_id
from vidprod.domain.post import Wording
from vidprod.domain.publication import PublicationError, Wait
from vidprod.domain.user import OWNER_ID
from vidprod.store.sqlite import Tables

NOBODY = "pub_" + "0" * 26
SLOTS = AccountSettings(zone="Europe/Paris", slots=["daily 12:00, 18:00"])
SHA = "ab" * 32


def soon(**delta: float) -> str:
    return (datetime.now(UTC) + timedelta(**delta)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def connect(live: Live, settings: AccountSettings = SLOTS, *, platform: Platform = "youtube") -> str:
    account = Account(
        id=new_id("acc", now=now_ms()),
        platform=platform,
        external_id=new_id("x", now=now_ms()),
        name="My channel",
        state="connected",
        settings=settings,
        connected_at=now_ms(),
    )
    await live.store.write(lambda db: db.accounts.add(account, b"sealed"))
    return account.id


async def ready(live: Live, *, segments: int = 1) -> list[str]:
    return await complete(live, await live.upload(filename="my_talk.mov", publish="none"), segments=segments)


async def ask(live: Live, method: str, path: str, *, status: int = 200, **body: Any) -> Any:
    answer = await live.client.request(method, path, json=body or None)
    assert answer.status_code == status, answer.text
    return answer.json()


async def plan(live: Live, segment_id: str, account_id: str, *, status: int = 201, **more: Any) -> Any:
    return await ask(
        live, "POST", "/v1/publications", status=status, segment_id=segment_id, account_id=account_id, **more
    )


async def planned(live: Live, settings: AccountSettings = SLOTS, **more: Any) -> Any:
    """One publication, of one segment, to one account."""
    (segment_id,) = await ready(live)
    return await plan(live, segment_id, await connect(live, settings), **more)


async def begin(live: Live, publication_id: str) -> None:
    await live.store.write(
        lambda db: db.publications.begin(db.publications.get(publication_id), sha256=SHA, size=1, now=now_ms())
    )


async def reject(live: Live, publication_id: str) -> None:
    error = PublicationError(
        at=now_ms(), step="begin", kind="FIX", code="invalidTitle", message="The title is bad.", trace="log1"
    )
    await live.store.write(lambda db: db.publications.reject(db.publications.get(publication_id), error))


async def events(live: Live) -> list[str]:
    found = await live.store.read(lambda db: db.events.after(0))
    return [event.type for event in found if event.type.startswith("publication.")]


async def test_a_segment_is_planned_for_an_account(live: Live) -> None:
    (segment_id,) = await ready(live)
    account_id = await connect(live)
    publication = await plan(live, segment_id, account_id, wording={"caption": "Part {n}", "hashtags": ["#talk"]})
    assert publication["state"] == "scheduled"
    assert (publication["when"], publication["due_at"]) == ("slot", publication["run_at"])
    assert publication["due_at"].endswith(":00:00.000Z")
    assert (publication["segment_index"], publication["filename"]) == (0, "my_talk.mov")
    assert (publication["account_name"], publication["platform"]) == ("My channel", "youtube")
    post = publication["post"]
    assert (post["title"], post["caption"], post["hashtags"]) == ("my talk", "Part 1", ["talk"])
    assert publication["retry_at"] is None
    assert await ask(live, "GET", f"/v1/publications/{publication['id']}") == publication
    assert await events(live) == ["publication.scheduled"]


async def test_an_upload_names_where_its_segments_go(live: Live) -> None:
    account_id = await connect(live)
    at = soon(days=3)
    job_id = await live.upload(publish=account_id, publish_when=at, title="My talk", privacy="unlisted")
    job = await ask(live, "GET", f"/status/{job_id}")
    (target,) = job["targets"]
    assert (target["account_id"], target["when"], target["wording"]["title"]) == (account_id, at, "My talk")


async def test_an_upload_without_a_word_goes_to_the_automatic_accounts(live: Live) -> None:
    await connect(live)
    automatic = await connect(live, AccountSettings(automatic=True))
    for job_id, expected in ((await live.upload(), [automatic]), (await live.upload(publish="none"), [])):
        job = await ask(live, "GET", f"/status/{job_id}")
        assert [target["account_id"] for target in job["targets"]] == expected


async def test_an_upload_to_nowhere_is_refused_before_its_bytes(live: Live) -> None:
    account_id = await connect(live)
    await live.store.write(lambda db: db.accounts.disconnect(account_id))
    nobody = "acc_" + "0" * 26
    answer = await live.client.put("/upload", params={"publish": f"{nobody},{account_id}"}, content=b"no video at all")
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_target")
    assert nobody in answer.json()["detail"]
    assert "My channel" in answer.json()["detail"]
    answer = await live.client.post("/upload", data={"publish": nobody}, files={"file": ("a.mp4", b"no video")})
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_target")
    answer = await live.client.put("/upload", params={"publish_when": "soon", "segment_s": "1"}, content=b"no video")
    assert answer.status_code == 422
    for name in ("publish_when", "segment_s"):
        assert name in answer.json()["detail"]


async def test_what_cannot_be_planned_says_why(live: Live) -> None:
    (segment_id,) = await ready(live)
    account_id = await connect(live)
    wanted: list[tuple[dict[str, Any], int, str]] = [
        ({"when": "soon"}, 422, "bad_target"),
        ({"when": "2020-01-01T00:00:00Z"}, 422, "bad_target"),
        ({"wording": {"title": "{titel}"}}, 422, "bad_wording"),
        ({"wording": {"title": "a < b"}}, 422, "bad_post"),
        ({"wording": {"title": "x" * 101}}, 422, "bad_post"),
        ({"wording": {"privacy": "friends"}}, 422, "bad_post"),
        ({"wording": {"nonsense": 1}}, 422, "bad_body"),
        ({"segment_id": "seg_" + "0" * 26}, 404, "not_found"),
        ({"account_id": "acc_" + "0" * 26}, 404, "not_found"),
        ({"account_id": "x"}, 404, "not_found"),
    ]
    for asked, status, code in wanted:
        body = {"segment_id": segment_id, "account_id": account_id} | asked
        refused = await ask(live, "POST", "/v1/publications", status=status, **body)
        assert refused["code"] == code, asked
    assert await events(live) == []


async def test_a_segment_goes_to_an_account_once(live: Live) -> None:
    first = await planned(live)
    again = await plan(live, first["segment_id"], first["account_id"], status=409)
    assert again["code"] == "planned_already"
    await ask(live, "POST", f"/v1/publications/{first['id']}/cancel")
    assert (await plan(live, first["segment_id"], first["account_id"]))["due_at"] == first["due_at"]


async def test_another_time(live: Live) -> None:
    first = await planned(live)
    at = soon(days=30)
    path = f"/v1/publications/{first['id']}"
    moved = await ask(live, "PATCH", path, when=at)
    assert (moved["due_at"], moved["when"]) == (at, "at")
    assert (await ask(live, "PATCH", path, when="slot"))["due_at"] == first["due_at"]
    assert (await ask(live, "PATCH", path, when="now"))["when"] == "now"
    assert (await ask(live, "PATCH", path, status=422, when="2020-01-01T00:00:00Z"))["code"] == "bad_target"
    assert await events(live) == ["publication.scheduled", *["publication.changed"] * 3]


async def test_without_slots_there_is_no_next_one(live: Live) -> None:
    first = await planned(live, AccountSettings(), when=soon(days=1))
    refused = await ask(live, "PATCH", f"/v1/publications/{first['id']}", status=422, when="slot")
    assert refused["code"] == "bad_slot"


async def test_other_words_are_taken_to_the_letter(live: Live) -> None:
    first = await planned(live, wording={"caption": "before"})
    path = f"/v1/publications/{first['id']}"
    wording = {"title": "{n} of {{3}}", "hashtags": ["#new", "c"], "synthetic": True}
    post = (await ask(live, "PATCH", path, wording=wording))["post"]
    assert (post["title"], post["caption"], post["hashtags"]) == ("{n} of {{3}}", "before", ["new", "c"])
    assert (post["synthetic"], post["synthetic_reason"]) == (True, "as asked")
    whole = (await ask(live, "PATCH", path, post={**post, "caption": "{}", "privacy": "private"}))["post"]
    assert (whole["caption"], whole["privacy"], whole["title"]) == ("{}", "private", "{n} of {{3}}")


async def test_words_that_the_platform_would_refuse_are_refused_here(live: Live) -> None:
    first = await planned(live)
    path = f"/v1/publications/{first['id']}"
    refused = await ask(live, "PATCH", path, status=422, wording={"title": "<b>", "caption": "x" * 5001})
    assert refused["code"] == "bad_post"
    assert "5,001 UTF-8 bytes" in refused["detail"]
    assert (await ask(live, "GET", path))["post"] == first["post"]
    assert (await ask(live, "PATCH", path, status=422))["code"] == "bad_body"


async def test_approval_is_waited_for_and_lost_with_other_words(live: Live) -> None:
    first = await planned(live, msgspec.structs.replace(SLOTS, approve=True))
    assert first["needs_approval"]
    path = f"/v1/publications/{first['id']}"
    approved = await ask(live, "POST", f"{path}/approve")
    assert approved["approved_at"]
    assert (await ask(live, "POST", f"{path}/approve"))["approved_at"] == approved["approved_at"]
    assert (await ask(live, "PATCH", path, wording={"title": "Other"}))["approved_at"] is None
    assert (await events(live)).count("publication.approved") == 1


async def test_whoever_publishes_now_approves(live: Live) -> None:
    first = await planned(live, msgspec.structs.replace(SLOTS, approve=True))
    now = await ask(live, "POST", f"/v1/publications/{first['id']}/publish")
    assert now["approved_at"]
    assert (now["when"], now["due_at"] <= soon()) == ("now", True)


async def test_what_was_missed_is_published_by_hand_or_given_another_time(live: Live) -> None:
    first = await planned(live)

    def miss(db: Tables) -> None:
        db.publications.miss(db.publications.get(first["id"]), now=now_ms())

    path = f"/v1/publications/{first['id']}"
    await live.store.write(miss)
    missed = await ask(live, "GET", path)
    assert missed["missed_at"]
    assert (missed["wait"]["code"], missed["retry_at"]) == ("missed", None)
    now = await ask(live, "POST", f"{path}/publish")
    assert (now["missed_at"], now["wait"], now["due_at"] <= soon()) == (None, None, True)
    await live.store.write(miss)
    moved = await ask(live, "PATCH", path, when="slot")
    assert (moved["missed_at"], moved["due_at"]) == (None, first["due_at"])


async def test_a_cancelled_one_is_over(live: Live) -> None:
    first = await planned(live)
    path = f"/v1/publications/{first['id']}"
    assert (await ask(live, "POST", f"{path}/cancel"))["state"] == "cancelled"
    for what in ("cancel", "approve", "retry", "check", "publish"):
        assert (await ask(live, "POST", f"{path}/{what}", status=409))["code"] == "conflict"
    assert await events(live) == ["publication.scheduled", "publication.cancelled"]


async def test_who_says_what_they_saw_is_in_the_receipt(live: Live) -> None:
    first = await planned(live)
    path = f"/v1/publications/{first['id']}"
    await begin(live, first["id"])

    def unknown(db: Tables) -> None:
        sending = db.publications.sending(db.publications.begun(db.publications.get(first["id"]), b"handle"))
        db.publications.unknown(sending, Wait(code="unknown", message="nobody knows"), run_at=now_ms())

    await live.store.write(unknown)
    await ask(live, "POST", f"{path}/settle", status=400, url="https://example.com/x")
    await ask(live, "POST", f"{path}/settle", status=422)  # nothing said is no "no"
    seen = await ask(live, "POST", f"{path}/settle", url="https://youtu.be/abc")
    assert (seen["state"], seen["url"]) == ("published", "https://youtu.be/abc")
    assert (await ask(live, "GET", f"{path}/receipt"))["body"]["settled"]["by"] == OWNER_ID
    await ask(live, "POST", f"{path}/settle", status=409, url=None)


async def test_a_rejected_one_shows_the_platforms_words_and_is_tried_anew_in_others(live: Live) -> None:
    first = await planned(live)
    path = f"/v1/publications/{first['id']}"
    await reject(live, first["id"])
    rejected = await ask(live, "GET", path)
    (error,) = rejected["errors"]
    assert (error["code"], error["message"], error["trace"]) == ("invalidTitle", "The title is bad.", "log1")
    assert error["at"].endswith("Z")
    retried = await ask(live, "POST", f"{path}/retry", wording={"title": "Better"})
    assert (retried["state"], retried["post"]["title"], retried["finalized_at"]) == ("scheduled", "Better", None)


async def test_what_is_on_its_way_is_not_moved(live: Live) -> None:
    first = await planned(live)
    await begin(live, first["id"])
    path = f"/v1/publications/{first['id']}"
    assert (await ask(live, "PATCH", path, status=409, when="now"))["code"] == "conflict"
    assert (await ask(live, "POST", f"{path}/publish", status=409))["code"] == "conflict"


async def test_a_list_is_read_in_pages(live: Live) -> None:
    account_id = await connect(live)
    segments = await ready(live, segments=3)
    ids = [(await plan(live, segment_id, account_id))["id"] for segment_id in segments]
    await ask(live, "POST", f"/v1/publications/{ids[0]}/cancel")

    async def listed(**query: Any) -> list[str]:
        answer = await live.client.get("/v1/publications", params=query)
        assert answer.status_code == 200, answer.text
        return [one["id"] for one in answer.json()["publications"]]

    assert await listed() == ids[::-1]
    page = (await live.client.get("/v1/publications", params={"limit": 2})).json()
    assert await listed(cursor=page["next_cursor"]) == ids[:1]
    assert await listed(state="cancelled,rejected") == ids[:1]
    assert await listed(segment=segments[1]) == ids[1:2]
    assert await listed(account=account_id, to=soon()) == []
    assert len(await listed(**{"from": soon()})) == 3
    other = await connect(live)
    assert await listed(account=other) == []


async def test_a_list_that_cannot_be_read_says_why(live: Live) -> None:
    queries = ({"state": "nonsense"}, {"cursor": "x"}, {"limit": "0"}, {"from": "today"}, {"to": "2026-01-01T00:00"})
    for query in queries:
        answer = await live.client.get("/v1/publications", params=query)
        assert answer.status_code in (400, 422)
        (name,) = query
        assert name in answer.json()["detail"]


async def test_what_is_not_there_is_not_found(live: Live) -> None:
    for path in (NOBODY, "x", f"{NOBODY}/receipt"):
        assert (await ask(live, "GET", f"/v1/publications/{path}", status=404))["code"] == "not_found"


async def test_the_calendar_has_days_of_its_zone(live: Live) -> None:
    account_id = await connect(live)
    one, two, three, four = await ready(live, segments=4)
    day = (datetime.now(UTC) + timedelta(days=10)).date()
    await plan(live, one, account_id, when=f"{day}T23:30:00Z")  # the next day in Paris
    late = await plan(live, two, account_id, when=f"{day}T23:45:00Z")
    await plan(live, three, account_id, when=f"{day}T10:00:00Z")
    far = await plan(live, four, account_id, when=f"{day + timedelta(days=60)}T10:00:00Z")
    await ask(live, "POST", f"/v1/publications/{late['id']}/cancel")
    calendar = await ask(live, "GET", "/v1/calendar")
    assert calendar["zone"] == "Europe/Paris"
    assert [(found["date"], len(found["publications"])) for found in calendar["days"]] == [
        (f"{day}", 1),
        (f"{day + timedelta(days=1)}", 1),
    ]
    utc = (await live.client.get("/v1/calendar", params={"zone": "UTC", "from": f"{day}T00:00:00Z"})).json()
    assert [len(found["publications"]) for found in utc["days"]] == [2]
    span = {"from": f"{day}T12:00:00Z", "to": f"{day + timedelta(days=90)}T00:00:00Z"}
    found = (await live.client.get("/v1/calendar", params=span)).json()["days"]
    assert found[-1]["publications"] == [await ask(live, "GET", f"/v1/publications/{far['id']}")]


async def test_a_calendar_of_centuries_is_refused(live: Live) -> None:
    assert (await ask(live, "GET", "/v1/calendar"))["days"] == []
    for query in ({"to": "2999-01-01T00:00:00Z"}, {"zone": "Mars/Olympus"}, {"from": "now"}):
        assert (await live.client.get("/v1/calendar", params=query)).status_code in (400, 422)


async def test_a_preview_counts_as_the_platform_does_and_plans_nothing(live: Live) -> None:
    (segment_id,) = await ready(live)
    wording = Wording(caption="{title} by the account", hashtags=["a", "b"])
    account_id = await connect(live, AccountSettings(wording=wording), platform="instagram")
    draft: dict[str, Any] = {"segment_id": segment_id, "account_id": account_id}
    seen = await ask(live, "POST", "/v1/posts/preview", **draft)
    assert seen["post"]["caption"] == "my talk by the account"
    assert seen["counts"]["caption"] == {
        "used": len("my talk by the account\n\n#a #b"),
        "max": 2200,
        "unit": "characters",
    }
    assert seen["counts"]["hashtags"] == {"used": 2, "max": 5, "unit": "hashtags"}
    assert seen["faults"] == []
    many = await ask(live, "POST", "/v1/posts/preview", **draft, wording={"hashtags": list("abcdef")})
    assert many["faults"] == ["hashtags: 6 hashtags, Instagram takes 5"]
    broken = await ask(live, "POST", "/v1/posts/preview", **draft, wording={"title": "{x}"})
    assert (broken["post"], broken["counts"]) == (None, None)
    assert 'no field "{x}"' in broken["faults"][0]
    example = await ask(live, "POST", "/v1/posts/preview", account_id=account_id, wording={"caption": "{n}/{total}"})
    assert example["post"]["caption"] == "1/12"
    assert await events(live) == []


async def test_a_preview_says_when_a_person_has_to_choose_who_sees_it(live: Live) -> None:
    direct = await connect(live, AccountSettings(delivery="direct"), platform="tiktok")
    draft = await connect(live, platform="tiktok")
    (fault,) = (await ask(live, "POST", "/v1/posts/preview", account_id=direct))["faults"]
    assert fault.startswith("privacy: TikTok wants a person to choose")
    assert (await ask(live, "POST", "/v1/posts/preview", account_id=draft))["faults"] == []


async def test_a_receipt_is_shown_of_what_was_published(live: Live) -> None:
    first = await planned(live)
    receipt = await live.store.write(lambda db: db.receipts.add(first["id"], {"publication": {"id": first["id"]}}))
    shown = await ask(live, "GET", f"/v1/publications/{first['id']}/receipt")
    assert (shown["hash"], shown["body"]) == (receipt.hash, receipt.body)


async def test_other_slots_of_the_account_move_what_is_planned(live: Live) -> None:
    first = await planned(live)
    await ask(live, "PATCH", f"/v1/accounts/{first['account_id']}", zone="Asia/Kolkata")
    moved = await ask(live, "GET", f"/v1/publications/{first['id']}")
    assert moved["due_at"].endswith(":30:00.000Z")  # half an hour beside UTC
    assert await events(live) == ["publication.scheduled", "publication.changed"]


async def test_a_deleted_job_takes_what_was_planned_with_it(live: Live) -> None:
    first = await planned(live)
    assert (await live.client.delete(f"/v1/jobs/{first['job_id']}")).status_code == 204
    gone = await ask(live, "GET", f"/v1/publications/{first['id']}")
    assert (gone["state"], gone["segment_index"], gone["filename"]) == ("cancelled", None, "a deleted take")


async def test_a_job_with_a_segment_on_its_way_is_not_deleted(live: Live) -> None:
    first = await planned(live)

    def send(db: Tables) -> None:
        one = db.publications.begin(db.publications.get(first["id"]), sha256=SHA, size=1, now=now_ms())
        db.publications.sending(db.publications.begun(one, b"handle"))

    await live.store.write(send)
    refused = await ask(live, "DELETE", f"/v1/jobs/{first['job_id']}", status=409)
    assert "on its way to youtube" in refused["detail"]
    assert (await ask(live, "GET", f"/status/{first['job_id']}"))["media_deleted"] is False


async def test_a_filter_that_can_find_nothing_is_told(live: Live) -> None:
    for name in ("account", "job", "segment"):
        told = await ask(live, "GET", f"/v1/publications?{name}=mine", status=404)
        assert told["detail"] == f"There is no {name} 'mine'."
    for path in ("publications", "calendar"):
        told = await ask(live, "GET", f"/v1/{path}?from=2026-12-02T00:00:00Z&to=2026-12-01T00:00:00Z", status=400)
        assert told["detail"] == "to=2026-12-01T00:00:00Z is not after from=2026-12-02T00:00:00Z."


async def test_an_account_is_seen_alone_and_takes_no_gap_that_never_ends(live: Live) -> None:
    path = f"/v1/accounts/{await connect(live)}"
    assert await ask(live, "GET", path) == (await ask(live, "GET", "/v1/accounts"))["accounts"][0]
    assert "no account" in (await ask(live, "GET", "/v1/accounts/mine", status=404))["detail"]
    told = await ask(live, "PATCH", path, gap_s=10**20, status=422)
    assert "gap_s=100000000000000000000: must be" in told["detail"]
    assert (await ask(live, "PATCH", path, slots=["daily 12:00" * 40], status=422))["code"] == "bad_body"
