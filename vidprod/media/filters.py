"""From a decoded picture to a canvas: upright, scaled, cropped or over its blurred copy, BT.709 and 8 bit.

A crop may move: see `_Slide`.
"""

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import av.filter
import numpy as np
from numpy.typing import NDArray

from vidprod.domain.plan import Canvas
from vidprod.domain.video import VideoStreamInfo
from vidprod.media.tonemap import cube

_BLUR_SHRINK = 8  # the background is blurred at an eighth of its size, where it costs a 64th and looks the same
_BLUR_SIGMA = 2.5  # pixels there, 20 on the canvas
# How much the blurred copy may differ from what is shown, of 255, before it is made anew.
_UNSEEN = 2  # at any place of it, for any time: nobody sees that
_UNNOTICED, _UNNOTICED_RMS = 8, 1.5  # at the worst place, and over all, while it is behind by no more than
_BEHIND_S = Fraction(1, 8)
_SPARE = 32  # pixels of the source beside a crop that moves: what the scaler sees, and 17 even places to begin at
_MATRIX = {"bt709": 1, "smpte170m": 6, "bt2020": 9}  # ITU-T H.273
_TRANSPOSE = {90: "clock", 270: "cclock"}

Node = Any
Step = tuple[str, str]


class Painter:
    """Turns decoded pictures into canvases, one for one. Rebuilds its graphs where a stream changes size midway."""

    def __init__(
        self, canvas: Canvas, info: VideoStreamInfo, *, work_dir: Path, moves: bool = False, scaler: str = "bicubic"
    ) -> None:
        """
        Args:
            work_dir: takes the lookup table that an HDR source needs.
            moves: the canvas is a crop, which is told for each picture where it is.
            scaler: one of FFmpeg's.
        """
        self._canvas = canvas
        self._scaler = scaler
        self._info = info
        self._moves = moves
        self._slide: _Slide | None = None
        self._cube = None if info.hdr is None else cube(work_dir, info.hdr)
        self._shape: tuple[int, int, str] | None = None
        self._front: _Graph
        self._backdrop: _Backdrop | None = None

    def paint(self, picture: Any, *, afresh: bool = False, place: float = 0.5) -> Any:
        """The canvas for `picture`: yuv420p, BT.709 limited range, canvas size. Takes the picture over.

        Args:
            afresh: whatever was painted before must not be seen in this canvas.
            place: where a crop that moves is, as seen upright: 0 leftmost or topmost, 1 rightmost or lowest.
        """
        # One meaning for every picture: the probe decided on the matrix; primaries and transfer are left to the table.
        picture.colorspace = _MATRIX[self._info.color_space or "bt709"]
        picture.color_range = 2 if self._info.full_range else 1
        picture.color_primaries = picture.color_trc = 1
        shape = (picture.width, picture.height, picture.format.name)
        if shape != self._shape:
            self._build(picture)
            self._shape = shape
        behind = [] if self._backdrop is None else self._backdrop.parts(picture, afresh=afresh)
        if self._slide is not None:
            self._slide.put(place)
        return self._front.run(picture, *behind)[0]

    def _build(self, picture: Any) -> None:
        canvas = self._canvas
        self._front, self._backdrop, self._slide = _Graph(), None, None
        source = self._front.source(picture)
        if self._moves:
            self._build_sliding(picture, source)
        elif canvas.background == "none":
            crop = self._crop_to(canvas.width, canvas.height, picture)
            end = _chain(self._front.graph, source, [*crop, *self._scale(canvas.width, canvas.height), *self._turn()])
            self._front.sink(end)
        else:
            self._build_over_blur(picture, source)
        self._front.configure()

    def _build_sliding(self, picture: Any, source: Node) -> None:
        canvas, info = self._canvas, self._info
        sideways = info.rotation in (90, 270)
        across = canvas.picture_width - canvas.width >= canvas.picture_height - canvas.height  # as seen upright
        coded_across = across != sideways
        backwards = info.rotation in ((90, 180) if across else (180, 270))
        self._slide = slide = _Slide(
            source=picture.width if coded_across else picture.height,
            scaled=canvas.picture_width if across else canvas.picture_height,
            shown=canvas.width if across else canvas.height,
            axis="x" if coded_across else "y",
            backwards=backwards != (across and info.mirrored),
        )
        graph = self._front.graph
        kept = (canvas.picture_width, canvas.height) if across else (canvas.width, canvas.picture_height)
        taken = list(self._crop_size(*kept, picture))
        taken[0 if coded_across else 1] = slide.taken
        coarse = _chain(graph, source, [("crop", f"{taken[0]}:{taken[1]}")])
        size = (slide.made, canvas.height) if across else (canvas.width, slide.made)
        scaled = _chain(graph, coarse, self._scale(*size))
        shown = (canvas.height, canvas.width) if sideways else (canvas.width, canvas.height)
        fine = _chain(graph, scaled, [("crop", f"{shown[0]}:{shown[1]}:exact=1")])
        slide.move(coarse, fine)
        self._front.sink(_chain(graph, fine, self._turn()))

    def _build_over_blur(self, picture: Any, source: Node) -> None:
        canvas, front = self._canvas, self._front
        width, height = canvas.width // _BLUR_SHRINK // 2 * 2, canvas.height // _BLUR_SHRINK // 2 * 2
        small = _Graph()
        blurred: list[Step] = [
            *self._crop_to(canvas.width, canvas.height, picture, covering=True),
            *self._scale(width, height),
            *self._turn(),
            ("gblur", f"sigma={_BLUR_SIGMA}:steps=2"),
        ]
        small.sink(_chain(small.graph, small.source(picture), blurred))
        small.configure()
        above, below = canvas.y, canvas.height - canvas.y - canvas.picture_height
        strips = [(canvas.height, 0)]
        if canvas.picture_width == canvas.width:  # what the picture hides is never made
            strips = [(above, 0), (below, canvas.height - below)]
        enlarged = [self._enlarged(strip, width, height) for strip in strips]
        self._backdrop = _Backdrop(small, enlarged, patience=int(Fraction(self._info.usual_rate) * _BEHIND_S))
        upright = [*self._scale(canvas.picture_width, canvas.picture_height), *self._turn()]
        scaled = _chain(front.graph, source, upright)
        behind = [front.part(canvas.width, rows) for rows, _ in strips]
        if len(behind) == 2:
            whole = front.join("vstack", "3", [behind[0], scaled, behind[1]])
        else:
            whole = front.join("overlay", f"{canvas.x}:{canvas.y}:format=yuv420", [behind[0], scaled])
            whole = _chain(front.graph, whole, [("format", "yuv420p")])
        front.sink(whole)

    def _enlarged(self, strip: tuple[int, int], width: int, height: int) -> "_Graph":
        """From the small picture, `width` × `height`, to rows of the canvas: `strip` is how many, and the first."""
        canvas = self._canvas
        rows, top = strip
        small_rows = min(height, -(-height * rows // canvas.height // 2) * 2)  # all that show, and at most one more
        whole = round(small_rows * canvas.height / height / 2) * 2
        steps = [
            ("crop", f"{width}:{small_rows}:0:{0 if top == 0 else height - small_rows}"),
            ("scale", f"{canvas.width}:{whole}:flags=bilinear"),
            ("crop", f"{canvas.width}:{rows}:0:{0 if top == 0 else whole - rows}"),
        ]
        graph = _Graph()
        graph.sink(_chain(graph.graph, graph.part(width, height), steps))
        graph.configure()
        return graph

    def _crop_to(self, width: int, height: int, picture: Any, *, covering: bool = False) -> list[Step]:
        """Cuts the coded picture's centre to the shape of the canvas, before scaling: what is cropped costs nothing.

        Args:
            covering: for the background, which covers the canvas whatever the picture in front does.
        """
        crop_width, crop_height = self._crop_size(width, height, picture, covering=covering)
        if (crop_width, crop_height) == (picture.width, picture.height):
            return []
        return [("crop", f"{crop_width}:{crop_height}")]

    def _crop_size(self, width: int, height: int, picture: Any, *, covering: bool = False) -> tuple[int, int]:
        """How much of the coded picture is seen on `width` × `height` of the canvas."""
        info, canvas = self._info, self._canvas
        if covering:
            scale = max(Fraction(width, info.width), Fraction(height, info.height))
            shown_width, shown_height = width / (info.width * scale), height / (info.height * scale)
        else:
            shown_width = Fraction(width, canvas.picture_width)
            shown_height = Fraction(height, canvas.picture_height)
        if info.rotation in (90, 270):
            shown_width, shown_height = shown_height, shown_width
        # FFmpeg crops at even places: the backdrop is rather a little out of proportion than off the middle.
        step = 4 if covering else 1
        crop_width, crop_height = (
            max(2, size - round(size * (1 - part) / step) * step)
            for size, part in ((picture.width, shown_width), (picture.height, shown_height))
        )
        return crop_width, crop_height

    def _scale(self, width: int, height: int) -> list[Step]:
        """To `width` × `height` as seen upright, though not turned yet, and to BT.709, 8 bit, limited range."""
        info = self._info
        sideways = info.rotation in (90, 270)
        size = f"{height}:{width}" if sideways else f"{width}:{height}"
        matrix, span = info.color_space or "bt709", "pc" if info.full_range else "tv"
        source = f"in_color_matrix={matrix}:in_range={span}"
        target = "out_color_matrix=bt709:out_range=tv"
        steps: list[Step]
        if self._cube is not None:
            steps = [
                ("scale", f"{size}:flags={self._scaler}:{source}"),
                ("format", "gbrp10le"),
                ("lut3d", f"file={_quoted(str(self._cube))}:interp=tetrahedral"),
                ("scale", f"{size}:{target}"),
            ]
        else:
            steps = [("scale", f"{size}:flags={self._scaler}:{source}:{target}")]
        return [*steps, ("format", "yuv420p"), ("setsar", "1")]

    def _turn(self) -> list[Step]:
        """Upright, from as it was coded."""
        info = self._info
        steps: list[Step] = []
        if info.rotation in (90, 270):
            steps.append(("transpose", _TRANSPOSE[info.rotation]))
        elif info.rotation == 180:
            steps += [("hflip", ""), ("vflip", "")]
        if info.mirrored:
            steps.append(("hflip", ""))
        return steps


class _Backdrop:
    """The blurred copy behind a picture, made anew only where one would notice.

    A canvas is mostly backdrop, and what stays the same to the bit costs the encoder next to nothing.
    """

    def __init__(self, small: "_Graph", enlarged: list["_Graph"], *, patience: int) -> None:
        """
        Args:
            patience: how many pictures it may be behind.
        """
        self._small, self._enlarged, self._patience = small, enlarged, patience
        self._shown: NDArray[np.float32] | None = None
        self._age = 0
        self._parts: list[Any] = []

    def parts(self, picture: Any, *, afresh: bool) -> list[Any]:
        """The parts of the canvas that are behind `picture`."""
        (small,) = self._small.run(picture)
        values = small.to_ndarray().astype(np.float32)
        self._age += 1
        if afresh or self._shown is None or self._is_noticed(values - self._shown):
            self._shown, self._age = values, 0
            self._parts = [graph.run(small)[0] for graph in self._enlarged]
        return self._parts

    def _is_noticed(self, change: NDArray[np.float32]) -> bool:
        most = float(np.abs(change).max())
        if most <= _UNSEEN:
            return False
        return most > _UNNOTICED or self._age > self._patience or float((change**2).mean()) > _UNNOTICED_RMS**2


class _Slide:
    """A crop that moves along one axis more smoothly than by whole pixels, at the cost of one that stands.

    The source is cropped at an even place (its chroma has half the resolution) with some pixels to spare, scaled, and
    cropped again on the canvas, at an even place there. Each even place of the first crop lies at another fraction of
    a pixel of the canvas, unless the scale is a simple ratio: of those in the spare the best is taken.
    """

    _AT_ODD = 0.34  # pixels of the canvas: at an odd place chroma is off by half of its own; at 4/3 even ones do

    def __init__(self, *, source: int, scaled: int, shown: int, axis: str, backwards: bool) -> None:
        """
        Args:
            source: size of the coded picture along the axis, pixels; `scaled`: its size when scaled to the canvas.
            shown: size of the canvas.
            axis: of the coded picture, "x" or "y".
            backwards: it runs against what is seen upright.
        """
        self._shown, self._axis, self._backwards = shown, axis, backwards
        scale = scaled / source
        least = -(-int(shown / scale) // 2) * 2 + 2
        sizes = [taken for taken in range(least + _SPARE // 2, least + _SPARE + 1, 2) if taken <= source]
        sizes = sizes or [source // 2 * 2]
        made = {taken: max(shown, round(taken * scale / 2) * 2) for taken in sizes}
        self.taken = min(sizes, key=lambda taken: (abs(made[taken] / taken / scale - 1), -taken))  # of the source
        self.made = made[self.taken]  # of it, scaled
        self._scale = self.made / self.taken
        self._last = (source - self.taken) // 2 * 2
        self._crops: tuple[Node, Node]
        self._places: tuple[int, int] | None = None

    def move(self, coarse: Node, fine: Node) -> None:
        """The two crops that it moves."""
        self._crops = (coarse, fine)

    def put(self, place: float) -> None:
        """To `place`, 0 … 1 of the way."""
        places = self._nearest(1 - place if self._backwards else place)
        if places != self._places:
            for crop, at in zip(self._crops, places, strict=True):
                crop.process_command(self._axis, str(at))
            self._places = places

    def _nearest(self, place: float) -> tuple[int, int]:
        """Where both crops begin."""
        spare = self.made - self._shown
        wanted = place * (self._last * self._scale + spare)
        lowest = max(0, math.ceil((wanted - spare) / self._scale / 2) * 2)
        best, least = (0, 0), math.inf
        for coarse in range(min(lowest, self._last), self._last + 1, 2):
            left = wanted - coarse * self._scale
            if left < -1:
                break
            for fine in (round(left / 2) * 2, round(left)):
                at = min(max(fine, 0), spare)
                off = abs(left - at) + (self._AT_ODD if at % 2 else 0)
                if off < least - 1e-9:
                    best, least = (coarse, at), off
        return best


class _Graph:
    """A filter graph: one picture into each of its sources makes one at each of its sinks."""

    def __init__(self) -> None:
        self.graph: Any = av.filter.Graph()
        self.graph.threads = 1  # the encoder and the decoder have the others
        self._sources: list[Node] = []
        self._sinks: list[Node] = []
        self._runs = 0

    def source(self, picture: Any) -> Node:
        """Takes pictures like this one."""
        return self._source(
            picture.width, picture.height, picture.format.name, int(picture.colorspace), int(picture.color_range)
        )

    def part(self, width: int, height: int) -> Node:
        """Takes pictures that are painted already."""
        return self._source(width, height, "yuv420p", 1, 1)

    def _source(self, width: int, height: int, pixels: str, colorspace: int, color_range: int) -> Node:
        arguments = (
            f"video_size={width}x{height}:pix_fmt={pixels}:time_base=1/1000:colorspace={colorspace}:range={color_range}"
        )
        self._sources.append(self.graph.add("buffer", arguments))
        return self._sources[-1]

    def join(self, name: str, arguments: str, nodes: list[Node]) -> Node:
        """A filter of several inputs."""
        joined = self.graph.add(name, arguments)
        for index, node in enumerate(nodes):
            node.link_to(joined, 0, index)
        return joined

    def sink(self, node: Node) -> None:
        """Gives out what `node` makes."""
        self._sinks.append(self.graph.add("buffersink"))
        node.link_to(self._sinks[-1])

    def configure(self) -> None:
        """After the last filter."""
        self.graph.configure()

    def run(self, *pictures: Any) -> list[Any]:
        """`pictures` in the order of the sources; what comes out in that of the sinks."""
        self._runs += 1
        for source, picture in zip(self._sources, pictures, strict=True):
            picture.pts = self._runs  # where several come together, the clock says which belong to each other
            picture.time_base = Fraction(1, 1000)
            source.push(picture)
        return [sink.pull() for sink in self._sinks]


class Deinterlacer:
    """Makes whole frames of fields, one for one. Gives a frame back one push later: it looks at the next.

    Rebuilds its graph where a stream changes size midway.
    """

    def __init__(self) -> None:
        self._graph: Any = None
        self._shape: tuple[int, int, str] | None = None

    def push(self, picture: Any | None) -> list[Any]:
        """What is finished after `picture`; None ends. Times pass through."""
        shape = None if picture is None else (picture.width, picture.height, picture.format.name)
        finished = []
        if shape != self._shape:
            if self._graph is not None:
                finished = self._exchange(None)  # what it still holds
            self._graph = None if picture is None else self._build(picture)
            self._shape = shape
        if picture is not None:
            finished += self._exchange(picture)
        return finished

    def _exchange(self, picture: Any | None) -> list[Any]:
        self._graph.vpush(picture)
        finished = []
        while True:
            try:
                finished.append(self._graph.vpull())
            except (av.error.BlockingIOError, av.error.EOFError):
                return finished

    def _build(self, picture: Any) -> Any:
        graph = av.filter.Graph()
        base = picture.time_base
        source = graph.add(
            "buffer",
            f"video_size={picture.width}x{picture.height}:pix_fmt={picture.format.name}:"
            f"time_base={base.numerator}/{base.denominator}:"
            f"colorspace={int(picture.colorspace)}:range={int(picture.color_range)}",
        )
        end = _chain(graph, source, [("bwdif", "mode=send_frame:deint=interlaced")])
        end.link_to(graph.add("buffersink"))
        graph.configure()
        return graph


def _quoted(value: str) -> str:
    """`value` as one filter option: a data directory may hold what separates options.

    Source: FFmpeg's av_get_token, which reads it.
    """
    return "".join(f"\\{character}" if character in "\\':" else character for character in value)


def _chain(graph: Any, node: Node, steps: list[Step]) -> Node:
    """Adds `steps` behind `node`; the last of them."""
    for name, arguments in steps:
        following = graph.add(name, arguments) if arguments else graph.add(name)
        node.link_to(following)
        node = following
    return node
