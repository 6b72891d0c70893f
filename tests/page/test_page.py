"""The page against the real daemon: a take goes in through the browser and comes out as segments that play."""

import base64
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from playwright.sync_api import Browser, Request, Route, ViewportSize, expect

from tests.page.conftest import DESK, LISTEN, PHONE, Contexts, Guard, OpenPage
from tests.page.fake_daemon import FakeDaemon
from tests.page.test_for_everyone import audit
from tests.page.test_jobs import finished
from tests.page.test_uploading import pick
from vidprod.store.sqlite.announce import What
from vidprod.web.accounts import AccountView
from vidprod.web.deliveries import AttemptView, DeliveryView
from vidprod.web.endpoints import EndpointView
from vidprod.web.guard import POLICY
from vidprod.web.publication_view import PublicationView

ROOT = Path(__file__).parents[2]
UPPY = ROOT / "tests" / "node" / "node_modules" / "uppy" / "dist" / "uppy.min.js"
WORK_MS = 60_000  # a short take on a busy machine


@pytest.fixture(scope="module")
def platforms() -> Iterator[dict[str, str]]:
    """`vidprod simulate`, a minute a second. Gives the settings that lead a daemon to it, as it prints them."""
    process = subprocess.Popen(
        [sys.executable, "-m", "vidprod", "simulate", "--port", "0", "--speed", "60"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout as said:
        said.readline()
        yield dict(re.findall(r"(VIDPROD_\w+)=(\S+)", said.readline()))
        process.send_signal(signal.SIGINT)
        process.wait(timeout=15)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, chromium: Browser, platforms: dict[str, str]) -> Iterator[str]:
    """`vidprod serve` on a free port, ended as a person ends it. Gives its address."""
    home = tmp_path_factory.mktemp("daemon")
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "vidprod", "serve", "--port", "0", "--data-dir", home / "data"],
            cwd=ROOT,
            env={**os.environ, **platforms, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdout is not None
        with process.stdout as said:
            ready = re.search(r"http://\S+", said.readline())
            assert ready, (home / "log").read_text()
            yield ready.group().rstrip("/")
            process.send_signal(signal.SIGINT)
            process.wait(timeout=15)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "my take.mp4"
    make_sample(path, seconds=8)
    return path


def make_sample(path: Path, *, seconds: int) -> None:
    """A generated take with picture and sound, portrait and small, so that little has to be encoded."""
    command = [sys.executable, "-m", "vidprod.media.sample", str(path), "--seconds", str(seconds)]
    command += ["--width", "270", "--height", "480"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=60)


@pytest.fixture(scope="module")
def done(daemon: str, sample: Path, chromium: Browser) -> str:
    """The id of a job that was made in the page and is done: two or more segments of at most 4 s."""
    context = chromium.new_context(viewport={"width": PHONE["width"], "height": PHONE["height"]})
    context.add_init_script(LISTEN)
    page = context.new_page()
    page.goto(daemon)
    page.get_by_text("Live", exact=True).wait_for()
    page.evaluate(
        """() => {
          window.values = [];
          const look = () => {
            const bar = document.querySelector(".job .overall:not([hidden]) progress");
            if (bar && bar.value !== values.at(-1)) values.push(bar.value);
            requestAnimationFrame(look);
          };
          look();
        }"""
    )
    page.locator("#options > summary").click()
    page.get_by_label("Longest segment").fill("4")
    page.get_by_label("Where to cut").select_option("none")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose videos").click()
    chooser.value.set_files(sample)
    card = page.locator(".job", has=page.get_by_role("heading", name="my take.mp4"))
    card.get_by_text("Working", exact=True).or_(card.get_by_text("Done", exact=True)).wait_for()
    card.get_by_text("Done", exact=True).wait_for(timeout=WORK_MS)
    moved = page.evaluate("values")
    assert moved == sorted(moved)
    assert len(moved) >= 3, moved  # it was seen moving, from events alone
    job = card.get_attribute("data-job")
    context.close()
    assert job is not None
    return job


def status(daemon: str, job: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{daemon}/status/{job}", timeout=10) as answer:
        facts: dict[str, Any] = json.load(answer)
    return facts


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_a_finished_take_shows_segments_that_play_and_seek(
    daemon: str, done: str, open_at: OpenPage, size: dict[str, int]
) -> None:
    page = open_at(daemon, size=size)
    card = page.locator(f'[data-job="{done}"]')
    facts = status(daemon, done)
    assert [segment["state"] for segment in facts["segments"]] == ["ready"] * len(facts["segments"])
    expect(card.locator(".segment")).to_have_count(len(facts["segments"]))
    picture = card.locator(".segment img").first
    picture.scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('.segment img').naturalWidth > 0")
    card.get_by_role("button", name="Play segment 1 of my take.mp4").click()
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.3")
    assert page.locator("video").evaluate("video => video.videoWidth") == facts["segments"][0]["width"]
    slider = card.get_by_role("slider", name="Look through segment 1 of my take.mp4")
    slider.evaluate(
        """slider => {
          slider.value = "3";
          slider.dispatchEvent(new Event("input"));
          slider.dispatchEvent(new Event("change"));
        }"""
    )
    page.wait_for_function("() => document.querySelector('video').currentTime >= 3")
    assert audit(page) == {}


def test_a_segment_and_its_poster_show_in_a_tab_of_their_own(daemon: str, done: str, shared: Contexts) -> None:
    """Once the policy of the files kept the browser's own player from loading what it was made for."""
    page = shared().new_page()
    guard = Guard(daemon)
    guard.watch(page)
    segment = status(daemon, done)["segments"][0]
    page.goto(f"{daemon}{segment['video_url']}")
    page.wait_for_function("() => document.querySelector('video').readyState > 0")
    assert page.locator("video").evaluate("video => video.videoWidth") == segment["width"]
    guard.check(page)
    page.goto(f"{daemon}{segment['poster_url']}")
    page.wait_for_function("() => document.querySelector('img').naturalWidth > 0")
    guard.check(page)
    page.close()


def test_the_sprite_is_what_the_slider_says(daemon: str, done: str, open_at: OpenPage) -> None:
    page = open_at(daemon)
    card = page.locator(f'[data-job="{done}"]')
    sprite = status(daemon, done)["segments"][0]["sprite"]
    with page.expect_response(lambda answer: answer.url.endswith(sprite["url"])) as picture:
        card.get_by_role("slider", name="Look through segment 1 of my take.mp4").press("ArrowRight")
    assert picture.value.headers["content-type"] == "image/jpeg"
    size = page.evaluate(
        """async (url) => {
          const image = Object.assign(new Image(), { src: url });
          await image.decode();
          return [image.naturalWidth, image.naturalHeight];
        }""",
        sprite["url"],
    )
    assert size == [sprite["columns"] * sprite["tile_width"], sprite["rows"] * sprite["tile_height"]]


def test_a_download_is_byte_for_byte_what_the_status_says(daemon: str, done: str, open_at: OpenPage) -> None:
    page = open_at(daemon)
    card = page.locator(f'[data-job="{done}"]')
    first = status(daemon, done)["segments"][0]
    with page.expect_download() as download:
        card.get_by_role("link", name=re.compile("Download segment 1 of my take.mp4")).click()
    data = download.value.path().read_bytes()
    assert (len(data), hashlib.sha256(data).hexdigest()) == (first["size"], first["sha256"])
    assert download.value.suggested_filename.endswith(".mp4")
    with page.expect_download() as archive:
        card.get_by_role("link", name="Download all segments of my take.mp4 as one zip file").click()
    assert archive.value.path().read_bytes().startswith(b"PK")


def test_one_segment_is_made_again_and_its_new_file_takes_the_old_ones_place(
    daemon: str, done: str, open_at: OpenPage
) -> None:
    page = open_at(daemon)
    card = page.locator(f'[data-job="{done}"]')
    first, second = status(daemon, done)["segments"][:2]
    fold = card.locator(".fold").nth(1)
    fold.locator("summary").click()
    fold.get_by_label("Look into the lens").uncheck()
    fold.get_by_role("button", name="Make this segment again: segment 2 of my take.mp4").click()
    expect(card.locator(".segment img").nth(1)).to_have_attribute("src", re.compile("making=2"), timeout=WORK_MS)
    expect(fold.get_by_label("Look into the lens")).not_to_be_checked()
    after = status(daemon, done)["segments"]
    assert (after[1]["recipe"]["gaze"], after[1]["remake"]) == ("off", None)
    assert (after[1]["video_url"] != second["video_url"], after[0]["video_url"]) == (True, first["video_url"])
    card.get_by_role("button", name="Play segment 2 of my take.mp4").click()
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.3")


def test_a_text_file_named_mp4_shows_the_servers_refusal(daemon: str, open_at: OpenPage, tmp_path: Path) -> None:
    page = open_at(daemon)
    small, large = tmp_path / "notes.mp4", tmp_path / "log.mp4"
    small.write_text("not a video\n")
    large.write_text("not a video\n" * 2_000_000)
    pick(page, small, large)
    for name in ("notes.mp4", "log.mp4"):
        row = page.locator(".upload", has_text=name)
        expect(row.locator(".problem-title")).to_have_text("This is not a video: it looks like text")
        expect(row.get_by_text("Unsupported Media Type")).to_have_count(0)  # a phrase for programs
        expect(row.get_by_text("Send a video file: MP4, MOV")).to_be_visible()


def test_a_cancelled_upload_leaves_no_job(daemon: str, open_at: OpenPage, sample: Path, tmp_path: Path) -> None:
    page = open_at(daemon)
    before = page.locator(".job").count()
    slow = tmp_path / "slow.mp4"
    slow.write_bytes(sample.read_bytes() + bytes(20_000_000))
    session = page.context.new_cdp_session(page)
    session.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 500_000},
    )
    pick(page, slow)
    row = page.locator(".upload", has_text="slow.mp4")
    expect(row.locator(".upload-figures")).to_contain_text("/s")
    row.get_by_role("button", name="Cancel the upload of slow.mp4").click()
    expect(page.locator(".upload")).to_have_count(0)
    session.detach()
    page.reload()
    expect(page.locator(".job")).to_have_count(before)


