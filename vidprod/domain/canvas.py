"""How a picture sits in a vertical frame."""

from fractions import Fraction

from vidprod.domain.plan import Canvas

LADDER = (1080, 720, 540, 360)  # canvas widths; 360 is TikTok's least side
MAX_ENLARGE = Fraction(3, 2)  # more looks soft: a smaller canvas then
LONGEST_SIDE = 1920
_UNSEEN = 2  # pixels beside a picture, which lies at an even one


def layout(width: int, height: int, *, frame: str) -> Canvas:
    """The canvas for a picture of `width` × `height` square pixels, upright.

    Args:
        frame: "auto", "face", "blur": portrait fills 9:16, landscape sits over a blurred copy; "fill": the centre is
            cropped to fill; "original": the picture's own shape, at most 1920 a side.
    """
    if frame == "original":
        return _original(width, height)
    fills = frame == "fill" or _is_portrait(width, height)
    for canvas_width in LADDER:
        canvas_height = canvas_width * 16 // 9
        by_width, by_height = Fraction(canvas_width, width), Fraction(canvas_height, height)
        scale = max(by_width, by_height) if fills else min(by_width, by_height)
        if scale <= MAX_ENLARGE:
            break
    else:  # too small even for the smallest: enlarged as far as it may be, the rest is blur; unless told to fill
        if frame != "fill":
            scale, fills = min(MAX_ENLARGE, by_width, by_height), False
    return _place(canvas_width, canvas_height, _even(width * scale), _even(height * scale), fills=fills)


def over_blur(width: int, height: int, *, inside: Canvas) -> Canvas:
    """The canvas of the same size as `inside` on which the whole picture lies over its blurred copy."""
    by_width, by_height = Fraction(inside.width, width), Fraction(inside.height, height)
    scale = min(MAX_ENLARGE, by_width, by_height)
    return _place(inside.width, inside.height, _even(width * scale), _even(height * scale), fills=False)


def _is_portrait(width: int, height: int) -> bool:
    """Taller than wide, but not narrower than 9:16: a tall phone screen would lose its top and bottom."""
    return width < height and Fraction(width, height) >= Fraction(9, 16) * Fraction(97, 100)


def _place(canvas_width: int, canvas_height: int, width: int, height: int, *, fills: bool) -> Canvas:
    if fills:
        width, height = max(width, canvas_width), max(height, canvas_height)
    else:
        width, height = _up_to(canvas_width, width), _up_to(canvas_height, height)
    covered = width >= canvas_width and height >= canvas_height
    return Canvas(
        width=canvas_width,
        height=canvas_height,
        picture_width=width,
        picture_height=height,
        x=(canvas_width - width) // 4 * 2,  # even: chroma has half the resolution
        y=(canvas_height - height) // 4 * 2,
        background="none" if covered else "blur",
    )


def _up_to(canvas_size: int, size: int) -> int:
    """`size`, or all of the canvas where so little is left that it could not be seen on both sides."""
    return canvas_size if canvas_size - size <= _UNSEEN else size


def _original(width: int, height: int) -> Canvas:
    scale = min(Fraction(1), Fraction(LONGEST_SIDE, max(width, height)))
    even_width, even_height = _even(width * scale), _even(height * scale)
    return Canvas(
        width=even_width,
        height=even_height,
        picture_width=even_width,
        picture_height=even_height,
        x=0,
        y=0,
        background="none",
    )


def _even(size: Fraction) -> int:
    return max(2, round(size / 2) * 2)
