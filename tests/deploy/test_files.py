"""What a deployment is made of says what its platforms document, and what the daemon does."""

import json
import re
import tomllib
from typing import Any

import click
import pytest
import yaml

from tests.deploy.image import NOTED, ROOT, Step, steps
from vidprod.cli import main
from vidprod.config import SETTINGS

# fly.io/docs/reference/configuration, as read in 2026; None is any value, a set is what it may be
FLY: dict[str, Any] = {
    "app": str,
    "primary_region": str,
    "kill_signal": {"SIGTERM", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGKILL", "SIGSTOP", "SIGINT"},
    "kill_timeout": int,
    "build": {"dockerfile": str},
    "deploy": {"strategy": {"rolling", "immediate"}, "wait_timeout": str},  # the others are not for volumes
    "env": None,
    "mounts": [
        {
            "source": str,
            "destination": str,
            "initial_size": str,
            "auto_extend_size_threshold": int,
            "auto_extend_size_increment": str,
            "auto_extend_size_limit": str,
            "snapshot_retention": int,
        }
    ],
    "http_service": {
        "internal_port": int,
        "force_https": bool,
        "auto_stop_machines": {"off", "stop", "suspend"},
        "auto_start_machines": bool,
        "min_machines_running": int,
        "concurrency": {"type": {"requests", "connections"}, "soft_limit": int, "hard_limit": int},
        "http_options": {"idle_timeout": int},
        "checks": [{"method": str, "path": str, "interval": str, "timeout": str, "grace_period": str}],
    },
    "vm": [{"size": str, "memory": str}],
    "metrics": {"port": int, "path": str},
}

# fly.io/docs/litefs/config and the commented litefs.yml of superfly/litefs
LITEFS: dict[str, Any] = {
    "fuse": {"dir": str, "allow-other": bool, "debug": bool},
    "data": {"dir": str, "compress": bool, "retention": str, "retention-monitor-interval": str},
    "http": {"addr": str},
    "lease": {"type": {"static", "consul"}, "advertise-url": str, "hostname": str, "candidate": str, "promote": bool},
    "exit-on-error": bool,
    "skip-sync": bool,
    "exec": [{"cmd": str, "if-candidate": bool}],
}


def faults(value: object, rule: Any, where: str = "") -> list[str]:
    """What in `value` is not documented."""
    if rule is None:
        return []
    if isinstance(rule, dict):
        if not isinstance(value, dict):
            return [f"{where} is no table"]
        unknown = [f"{where}.{name} is not documented" for name in value if name not in rule]
        return unknown + [
            f for name in value if name in rule for f in faults(value[name], rule[name], f"{where}.{name}")
        ]
    if isinstance(rule, list):
        if not isinstance(value, list):
            return [f"{where} is no list"]
        return [fault for entry in value for fault in faults(entry, rule[0], f"{where}[]")]
    if isinstance(rule, set):
        return [] if value in rule else [f"{where} = {value!r}"]
    return [] if type(value) is rule else [f"{where} = {value!r} is no {rule.__name__}"]


@pytest.fixture(scope="module")
def fly() -> dict[str, Any]:
    return tomllib.loads((ROOT / "fly.toml").read_text())


@pytest.fixture(scope="module")
def litefs() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "litefs.yml").read_text()))


@pytest.fixture(scope="module")
def dockerfile() -> list[Step]:
    return steps((ROOT / "Dockerfile").read_text())


def test_fly_knows_every_key(fly: dict[str, Any]) -> None:
    assert faults(fly, FLY) == []


def test_an_unknown_key_or_value_would_be_noticed(fly: dict[str, Any]) -> None:
    fly = {**fly, "kill_signal": "SIGHUP", "http_service": {**fly["http_service"], "auto_stop_machine": "off"}}
    assert faults(fly, FLY) == [".kill_signal = 'SIGHUP'", ".http_service.auto_stop_machine is not documented"]


