"""The note while there is no backup of last night."""

from playwright.sync_api import Page, expect

from tests.page.conftest import OpenPage
from tests.page.fake_daemon import FakeDaemon
from tests.page.test_for_everyone import audit_by_light_and_dark


def test_a_page_that_opens_says_that_a_backup_is_overdue(open_at: OpenPage, far: FakeDaemon) -> None:
    far.backup |= {"trouble": "overdue", "at": "2026-11-19T03:30:00.000Z"}
    note = open_at(far.url, timezone_id="UTC", locale="en-GB").get_by_role("region", name="Backups")
    expect(note).to_contain_text("There is no backup of last night")
    expect(note).to_contain_text("The last good one was made at 19 Nov")


def test_the_note_comes_with_a_failure_and_goes_with_the_next_good_one(page: Page, far: FakeDaemon) -> None:
    note = page.get_by_role("region", name="Backups")
    expect(note).to_be_hidden()
    far.backup |= {"trouble": "failed", "fault": "the bucket is not there"}
    far.emit("backup.failed", None)
    expect(note).to_contain_text("The last backup failed")
    expect(note).to_contain_text("The bucket is not there. None was made yet.")
    expect(note).to_contain_text("It is tried again every hour.")
    assert audit_by_light_and_dark(page) == [{}, {}]
    far.backup |= {"trouble": None, "fault": "", "at": "2026-11-22T03:30:00.000Z"}
    far.emit("backup.completed", None)
    expect(note).to_be_hidden()
    expect(page.get_by_text("A backup was made.")).to_be_attached()  # for the ear
