"""The way in, on a phone and against the daemon itself: set up, send a take, look after it, sign out and in again."""

import re
from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.cli.running import serving
from tests.page.conftest import LISTEN, PHONE, Guard
from tests.page.test_axe import AXE, faults
from tests.page.test_for_everyone import audit_in_every_way, spoken
from tests.web.conftest import mp4

CODE = "abcde-fghij-klmno-pqrst"
PASSWORD = "korrekt pferd batterie"
SIZE = ViewportSize(width=PHONE["width"], height=PHONE["height"])


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A daemon that others can reach, and that nobody has set up."""
    (tmp_path / "vidprod.toml").write_text(f'host = "0.0.0.0"\nsetup_code = "{CODE}"\n')
    with serving(tmp_path) as (_, url):
        yield url


@pytest.fixture
def phone(chromium: Browser, address: str) -> Iterator[Page]:
    """A browser that was never there."""
    context = chromium.new_context(viewport=SIZE, reduced_motion="reduce")
    context.add_init_script(LISTEN)
    context.set_default_timeout(15_000)
    page = context.new_page()
    guard = Guard(address)
    guard.watch(page)
    yield page
    guard.check(page)
    context.close()


def look_closely(page: Page) -> None:
    """By our own checks and, where it is installed, by axe."""
    assert audit_in_every_way(page) == [{}] * 4
    page.set_viewport_size(SIZE)
    look_with_axe(page)


def look_with_axe(page: Page) -> None:
    if AXE.exists():
        assert faults(page) == []


def sign_in(page: Page, password: str = PASSWORD) -> None:
    page.get_by_label("Name").fill("Ann")
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def set_up(page: Page, address: str) -> None:
    order = {"name": "Ann", "password": PASSWORD, "setup_code": CODE}
    assert page.request.post(f"{address}/setup", data=order).status == 201
    page.context.clear_cookies()


def test_setting_up_sending_a_take_and_coming_back(phone: Page, address: str, tmp_path: Path) -> None:
    phone.goto(address)
    expect(phone).to_have_url(f"{address}/setup")
    expect(phone.get_by_label("Setup code")).to_be_focused()
    look_closely(phone)
    assert [one for one in spoken(phone) if one[0] in ("textbox", "button", "checkbox") and not one[1]] == []
    phone.get_by_label("Setup code").fill("a guess")
    phone.get_by_label("Name").fill("Ann")
    phone.get_by_label("Password", exact=True).fill("password1")
    phone.get_by_role("button", name="Set up").click()
    expect(phone.get_by_role("alert")).to_contain_text("The setup code is wrong")
    phone.get_by_label("Setup code").fill(CODE.upper())
    phone.get_by_role("button", name="Set up").click()
    expect(phone.get_by_role("alert")).to_contain_text("one of the commonest")
    phone.get_by_label("Show the password").check()
    phone.get_by_label("Password", exact=True).fill(PASSWORD)
    expect(phone.get_by_label("Password", exact=True)).to_have_attribute("type", "text")
    phone.get_by_role("button", name="Set up").click()
    expect(phone).to_have_url(f"{address}/")
    expect(phone.get_by_text("Live", exact=True)).to_be_visible()

    take = tmp_path / "take.mp4"
    take.write_bytes(mp4(50_000))
    phone.locator("#files").set_input_files(take)
    expect(phone.get_by_role("heading", name="take.mp4")).to_be_visible()

    phone.get_by_role("link", name="Security").click()
    expect(phone.get_by_text("this one")).to_be_visible()
    look_closely(phone)
    phone.get_by_role("button", name="Sign out here").click()
    expect(phone).to_have_url(f"{address}/login")
    look_closely(phone)
    phone.goto(f"{address}/docs")
    expect(phone).to_have_url(f"{address}/login?next=/docs")
    sign_in(phone, "wrong")
    expect(phone.get_by_role("alert")).to_contain_text("The name or the password is wrong")
    sign_in(phone)
    expect(phone).to_have_url(f"{address}/docs")
    look_with_axe(phone)


def test_keys_and_an_authenticator_from_the_page(phone: Page, address: str) -> None:
    set_up(phone, address)
    phone.goto(f"{address}/login?next=//evil.example/")
    sign_in(phone)
    expect(phone).to_have_url(f"{address}/")  # nowhere else
    phone.goto(f"{address}/#security")
    phone.get_by_label("Which program").fill("ci")
    phone.get_by_role("button", name="Make a key").click()
    secret = phone.get_by_role("textbox", name="Secret of ci")
    expect(secret).to_have_value(re.compile(r"vp_live_\w{49}"))
    key = secret.input_value()
    answer = phone.request.get(f"{address}/v1/keys", headers={"Authorization": f"Bearer {key}"})
    assert answer.status == 403  # it may read and upload, and no more
    phone.get_by_role("button", name="I have kept the secret of ci").click()
    assert key not in phone.content()
    expect(phone.get_by_text(f"vp_live_{key[8:16]}…")).to_be_visible()
    phone.get_by_role("button", name=f"Revoke ci, {key[8:16]}").click()
    phone.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(phone.get_by_text("No program has a key.")).to_be_visible()

    phone.get_by_text("Set one up").click()
    phone.locator("#totp-begin").fill(PASSWORD)
    phone.get_by_role("button", name="Begin").click()
    picture = phone.get_by_role("img", name="The secret below as a picture")
    expect(picture).to_be_visible()
    phone.wait_for_function("() => document.querySelector('.qr').naturalWidth > 0")
    shown = phone.locator(".secret-box code").inner_text()
    phone.get_by_label("The code it shows now").fill(pyotp.TOTP(shown).now())
    phone.get_by_role("button", name="Ask for codes from now on").click()
    expect(phone.get_by_text("Ten codes for when the phone is lost.")).to_be_focused()
    recovery = phone.locator(".secret-box pre").inner_text().split()
    assert len(recovery) == 10
    look_closely(phone)
    phone.get_by_role("button", name="I have kept them").click()
    expect(phone.get_by_text("10 recovery codes are left.")).to_be_visible()

    phone.get_by_role("button", name="Sign out everywhere").click()
    expect(phone).to_have_url(f"{address}/login")
    sign_in(phone)
    expect(phone.get_by_label("Code")).to_be_focused()
    phone.get_by_label("Code").fill(recovery[0])
    phone.get_by_role("button", name="Sign in").click()
    expect(phone).to_have_url(f"{address}/")


def test_a_page_that_was_signed_out_elsewhere_leads_to_where_one_signs_in(phone: Page, address: str) -> None:
    set_up(phone, address)
    phone.goto(f"{address}/login")
    sign_in(phone)
    expect(phone.get_by_text("Live", exact=True)).to_be_visible()
    phone.get_by_role("link", name="Webhooks").click()
    expect(phone.get_by_role("heading", name="Webhooks", exact=True)).to_be_visible()
    phone.context.clear_cookies()
    phone.evaluate("dispatchEvent(new Event('online'))")  # whatever asks next
    expect(phone).to_have_url(re.compile(r"/login\?next=%2F#webhooks"))
    sign_in(phone)
    expect(phone.get_by_role("heading", name="Webhooks", exact=True)).to_be_visible()
