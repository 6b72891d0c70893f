"""axe-core finds no fault in what opens over the page, or is seen at times: sheets, notes, what waits for a person."""

import pytest
from playwright.sync_api import Browser, expect

from tests.page.conftest import OpenPage
from tests.page.fake_daemon import FakeDaemon
from tests.page.test_axe import AXE, faults, published
from tests.page.test_deferred import refuses
from tests.page.test_for_everyone import audit_by_light_and_dark
from tests.page.test_notify import SUBSCRIBES
from tests.page.test_pressure import FULL
from tests.page.test_uploading import NO_SPACE, Take, pick

pytestmark = pytest.mark.skipif(not AXE.exists(), reason="axe-core is not there: npm install in tests/node")

SHARED = """() => new Promise((resolve) => {
  const asked = indexedDB.open("vidprod", 1);
  asked.onupgradeneeded = () => asked.result.createObjectStore("kept", { keyPath: "id", autoIncrement: true });
  asked.onsuccess = () => {
    const transaction = asked.result.transaction("kept", "readwrite");
    transaction.objectStore("kept").put({ file: new File(["abc"], "shared.mp4"), recipe: "", shared: true });
    transaction.oncomplete = () => resolve(asked.result.close());
  };
})"""


def test_axe_finds_nothing_in_notes_and_in_what_waits(
    chromium: Browser, far: FakeDaemon, open_at: OpenPage, take: Take
) -> None:
    """Short of room, without a backup, offline; a take was shared, one waits for room, notifications are on."""
    far.tus = True
    published(far)
    for segment, review in zip(next(iter(far.jobs.values()))["segments"], ("waiting", "dropped"), strict=True):
        segment["review"] = review
    far.pressure = {"level": "strained", "causes": [FULL]}
    far.backup |= {"trouble": "failed", "fault": "no room"}
    context = chromium.new_context(viewport={"width": 360, "height": 740}, permissions=["notifications"])
    context.add_init_script(f"delete window.showOpenFilePicker;{SUBSCRIBES}")
    page = open_at(far.url, context=context)
    page.evaluate(SHARED)
    page.reload()
    page.route("**/v1/push/**", lambda route: route.fulfill(json={"public_key": "BAECAw", "id": "sub_1"}))
    page.get_by_role("switch", name="Notify this device").click()
    refuses(page, 507, NO_SPACE, after="3600")
    pick(page, take())
    for words in ("Send it", "It is tried again", "No new takes", "The last backup failed", "1 to keep or drop"):
        expect(page.get_by_text(words).first).to_be_visible()
    context.set_offline(True)
    expect(page.get_by_text("You are offline.")).to_be_visible()
    found = [audit_by_light_and_dark(page), faults(page)]
    context.close()
    assert found == [[{}, {}], []]


@pytest.mark.parametrize("opener", ["Edit cuts, cover", "Publish", "Delete", "My channel"])
def test_axe_finds_nothing_in_a_sheet(far: FakeDaemon, open_at: OpenPage, opener: str) -> None:
    published(far)
    page = open_at(far.url, reduced_motion="reduce")
    page.get_by_role("button", name=opener).last.click()
    opened = page.locator("dialog[open]")
    expect(opened).to_be_visible()
    assert faults(page) == []
    for tab in opened.get_by_role("tab").all()[1:]:
        tab.click()
        assert faults(page) == []
