"""`vidprod config`: what is in effect, and where from."""

import json
from pathlib import Path

import pytest

from tests.cli.running import vidprod
from vidprod.cli.config import as_rows, shown
from vidprod.config import SETTINGS, load_config
from vidprod.telemetry.log import MASK


def test_it_prints_each_setting_with_its_value_and_source(tmp_path: Path) -> None:
    (tmp_path / "vidprod.toml").write_text('max_upload_bytes = "2GiB"\n')
    done = vidprod("config", "--port", "9000", cwd=tmp_path, VIDPROD_DATA="/volume")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert set(rows) == {"setting", *SETTINGS}
    assert "9000" in rows["port"]
    assert "--port" in rows["port"]
    assert "2 GiB" in rows["max_upload_bytes"]
    assert "vidprod.toml" in rows["max_upload_bytes"]
    assert "VIDPROD_DATA" in rows["data_dir"]
    assert "default" in rows["host"]


def test_json_is_for_programs(tmp_path: Path) -> None:
    done = vidprod("config", "--json", "--lease-s", "90s", cwd=tmp_path)
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["lease_s"]["value"] == 90
    assert rows["lease_s"]["source"] == "--lease-s"
    assert rows["lease_s"]["variable"] == "VIDPROD_LEASE_S"


def test_wrong_settings_end_with_2_and_every_fault_and_what_to_do(tmp_path: Path) -> None:
    done = vidprod("config", "--port", "x", cwd=tmp_path, VIDPROD_LOG_LEVEL="loud", VIDPROD_PROT="1")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "--port: port = 'x': must be a whole number" in done.stderr
    assert "VIDPROD_LOG_LEVEL: log_level = 'loud': must be one of debug, info, warning, error" in done.stderr
    assert "VIDPROD_PROT: no such setting; did you mean VIDPROD_PORT?" in done.stderr
    assert "→ `vidprod config --help` lists every setting." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["oauth_client_secret", "encryption_key", "webhook_token"])
def test_the_value_of_a_setting_that_is_secret_by_name_is_masked(name: str) -> None:
    assert shown(name, "t0p") == MASK
    assert shown(name, "") == ""  # that nothing is set is no secret


def test_no_setting_of_today_is_taken_for_a_secret() -> None:
    assert not [row["name"] for row in as_rows(load_config(None, {}, {})) if row["value"] == MASK]
