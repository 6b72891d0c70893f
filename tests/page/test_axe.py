"""axe-core finds no fault on any view, by light and by dark. It comes with `npm install` in tests/node."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.page.conftest import DESK, OpenPage
from tests.page.fake_daemon import FakeDaemon
from tests.page.fake_tus import Arriving
from tests.page.test_for_everyone import busy_page
from tests.page.test_jobs import finished
from tests.page.test_uploading import Take

AXE = Path(__file__).parents[1] / "node" / "node_modules" / "axe-core" / "axe.min.js"

pytestmark = pytest.mark.skipif(not AXE.exists(), reason="axe-core is not there: npm install in tests/node")


def faults(page: Page) -> list[dict[str, Any]]:
    """What axe calls violations; by dark of contrast alone, as the rest has no colour."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="light" if scheme == "light" else "dark", reduced_motion="reduce")
        only = {} if scheme == "light" else {"runOnly": ["color-contrast"]}
        violations = page.evaluate(
            "(only) => axe.run(only).then((result) => result.violations)", {**only, "resultTypes": ["violations"]}
        )
        for one in violations:
            where = [node["html"] for node in one["nodes"] if not says_more(one["id"], node["html"])]
            if where:
                found.append({"rule": one["id"], "where": where, "scheme": scheme})
    return found


def says_more(rule: str, markup: str) -> bool:
    """A picture with its length, or a whole line: its name says in a sentence what is seen in pieces."""
    return rule == "label-content-name-mismatch" and bool(
        re.search(r'class="(segment-play|plan|line-\w+)"', markup[:200])
    )


def published(far: FakeDaemon) -> None:
    channel = far.publishing.add_account("My channel", settings={"zone": "UTC", "slots": ["daily 12:00"]})
    segments = far.jobs[finished(far, "talk.mov", segments=2)]["segments"]
    far.publishing.plan(segments[0]["segment_id"], channel, due=datetime.now(UTC) + timedelta(hours=1))


def test_axe_finds_nothing_among_takes_and_uploads(far: FakeDaemon, open_at: OpenPage, take: Take) -> None:
    far.tus = True
    far.uploads["upl_1"] = Arriving("upl_1", 20_000_000, {"filename": "film.mp4"})
    published(far)
    page = open_at(far.url, reduced_motion="reduce")
    busy_page(page, far, take)
    expect(page.get_by_role("region", name="Unfinished uploads")).to_be_visible()
    assert faults(page) == []


@pytest.mark.parametrize("view", ["calendar", "accounts", "webhooks"])
def test_axe_finds_nothing_in_a_view(far: FakeDaemon, open_at: OpenPage, view: str) -> None:
    published(far)
    page = open_at(far.url, view=view, size=DESK, reduced_motion="reduce")
    expect(page.locator(f"#{view}-view .loading")).to_be_hidden()
    assert faults(page) == []


def test_axe_notices_a_fault(page: Page) -> None:
    """The known-bad twin."""
    page.evaluate(
        """() => {
          const pale = Object.assign(document.createElement("p"), { textContent: "pale" });
          Object.assign(pale.style, { color: "#808080", backgroundColor: "#707070" });
          document.querySelector("main").append(pale, document.createElement("button"));
        }"""
    )
    assert sorted((one["rule"], one["scheme"]) for one in faults(page)) == [
        ("button-name", "light"),
        ("color-contrast", "dark"),
        ("color-contrast", "light"),
    ]
