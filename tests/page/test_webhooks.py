"""Webhooks on the page: added with a secret that is shown once, tested, turned, and their log read and sent again."""

from playwright.sync_api import Locator, Page, expect

from tests.page.conftest import DESK, OpenPage
from tests.page.fake_daemon import FakeDaemon
from tests.page.fake_publishing import Refused
from tests.page.test_for_everyone import audit_in_every_way, spoken

URL = "https://example.com/hook"


def card(page: Page, url: str = URL) -> Locator:
    return page.locator("[data-endpoint]", has=page.get_by_role("heading", name=url))


def test_an_endpoint_is_added_and_its_secret_shown_once(far: FakeDaemon, open_at: OpenPage) -> None:
    page = open_at(far.url, view="webhooks", permissions=["clipboard-read", "clipboard-write"])
    form = page.get_by_role("region", name="Add an endpoint")
    form.get_by_label("Address").fill("http://10.0.0.1/")
    far.publishing.refusals["/v1/endpoints"] = Refused(400, "10.0.0.1 is a private address")
    form.get_by_role("button", name="Add").click()
    expect(form.get_by_text("10.0.0.1 is a private address")).to_be_visible()
    form.get_by_label("Address").fill(URL)
    form.get_by_label("Publications").check()
    form.get_by_label("Accounts").check()
    form.get_by_role("button", name="Add").click()
    expect(page.get_by_role("heading", name=URL)).to_be_focused()
    assert far.publishing.sent[-1][2] == {"url": URL, "types": ["publication.*", "account.*"], "description": ""}
    expect(page.get_by_role("textbox", name=f"Secret of {URL}")).to_have_value("whsec_made-up-once")
    page.get_by_role("button", name=f"Copy the secret of {URL}").click()
    expect(card(page).get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "whsec_made-up-once"
    page.get_by_role("button", name="I have kept the secret").click()
    expect(page.get_by_role("textbox", name=f"Secret of {URL}")).to_have_count(0)
    expect(card(page).get_by_text("publication.*, account.*")).to_be_visible()
    assert "whsec" not in page.content()


def test_a_test_says_what_came_of_it(far: FakeDaemon, open_at: OpenPage) -> None:
    far.publishing.add_endpoint(URL)
    page = open_at(far.url, view="webhooks")
    page.get_by_role("button", name=f"Test: {URL}").click()
    expect(card(page).get_by_text("The test arrived.", exact=True)).to_be_visible()
    expect(card(page).get_by_text("answered 204")).to_be_visible()
    far.publishing.test_status = 500
    page.get_by_role("button", name=f"Test: {URL}").click()
    expect(card(page).get_by_text("The test did not arrive.")).to_be_visible()
    expect(card(page).get_by_text("no <b>such</b> thing")).to_be_visible()  # as text, not as markup
    far.publishing.refusals["/test"] = Refused(409, "The endpoint is disabled")
    page.get_by_role("button", name=f"Test: {URL}").click()
    expect(card(page).get_by_text("The endpoint is disabled")).to_be_visible()


def test_an_endpoint_is_changed_and_keeps_the_types_that_have_no_box(far: FakeDaemon, open_at: OpenPage) -> None:
    far.publishing.add_endpoint(URL, types=["publication.*", "job.completed"])
    page = open_at(far.url, view="webhooks")
    card(page).locator("summary", has_text="Change").click()
    form = page.get_by_role("form", name=f"Change {URL}")
    expect(form.get_by_label("Publications")).to_be_checked()
    form.get_by_label("Accounts").check()
    form.get_by_label("Address").fill(f"{URL}/2")
    form.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name=f"{URL}/2")).to_be_visible()
    expect(card(page).get_by_text("publication.*, account.*, job.completed")).to_be_visible()
    sent = {"url": f"{URL}/2", "types": ["publication.*", "account.*", "job.completed"], "description": ""}
    assert far.publishing.sent[-1][2] == sent


def test_a_new_secret_and_the_one_before_it(far: FakeDaemon, open_at: OpenPage) -> None:
    far.publishing.add_endpoint(URL)
    page = open_at(far.url, view="webhooks")
    page.get_by_role("button", name=f"New secret: {URL}").click()
    page.get_by_role("dialog").get_by_role("button", name="Make a new secret").click()
    expect(page.get_by_role("textbox", name=f"Secret of {URL}")).to_have_value("whsec_made-up-twice")
    expect(card(page).get_by_text("The secret before signs too, until")).to_be_visible()


