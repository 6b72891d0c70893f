"""The page for everyone: read on a phone or a desk, by light or dark, by ear, with the keyboard alone."""

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, ViewportSize, expect

from tests.page.conftest import DESK, PHONE, Contexts, Guard, OpenPage
from tests.page.fake_daemon import STATIC, FakeDaemon, Fault
from tests.page.test_jobs import card, finished, working
from tests.page.test_uploading import NOT_A_VIDEO, Take, pick

AUDIT = (Path(__file__).parent / "audit.js").read_text()
CHECKS = ("texts", "parts", "targets", "overflow", "headings", "ids")
NAMED = {"button", "link", "textbox", "spinbutton", "combobox", "checkbox", "slider", "progressbar", "dialog", "region"}


def audit(page: Page) -> dict[str, list[str]]:
    page.evaluate(AUDIT)
    return {name: faults for name in CHECKS if (faults := page.evaluate(f"audit.{name}()"))}


def spoken(page: Page) -> list[tuple[str, str]]:
    """Role and name of everything a screen reader meets, as Chromium computes them."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    seen = [node for node in nodes if not node["ignored"] and "role" in node]
    return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in seen]


def busy_page(page: Page, far: FakeDaemon, take: Take) -> None:
    """Every kind of thing at once: uploads in three states; jobs that work, failed and are done."""
    finished(far, "a-name-without-any-break-" * 8 + ".mov")
    failed = working(far, "screen.mkv")
    far.step(failed, "render", "discarded", attempt=1)
    error = {"code": "x", "message": "There is no picture in this file.", "hint": "Send one with a video stream."}
    far.change(failed, state="failed", error=error, warnings=["The take has no sound."])
    busy = working(far, "Größe & Maß.mp4")
    far.ready(busy, 0, event=False, warnings=["Quieter than asked: the take is very quiet here."])
    far.emit("job.created", busy)
    expect(card(page, busy).locator(".segment")).to_have_count(1)
    far.drop_streams()
    expect(page.locator(".job")).to_have_count(3)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.locator("#options > summary").click()
    far.rate = 1_000_000
    far.faults.append(Fault(status=415, problem=NOT_A_VIDEO))
    pick(page, take("notes.mp4"))
    expect(page.locator(".upload .problem")).to_be_visible()
    pick(page, take("w" * 120 + ".mp4", 30_000_000), take("two.mp4", 30_000_000), take("three.mp4", 30_000_000))
    expect(page.get_by_text("Waits for its turn")).to_be_visible()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_everything_is_large_enough_and_stands_out_enough(
    far: FakeDaemon, open_at: OpenPage, take: Take, size: dict[str, int]
) -> None:
    page = open_at(far.url, size=size, reduced_motion="reduce")
    assert audit_by_light_and_dark(page) == [{}, {}]
    busy_page(page, far, take)
    assert audit_by_light_and_dark(page) == [{}, {}]
    page.get_by_role("button", name="Delete screen.mkv").click()
    assert audit_by_light_and_dark(page) == [{}, {}]


def audit_by_light_and_dark(page: Page) -> list[dict[str, list[str]]]:
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        found.append(audit(page))
    return found


def audit_in_every_way(page: Page) -> list[dict[str, list[str]]]:
    """On a desk and on a phone, by light and dark: what was found, of each way."""
    found = []
    for size in (DESK, PHONE):
        page.set_viewport_size(ViewportSize(width=size["width"], height=size["height"]))
        found += audit_by_light_and_dark(page)
    return found


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_a_choice_is_short_enough_to_be_read_whole(far: FakeDaemon, open_at: OpenPage, size: dict[str, int]) -> None:
    page = open_at(far.url, size=size)
    page.locator("#options > summary").click()
    cut_off = page.evaluate(
        """() => {
          const pen = document.createElement("canvas").getContext("2d");
          const shown = [...document.querySelectorAll("select")].filter((select) => select.checkVisibility());
          return shown.flatMap((select) => {
            const style = getComputedStyle(select);
            const arrow = 18;
            pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
            const room = select.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - arrow;
            return [...select.options].map((one) => one.text).filter((text) => pen.measureText(text).width > room);
          });
        }"""
    )
    assert cut_off == []


def test_it_fits_320_pixels_too(far: FakeDaemon, open_at: OpenPage, take: Take) -> None:
    """WCAG 2.2, 1.4.10: a desk's page at 400 %."""
    page = open_at(far.url, size={"width": 320, "height": 256})
    busy_page(page, far, take)
    assert "overflow" not in audit(page)


