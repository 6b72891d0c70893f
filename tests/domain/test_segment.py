"""What the files of a take's segments are called."""

from vidprod.domain.segment import segment_name


def test_names_count_from_one_and_sort_in_the_order_of_the_take() -> None:
    assert segment_name("take", 0, of=1) == "take-01"
    for of in (2, 99, 100, 101, 1000):
        names = [segment_name("take", index, of=of) for index in range(of)]
        assert names == sorted(names)
