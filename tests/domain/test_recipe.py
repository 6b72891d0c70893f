"""Recipes: what form fields and query parameters ask for."""

import msgspec
import pytest

from tests.domain.test_plan import source as stored
from vidprod.domain.recipe import OPTIONS, Recipe, parse_recipe
from vidprod.domain.video import MediaInfo
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


def test_a_number_turns_the_eyes_that_far() -> None:
    for asked in ({"gaze": "0.8"}, {"recipe": '{"gaze": 0.8}'}, {"gaze": "0.8", "gaze_strength": "0.80"}):
        assert parse_recipe(asked) == Recipe(gaze="on", gaze_strength=0.8)
    assert parse_recipe({"recipe": '{"gaze": 0.8}', "gaze_strength": "0.5"}).gaze_strength == 0.5
    assert not parse_recipe({"gaze": "0"}).corrects


@pytest.mark.parametrize("text", ["1.1", "-0.1", "nan", "yes", ""])
def test_what_is_no_strength_is_no_gaze(text: str) -> None:
    with pytest.raises(BadRecipe, match=f"^gaze={text!r}: must be on, off or a number from 0 to 1$"):
        parse_recipe({"gaze": text})


def test_two_strengths_are_one_too_many() -> None:
    with pytest.raises(BadRecipe, match=r"^gaze=0.8 and gaze_strength=0.5: say one of them$"):
        parse_recipe({"gaze": "0.8", "gaze_strength": "0.5"})


@pytest.mark.parametrize("of", ["gaze", "head"])
def test_a_fade_ends_where_it_begins_or_later(of: str) -> None:
    assert getattr(parse_recipe({f"{of}_fade_from_deg": "25", f"{of}_fade_to_deg": "25"}), f"{of}_fade_to_deg") == 25
    with pytest.raises(BadRecipe, match=f"^{of}_fade_from_deg=40: must not be above {of}_fade_to_deg=3[25]$"):
        parse_recipe({f"{of}_fade_from_deg": "40"})


def test_what_is_not_asked_for_is_as_in_the_recipe_before() -> None:
    before = Recipe(segment_s=20, gaze_strength=0.5, look_away_deg=0)
    assert parse_recipe({"gaze": "off"}, base=before) == Recipe(
        segment_s=20, gaze="off", gaze_strength=0.5, look_away_deg=0
    )
    with pytest.raises(BadRecipe, match=r"^segment_s: no such option; there are gaze$"):
        parse_recipe({"segment_s": "30"}, base=before, options=["gaze"])


@pytest.mark.parametrize(
    ("asked", "corrects", "follows"),
    [
        ({}, True, True),
        ({"frame": "face", "gaze": "off"}, False, True),
        ({"frame": "blur"}, True, False),
        ({"frame": "fill", "gaze": "0"}, False, False),
        ({"video": "copy"}, False, False),
    ],
)
def test_faces_are_looked_for_where_something_is_done_for_them(
    asked: dict[str, str], corrects: bool, follows: bool
) -> None:
    recipe = parse_recipe(asked)
    assert (recipe.corrects, recipe.follows(shaped(1920, 1080))) == (corrects, follows)
    assert recipe.tracks(shaped(1920, 1080)) == (corrects or follows)


@pytest.mark.parametrize(
    ("width", "height", "follows"),
    [(1920, 1080, True), (1080, 1080, True), (1080, 1440, True), (1080, 1920, False), (1088, 1920, False),
     (608, 1080, False), (720, 1600, False)],
)  # fmt: skip
def test_a_crop_follows_only_in_what_is_wider_than_it(width: int, height: int, follows: bool) -> None:
    assert Recipe().follows(shaped(width, height)) is follows


def test_asked_for_the_crop_follows_in_what_is_taller_too() -> None:
    assert Recipe(frame="face").follows(shaped(720, 1600))
    assert not Recipe(frame="face").follows(shaped(1080, 1920))


def shaped(width: int, height: int) -> MediaInfo:
    """A source of this size."""
    source = stored(None)
    return msgspec.structs.replace(source, video=msgspec.structs.replace(source.video, width=width, height=height))
