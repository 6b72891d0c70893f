"""The README says what the code does: tables are made from it, commands and files exist.

`python -m tests.test_readme` writes the tables anew.
"""

import re
import tomllib
from pathlib import Path
from typing import get_args, get_type_hints

import click
import pytest

from vidprod.cli import main
from vidprod.config import SETTINGS
from vidprod.domain.recipe import Recipe

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
LOCKS = ("requirements.lock", "tests/requirements.lock")  # of what runs, and of that with what tests need


def settings_table() -> str:
    rows = ["| setting | default | why |", "| --- | --- | --- |"]
    rows += [f"| `{s.name}` | {s.show(s.default)} | {s.reason} |" for s in SETTINGS.values()]
    return "\n".join(rows)


def recipe_table() -> str:
    rows = ["| option | default | what |", "| --- | --- | --- |"]
    for name, hint in get_type_hints(Recipe, include_extras=True).items():
        default = getattr(Recipe(), name)
        shown = f"{default:g}" if isinstance(default, float) else default
        rows.append(f"| `{name}` | {shown} | {get_args(hint)[1].description} |")
    return "\n".join(rows)


TABLES = {"settings": settings_table, "recipe": recipe_table}


def block(name: str) -> re.Pattern[str]:
    return re.compile(rf"(<!-- {name} -->\n)(.*?)(\n?<!-- /{name} -->)", re.DOTALL)


def command(name: str) -> str:
    """The command under a marker; `.ci/run` finds it the same way."""
    found = re.search(rf"<!-- {name} -->\n```sh\n(.*?)\n```", README.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_what_the_code_says(name: str) -> None:
    found = block(name).search(README.read_text())
    assert found is not None
    assert found[2] == TABLES[name](), "python -m tests.test_readme writes it anew"


def test_the_two_commands_are_one_line_each_and_install_the_same_way() -> None:
    demo, tests = command("the demo"), command("the tests")
    assert "\n" not in demo + tests
    assert demo.endswith("&& .venv/bin/vidprod demo")
    assert tests.startswith(demo.removesuffix(".venv/bin/vidprod demo").replace(*LOCKS))
    for check in ("ruff check", "ruff format --check", "mypy --strict", "python -m pytest"):
        assert f".venv/bin/{check}" in tests


def test_ci_runs_the_commands_of_the_readme() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert "command_of 'the tests'" in script
    assert "command_of 'the demo'" in script
    assert ".venv/bin/pip" not in script


def test_every_command_it_shows_exists() -> None:
    context = click.Context(main)
    shown = set(re.findall(r"\bvidprod ([a-z]+)\b", README.read_text()))
    assert shown <= set(main.list_commands(context))
    assert set(main.list_commands(context)) <= shown


def test_every_picture_and_file_it_names_is_there() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)|src=\"([^\"]+)\"", README.read_text()):
        assert (ROOT / "".join(target)).is_file(), target


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_hashes_for_everything_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert len(_pins(lock)) > 40
    for pin in re.split(r"^(?=[a-z0-9._-]+==)", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in pin, pin
    assert not re.search(r"://|--index|--find-links|@", text)


def test_the_locks_hold_every_dependency_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runs = project["project"]["dependencies"] + project["build-system"]["requires"]
    assert _names(runs) <= _pins(LOCKS[0]).keys()
    tests = project["project"]["optional-dependencies"]["test"]
    assert _names(tests) <= _pins(LOCKS[1]).keys()


def test_tests_run_with_the_very_versions_that_are_installed() -> None:
    runs, tests = (_pins(lock) for lock in LOCKS)
    assert runs.items() <= tests.items()
    assert not _pins(LOCKS[0]).keys() & {"pytest", "mypy", "ruff", "playwright"}


def _names(lines: list[str]) -> set[str]:
    return {re.split(r"[<>=\[ ]", line, maxsplit=1)[0].lower() for line in lines}


def _pins(lock: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;]+)", (ROOT / lock).read_text(), re.MULTILINE))


def write() -> None:
    text = README.read_text()
    for name, table in TABLES.items():
        found = block(name).search(text)
        assert found is not None
        text = f"{text[: found.start()]}{found[1]}{table()}\n{found[3].lstrip()}{text[found.end() :]}"
    README.write_text(text)


if __name__ == "__main__":
    write()