def test_the_audit_notices_each_kind_of_fault(page: Page) -> None:
    """The known-bad twin: a page with one fault of each kind."""
    page.evaluate(
        """() => {
          const add = (tag, parent = document.querySelector("main")) => parent.appendChild(document.createElement(tag));
          Object.assign(add("p"), { textContent: "pale" }).style.color = "#b0b0b0";
          Object.assign(add("button"), { textContent: "x", className: "button" }).style.cssText =
            "min-height: 20px; min-width: 0; padding: 0; border-color: #eee; justify-self: start";
          add("div").style.cssText = "width: 2000px; height: 2px";
          add("h6").textContent = "deep";
          add("p").id = "uploads";
        }"""
    )
    assert set(audit(page)) == set(CHECKS)


def test_everything_has_a_name_and_each_control_its_own(page: Page, far: FakeDaemon, take: Take) -> None:
    busy_page(page, far, take)
    heard = spoken(page)
    assert [(role, name) for role, name in heard if role in NAMED and not name.strip()] == []
    assert [name for role, name in heard if role == "image" and not name] == []
    controls = [(role, name) for role, name in heard if role in {"button", "link", "slider", "progressbar"}]
    assert sorted({one for one in controls if controls.count(one) > 1}) == []
    roles = [role for role, _ in heard]
    assert [roles.count(landmark) for landmark in ("banner", "main", "contentinfo")] == [1, 1, 1]
    for name in ("Cancel the upload of two.mp4", "Delete screen.mkv", "Play segment 1 of Größe & Maß.mp4"):
        assert ("button", name) in heard
    assert {name for role, name in heard if role == "region"} >= {"Send a take", "Uploads", "Your takes"}
    assert "status" in roles


def test_the_keyboard_reaches_everything_in_order_with_a_visible_ring(page: Page, far: FakeDaemon, take: Take) -> None:
    busy_page(page, far, take)
    far.rate = 10_000  # nothing moves while we walk
    page.evaluate(AUDIT)
    page.get_by_role("link", name="Skip to your takes").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")  # the ring is for those who came by key
    walk: list[dict[str, Any]] = [page.evaluate("audit.focus()")]
    for _ in range(80):
        page.keyboard.press("Tab")
        stop = page.evaluate("audit.focus()")
        if not stop["what"] or stop["place"] == walk[0]["place"]:
            break
        walk.append(stop)
    places = [stop["place"] for stop in walk]
    assert places == sorted(places)
    assert [stop["what"] for stop in walk if not stop["seen"]] == []
    reachable = page.locator(
        "button:visible, a:visible, summary:visible, select:visible, input:visible:not([tabindex])"
    )
    assert len(walk) == reachable.count()


def test_the_keyboard_alone_sends_plays_and_deletes(page: Page, far: FakeDaemon, take: Take) -> None:
    page.get_by_role("button", name="Choose videos").focus()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(take())
    expect(page.get_by_role("heading", name="take.mp4")).to_be_visible()
    job = next(iter(far.jobs))
    far.plan(job, 1)
    far.finish(job)
    expect(card(page, job).get_by_text("Done", exact=True)).to_be_visible()
    card(page, job).get_by_role("button", name="Play segment 1 of take.mp4").focus()
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.2")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('video').paused")
    card(page, job).get_by_role("button", name="Delete take.mp4").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(card(page, job)).to_have_count(0)
    expect(page.get_by_role("heading", name="Your takes")).to_be_focused()


def test_changes_are_said_politely_and_percents_are_not(page: Page, far: FakeDaemon) -> None:
    region = page.locator("#announcer")
    assert region.get_attribute("aria-live") == "polite"
    page.evaluate(
        """() => {
          window.said = [];
          const region = document.getElementById("announcer");
          new MutationObserver(() => said.push(region.textContent)).observe(region, { childList: true });
        }"""
    )
    job = working(far)
    far.change(job, "job.created", state="queued")
    expect(card(page, job)).to_be_visible()
    far.change(job, "job.started", state="processing")
    expect(region).to_have_text("take.mov: the work has begun.")
    for tenth in range(1, 10):
        far.note(job, "render", tenth * 10.0, tenth * 10.0)
    expect(card(page, job).locator(".overall-figure")).to_have_text("90 %")
    far.ready(job, 0)
    expect(region).to_have_text("take.mov: 1 of 3 segments ready.")
    far.finish(job)
    expect(region).to_have_text("take.mov: done, 3 segments.")
    assert len(page.evaluate("said")) == 3


