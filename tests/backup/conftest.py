"""Passphrases are stretched less, which takes half a second of a core each time and shows nothing of what is tested."""

import pytest

from vidprod import vault


@pytest.fixture(autouse=True)
def _hardly_stretched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "_HARDNESS", 1 << 4)
