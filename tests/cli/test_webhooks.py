"""`vidprod webhooks`, beside a daemon that delivers to a receiver."""

import asyncio
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import httpx
import msgspec
import pytest
from click.testing import CliRunner, Result
from standardwebhooks import Webhook

from tests.cli.running import serving
from vidprod.cli import main
from vidprod.domain.ids import new_id
from vidprod.store.sqlite import Store

NOW = 1_800_000_000_000
Heard = list[tuple[dict[str, str], bytes]]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("VIDPROD_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@contextmanager
def listening(status: Callable[[], int] = lambda: 200) -> Iterator[tuple[str, Heard]]:
    """A receiver, and what it heard."""
    heard: Heard = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            heard.append((dict(self.headers.items()), body))
            self.send_response(status() if self.path == "/hook" else 500)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"heard")

        def log_message(self, *args: object) -> None:
            """Nothing to the terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))  # it looks whether to end
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", heard
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def daemon(tmp_path: Path) -> Iterator[Callable[..., Result]]:
    """Runs; yields how to give a command beside it."""
    with serving(tmp_path, "--webhook-allow", "127.0.0.1") as (_, address):
        port = address.rpartition(":")[2]
        yield lambda *words: CliRunner().invoke(main, ["webhooks", *words, "--port", port])


def test_an_endpoint_from_its_adding_to_its_end(tmp_path: Path) -> None:
    with listening() as (url, heard), daemon(tmp_path) as vidprod:
        made = vidprod("add", url, "--type", "job.*", "--type", "publication.published", "--description", "mine")
        assert made.exit_code == 0, made.output
        secret = made.stdout.strip()
        found = re.search(r"(end_\w+) hears of job\.\*, publication\.published", made.stderr)
        assert found is not None
        name = found[1]

        tested = vidprod("test", name)
        assert re.fullmatch(r"It answered 200 after \d+ ms\.\n", tested.stdout), tested.output
        [(headers, body)] = heard
        assert Webhook(secret).verify(body, headers)["type"] == "endpoint.test"

        turned = vidprod("rotate", name)
        assert "signs too until" in turned.stderr
        again = vidprod("test", name)
        assert again.exit_code == 0, again.output
        for one in (secret, turned.stdout.strip()):
            Webhook(one).verify(heard[1][1], heard[1][0])

        assert "2 are delivered again" in vidprod("replay", name, "--from", "2026-01-01T00:00:00Z").stdout
        line = vidprod("log", name, "--limit", "1", "--json").stdout
        delivery = msgspec.json.decode(line)["id"]
        assert vidprod("replay", delivery).stdout == f"{delivery} is delivered again.\n"
        assert "endpoint.test  " in vidprod("log", name).stdout

        assert vidprod("disable", name).exit_code == 0
        assert (
            f"{name}  {url}  job.*, publication.published  disabled: disabled by hand  mine" in vidprod("list").stdout
        )
        refused = vidprod("test", name)
        assert (refused.exit_code, "is disabled" in refused.stderr) == (1, True)
        assert vidprod("enable", name).exit_code == 0
        assert vidprod("remove", name, "--yes").exit_code == 0
        assert "No endpoints" in vidprod("list").stderr

        broken = vidprod("add", url.replace("/hook", "/broken")).stderr.split()[0]
        failed = vidprod("test", broken)
        assert failed.exit_code == 1
        assert "it answered 500 Internal Server Error" in failed.stderr
        assert "→ heard" in failed.stderr
        assert "failing since" in vidprod("list").stdout
        assert "pending (1)  it answered 500 Internal Server Error, next " in vidprod("log", broken).stdout
        private = vidprod("add", "https://169.254.169.254/latest/meta-data")
        assert private.exit_code == 1
        assert "where clouds keep their metadata" in private.stderr
        log = (tmp_path / "log").read_text()
        assert secret.removeprefix("whsec_") not in log


def test_what_a_killed_daemon_had_under_way_is_delivered_by_the_next(tmp_path: Path) -> None:
    began, release = Event(), Event()

    def hangs_at_first() -> int:
        if began.is_set():
            return 200
        began.set()
        release.wait(20)
        return 200

    with listening(hangs_at_first) as (url, heard):
        with serving(tmp_path, "--webhook-allow", "127.0.0.1") as (process, address):
            asked = httpx.post(f"{address}/v1/endpoints", json={"url": url}).json()
            sent = httpx.post(f"{address}/v1/endpoints/{asked['id']}/test").json()
            assert began.wait(20)  # the receiver has it, and nobody here knows
            process.kill()
            process.wait()
        with (
            serving(tmp_path, "--webhook-allow", "127.0.0.1") as (_, address),
            httpx.Client(base_url=address) as client,
        ):
            while (seen := client.get(f"/v1/deliveries/{sent['id']}").json())["state"] != "delivered":
                time.sleep(0.02)
        release.set()
    assert len(seen["attempts"]) == 1
    assert [headers["webhook-id"] for headers, _ in heard] == [sent["id"]] * 2
    for headers, body in heard:
        Webhook(asked["secret"]).verify(body, headers)


def test_without_a_daemon_it_is_told_and_the_list_is_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()

    async def make() -> None:
        async with await Store.open(tmp_path / "data/vidprod.db", now=NOW):
            pass

    asyncio.run(make())

    def vidprod(*words: str) -> Result:
        return CliRunner().invoke(main, ["webhooks", *words])

    assert vidprod("list").exit_code == 0
    for words in (["add", "https://receiver.example/"], ["test", new_id("end", now=NOW)]):
        told = vidprod(*words)
        assert told.exit_code == 3
        assert "it is the daemon that delivers" in told.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["replay", new_id("end", now=NOW)],
        ["replay", new_id("msg", now=NOW), "--failed"],
    ],
)
def test_a_replay_says_of_what(words: list[str]) -> None:
    assert CliRunner().invoke(main, ["webhooks", *words]).exit_code == 2


def test_what_can_find_nothing_is_told(tmp_path: Path) -> None:
    for words in (["log", new_id("end", now=NOW), "--state", "sent"], ["list", "--job", "mine"]):
        told = CliRunner().invoke(main, ["webhooks", *words])
        assert told.exit_code == 2
        assert words[-1] in told.stderr
