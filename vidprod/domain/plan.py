"""A plan: where a take is cut and what each segment will be. Decided before the first frame is encoded."""

from fractions import Fraction

import msgspec

from vidprod.domain.video import MediaInfo


class PlannedSegment(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the take: output frames `first_frame` … `first_frame + frames − 1`."""

    index: int
    in_us: int
    out_us: int
    first_frame: int
    frames: int

    @property
    def stem(self) -> str:
        """What its files are called in the work directory."""
        return f"segment-{self.index:04d}"


class Canvas(msgspec.Struct, frozen=True, kw_only=True):
    """Where the picture goes. All in pixels, all even. `background` is what the rest of the canvas shows."""

    width: int
    height: int
    picture_width: int  # of the scaled source picture before cropping to the canvas
    picture_height: int
    x: int  # of the picture's top left corner on the canvas; negative when it is cropped
    y: int
    background: str  # "none" or "blur"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The cuts of one take under one recipe."""

    fps: str  # "30000/1001", constant, of every segment
    canvas: Canvas
    close: Canvas | None = None  # while the crop follows a face; None: it never does
    segments: list[PlannedSegment]
    source_loudness_lufs: float | None = None  # integrated over the take; None without sound
    copies_sound: bool = False  # with video=copy; else it is made anew
    warnings: list[str] = []
    pauses_ms: list[int] = []  # where somebody may want to cut

    def recut(self, index: int, in_us: int, out_us: int) -> "Plan":
        """With other cuts of one segment, which its neighbours do not follow."""
        rate = Fraction(self.fps)
        first, end = (round(at_us * rate / 1_000_000) for at_us in (in_us, out_us))
        segments = [
            msgspec.structs.replace(one, in_us=in_us, out_us=out_us, first_frame=first, frames=end - first)
            if one.index == index
            else one
            for one in self.segments
        ]
        return msgspec.structs.replace(self, segments=segments)

    def heard(self, info: MediaInfo) -> MediaInfo:
        """The facts of the source with what planning heard: how loud it is."""
        if info.audio is None:
            return info
        audio = msgspec.structs.replace(info.audio, loudness_lufs=self.source_loudness_lufs)
        return msgspec.structs.replace(info, audio=audio)
