"""Recipes: what form fields and query parameters ask for."""

import pytest

from vidprod.domain.recipe import OPTIONS, Recipe, parse_recipe
from vidprod.errors import BadRecipe


def test_nothing_asked_is_the_default_recipe() -> None:
    assert parse_recipe({}) == Recipe()
    assert Recipe().segment_s == 60


def test_texts_become_values() -> None:
    asked = {"segment_s": "45.5", "snap": "none", "frame": "fill", "video": "copy", "loudness": "off"}
    assert parse_recipe(asked) == Recipe(segment_s=45.5, snap="none", frame="fill", video="copy", loudness="off")


def test_one_json_field_may_hold_it_all_and_a_field_beside_it_wins() -> None:
    asked = {"recipe": '{"segment_s": 30, "frame": "original"}', "segment_s": "20"}
    assert parse_recipe(asked) == Recipe(segment_s=20, frame="original")


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(BadRecipe) as refusal:
        parse_recipe({"segment_s": "90", "snap": "silence", "colour": "red"})
    sentence = str(refusal.value)
    assert "segment_s='90': must be a number from 3 to 60" in sentence
    assert "snap='silence': must be one of pause, none" in sentence
    assert "colour: no such option; there are " + ", ".join(OPTIONS) in sentence


@pytest.mark.parametrize("text", ["[]", "{", '"x"', "12", '{"segment_s":' + "[" * 3000])
def test_a_recipe_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(BadRecipe, match="recipe is not a JSON object"):
        parse_recipe({"recipe": text})


@pytest.mark.parametrize("text", ["2.9", "60.1", "-5", "nan", "inf", "sixty", ""])
def test_a_length_that_no_platform_takes_is_refused(text: str) -> None:
    with pytest.raises(BadRecipe, match=f"^segment_s={text!r}: must be a number from 3 to 60$"):
        parse_recipe({"segment_s": text})


@pytest.mark.parametrize("value", ["null", "true", "[45]", '{"s": 45}', '"45s"'])
def test_a_fault_in_the_json_field_is_told_without_the_words_of_a_language(value: str) -> None:
    with pytest.raises(BadRecipe, match=r"^segment_s=.*: must be a number from 3 to 60$"):
        parse_recipe({"recipe": f'{{"segment_s": {value}}}'})


@pytest.mark.parametrize(
    ("loudness", "video", "normalize"),
    [
        ("auto", "encode", True),
        ("auto", "copy", False),
        ("on", "copy", True),
        ("off", "encode", False),
    ],
)
def test_loudness_is_mended_unless_it_is_off_or_the_pixels_are_copied(
    loudness: str, video: str, normalize: bool
) -> None:
    assert parse_recipe({"loudness": loudness, "video": video}).normalize is normalize
