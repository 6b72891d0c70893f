"""The layers: imports point one way, an outside library lives in one room, and the daemon loads no codec."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "vidprod"

BASE = {"errors", "units", "hosts", "domain", "config", "telemetry"}
EDGES = {"store", "blobs", "platforms", "webhooks", "media", "vision", "speech"}

# a room and the rooms it may import, besides itself
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "units": set(),
    "hosts": set(),
    "domain": {"errors"},
    "telemetry": {"errors", "domain"},
    "config": {"errors", "units", "hosts", "domain"},
    "vault": {"errors"},
    "passwords": {"errors"},
    "codes": set(),
    "place": {"errors", "config"},
    "store": BASE,
    "blobs": BASE,
    "platforms": BASE,
    "webhooks": BASE,
    "services": BASE | {"store", "blobs", "platforms", "webhooks", "vault"},
    "web": BASE | {"store", "blobs", "platforms", "webhooks", "vault", "passwords", "codes"},
    "daemon": BASE | {"place", "web", "services", "store", "blobs", "platforms", "webhooks", "vault"},
    "cli": BASE
    | {"daemon", "place", "web", "services", "store", "blobs", "platforms", "webhooks", "vault", "passwords"},
    "__main__": {"cli"},
    "media": BASE,
    "vision": BASE,
    "speech": BASE,
    "pipeline": BASE | {"media", "vision", "speech"},
}

# an outside library and the rooms that may import it; what is not here is the standard library's or not allowed
LIBRARIES: dict[str, set[str]] = {
    "msgspec": set(ROOMS),
    "apsw": {"store"},
    "boto3": {"blobs"},
    "botocore": {"blobs"},
    "aiosqlite": {"store"},
    "cryptography": {"vault", "webhooks"},
    "argon2": {"passwords"},
    "pyotp": {"codes"},
    "segno": {"web"},
    "litestar": {"web", "platforms"},  # platforms: the simulators, which are applications of their own
    "granian": {"web", "cli"},
    "multipart": {"web"},
    "av": {"media"},
    "numpy": {"media", "vision", "speech"},
    "mediapipe": {"vision"},
    "cv2": {"vision"},
    "faster_whisper": {"speech"},
    "httpx": {"cli", "platforms"},
    "h11": {"webhooks"},
    "certifi": {"webhooks"},
    "idna": {"webhooks"},
    "rich": {"cli"},
    "click": {"cli"},
    "psutil": {"services", "telemetry"},
    "structlog": {"telemetry"},
    "prometheus_client": {"telemetry"},
    "apscheduler": {"services", "daemon"},
    "uvloop": {"cli", "daemon"},
}

CODECS = ("av", "numpy", "mediapipe", "cv2", "faster_whisper")
SECOND_ENGINES = {"sqlite3", "_sqlite3", "pysqlite2", "sqlean"}


def imports(source: str) -> Iterator[str]:
    """Every module that `source` imports, wherever in it, in full: "vidprod.store.feed"."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
            if node.module == "vidprod":
                yield from (f"vidprod.{alias.name}" for alias in node.names if not alias.name.startswith("__"))
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            named = ast.unparse(node.func).rsplit(".", 1)[-1]
            if named in {"import_module", "__import__"} and isinstance(node.args[0].value, str):
                yield node.args[0].value


def faults(room: str, source: str) -> list[str]:
    """What a module of `room` with this source does that it may not."""
    return [fault for module in imports(source) if (fault := _fault(room, module))] + _second_engine(source)


def _fault(room: str, module: str) -> str | None:
    top, _, rest = module.partition(".")
    if module.startswith("."):
        return f"{room} imports {module}: say the whole name"
    if top in {"vidprod", ""}:
        other = rest.partition(".")[0]
        allowed = not other or other == room or other in ROOMS[room]
        return None if allowed else f"{room} imports {module}: {other} is not below it"
    if top in SECOND_ENGINES:
        return f"{room} imports {module}: a second SQLite in the process drops the first one's locks"
    if top in sys.stdlib_module_names:
        return None
    if top not in LIBRARIES:
        return f"{room} imports {module}: no room for this library is named here"
    return None if room in LIBRARIES[top] else f"{room} imports {module}: it belongs to {sorted(LIBRARIES[top])}"


