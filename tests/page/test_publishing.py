"""A segment says where it goes, and is sent on by hand; an upload names its accounts; the page has four parts."""

import re
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.page.conftest import DESK, PHONE, OpenPage
from tests.page.fake_daemon import FakeDaemon
from tests.page.fake_publishing import Refused
from tests.page.test_for_everyone import audit_in_every_way, spoken
from tests.page.test_jobs import finished
from tests.page.test_uploading import Take, pick

DUE = datetime(2026, 11, 20, 17, tzinfo=UTC)


@pytest.fixture
def segments(far: FakeDaemon) -> list[str]:
    job = finished(far, "talk.mov", segments=2)
    return [segment["segment_id"] for segment in far.jobs[job]["segments"]]


def outlets(page: Page, index: int) -> Locator:
    return page.locator(".segment").nth(index).locator(".outlets")


def publish_sheet(page: Page, index: int) -> Locator:
    page.get_by_role("button", name=f"Publish segment {index + 1} of talk.mov").click()
    return page.locator("dialog.sheet[open]")


def test_without_accounts_nothing_of_publishing_is_in_the_way(
    far: FakeDaemon, open_at: OpenPage, segments: list[str]
) -> None:
    page = open_at(far.url)
    expect(page.locator(".segment")).to_have_count(2)
    expect(outlets(page, 0).get_by_role("button")).to_have_count(0)
    page.locator("#options > summary").click()
    expect(page.get_by_label("Publish", exact=True)).to_be_hidden()
    assert far.requests("GET", "/v1/publications") == []


def test_a_segment_says_where_it_goes_and_what_became_of_it(
    far: FakeDaemon, open_at: OpenPage, segments: list[str]
) -> None:
    channel = far.publishing.add_account("My channel")
    insta = far.publishing.add_account("Studio", "instagram")
    mine = far.publishing.plan(segments[0], channel, due=DUE)
    far.publishing.plan(segments[1], insta, due=DUE, state="published", published_at="2026-11-20T17:00:00.000Z")
    page = open_at(far.url, timezone_id="Europe/Paris", locale="en-GB")
    line = outlets(page, 0).locator(".line")
    expect(line).to_contain_text("Fri 20 Nov, 18:00")
    expect(line).to_contain_text("YouTube · My channel")
    expect(line).to_contain_text("Planned")
    expect(outlets(page, 1).locator(".line")).to_contain_text("Published")
    looks = len(far.requests("GET", "/v1/publications/"))
    wait = {"code": "quota", "message": "YouTube takes no more uploads today.", "until": "2026-11-21T08:00:00.000Z"}
    far.publishing.move(mine, "publication.waiting", wait=wait)
    expect(line).to_contain_text("YouTube takes no more uploads today. Until Sat 21 Nov, 09:00.")
    link = {"url": "https://www.youtube.com/shorts/abc", "published_at": "2026-11-20T17:00:30.000Z", "wait": None}
    far.publishing.move(mine, "publication.published", state="published", **link)
    opened = line.get_by_role("link", name="Open on YouTube")
    expect(opened).to_have_attribute("href", "https://www.youtube.com/shorts/abc")
    expect(page.locator("#announcer")).to_contain_text("Segment 1 of talk.mov on YouTube: published.")
    assert len(far.requests("GET", "/v1/publications/")) == looks + 2
    far.publishing.publications[mine]["url"] = "javascript:alert(1)"
    far.publishing.move(mine, "publication.changed")
    expect(opened).to_be_hidden()  # no address of the web
    line.get_by_role("button").click()
    expect(page.get_by_role("link", name="Receipt")).to_have_attribute("href", f"/v1/publications/{mine}/receipt")


