"""The command line as a whole: help, versions, exit codes, and how little a command loads."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.running import ROOT, environment, vidprod
from vidprod import __version__, errors
from vidprod.cli import ending


def test_help_names_every_command_and_the_exit_codes(tmp_path: Path) -> None:
    done = vidprod("--help", cwd=tmp_path)
    assert done.returncode == 0
    for name in ("serve", "process", "demo", "dead", "config"):
        assert f"\n  {name} " in done.stdout
        assert vidprod(name, "--help", cwd=tmp_path).returncode == 0
    assert "Exit codes: 0 done; 1 an input was refused or failed; 2 wrong usage" in " ".join(done.stdout.split())


def test_the_version_is_told(tmp_path: Path) -> None:
    assert vidprod("--version", cwd=tmp_path).stdout.strip().endswith(__version__)


@pytest.mark.parametrize("arguments", [["bogus"], ["serve", "--bogus"], ["process"], ["dead", "requeue"]])
def test_wrong_usage_ends_with_2(arguments: list[str], tmp_path: Path) -> None:
    done = vidprod(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def every(kind: type[errors.VidProdError]) -> list[type[errors.VidProdError]]:
    return [kind, *(below for sub in kind.__subclasses__() for below in every(sub))]


@pytest.mark.parametrize("kind", every(errors.VidProdError), ids=lambda kind: kind.__name__)
def test_every_error_of_ours_has_a_sentence_and_a_documented_exit_code(kind: type[errors.VidProdError]) -> None:
    end = ending.Ending.of(kind())
    assert end.exit_code in (ending.REFUSED, ending.USAGE, ending.UNUSABLE)
    assert len(end.message) > 10
    assert "\n" not in end.message.strip() or kind is errors.BadConfig


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        (
            b'{"title": "Conflict", "detail": "It is over.", "code": "conflict", "hint": "Reload."}',
            "it says 409: conflict: It is over.",
            "Reload.",
        ),
        (b'{"title": "Conflict"}', "it says 409: Conflict", ""),
        (b'["no", "object"]', 'it says 409: ["no", "object"]', ""),
        (b'{"detail": null}', 'it says 409: {"detail": null}', ""),
        (b"<h1>\n  Bad\xff gateway</h1>" + b"x" * 999, "it says 409: <h1> Bad\ufffd gateway</h1>" + "x" * 178, ""),
        (b"", "it says 409: it gave no reason", ""),
    ],
)
def test_what_a_daemon_answers_is_told_with_its_hint_and_never_a_traceback(
    body: bytes, message: str, hint: str
) -> None:
    """Once the hint was dropped, and an answer that is no object ended in an AttributeError."""
    end = ending.Ending.answered(409, body, by="it")
    assert (end.message, end.hint, end.exit_code) == (message, hint, ending.REFUSED)


def test_help_loads_no_command() -> None:
    code = (
        "import sys\nfrom vidprod.cli import main\nmain(['--help'], standalone_mode=False)\n"
        "print(*[m for m in sys.modules if m.startswith('vidprod.cli.')], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.split() == ["vidprod.cli.ending"]
