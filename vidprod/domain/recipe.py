"""A recipe: what to make of a video. A value, frozen with its job."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec

from vidprod.errors import BadRecipe


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to make of a video."""

    segment_s: Annotated[float, msgspec.Meta(ge=3, le=60, description="longest segment, seconds")] = 60.0
    snap: Annotated[
        Literal["pause", "none"],
        msgspec.Meta(description="pause: cut in the quietest pause of the last 5 s; none: cut exactly"),
    ] = "pause"
    frame: Annotated[
        Literal["auto", "fill", "original"],
        msgspec.Meta(description="auto: 9:16, landscape over its blurred copy; fill: crop the centre; original: keep"),
    ] = "auto"
    video: Annotated[
        Literal["encode", "copy"],
        msgspec.Meta(description="encode: H.264 as the platforms want it; copy: cut on keyframes, keep the pixels"),
    ] = "encode"
    loudness: Annotated[
        Literal["auto", "on", "off"],
        msgspec.Meta(description="on: −14 LUFS; off: as recorded; auto: on, but off with video=copy"),
    ] = "auto"

    @property
    def normalize(self) -> bool:
        """Whether segments are brought to −14 LUFS."""
        return self.loudness == "on" or (self.loudness == "auto" and self.video == "encode")


OPTIONS: tuple[str, ...] = Recipe.__struct_fields__


def parse_recipe(fields: Mapping[str, str]) -> Recipe:
    """The recipe that form fields or query parameters ask for; `recipe` may hold it all as one JSON object.

    Raises:
        BadRecipe: naming every fault at once: the option, its value, what would be right.
    """
    values: dict[str, Any] = {}
    faults: list[str] = []
    if (text := fields.get("recipe")) is not None:
        try:
            values = msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise BadRecipe(f"recipe is not a JSON object: {error}", hint='Like recipe={"segment_s": 45}.') from error
    for name, value in fields.items():
        if name != "recipe":
            values[name] = value
    hints = get_type_hints(Recipe, include_extras=True)
    good: dict[str, Any] = {}
    for name, value in values.items():
        if name not in hints:
            faults.append(f"{name}: no such option; there are {', '.join(OPTIONS)}")
            continue
        try:
            good[name] = msgspec.convert(value, hints[name], strict=False)
        except msgspec.ValidationError:
            faults.append(f"{name}={value!r}: must be {_what_is_right(hints[name])}")
    if faults:
        raise BadRecipe("; ".join(faults), hint="Leave an option out to get its default.")
    return Recipe(**good)


def _what_is_right(hint: Any) -> str:
    kind, meta = get_args(hint)
    choices = get_args(kind)
    return f"one of {', '.join(choices)}" if choices else f"a number from {meta.ge:g} to {meta.le:g}"