def test_a_segment_is_sent_on_by_hand(far: FakeDaemon, on_wednesday: OpenPage, segments: list[str]) -> None:
    channel = far.publishing.add_account("My channel", settings={"zone": "Europe/Paris", "slots": ["Mon-Fri 18:00"]})
    dance = far.publishing.add_account("Dance", "tiktok", settings={"delivery": "direct"})
    far.publishing.choices["stitch"] = False
    page = on_wednesday("takes", size=PHONE)
    sheet = publish_sheet(page, 1)
    expect(sheet.get_by_text("The first free one from Wed 18 Nov, 18:00 on, Europe/Paris.")).to_be_visible()
    expect(sheet.get_by_label("Title")).to_have_value("talk – part 2 of 2")
    sheet.get_by_label("Description").fill("See #part1")
    expect(sheet.get_by_text("10 of 5000 UTF-8 bytes", exact=True)).to_be_visible()
    sheet.get_by_role("button", name="Plan it").click()
    expect(outlets(page, 1).locator(".line")).to_contain_text("My channel")
    sheet = publish_sheet(page, 1)
    expect(sheet.locator("option", has_text="My channel")).to_be_disabled()
    expect(sheet.get_by_label("Account")).to_have_value(dance)
    expect(sheet.get_by_text("privacy: TikTok wants a person to choose who sees it")).to_be_visible()
    expect(sheet.get_by_text("Posted as Dance, @dance. Off in the TikTok app: stitches.")).to_be_visible()
    expect(sheet.get_by_label("Stitches allowed")).to_be_disabled()
    expect(sheet.locator("option", has_text="Followers")).to_be_disabled()
    sheet.get_by_label("Who sees it").select_option("public")
    expect(sheet.get_by_text("privacy: TikTok wants a person")).to_be_hidden()
    expect(sheet.get_by_text("you agree to TikTok\u2019s Music Usage Confirmation.")).to_be_visible()
    sheet.get_by_label("When").select_option("at")
    sheet.get_by_label("Date and time").fill("2026-12-01T18:00")
    far.publishing.refusals["/v1/publications"] = Refused(409, "It goes there already")
    sheet.get_by_role("button", name="Plan it").click()
    expect(sheet.get_by_text("It goes there already")).to_be_visible()
    sheet.get_by_role("button", name="Plan it").click()
    expect(sheet).to_have_count(0)
    made = [body for _, path, body in far.publishing.sent if path == "/v1/publications"]
    at_slot = {"when": "slot", "wording": {"caption": "See #part1"}}
    at_time = {"when": "2026-12-01T18:00:00+00:00", "wording": {"privacy": "public"}}
    assert made == [
        {"segment_id": segments[1], "account_id": channel, **at_slot},
        *[{"segment_id": segments[1], "account_id": dance, **at_time}] * 2,
    ]
    [planned] = [one["id"] for one in far.publishing.publications.values() if one["account_id"] == dance]
    altered = far.publishing.publications[planned]["post"] | {"synthetic": True}
    draft = {"state": "published", "said": "SEND_TO_USER_INBOX", "published_at": "2026-12-01T18:00:30.000Z"}
    far.publishing.move(planned, "publication.published", post=altered, **draft)
    expect(outlets(page, 1).locator(".line", has_text="Dance")).to_contain_text("say there that AI altered it")


def test_who_looked_there_says_what_they_saw(far: FakeDaemon, open_at: OpenPage, segments: list[str]) -> None:
    channel = far.publishing.add_account("My channel")
    for segment in segments:
        far.publishing.plan(segment, channel, due=DUE, state="unknown")
    page = open_at(far.url)
    for index, words in enumerate(["It is there", "It is not there"]):
        outlets(page, index).locator(".line-main").click()
        page.locator("dialog.sheet[open]").get_by_role("button", name="I looked there").click()
        sheet = page.locator("dialog.sheet[open]").last
        expect(sheet).to_contain_text(f"Is Segment {index + 1} of talk.mov on YouTube?")
        if index == 0:
            assert audit_in_every_way(page) == [{}] * 4
            sheet.get_by_label("Its address there").fill("https://youtu.be/abc")
        sheet.get_by_role("button", name=words, exact=True).click()
        expect(page.locator("dialog.sheet[open]")).to_have_count(1)
        page.keyboard.press("Escape")
    expect(outlets(page, 0).locator(".line")).to_contain_text("Published")
    expect(outlets(page, 1).locator(".line")).to_contain_text("Rejected")
    assert [one["url"] for one in far.publishing.publications.values()] == ["https://youtu.be/abc", None]


def test_an_upload_says_where_its_segments_go(far: FakeDaemon, open_at: OpenPage, take: Take) -> None:
    channel = far.publishing.add_account("My channel", settings={"automatic": True})
    dance = far.publishing.add_account("Dance", "tiktok")
    page = open_at(far.url, timezone_id="Europe/Paris")

    def sent(name: str) -> dict[str, str]:
        pick(page, take(name))
        expect(page.get_by_role("heading", name=name)).to_be_visible()
        return next(put.query for put in far.requests("PUT", "/upload") if put.query["filename"] == name)

    page.locator("#options > summary").click()
    expect(page.get_by_text("To My channel, YouTube.")).to_be_visible()
    assert sent("one.mp4").keys() == {"filename"}
    where = page.get_by_label("Publish", exact=True)
    where.select_option("none")
    assert sent("two.mp4")["publish"] == "none"
    where.select_option("chosen")
    assert sent("three.mp4")["publish"] == "none"  # no account is chosen
    page.get_by_label("My channel, YouTube").check()
    page.get_by_label("Dance, TikTok").check()
    page.get_by_label("When it goes out").select_option("at")
    page.get_by_label("From", exact=True).fill("2026-12-01T18:00")
    page.get_by_label("Title").fill("{title}!")
    page.get_by_label("Hashtags").fill("#one #two")
    asked = sent("four.mp4")
    assert asked.pop("publish").split(",") == [channel, dance]
    when = {"publish_when": "2026-12-01T18:00:00+01:00"}
    assert asked == {"filename": "four.mp4", **when, "title": "{title}!", "hashtags": "#one #two"}
    page.reload()
    page.locator("#options > summary").click()
    expect(where).to_have_value("automatic")  # what is published by a choice of yesterday is published by accident


