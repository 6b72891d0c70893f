"""Ids: sortable, and nothing else may become part of a path."""

import pytest

from vidprod.domain.ids import is_id, new_id


def test_ids_sort_by_time() -> None:
    entropy = [b"\xff" * 10, b"\x00" * 10]
    ids = [new_id("job", now=now, entropy=entropy[now % 2]) for now in (0, 1, 2, 1_700_000_000_000, 2**48 - 1)]
    assert ids == sorted(ids)


def test_two_ids_of_one_millisecond_differ() -> None:
    assert len({new_id("seg", now=5) for _ in range(1000)}) == 1000


def test_an_id_is_its_prefix_and_26_characters_of_base_32() -> None:
    assert new_id("vid", now=0, entropy=b"\x00" * 10) == "vid_" + "0" * 26
    assert new_id("vid", now=2**48 - 1, entropy=b"\xff" * 10) == "vid_7" + "z" * 25
    assert is_id(new_id("vid", now=1_700_000_000_000), "vid")


@pytest.mark.parametrize(
    "text",
    ["", "job", "job_", "job_../../etc/passwd", "vid_" + "0" * 26, "job_" + "0" * 25, "job_" + "0" * 27]
    + ["job_" + "0" * 25 + c for c in "ilouA/.\n٣"],
)
def test_what_is_no_id_of_this_noun_is_seen(text: str) -> None:
    assert not is_id(text, "job")
