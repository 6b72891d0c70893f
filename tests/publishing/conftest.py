"""A folder in memory where there is room: the disk's mood is no part of these tests."""

from tests.store.conftest import tmp_path

__all__ = ["tmp_path"]