def test_the_four_parts_have_addresses_and_the_way_back(far: FakeDaemon, open_at: OpenPage) -> None:
    page = open_at(far.url)
    tabs = page.get_by_role("navigation", name="Pages")
    for name in ("Calendar", "Accounts", "Webhooks"):
        tabs.get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", name=name, exact=True, level=1)).to_be_focused()
        expect(page).to_have_url(f"{far.url}/#{name.lower()}")
        expect(page).to_have_title(f"{name} · VidProd")
        expect(tabs.locator("[aria-current=page]")).to_have_text(re.compile(name))
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
    page.go_back()
    expect(page.get_by_role("heading", name="Accounts", exact=True)).to_be_visible()
    skip = page.get_by_role("link", name="Skip to your accounts")
    skip.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Accounts", exact=True)).to_be_focused()
    expect(page).to_have_url(f"{far.url}/#accounts")


def test_nothing_jumps_while_a_part_fills(far: FakeDaemon, open_at: OpenPage, segments: list[str]) -> None:
    channel = far.publishing.add_account("My channel")
    far.publishing.plan(segments[0], channel, due=DUE, state="unknown")
    far.publishing.add_endpoint("https://example.com/hook")
    for view in ("takes", "calendar", "accounts", "webhooks"):
        page = open_at(far.url, view=view)
        shifted = page.evaluate(
            """() => new Promise((done) => {
              const sum = (list) => done(list.getEntries().reduce((all, entry) => all + entry.value, 0));
              new PerformanceObserver(sum).observe({ type: "layout-shift", buffered: true });
              setTimeout(() => done(0), 200);
            })"""
        )
        assert shifted < 0.02, view


def test_what_has_the_focus_is_not_below_the_tabs(far: FakeDaemon, open_at: OpenPage, segments: list[str]) -> None:
    """WCAG 2.2, 2.4.11."""
    far.publishing.add_account("My channel")
    page = open_at(far.url)
    expect(outlets(page, 1).get_by_role("button", name="Publish")).to_be_visible()
    page.locator("#choose").focus()
    for _ in range(16):
        page.keyboard.press("Tab")
        hidden = page.evaluate(
            """() => {
              const bar = document.querySelector(".tabs").getBoundingClientRect();
              const box = document.activeElement.getBoundingClientRect();
              return !document.activeElement.closest(".tabs") && box.top >= bar.top && box.bottom <= innerHeight;
            }"""
        )
        assert not hidden


def test_publishing_is_for_everyone(far: FakeDaemon, open_at: OpenPage, segments: list[str]) -> None:
    channel = far.publishing.add_account("My channel", settings={"slots": ["daily 9:00"]})
    dance = far.publishing.add_account("a-name-without-any-break-" * 3, "tiktok")
    url = "https://www.youtube.com/shorts/abc"
    done = {"state": "published", "published_at": "2026-11-20T17:00:00.000Z", "url": url}
    far.publishing.plan(segments[0], channel, due=DUE, **done)
    far.publishing.plan(segments[0], dance, due=DUE, state="unknown")
    page = open_at(far.url, size=DESK, reduced_motion="reduce")
    expect(outlets(page, 0).locator(".line")).to_have_count(2)
    page.locator("#options > summary").click()
    page.get_by_label("Publish", exact=True).select_option("chosen")
    page.get_by_label("When it goes out").select_option("at")
    assert audit_in_every_way(page) == [{}] * 4
    controls = [one for one in spoken(page) if one[0] in {"button", "link", "textbox", "combobox", "checkbox"}]
    assert sorted({one for one in controls if controls.count(one) > 1 or not one[1]}) == []
    sheet = publish_sheet(page, 1)
    expect(sheet.get_by_text("of 5000 UTF-8 bytes")).to_be_visible()
    assert audit_in_every_way(page) == [{}] * 4
    controls = [one for one in spoken(page) if one[0] in {"button", "textbox", "combobox", "checkbox"}]
    assert sorted({one for one in controls if controls.count(one) > 1 or not one[1]}) == []
