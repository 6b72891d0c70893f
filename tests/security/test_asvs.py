"""The table of the ASVS beside this file: complete, honest about its marks, and each test in it there."""

import ast
import functools
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

import pytest

from vidprod.domain import key, session
from vidprod.domain.ids import new_id
from vidprod.telemetry import log
from vidprod.web.pages import static_directory

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("asvs.md")

# what applies, by chapter
ITEMS = """
1.3.6  2.3.3 2.3.4 2.4.1  3.3.1 3.3.2 3.3.3 3.3.4 3.5.1 3.5.2 3.5.3 3.5.4  4.1.3 4.2.1
5.1.1 5.2.1 5.2.2 5.2.3 5.2.4 5.2.6 5.3.1 5.3.2 5.3.3 5.4.1 5.4.2 5.4.3
6.2.1 6.2.2 6.2.3 6.2.4 6.2.5 6.2.6 6.2.7 6.2.8 6.2.9 6.2.10 6.2.11 6.2.12
6.3.1 6.3.4 6.3.5 6.3.7 6.3.8 6.4.1 6.4.3 6.6.3  7.2.1 7.2.2 7.2.3 7.2.4 7.3.1 7.3.2 7.4.1 7.4.2 7.4.3 7.5.1 7.5.2
8.2.1 8.2.2 8.2.3 8.3.1 8.4.1  10.2.1 10.2.3  11.3.2 11.3.3 11.3.4 11.4.2 11.5.1  12
13.2.4 13.2.5 13.2.6 13.3.1 13.3.2 13.3.3 13.3.4  14.2.1 14.2.8  15.2.1 15.2.2 15.2.5 15.3.2 15.4.2
16.2.1 16.2.2 16.2.3 16.2.4 16.2.5 16.3.1 16.3.2 16.3.3 16.3.4 16.4.1 16.4.2 16.4.3 16.5.1 16.5.2 16.5.3
"""


class Line(NamedTuple):
    """One item of the table."""

    item: str
    wants: str
    met: str
    how: str
    tests: list[str]


def lines() -> list[Line]:
    found = []
    for line in TABLE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and re.fullmatch(r"\d+(\.\d+)*", cells[0]):
            item, wants, met, how, tests = cells
            found.append(Line(item, wants, met, how, re.findall(r"`([^`]+)`", tests)))
    return found


@functools.cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def faults(line: Line) -> list[str]:
    """What is wrong with a line."""
    found = []
    if line.met not in {"yes", "part", "no", "host"}:
        found.append(f"{line.item}: {line.met!r} is no mark")
    if not line.wants or (line.met != "yes" and not line.how):
        found.append(f"{line.item}: says too little")
    if not line.tests and line.met not in {"no", "host"}:
        found.append(f"{line.item}: no test shows it")
    for test in line.tests:
        path, _, name = test.partition("::")
        if not (ROOT / path).is_file():
            found.append(f"{line.item}: there is no {path}")
        elif name not in functions_of(path):
            found.append(f"{line.item}: {path} has no {name}")
    return found


def test_every_item_is_there_once_and_in_order() -> None:
    assert [line.item for line in lines()] == ITEMS.split()


def test_every_item_says_how_it_is_met_and_names_tests_that_exist() -> None:
    assert [fault for line in lines() for fault in faults(line)] == []


@pytest.mark.parametrize(
    "line",
    [
        Line("1.1.1", "a wish", "surely", "somehow", ["tests/test_vault.py::test_what_was_changed_does_not_open"]),
        Line("1.1.1", "a wish", "yes", "somehow", []),
        Line("1.1.1", "a wish", "no", "", []),
        Line("1.1.1", "a wish", "yes", "somehow", ["tests/test_vault.py::test_of_nothing"]),
        Line("1.1.1", "a wish", "yes", "somehow", ["tests/test_nothing.py::test_of_nothing"]),
    ],
)
def test_a_line_that_claims_too_much_is_seen(line: Line) -> None:
    assert faults(line) != []


def test_secrets_have_128_random_bits_and_ids_open_nothing() -> None:
    assert len({key.new_secret() for _ in range(100)} | {session.new_token() for _ in range(100)}) == 200
    assert key.new_secret(b"\xff" * 32) != key.new_secret(b"\xff" * 31 + b"\xfe")  # each of the 256 bits counts
    assert len(session.new_token()) * 6 >= 256
    # the same moment gives ids that differ in 80 bits
    ids = {new_id("job", now=0) for _ in range(1000)}
    assert len(ids) == 1000
    assert {one[4:14] for one in ids} == {"0" * 10}


class _Fields(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "input":
            self.fields.append(dict(attrs))


def test_the_page_masks_passwords_and_lets_them_be_filled_in() -> None:
    parser = _Fields()
    parser.feed((static_directory() / "login.html").read_text())
    (password,) = [field for field in parser.fields if field.get("name") == "password"]
    assert password["type"] == "password"
    assert password["autocomplete"] in ("current-password", "new-password")
    scripts = "".join(path.read_text() for path in static_directory().glob("*.js"))
    assert not re.search(r"[\"']paste[\"'],[^;]*preventDefault", scripts)


@pytest.mark.usefixtures("own_log")
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_name_with_a_line_end_is_one_line_of_the_log(log_format: log.LogFormat) -> None:
    name = 'a.mov\n{"event": "signed in", "level": "info"}\x1b[2J'
    out = io.StringIO()
    log.setup(log_format, "info", stream=out)
    log.get("test").info("upload stored", filename=name)
    (line,) = out.getvalue().splitlines()
    assert "\x1b[2J" not in line
    if log_format == "json":
        assert json.loads(line)["filename"] == name
