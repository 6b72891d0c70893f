"""Settings: what wins, what is refused, and how it is said."""

import re
from pathlib import Path

import msgspec
import pytest

from vidprod.config import SETTINGS, Config, load_config
from vidprod.errors import BadConfig


@pytest.fixture(autouse=True)
def _no_file_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def faults_of(file: Path | None = None, *, environ: dict[str, str] | None = None, **flags: object) -> list[str]:
    with pytest.raises(BadConfig) as refusal:
        load_config(file, environ or {}, flags)
    return str(refusal.value).split("\n")


def test_without_anything_every_setting_has_its_default() -> None:
    loaded = load_config(None, {}, {})
    assert loaded.config == Config()
    assert set(loaded.sources.values()) == {"default"}


def test_a_flag_wins_over_the_environment_which_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('port = 1\nhost = "file"\nlog_level = "error"\n')
    loaded = load_config(file, {"VIDPROD_PORT": "2", "VIDPROD_HOST": "environment"}, {"port": 3, "host": None})
    assert (loaded.config.port, loaded.config.host, loaded.config.log_level) == (3, "environment", "error")
    assert (loaded.sources["port"], loaded.sources["host"]) == ("--port", "VIDPROD_HOST")
    assert loaded.sources["log_level"] == str(file)


def test_a_file_in_the_working_directory_is_read_unasked(tmp_path: Path) -> None:
    (tmp_path / "vidprod.toml").write_text("port = 81\n")
    assert load_config(None, {}, {}).config.port == 81


def test_the_environment_can_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("port = 82\n")
    assert load_config(None, {"VIDPROD_CONFIG": str(tmp_path / "other.toml")}, {}).config.port == 82


def test_vidprod_data_names_the_data_directory_and_the_full_name_wins() -> None:
    assert load_config(None, {"VIDPROD_DATA": "/volume"}, {}).config.data_dir == "/volume"
    both = {"VIDPROD_DATA": "/short", "VIDPROD_DATA_DIR": "/full"}
    assert load_config(None, both, {}).config.data_dir == "/full"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("512MiB", 512 << 20),
        ("8 GiB", 8 << 30),
        ("1.5gib", 3 << 29),
        ("500MB", 500_000_000),
        ("700000000", 700_000_000),
    ],
)
def test_sizes_are_written_as_people_write_them(text: str, value: int) -> None:
    assert load_config(None, {"VIDPROD_MAX_UPLOAD_BYTES": text}, {}).config.max_upload_bytes == value


@pytest.mark.parametrize(("text", "value"), [("24h", 86400), ("90", 90), ("1h30m", 5400), ("14 days", 14 * 86400)])
def test_durations_are_written_as_people_write_them(text: str, value: int) -> None:
    kept = load_config(None, {"VIDPROD_SEGMENT_KEEP_S": text}, {}).config.segment_keep_s
    assert (kept, type(kept)) == (value, int)


def test_names_are_a_list_or_a_text_with_commas(tmp_path: Path) -> None:
    (tmp_path / "vidprod.toml").write_text('hosts = ["Video.example", "studio"]\n')
    assert load_config(None, {}, {}).config.hosts == ("video.example", "studio")
    assert load_config(None, {"VIDPROD_HOSTS": " video.example,studio ,"}, {}).config.hosts == (
        "video.example",
        "studio",
    )
    assert load_config(None, {"VIDPROD_HOSTS": "*"}, {}).config.hosts == ("*",)


@pytest.mark.parametrize("text", ["https://video.example", "video.example:8000", "a b", "*.video.example", "ü.example"])
def test_what_is_no_name_of_a_host_is_refused(text: str) -> None:
    assert faults_of(hosts=text) == [
        f'--hosts: hosts = {text!r}: must be names like "video.example", separated by commas, without scheme and '
        "port; or *"
    ]
    assert len(faults_of(hosts=[text])) == 1


def test_receivers_that_may_be_reached_are_addresses_networks_and_names() -> None:
    given = "192.168.1.20, 10.0.0.0/24,fd00::/8,N8N.local"
    allowed = load_config(None, {"VIDPROD_WEBHOOK_ALLOW": given}, {}).config.webhook_allow
    assert allowed == ("192.168.1.20", "10.0.0.0/24", "fd00::/8", "n8n.local")
    for text in ("http://n8n.local", "n8n.local:5678", "10.0.0.0/33", "*", "a b"):
        assert faults_of(webhook_allow=text) == [
            f"--webhook-allow: webhook_allow = {text!r}: must be addresses, networks or names, separated by commas"
        ]