def _second_engine(source: str) -> list[str]:
    """Calls that open a database with another engine than ours."""
    calls = [ast.unparse(node.func) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        f"calls {call}" for call in calls if call in {"sqlite3.connect", "aiosqlite.connect", "sqlite3.dbapi2.connect"}
    ]


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        assert list(imports(path.read_text())) == []
        return
    assert room in ROOMS, f"{room} is not in the map of rooms"
    found = faults(room, path.read_text())
    # the guard that forbids the second engine has to name it
    if path.is_relative_to(PACKAGE / "store"):
        found = [fault for fault in found if "imports sqlite3" not in fault]
    assert found == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("domain", "from vidprod.store.sqlite.jobs import Jobs"),
        ("domain", "from vidprod.config import Config"),
        ("store", "import vidprod.blobs.disk"),
        ("blobs", "from vidprod import store"),
        ("web", "from vidprod.services.worker import Worker"),
        ("services", "from vidprod.web.app import build"),
        ("services", "from vidprod.media import encode"),
        ("media", "from vidprod.store.feed import Feed"),
        ("pipeline", "from vidprod.services.child import ChildHost"),
        ("telemetry", "from vidprod.cli import main"),
        ("web", "def late():\n    import av"),
        ("services", "import numpy as np"),
        ("services", "import importlib\nimportlib.import_module('av')"),
        ("web", "import apsw"),
        ("cli", "from litestar import get"),
        ("web", "import httpx"),
        ("services", "import structlog"),
        ("web", "from prometheus_client import Counter"),
        ("media", "import requests"),
        ("web", "from . import jobs"),
        ("services", "import sqlite3"),
        ("store", "import sqlite3\nsqlite3.connect('x')"),
        ("store", "import aiosqlite\nasync def f():\n    await aiosqlite.connect('x')"),
    ],
)
def test_a_module_that_breaks_a_rule_is_seen(room: str, source: str) -> None:
    assert faults(room, source) != []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("web", "from vidprod.store.feed import Feed\nfrom vidprod.telemetry import log\nimport litestar"),
        ("store", "import apsw\nimport aiosqlite\naiosqlite.Connection(opener, 64)"),
        ("pipeline", "from vidprod.media.encode import Encoder"),
        ("media", "import av\nimport numpy as np\nimport fractions"),
        ("cli", "import rich.table\nfrom vidprod import __version__\nfrom vidprod.services.child import ChildHost"),
    ],
)
def test_a_module_that_keeps_the_rules_is_left_alone(room: str, source: str) -> None:
    assert faults(room, source) == []


def loaded_by(statement: str) -> set[str]:
    """The codecs and models that are loaded after `statement` ran in a process of its own."""
    code = f"{statement}\nimport sys\nprint(*[m for m in {CODECS!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_daemon_loads_no_codec_and_no_model() -> None:
    assert loaded_by("import vidprod.daemon, vidprod.cli, vidprod.cli.serve") == set()


def test_the_child_that_waits_loads_no_model() -> None:
    """A worker loads them when it is asked for faces; one that is not needs not hold them."""
    assert loaded_by("import vidprod.pipeline.steps") == {"av", "numpy"}


def test_the_face_models_are_known_to_one_module() -> None:
    known = [path for path in modules() if any(m.startswith("mediapipe") for m in imports(path.read_text()))]
    assert known == [PACKAGE / "vision" / "landmarks.py"]


def test_a_process_that_loads_a_codec_is_seen() -> None:
    assert loaded_by("import av") >= {"av"}


def test_the_daemon_carries_no_progress_bar_no_client_and_no_cipher() -> None:
    later = ("httpx", "h11", "rich", "cryptography", "boto3", "argon2", "pyotp", "segno")
    code = f"import vidprod.cli.serve, vidprod.daemon, sys\nprint(*[m for m in {later} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_client_comes_without_its_command_line() -> None:
    code = "import vidprod.platforms.wire, sys\nprint(*[m for m in ('rich', 'pygments') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_command_beside_the_daemon_does_not_load_it() -> None:
    commands = ", ".join(
        f"vidprod.cli.{name}"
        for name in (
            "accounts",
            "backup",
            "dead",
            "demo",
            "keys",
            "owner",
            "doctor",
            "move",
            "publications",
            "restore",
            "webhooks",
        )
    )
    code = f"import sys, {commands}\nprint('vidprod.daemon' in sys.modules, 'litestar' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_nothing_starts_the_media_child_by_importing_it() -> None:
    for path in modules():
        if room_of(path) not in {"pipeline", "__init__"}:
            assert not [m for m in imports(path.read_text()) if m.startswith("vidprod.pipeline")], path