def test_fly_gives_the_daemon_time_to_drain(fly: dict[str, Any]) -> None:
    assert fly["kill_signal"] == "SIGTERM"
    assert SETTINGS["drain_s"].le is not None
    assert SETTINGS["drain_s"].le < fly["kill_timeout"] <= 300


def test_fly_never_stops_what_has_something_to_publish(fly: dict[str, Any]) -> None:
    service = fly["http_service"]
    assert (service["auto_stop_machines"], service["min_machines_running"]) == ("off", 1)


def test_fly_asks_where_the_daemon_answers(fly: dict[str, Any], dockerfile: list[Step]) -> None:
    port = int(only(dockerfile, "EXPOSE"))
    assert port == SETTINGS["port"].default == fly["http_service"]["internal_port"] == fly["metrics"]["port"]
    assert [check["path"] for check in fly["http_service"]["checks"]] == ["/ready"]
    assert fly["http_service"]["http_options"]["idle_timeout"] > SETTINGS["upload_read_timeout_s"].default


def test_the_volume_is_where_the_daemon_writes(fly: dict[str, Any], dockerfile: list[Step]) -> None:
    assert [mount["destination"] for mount in fly["mounts"]] == [only(dockerfile, "VOLUME")] == ["/data"]
    assert "VIDPROD_DATA_DIR=/data" in only(dockerfile, "ENV")


def test_every_variable_is_a_setting(fly: dict[str, Any], dockerfile: list[Step]) -> None:
    names = set(re.findall(r"VIDPROD_[A-Z_]+", (ROOT / "Dockerfile").read_text())) | set(fly["env"])
    assert names <= {setting.variable for setting in SETTINGS.values()}
    assert all(isinstance(value, str) for value in fly["env"].values())  # Fly takes nothing else
    assert not [name for name in fly["env"] if name in SETTINGS and SETTINGS[name].is_secret]


def test_the_image_runs_one_command_of_ours_under_an_init(dockerfile: list[Step]) -> None:
    start, *arguments = json.loads(only(dockerfile, "CMD"))
    assert start == "vidprod"
    assert arguments[0] in main.list_commands(click.Context(main))
    assert json.loads(only(dockerfile, "ENTRYPOINT"))[0] == "tini"
    assert only(dockerfile, "STOPSIGNAL") == "SIGTERM"


def test_the_last_stage_has_nothing_that_builds(dockerfile: list[Step]) -> None:
    stages = [number for number, step in enumerate(dockerfile) if step.name == "FROM"]
    last = " ".join(step.words for step in dockerfile[stages[-1] :] if step.name == "RUN")
    assert not re.search(r"apt-get|pip |venv|gcc|build-essential", last)
    assert "pip uninstall -y" in " ".join(step.words for step in dockerfile if step.name == "RUN")


def test_only_what_is_needed_reaches_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    copied = {
        word for step in steps((ROOT / "Dockerfile").read_text()) if step.name == "COPY" for word in step.words.split()
    }
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} <= copied


def test_litefs_knows_every_key(litefs: dict[str, Any]) -> None:
    assert faults(litefs, LITEFS) == []


def test_litefs_has_one_primary_and_never_a_second_daemon(litefs: dict[str, Any]) -> None:
    assert litefs["lease"]["type"] == "static"
    assert "proxy" not in litefs  # uploads are larger than what Fly replays
    assert all(command["if-candidate"] for command in litefs["exec"])
    assert litefs["exec"][-1]["cmd"].endswith(f"--database-dir {litefs['fuse']['dir']}")
    assert SETTINGS["database_dir"].flag == "--database-dir"


def only(found: list[Step], name: str) -> str:
    """The words of the one instruction of this name in the last stage."""
    last = max(number for number, step in enumerate(found) if step.name == "FROM")
    (words,) = [step.words for step in found[last:] if step.name == name]
    return words


def test_every_instruction_is_understood(dockerfile: list[Step]) -> None:
    assert {step.name for step in dockerfile} <= {"FROM", "RUN", "COPY", "ENV", "WORKDIR", *NOTED}
    with pytest.raises(ValueError, match="no instruction"):
        steps("from debian\n")
