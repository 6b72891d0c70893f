"""A recipe: what to make of a video. A value, frozen with its job."""

from collections.abc import Collection, Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec

from vidprod.domain.canvas import layout
from vidprod.domain.video import MediaInfo
from vidprod.errors import BadRecipe

LEAST_FREE = Fraction(1, 50)  # of the crop's width: what a crop can move less, nobody sees

_FADES = (("gaze_fade_from_deg", "gaze_fade_to_deg"), ("head_fade_from_deg", "head_fade_to_deg"))


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to make of a video."""

    segment_s: Annotated[float, msgspec.Meta(ge=3, le=60, description="longest segment, seconds")] = 60.0
    snap: Annotated[
        Literal["pause", "none"],
        msgspec.Meta(description="pause: cut in the quietest pause of the last 5 s; none: cut exactly"),
    ] = "pause"
    frame: Annotated[
        Literal["auto", "face", "blur", "fill", "original"],
        msgspec.Meta(
            description=(
                "9:16; auto: follow the face in what is wider, without one as blur; face: in what is taller too, and "
                "say where none was; blur: landscape over its blurred copy; fill: crop the centre; original: keep the "
                "shape"
            )
        ),
    ] = "auto"
    video: Annotated[
        Literal["encode", "copy"],
        msgspec.Meta(description="encode: H.264 as the platforms want it; copy: cut on keyframes, keep the pixels"),
    ] = "encode"
    loudness: Annotated[
        Literal["auto", "on", "off"],
        msgspec.Meta(description="on: −14 LUFS; off: as recorded; auto: on, but off with video=copy"),
    ] = "auto"
    gaze: Annotated[
        Literal["on", "off"],
        msgspec.Meta(description="on: turn the speaker's eyes to the lens; a number is on with that `gaze_strength`"),
    ] = "on"
    gaze_strength: Annotated[
        float, msgspec.Meta(ge=0, le=1, description="how far they are turned: 0 not at all, 1 all the way")
    ] = 0.9
    gaze_faces: Annotated[
        Literal["main", "all"], msgspec.Meta(description="whose eyes: main: the main speaker's; all: everybody's")
    ] = "main"
    look_away_deg: Annotated[
        float, msgspec.Meta(ge=0, le=10, description="a small natural glance now and then, degrees; 0: never")
    ] = 4.0
    gaze_fade_from_deg: Annotated[
        float, msgspec.Meta(ge=5, le=45, description="eyes that look further than this beside the lens are turned less")
    ] = 25.0
    gaze_fade_to_deg: Annotated[
        float, msgspec.Meta(ge=5, le=45, description="eyes that look further than this beside the lens are left alone")
    ] = 35.0
    head_fade_from_deg: Annotated[
        float, msgspec.Meta(ge=5, le=45, description="in a head turned further than this the eyes are turned less")
    ] = 22.0
    head_fade_to_deg: Annotated[
        float, msgspec.Meta(ge=5, le=45, description="in a head turned further than this the eyes are left alone")
    ] = 32.0

    @property
    def corrects(self) -> bool:
        """Whether eyes are turned to the lens, where there are any."""
        return self.gaze == "on" and self.gaze_strength > 0 and self.video == "encode"

    def follows(self, info: MediaInfo | None) -> bool:
        """Whether the crop follows a face, where there is one. `info`: None while the source is not probed, then
        whether it may."""
        if self.frame not in ("auto", "face") or self.video != "encode":
            return False
        if info is None:
            return True
        close = layout(info.video.width, info.video.height, frame="fill")
        if self.frame == "face" and close.picture_height - close.height > LEAST_FREE * close.height:
            return True
        return close.picture_width - close.width > LEAST_FREE * close.width

    def tracks(self, info: MediaInfo | None) -> bool:
        """Whether the faces have to be found; `info` as for `follows`."""
        return self.corrects or self.follows(info)

    @property
    def normalize(self) -> bool:
        """Whether segments are brought to −14 LUFS."""
        return self.loudness == "on" or (self.loudness == "auto" and self.video == "encode")


OPTIONS: tuple[str, ...] = Recipe.__struct_fields__
GAZE_OPTIONS: tuple[str, ...] = (  # what a finished segment can be made again with
    "gaze",
    "gaze_strength",
    "gaze_faces",
    "look_away_deg",
    *(name for pair in _FADES for name in pair),
)


def parse_recipe(
    fields: Mapping[str, Any], *, base: Recipe | None = None, options: Collection[str] = OPTIONS
) -> Recipe:
    """The recipe that form fields, query parameters or an object ask for; `recipe` may hold it all as one JSON text.

    Args:
        base: what is not asked for is as in this one; the default recipe.
        options: those that may be asked for.
    Raises:
        BadRecipe: naming every fault at once: the option, its value, what would be right.
    """
    faults: list[str] = []
    values: dict[str, Any] = {}
    if (text := fields.get("recipe")) is not None:
        try:
            values = _spelled_out(msgspec.json.decode(text, type=dict[str, Any]), faults)
        except (msgspec.MsgspecError, RecursionError, TypeError) as error:
            raise BadRecipe(f"recipe is not a JSON object: {error}", hint='Like recipe={"segment_s": 45}.') from error
    values |= _spelled_out({name: value for name, value in fields.items() if name != "recipe"}, faults)
    hints = get_type_hints(Recipe, include_extras=True)
    good: dict[str, Any] = {}
    for name, value in values.items():
        if name not in options:
            faults.append(f"{name}: no such option; there are {', '.join(options)}")
            continue
        try:
            good[name] = msgspec.convert(value, hints[name], strict=False)
        except msgspec.ValidationError:
            faults.append(f"{name}={value!r}: must be {_what_is_right(name, hints[name])}")
    recipe = msgspec.structs.replace(base or Recipe(), **good)
    faults += [
        f"{low}={getattr(recipe, low):g}: must not be above {high}={getattr(recipe, high):g}"
        for low, high in _FADES
        if getattr(recipe, low) > getattr(recipe, high)
    ]
    if faults:
        stays = "keep it as it is" if base is not None else "get its default"
        raise BadRecipe("; ".join(faults), hint=f"Leave an option out to {stays}.")
    return recipe


def _spelled_out(values: Mapping[str, Any], faults: list[str]) -> dict[str, Any]:
    """`values` with gaze=0.8 as what it is short for: on, with that strength."""
    spelled = dict(values)
    strength = _number(spelled.get("gaze"))
    if strength is None:
        return spelled
    if _number(other := spelled.get("gaze_strength", strength)) != strength:
        faults.append(f"gaze={spelled['gaze']} and gaze_strength={other}: say one of them")
    return spelled | {"gaze": "on", "gaze_strength": spelled["gaze"]}


def _number(value: Any) -> float | None:
    """`value` as a strength; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        return float(value) if 0 <= float(value) <= 1 else None
    except (ValueError, OverflowError):
        return None


def _what_is_right(name: str, hint: Any) -> str:
    kind, meta = get_args(hint)
    if name == "gaze":
        return f"{', '.join(get_args(kind))} or a number from 0 to 1"
    choices = get_args(kind)
    return f"one of {', '.join(choices)}" if choices else f"a number from {meta.ge:g} to {meta.le:g}"