def test_a_file_may_hold_numbers_or_texts(tmp_path: Path) -> None:
    (tmp_path / "vidprod.toml").write_text('lease_s = 2.5\nsource_keep_s = "2h"\nmax_upload_bytes = 1048576\n')
    config = load_config(None, {}, {}).config
    assert (config.lease_s, config.source_keep_s, config.max_upload_bytes) == (2.5, 7200, 1 << 20)


def test_every_fault_is_told_at_once_with_source_name_value_and_what_is_right(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('log_format = "xml"\nlease = 3\nmax_uploads = true\n')
    environ = {"VIDPROD_PROT": "1", "VIDPROD_MAX_UPLOAD_BYTES": "8 buckets"}
    assert faults_of(file, environ=environ, port=70000) == [
        f"{file}: log_format = 'xml': must be one of console, json",
        f"{file}: lease: no such setting; did you mean lease_s?",
        f"{file}: max_uploads = True: must be a whole number, at least 1",
        "environment: VIDPROD_PROT: no such setting; did you mean VIDPROD_PORT?",
        "VIDPROD_MAX_UPLOAD_BYTES: max_upload_bytes = '8 buckets': must be a size like \"512MiB\", at least 1 B",
        "--port: port = 70000: must be a whole number, at least 0, at most 65535",
    ]


def test_where_others_can_reach_it_somebody_is_asked() -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "studio.lan"):
        (fault,) = faults_of(access="open", host=host)
        assert fault.startswith(f"--access: access = open with host = {host}: must be ask")
    for host in ("127.0.0.1", "::1", "localhost", "studio.localhost"):
        assert load_config(None, {}, {"access": "open", "host": host}).config.access == "open"


def test_a_setup_code_is_long_enough_and_never_repeated() -> None:
    with pytest.raises(BadConfig) as caught:
        load_config(None, {"VIDPROD_SETUP_CODE": "hunter2"}, {})
    assert "must have at least 16 characters" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_key_in_the_environment_is_no_setting() -> None:
    assert load_config(None, {"VIDPROD_API_KEY": "vp_live_x"}, {}).sources["port"] == "default"


def test_settings_that_contradict_each_other_are_refused() -> None:
    assert faults_of(environ={"VIDPROD_CHILD_MEMORY_BYTES": "1GiB"}) == [
        "default: media_memory_bytes = 512 MiB: must be at least child_memory_bytes, 1 GiB"
    ]


def test_a_named_file_that_is_missing_or_no_toml_is_a_fault_and_not_ignored(tmp_path: Path) -> None:
    assert faults_of(tmp_path / "none.toml") == [f"{tmp_path / 'none.toml'}: no such file"]
    (tmp_path / "bad.toml").write_text("port: 80\n")
    assert faults_of(tmp_path / "bad.toml")[0].startswith(f"{tmp_path / 'bad.toml'}: is not TOML: ")


def test_every_setting_has_a_unit_a_reason_and_a_default_within_its_own_bounds() -> None:
    for setting in SETTINGS.values():
        assert setting.unit, setting.name
        assert len(setting.reason) > 10, setting.name
        assert setting.ge is None or setting.default >= setting.ge, setting.name
        assert setting.le is None or setting.default <= setting.le, setting.name
    assert tuple(SETTINGS) == Config.__struct_fields__
    msgspec.convert(msgspec.to_builtins(Config()), Config)


def test_a_unit_ends_the_name_of_what_has_one() -> None:
    endings = {"seconds": r"_s$", "bytes": r"_bytes$", "path": r"_dir$", "pixels": r"_pixels$"}
    for setting in SETTINGS.values():
        if setting.unit in endings:
            assert re.search(endings[setting.unit], setting.name), setting.name


def test_what_a_setting_shows_can_be_given_back_to_it() -> None:
    shown = {s.variable: s.show(s.default) for s in SETTINGS.values()}
    assert load_config(None, shown, {}).config == Config()


def test_children_at_once_follow_from_the_memory_for_all() -> None:
    assert Config().children == 1
    assert Config(media_memory_bytes=1100 << 20, child_memory_bytes=512 << 20).children == 2
