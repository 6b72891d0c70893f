"""Log lines: bound, routed, and without secrets."""

import asyncio
import io
import json
import logging
import warnings
from pathlib import Path

import pytest

from vidprod.store.sqlite import Store
from vidprod.telemetry import log

pytestmark = pytest.mark.usefixtures("own_log")


def said(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def json_log(level: str = "info") -> io.StringIO:
    out = io.StringIO()
    log.setup("json", level, stream=out)
    return out


def test_job_and_attempt_are_on_every_line_said_inside() -> None:
    out = json_log()
    with log.bind(job="job_1", attempt=2):
        log.get("vidprod.services.worker").info("step.started", step="probe")
        logging.getLogger("a_library").warning("worker %d", 7)
    log.get("vidprod").info("outside")
    inside, foreign, outside = said(out)
    assert (inside["event"], inside["job"], inside["attempt"], inside["step"]) == ("step.started", "job_1", 2, "probe")
    assert (foreign["event"], foreign["logger"], foreign["job"]) == ("worker 7", "a_library", "job_1")
    assert "job" not in outside
    assert inside["level"] == "info"
    assert str(inside["timestamp"]).endswith("Z")


async def test_two_tasks_do_not_mix_what_they_bound() -> None:
    out = json_log()

    async def work(job: str) -> None:
        with log.bind(job=job):
            await asyncio.sleep(0)
            log.get("vidprod").info(job)

    await asyncio.gather(work("a"), work("b"))
    assert all(line["job"] == line["event"] for line in said(out))


def test_secrets_are_masked_by_name_at_any_depth() -> None:
    out = json_log()
    log.get("vidprod").info(
        "call",
        token="t0p",
        api_key="t0p",
        headers={"Authorization": "t0p", "Accept": "x"},
        rows=[{"clientSecret": "t0p"}],
        lease_token="t0p",
        keyframes=12,
        password="",
    )
    assert "t0p" not in out.getvalue()
    (line,) = said(out)
    assert line["headers"] == {"Authorization": log.MASK, "Accept": "x"}
    assert line["keyframes"] == 12
    assert line["password"] == ""


def test_query_values_and_logins_in_addresses_are_masked_and_names_stay() -> None:
    out = json_log()
    log.get("vidprod").info("GET https://ann:pw@host/v?sig=abc&part=3#x", path="/upload?filename=my%20take.mov")
    (line,) = said(out)
    assert line["event"] == f"GET https://{log.MASK}@host/v?sig={log.MASK}&part={log.MASK}#x"
    assert line["path"] == f"/upload?filename={log.MASK}"


def test_an_authorization_header_in_a_sentence_is_masked() -> None:
    out = json_log()
    log.get("vidprod").info("sent Bearer eyJhbGciOi.abc-123")
    assert said(out)[0]["event"] == f"sent Bearer {log.MASK}"


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_secret_in_a_traceback_is_masked_in_either_format(style: log.LogFormat) -> None:
    out = io.StringIO()
    log.setup(style, "info", stream=out)
    try:
        raise ValueError("PUT https://host/part?signature=abc123 failed")
    except ValueError:
        log.get("vidprod").exception("upload.failed")
    assert "ValueError: PUT https://host/part?signature=" in out.getvalue()
    assert "abc123" not in out.getvalue()


def test_without_the_processor_the_same_line_would_leak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "mask_secrets", lambda _logger, _method, event: event)
    out = json_log()
    log.get("vidprod").info("call https://host/?sig=abc123", token="t0p")
    assert "t0p" in out.getvalue()
    assert "abc123" in out.getvalue()


def test_the_level_holds_for_ours_and_theirs() -> None:
    out = json_log("warning")
    log.get("vidprod").info("no")
    logging.getLogger("granian").info("no")
    log.get("vidprod").warning("yes")
    assert [line["event"] for line in said(out)] == ["yes"]


def test_chatty_libraries_are_quiet_until_debugging() -> None:
    out = json_log("info")
    logging.getLogger("httpx").info("HTTP Request: …")
    logging.getLogger("apscheduler.scheduler").info("Added job")
    assert said(out) == []
    out = json_log("debug")
    logging.getLogger("httpx").info("HTTP Request: …")
    assert len(said(out)) == 1


async def test_the_store_does_not_flood_the_log_when_debugging(tmp_path: Path) -> None:
    """aiosqlite says what each of its calls is and that it ended: two lines for each transaction."""
    out = json_log("debug")
    async with await Store.open(tmp_path / "vidprod.db", now=1, reserve_bytes=1) as store:
        await store.read(lambda db: db.events.last_id())
    assert [line for line in said(out) if line["logger"] == "aiosqlite"] == []
    logging.getLogger("aiosqlite").warning("it is not well")
    assert said(out)[-1]["event"] == "it is not well"


def test_a_second_setup_replaces_the_first() -> None:
    first, second = json_log(), json_log()
    log.get("vidprod").info("once")
    assert first.getvalue() == ""
    assert len(said(second)) == 1


def test_a_warning_of_python_is_a_log_line() -> None:
    out = json_log()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old", UserWarning, stacklevel=1)
        logging.captureWarnings(False)
    assert said(out)[0]["logger"] == "py.warnings"


def test_the_console_format_has_one_readable_line() -> None:
    out = io.StringIO()
    log.setup("console", "info", stream=out)
    log.get("vidprod.daemon").info("daemon.ready", address="http://127.0.0.1:8000")
    assert "daemon.ready" in out.getvalue()
    assert "address=http://127.0.0.1:8000" in out.getvalue()
    assert "\x1b" not in out.getvalue()  # no colours where there is no terminal