def test_a_take_gets_there_whole_over_a_gap_and_a_reload_within_it(
    daemon: str, chromium: Browser, sample: Path, tmp_path: Path
) -> None:
    """A tunnel: the network goes, the page is opened anew without it, the file is chosen again, the network is back."""
    path = tmp_path / "tunnel.mp4"
    padding = 30_000_000
    path.write_bytes(sample.read_bytes() + padding.to_bytes(4) + b"free" + random.Random(1).randbytes(padding - 8))
    phone = chromium.new_context(viewport=ViewportSize(width=PHONE["width"], height=PHONE["height"]))
    phone.add_init_script("delete window.showOpenFilePicker;")
    page = phone.new_page()
    page.goto(daemon)
    page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    page.route("**/files/upl_*", lambda route: goes_into_the_tunnel(route))
    pick(page, path)
    expect(page.get_by_text("Trying again in")).to_be_visible()
    phone.set_offline(True)
    page.unroute_all()
    page.reload()
    expect(page.get_by_text("You are offline.")).to_be_visible()
    pick(page, path)
    expect(page.get_by_text("If this page is closed, the upload goes on when it is opened again.")).to_be_visible()
    page.reload()
    begun: list[int] = []

    def note(request: Request) -> None:
        if request.method == "PATCH":
            begun.append(int(request.headers["upload-offset"]))

    page.on("request", note)
    phone.set_offline(False)
    card = page.locator(".job", has=page.get_by_role("heading", name="tunnel.mp4"))
    expect(card).to_have_count(1)
    assert begun[0] == 8 << 20
    card.locator(".segment").first.wait_for(timeout=WORK_MS)  # it is planned: the whole file was read
    job = card.get_attribute("data-job")
    with urllib.request.urlopen(f"{daemon}/status/{job}") as answer:
        assert json.load(answer)["source"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    with urllib.request.urlopen(f"{daemon}/v1/uploads") as answer:
        assert json.load(answer)["uploads"] == []
    with urllib.request.urlopen(urllib.request.Request(f"{daemon}/v1/jobs/{job}", method="DELETE")):
        """What it would still make is of no interest."""
    phone.close()


@pytest.mark.skipif(not UPPY.exists(), reason="Uppy is not there: npm install in tests/node")
def test_uppy_sends_a_take_in_parts(daemon: str, open_at: OpenPage, sample: Path) -> None:
    """Another page's uploader, in a browser, against the daemon."""
    page = open_at(daemon)
    page.evaluate(UPPY.read_text())
    content = sample.read_bytes() + (2_000_000).to_bytes(4) + b"free" + random.Random(2).randbytes(1_999_992)
    job = page.evaluate(
        """async ([text, part]) => {
          const data = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          const uppy = new Uppy.Uppy({ meta: { segment_s: "45" } });
          let job = null;
          const onAfterResponse = (_, answer) => { job ??= answer.getHeader("VidProd-Job"); };
          const allowedMetaFields = ["filename", "segment_s"];
          uppy.use(Uppy.Tus, { endpoint: "/files/", chunkSize: part, onAfterResponse, allowedMetaFields });
          uppy.addFile({ name: "uppy.mp4", type: "video/mp4", data: new Blob([data]), meta: { filename: "uppy.mp4" } });
          const { successful } = await uppy.upload();
          return successful.length === 1 ? job : null;
        }""",
        [base64.b64encode(content).decode(), 500_000],
    )
    card = page.locator(f"[data-job={job}]")
    card.get_by_role("heading", name="uppy.mp4").wait_for()
    card.locator(".segment").first.wait_for(timeout=WORK_MS)
    with urllib.request.urlopen(f"{daemon}/status/{job}") as answer:
        told = json.load(answer)
    assert told["source"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert told["recipe"]["segment_s"] == 45
    with urllib.request.urlopen(urllib.request.Request(f"{daemon}/v1/jobs/{job}", method="DELETE")):
        """What it would still make is of no interest."""


def goes_into_the_tunnel(route: Route) -> None:
    if int(route.request.headers.get("upload-offset", "0")) > 0:
        route.abort("internetdisconnected")
    else:
        route.continue_()


def test_a_running_job_is_cancelled_tried_again_and_deleted(daemon: str, open_at: OpenPage, tmp_path: Path) -> None:
    page = open_at(daemon, size=DESK)
    short = tmp_path / "second take.mp4"
    make_sample(short, seconds=4)
    pick(page, short)
    card = page.locator(".job", has=page.get_by_role("heading", name="second take.mp4"))
    card.get_by_role("button", name="Cancel the work on second take.mp4").click()
    expect(card.get_by_text("Cancelled", exact=True)).to_be_visible()
    card.get_by_role("button", name="Try again: second take.mp4").click()
    expect(card.get_by_text("Done", exact=True)).to_be_visible(timeout=WORK_MS)
    card.get_by_role("button", name="Delete second take.mp4").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(card).to_have_count(0)
    page.reload()
    page.get_by_role("heading", name="Your takes").wait_for()
    expect(page.locator("#takes-loading")).to_be_hidden()
    expect(card).to_have_count(0)


def test_a_take_that_was_cut_off_fails_with_a_sentence_and_a_hint(daemon: str, open_at: OpenPage, sample: Path) -> None:
    page = open_at(daemon)
    half = sample.with_name("broken.mp4")
    half.write_bytes(sample.read_bytes()[:4000])  # a container that was cut off behind its beginning
    pick(page, half)
    card = page.locator(".job", has=page.get_by_role("heading", name="broken.mp4"))
    expect(card.get_by_text("Failed", exact=True)).to_be_visible(timeout=WORK_MS)
    problem = status(daemon, card.get_attribute("data-job") or "")["error"]
    expect(card.get_by_text(problem["message"], exact=True)).to_be_visible()
    if problem["hint"]:
        expect(card.get_by_text(problem["hint"], exact=True)).to_be_visible()


def test_a_segment_goes_to_an_account_that_was_connected_in_the_page(
    daemon: str, done: str, chromium: Browser, platforms: dict[str, str]
) -> None:
    page = chromium.new_page()  # without the guard: it goes to the platform's own page
    page.goto(f"{daemon}/#accounts")
    page.get_by_role("button", name="Connect YouTube").click()
    page.get_by_role("button", name="Allow").click()
    page.get_by_role("link", name="Back to the accounts").click()
    expect(page.locator("#accounts-outcome")).to_have_text("Connected: Ann Example, YouTube.")
    page.get_by_role("link", name="Takes").click()
    card = page.locator(f'[data-job="{done}"]')
    card.locator(".segments").evaluate("fold => { fold.open = true; }")
    card.get_by_role("button", name="Publish segment 1 of my take.mp4").click()
    sheet = page.locator("dialog.sheet[open]")
    expect(sheet.get_by_label("Title")).to_have_value(re.compile(r"my take – part 1 of \d"))
    sheet.get_by_label("Title").fill("From the page")
    expect(sheet.get_by_text("13 of 100 characters")).to_be_visible()
    sheet.get_by_role("button", name="Publish now").click()
    line = card.locator(".line")
    expect(line).to_contain_text("Published", timeout=WORK_MS)
    link = line.get_by_role("link", name="Open on YouTube").get_attribute("href") or ""
    with urllib.request.urlopen(f"{platforms['VIDPROD_SIMULATOR_URL']}/far.json", timeout=10) as answer:
        posts = json.load(answer)["posts"]
    assert [(post["title"], link.endswith(post["remote_id"])) for post in posts] == [("From the page", True)]
    page.close()


def test_an_endpoint_of_the_page_is_one_of_the_daemon(daemon: str, open_at: OpenPage) -> None:
    page = open_at(daemon, view="webhooks")
    page.get_by_label("Address").fill("http://192.0.2.1/hook")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#add-endpoint .problem")).to_contain_text("webhook_allow")
    page.get_by_label("Address").fill("https://example.com/hook")
    page.get_by_label("Publications").check()
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("textbox", name="Secret of")).to_have_value(re.compile(r"whsec_\S{32,}"))
    page.get_by_role("button", name="Disable: ").click()
    expect(page.get_by_text("Disabled by hand.")).to_be_visible()
    page.get_by_role("button", name="Delete: ").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(page.locator("[data-endpoint]")).to_have_count(0)


def test_the_far_end_of_the_other_tests_has_what_the_daemon_has(far: FakeDaemon) -> None:
    segment = far.jobs[finished(far)]["segments"][0]["segment_id"]
    account = far.publishing.add_account("My channel")
    publication = far.publishing.plan(segment, account, due=datetime(2026, 11, 20, tzinfo=UTC))
    endpoint = far.publishing.add_endpoint("https://example.com/hook")
    delivery = far.publishing.deliver(endpoint, "job.created", 500)
    for fake, view in (
        (far.publishing.accounts[account], AccountView),
        (far.publishing.publications[publication], PublicationView),
        (far.publishing.endpoints[endpoint], EndpointView),
        (far.publishing.deliveries[delivery], DeliveryView),
        (far.publishing.attempts[delivery][0], AttemptView),
    ):
        assert set(fake) == set(view.__struct_fields__)


def test_the_page_listens_to_all_that_is_said_of_publishing() -> None:
    heard = set(re.findall(r'"([a-z]+\.[a-z_]+)"', (ROOT / "static" / "live.js").read_text()))
    assert {f"publication.{what}" for what in get_args(What)} <= heard


def test_the_far_end_of_the_other_tests_has_the_daemons_own_policy(daemon: str) -> None:
    with urllib.request.urlopen(daemon, timeout=10) as answer:
        assert directives(answer.headers["content-security-policy"]) == directives(POLICY)


def directives(policy: str) -> dict[str, frozenset[str]]:
    return {words[0]: frozenset(words[1:]) for part in policy.split(";") if (words := part.split())}
