"""Accounts on the page: connected and back, said in words, set while typing, paused one by one and all at once."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from playwright.sync_api import Locator, Page, expect

from tests.page.conftest import DESK, OpenPage
from tests.page.fake_daemon import FakeDaemon
from tests.page.fake_publishing import Refused
from tests.page.test_for_everyone import audit_in_every_way, spoken
from vidprod.domain.schedule import next_slots, parse_slots


def card(page: Page, name: str) -> Locator:
    return page.locator("[data-account]", has=page.get_by_role("heading", name=name))


def settings_of(page: Page, name: str) -> Locator:
    shown = card(page, name)
    shown.locator(".fold-summary").click()
    expect(shown.get_by_role("button", name="Save the settings")).to_be_visible()
    return shown


def last_patch(far: FakeDaemon) -> Any:
    """What was last changed. A preview that the typing asked for may come after it."""
    return [body for method, _, body in far.publishing.sent if method == "PATCH"][-1]


def test_connecting_leads_to_the_platform_and_back_to_how_it_ended(far: FakeDaemon, open_at: OpenPage) -> None:
    page = open_at(far.url, view="accounts")
    expect(page.get_by_text("Set instagram_app_id and instagram_app_secret.")).to_be_visible()
    far.publishing.add_account("My channel")
    far.publishing.away = f"{far.url}/?back#accounts"
    page.get_by_role("button", name="Connect YouTube").click()
    expect(page.locator("#accounts-outcome")).to_have_text("Connected: My channel, YouTube.")  # it is announced, too
    expect(card(page, "My channel").get_by_text("Connected", exact=True)).to_be_visible()
    far.publishing.away = f"{far.url}/?again#accounts"
    page.get_by_label("Allow posting directly").check()
    page.get_by_role("button", name="Connect TikTok").click()
    expect(page.locator("#accounts-outcome")).to_contain_text("TikTok was not connected.")
    asked = [body for _, path, body in far.publishing.sent if path.endswith("/connect")]
    assert asked == [{"platform": "youtube", "flavour": ""}, {"platform": "tiktok", "flavour": "", "direct": True}]


def test_an_account_says_in_words_how_it_is(far: FakeDaemon, open_at: OpenPage) -> None:
    notice = "This Google project is not audited: uploads will be private."
    mine = far.publishing.add_account("My channel", notices=[notice])
    far.publishing.add_account("Dance", "tiktok", refresh_expires_at="2031-03-02T12:00:00.000Z")
    page = open_at(far.url, view="accounts")
    expect(card(page, "My channel").get_by_text("Connected until you end it here or at YouTube.")).to_be_visible()
    expect(card(page, "My channel").get_by_text(notice)).to_be_visible()
    expect(card(page, "Dance").get_by_text("Connected until Mar 2, 2031")).to_be_visible()
    far.publishing.change_account(mine, "account.needs_reauth", state="needs_reauth", fault="Google took it back.")
    expect(card(page, "My channel").get_by_text("It needs to be connected again")).to_be_visible()
    expect(card(page, "My channel").get_by_text("Google took it back.")).to_be_visible()
    expect(page.locator("#announcer")).to_contain_text("My channel on YouTube needs to be connected again.")
    expect(page.get_by_role("link", name="Accounts 1 to be connected again")).to_be_visible()


def test_slots_are_read_while_they_are_typed_and_only_changes_are_sent(far: FakeDaemon, on_wednesday: OpenPage) -> None:
    far.publishing.add_account("My channel", settings={"zone": "Europe/Paris", "gap_s": 600})
    far.publishing.add_account("New", "instagram")
    page = on_wednesday("accounts")
    expect(settings_of(page, "New").get_by_label("Time zone")).to_have_value("Europe/Paris")  # of who types slots
    form = settings_of(page, "My channel")
    slots, next_times = form.get_by_label("Weekly slots"), form.locator("[data-wrong]")
    expect(next_times).to_have_text("No slots: a segment goes out at once when it is ready.")
    slots.fill("Mon-Fri 12:00, 18:00")
    expect(next_times).to_have_text("Next: Wed 18 Nov, 12:00 · Wed 18 Nov, 18:00 · Thu 19 Nov, 12:00")
    form.get_by_label("Time zone").fill("Asia/Tokyo")
    expect(next_times).to_have_text("Next: Thu 19 Nov, 12:00 · Thu 19 Nov, 18:00 · Fri 20 Nov, 12:00")
    expect(form.get_by_role("button", name="Use Europe/Paris")).to_be_visible()
    slots.fill("Mo 12:00")
    expect(next_times).to_contain_text("“Mo” is no day")
    slots.fill("daily 9:00\nSat 10:30")
    form.get_by_label("Title").fill("{title}, again")
    expect(form.get_by_text("14 of 100 characters", exact=True)).to_be_visible()  # of an example
    far.publishing.change_account(next(iter(far.publishing.accounts)), "account.resumed")
    form.get_by_role("button", name="Save the settings").click()
    expect(form.get_by_text("Saved.", exact=True)).to_be_visible()
    assert last_patch(far) == {
        "zone": "Asia/Tokyo",
        "slots": ["daily 9:00", "Sat 10:30"],
        "wording": {"title": "{title}, again"},
    }


def test_what_the_server_refuses_stays_to_be_mended(far: FakeDaemon, open_at: OpenPage) -> None:
    far.publishing.add_account("My channel")
    page = open_at(far.url, view="accounts")
    form = settings_of(page, "My channel")
    far.publishing.refusals["/" + next(iter(far.publishing.accounts))] = Refused(422, "There is no such time zone")
    form.get_by_label("Time zone").fill("Mars/Olympus")
    expect(form.get_by_text("There is no time zone “Mars/Olympus”")).to_be_visible()
    form.get_by_role("button", name="Save the settings").click()
    expect(form.get_by_text("There is no such time zone")).to_be_visible()
    expect(form.get_by_label("Time zone")).to_have_value("Mars/Olympus")


def test_tiktok_is_asked_for_by_a_person_alone(far: FakeDaemon, open_at: OpenPage) -> None:
    far.publishing.add_account("Dance", "tiktok")
    page = open_at(far.url, view="accounts")
    form = settings_of(page, "Dance")
    expect(form.get_by_label("Who sees it")).to_have_value("")
    for switch in ("Comments allowed", "Duets allowed", "Stitches allowed", "Paid partnership"):
        expect(form.get_by_label(switch)).not_to_be_checked()
    expect(form.get_by_text("A draft takes the text along.")).to_be_visible()
    form.get_by_label("How TikTok gets it").select_option("direct")
    expect(form.get_by_text("you agree to TikTok\u2019s Music Usage Confirmation.")).to_be_visible()
    form.get_by_label("Paid partnership").check()
    expect(form.get_by_text("Branded Content Policy and Music Usage Confirmation.")).to_be_visible()
    form.get_by_label("Paid partnership").uncheck()
    form.get_by_role("button", name="Save the settings").click()
    expect(form.get_by_text("Saved.", exact=True)).to_be_visible()
    assert last_patch(far) == {"delivery": "direct"}


WEEKS = [
    ("Europe/Paris", ["daily 2:30"], datetime(2026, 3, 28, 12, tzinfo=UTC)),  # 2:30 is left out
    ("Europe/Paris", ["daily 2:30, 3:00"], datetime(2026, 10, 24, 12, tzinfo=UTC)),  # 2:30 comes twice
    ("America/New_York", ["Sat-Mon 23:59", "weekdays 8:15 and 17:45"], datetime(2026, 11, 1, 3, tzinfo=UTC)),
    ("Asia/Kathmandu", ["Fri 0:00", "Weds. 18:30, 6:05"], datetime(2026, 12, 31, 23, tzinfo=UTC)),
    ("Pacific/Auckland", ["every day 0:00"], datetime(2028, 2, 28, 11, tzinfo=UTC)),
    ("America/Sao_Paulo", ["Sun 0:00"], datetime(2018, 11, 2, tzinfo=UTC)),  # midnight is left out
]


def test_the_page_reads_slots_as_the_daemon_does(page: Page) -> None:
    for zone, lines, after in WEEKS:
        after_ms = round(after.timestamp() * 1000)
        found = page.evaluate(
            """async ([zone, lines, after]) => {
              const { nextSlots, parseSlots } = await import("/static/slots.js");
              return nextSlots(parseSlots(lines).week, zone, after, 5);
            }""",
            [zone, lines, after_ms],
        )
        moments = next_slots(parse_slots(lines), ZoneInfo(zone), after_ms)
        assert found == [next(moments) for _ in range(5)], (zone, lines)


def test_an_account_is_paused_resumed_and_disconnected_after_a_question(far: FakeDaemon, open_at: OpenPage) -> None:
    far.publishing.add_account("My channel")
    page = open_at(far.url, view="accounts")
    mine = card(page, "My channel")
    page.get_by_role("button", name="Pause My channel on YouTube").click()
    expect(mine.get_by_text("Paused", exact=True)).to_be_visible()
    expect(mine.locator(".button use").first).to_have_attribute("href", "#i-play")
    page.get_by_role("button", name="Resume My channel on YouTube").click()
    expect(mine.get_by_text("Connected", exact=True)).to_be_visible()
    page.get_by_role("button", name="Disconnect My channel on YouTube").click()
    expect(page.get_by_role("button", name="Keep it connected")).to_be_focused()
    page.keyboard.press("Escape")
    assert [method for method, _, _ in far.publishing.sent] == ["POST", "POST"]
    page.get_by_role("button", name="Disconnect My channel on YouTube").click()
    page.get_by_role("dialog").get_by_role("button", name="Disconnect", exact=True).click()
    expect(mine.get_by_text("Disconnected", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="My channel")).to_be_focused()


def test_the_switch_that_stops_everything_is_seen_wherever_one_looks(far: FakeDaemon, open_at: OpenPage) -> None:
    page, other = open_at(far.url, view="accounts"), open_at(far.url, size=DESK)
    switch = page.get_by_role("switch", name="Pause all publishing")
    expect(switch).not_to_be_checked()
    expect(other.get_by_role("switch")).to_be_hidden()
    switch.click()
    expect(switch).to_be_checked()
    far.emit("publishing.paused", None)
    expect(other.get_by_role("switch")).to_be_checked()
    expect(other.get_by_text("Nothing goes out since")).to_be_visible()
    other.reload()
    other.get_by_role("switch").click()
    expect(other.get_by_role("switch")).to_be_hidden()
    assert [path for _, path, _ in far.publishing.sent] == ["/v1/publishing/pause", "/v1/publishing/resume"]


def test_accounts_are_for_everyone(far: FakeDaemon, open_at: OpenPage) -> None:
    for platform in ("youtube", "tiktok", "instagram"):
        far.publishing.add_account("a-name-without-any-break-" * 3, platform, notices=["Something is missing."])
    far.publishing.add_account("Old", state="needs_reauth", fault="It was revoked.")
    far.publishing.paused_at = "2026-11-18T10:00:00.000Z"
    page = open_at(far.url, view="accounts", size=DESK, reduced_motion="reduce")
    expect(page.locator("[data-account]")).to_have_count(4)
    for fold in page.locator("#accounts-view .fold-summary").all():
        fold.click()
    expect(page.get_by_text("of 5000 UTF-8 bytes")).to_have_count(2)
    assert audit_in_every_way(page) == [{}] * 4
    heard = spoken(page)
    assert [role for role, name in heard if role in {"button", "textbox", "checkbox", "combobox"} and not name] == []