def test_nothing_moves_for_those_who_asked_for_stillness(far: FakeDaemon, open_at: OpenPage) -> None:
    page = open_at(far.url, reduced_motion="reduce")
    job = working(far)
    far.emit("job.created", job)
    expect(card(page, job)).to_be_visible()
    assert page.evaluate("document.getAnimations().length") == 0


def test_times_are_in_the_viewers_own_zone_and_words(far: FakeDaemon, open_at: OpenPage) -> None:
    page = open_at(far.url, locale="de-DE", timezone_id="Asia/Tokyo")
    job = finished(far)
    far.change(job, "job.completed", created_at="2026-03-04T22:30:00.000Z", source={**far.jobs[job]["source"]})
    facts = card(page, job).locator(".job-facts")
    expect(facts).to_contain_text("07:30")
    expect(facts).to_contain_text("5. März")


def test_the_guard_notices_an_inline_style_an_outside_request_and_an_error(far: FakeDaemon, shared: Contexts) -> None:
    """The known-bad twin of every other test's guard."""
    page = shared().new_page()
    guard = Guard(far.url)
    guard.watch(page)
    page.goto(far.url)
    page.evaluate("() => { document.body.setAttribute('style', 'color: red'); }")
    page.evaluate("() => { fetch('https://example.invalid/').catch(() => {}); console.error('oh'); }")
    page.wait_for_function("() => violations.length >= 2")
    with pytest.raises(AssertionError):
        guard.check(page)
    assert any(fault.startswith("style-src-attr") for fault in guard.faults)
    assert any(fault.startswith("connect-src https://example.invalid") for fault in guard.faults)
    assert "console: oh" in guard.faults
    page.close()


def test_the_page_asks_for_all_that_is_seen_at_first_at_once() -> None:
    """Else a phone waits for each import in turn."""
    page = (STATIC / "index.html").read_text()
    preloaded = re.findall(r'rel="modulepreload" href="/static/([a-z-]+)\.js"', page)
    assert preloaded == sorted(imported_by("page") - {"page"})


def test_each_part_asks_for_all_it_needs_at_once_and_for_nothing_else() -> None:
    known = imported_by("page")
    parts = re.findall(r"\w+: \{ scripts: \[(.*?)\], styles: \[(.*?)\] \}", (STATIC / "parts.js").read_text())
    for scripts, _ in parts:
        first, *others = words('"(.*?)"', scripts)
        assert {first, *others} == imported_by(re.findall(r'"(.*?)"', scripts)[0]) - known
    apart = imported_by("login") | imported_by("setup") | {"sw"}
    for kind, linked in (("js", known | apart), ("css", words(r"/static/([a-z]+)\.css", markup()))):
        late = {name for part in parts for name in words('"(.*?)"', part[kind == "css"])}
        assert late | linked == {path.stem for path in STATIC.glob(f"*.{kind}")}
        assert late & linked == set()


def imported_by(name: str) -> set[str]:
    """This module and all that it waits for."""
    found: set[str] = set()
    ahead = {name}
    while ahead:
        one = ahead.pop()
        found.add(one)
        ahead |= words(r'from "\./([a-z-]+)\.js"', (STATIC / f"{one}.js").read_text()) - found
    return found


def test_the_page_carries_nothing_that_nobody_uses() -> None:
    """An export without an import, and a class that neither a rule nor a test looks for."""
    scripts = {path.name: path.read_text() for path in STATIC.glob("*.js")}
    imports = r"^import \{(.*?)\}|const \{(.*?)\} = await part|\(\{ ([A-Z]\w+) \}\) =>"
    imported = {name for text in scripts.values() for name in words(imports, text)}
    exported = {name for text in scripts.values() for name in words(r"^export (?:async )?(?:\w+) (\w+)", text)}
    assert exported == imported
    written = "\n".join([*scripts.values(), markup()])
    given = words(r"class(?:: |=)[\"`](.*?)[\"`]", written) - {"${look}"}
    styles = "\n".join(path.read_text() for path in STATIC.glob("*.css"))
    looked_for = styles + "\n".join(path.read_text() for path in Path(__file__).parent.glob("*.py"))
    assert {name for name in given if not re.search(rf"\.{name}\b", looked_for)} == set()
    assert {name for name in words(r"\.([a-z][a-z-]*)", styles) if not re.search(rf"\b{name}\b", written)} == set()


def markup() -> str:
    """Of every page."""
    return "\n".join(path.read_text() for path in sorted(STATIC.glob("*.html")))


def words(pattern: str, text: str) -> set[str]:
    found = (match.group(match.lastindex or 0) for match in re.finditer(pattern, text, re.MULTILINE))
    return {word for one in found for word in re.split(r"[\s,]+", one) if word}