def test_an_endpoint_is_turned_off_and_on_and_deleted_after_a_question(far: FakeDaemon, open_at: OpenPage) -> None:
    mine = far.publishing.add_endpoint(URL)
    page = open_at(far.url, view="webhooks")
    page.get_by_role("button", name=f"Disable: {URL}").click()
    expect(card(page).get_by_text("Disabled by hand.")).to_be_visible()
    expect(page.get_by_role("link", name="Webhooks 1 with trouble")).to_be_visible()
    page.get_by_role("button", name=f"Enable: {URL}").click()
    expect(card(page).get_by_text("Enabled", exact=True)).to_be_visible()
    far.publishing.endpoints[mine].update(failing_since="2026-11-18T09:00:00.000Z", waiting=2)
    far.emit("endpoint.enabled", None, {"endpoint_id": mine})
    expect(card(page).get_by_text("Nothing was delivered since")).to_contain_text("2 events to be sent.")
    page.get_by_role("button", name=f"Delete: {URL}").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(card(page)).to_have_count(0)
    expect(page.get_by_role("heading", name="Webhooks", exact=True)).to_be_focused()


def test_the_log_has_every_attempt_and_sends_again(far: FakeDaemon, open_at: OpenPage) -> None:
    mine = far.publishing.add_endpoint(URL)
    for number in range(21):
        far.publishing.deliver(mine, f"job.{'created' if number else 'first'}", 204)
    lost = far.publishing.deliver(mine, "publication.published", None, 500, state="failed")
    page = open_at(far.url, view="webhooks", timezone_id="Europe/Paris")
    card(page).get_by_text("Deliveries").click()
    rows = card(page).locator("details.line")
    expect(rows).to_have_count(20)
    card(page).get_by_role("button", name="Show older").click()
    expect(rows).to_have_count(22)
    expect(rows.last).to_contain_text("job.first")
    card(page).get_by_label("Shown").select_option("failed")
    expect(rows).to_have_count(1)
    rows.locator("summary").click()
    expect(rows.locator(".attempts li")).to_have_count(2)
    expect(rows.locator(".attempts li").first).to_contain_text("the connection was refused")
    expect(rows.locator(".attempts li").last).to_contain_text("answered 500, 12 ms")
    card(page).get_by_label("Shown").select_option("")
    rows.first.locator("summary").click()
    rows.first.get_by_role("button", name="Send again: publication.published").click()
    expect(rows.first.locator(".chip")).to_have_text("Waiting")
    far.publishing.deliveries[lost].update(state="delivered", attempt=3)
    expect(rows.first.locator(".chip")).to_have_text("Delivered")  # no event tells of it
    card(page).get_by_label("Everything from").fill("2026-11-18T09:00")
    card(page).get_by_label("to", exact=True).fill("2026-11-18T12:00")
    card(page).get_by_role("button", name="Send again what").click()
    expect(card(page).get_by_text("22 events will be sent again.")).to_be_visible()
    span = {"from": "2026-11-18T09:00:00+01:00", "to": "2026-11-18T12:00:00+01:00"}
    assert [(path, body) for _, path, body in far.publishing.sent] == [
        (f"/v1/deliveries/{lost}/replay", None),
        (f"/v1/endpoints/{mine}/replay", span),
    ]


def test_webhooks_are_for_everyone(far: FakeDaemon, open_at: OpenPage) -> None:
    mine = far.publishing.add_endpoint(URL + "/a-name-without-any-break" * 6, description="n8n")
    far.publishing.add_endpoint(URL, failing_since="2026-11-18T09:00:00.000Z", waiting=2)
    far.publishing.deliver(mine, "publication.published", None, 500, state="failed")
    far.publishing.deliver(mine, "publication.published", 500, state="pending")
    page = open_at(far.url, view="webhooks", size=DESK, reduced_motion="reduce")
    expect(page.locator("[data-endpoint]")).to_have_count(2)
    page.get_by_text("Deliveries").first.click()
    expect(page.locator("details.line")).to_have_count(2)
    for row in page.locator("details.line > summary").all():
        row.click()
    page.get_by_role("button", name="Test: ").first.click()
    expect(page.get_by_text("The test arrived.", exact=True)).to_be_visible()
    page.get_by_role("button", name="New secret: ").last.click()
    page.get_by_role("dialog").get_by_role("button", name="Make a new secret").click()
    expect(page.locator(".secret")).to_be_visible()
    expect(page.locator(".attempts li")).to_have_count(4)
    assert audit_in_every_way(page) == [{}] * 4
    controls = [one for one in spoken(page) if one[0] in {"button", "textbox", "combobox", "checkbox"}]
    ours = [one for one in controls if not one[1].startswith("Show ")]  # a browser's own, in each field for a time
    assert sorted({one for one in ours if ours.count(one) > 1 or not one[1]}) == []
