"""Types of events: what is said somewhere is known, so that who wants it can say so."""

import ast
import re
from pathlib import Path
from typing import get_args

from vidprod.domain.endpoint import TEST
from vidprod.domain.event import NOUNS, TYPES
from vidprod.store.sqlite.announce import What

ROOT = Path(__file__).resolve().parents[2]
LIKE_A_TYPE = re.compile(rf"({'|'.join(NOUNS)})\.[a-z_]+")


def said() -> set[str]:
    """Every type that the rooms which record events have in their sources."""
    constants = {
        node.value
        for room in ("services", "store", "web")
        for path in (ROOT / "vidprod" / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return {one for one in constants if LIKE_A_TYPE.fullmatch(one)} | {f"publication.{what}" for what in get_args(What)}


def test_what_is_said_can_be_wanted_and_nothing_else() -> None:
    assert said() | {TEST} == TYPES


def test_the_page_listens_to_all_of_it() -> None:
    listens = re.search(r"const TYPES = \[(.*?)\]", (ROOT / "static" / "live.js").read_text(), re.DOTALL)
    assert listens is not None
    assert set(re.findall(r'"([a-z._]+)"', listens[1])) == TYPES
