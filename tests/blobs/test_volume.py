"""File systems: one, or two."""

from pathlib import Path

from vidprod.blobs.volume import apart


def test_only_another_file_system_is_apart(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    assert apart(tmp_path / "inside", root=tmp_path) is None
    other = apart(Path("/dev"), root=tmp_path)  # one of its own on every Linux
    assert other is not None
    assert 0 <= other.free_bytes <= other.total_bytes


def test_one_that_tells_nothing_is_never_full(tmp_path: Path) -> None:
    assert apart(Path("/proc"), root=tmp_path) is None
