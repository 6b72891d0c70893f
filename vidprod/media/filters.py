"""From a decoded picture to a canvas: upright, scaled, cropped or over its blurred copy, BT.709 and 8 bit."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error
import av.filter

from vidprod.domain.plan import Canvas
from vidprod.domain.video import VideoStreamInfo
from vidprod.media.tonemap import write_cube

_BLUR_SHRINK = 8  # the background is blurred at an eighth of its size, where it costs a 64th and looks the same
_BLUR_SIGMA = 2.5  # pixels there, 20 on the canvas
_MATRIX = {"bt709": 1, "smpte170m": 6, "bt2020": 9}  # ITU-T H.273
_TRANSPOSE = {90: "clock", 270: "cclock"}

Node = Any
Step = tuple[str, str]


class Painter:
    """Turns decoded pictures into canvases, one for one. Rebuilds its graph where a stream changes size midway."""

    def __init__(self, canvas: Canvas, info: VideoStreamInfo, *, work_dir: Path, threads: int) -> None:
        """`work_dir` takes the lookup table that an HDR source needs."""
        self._canvas = canvas
        self._info = info
        self._threads = threads
        self._cube = work_dir / "hdr.cube"
        if info.hdr is not None:
            write_cube(self._cube, info.hdr)
        self._shape: tuple[int, int, str] | None = None
        self._graph: Any = None

    def paint(self, picture: Any) -> Any:
        """The canvas for `picture`: yuv420p, BT.709 limited range, canvas size. Takes the picture over."""
        # One meaning for every picture: the probe decided on the matrix; primaries and transfer are left to the table.
        picture.colorspace = _MATRIX[self._info.color_space or "bt709"]
        picture.color_range = 2 if self._info.full_range else 1
        picture.color_primaries = picture.color_trc = 1
        shape = (picture.width, picture.height, picture.format.name)
        if shape != self._shape:
            self._graph, self._shape = self._build(picture), shape
        picture.pts = 0
        picture.time_base = Fraction(1, 1000)
        self._graph.vpush(picture)
        return self._graph.vpull()

    def _build(self, picture: Any) -> Any:
        graph = av.filter.Graph()
        graph.threads = self._threads
        source = graph.add(
            "buffer",
            f"video_size={picture.width}x{picture.height}:pix_fmt={picture.format.name}:time_base=1/1000:"
            f"colorspace={int(picture.colorspace)}:range={int(picture.color_range)}",
        )
        end = self._compose(graph, source, picture)
        sink = graph.add("buffersink")
        end.link_to(sink)
        graph.configure()
        return graph

    def _compose(self, graph: Any, source: Node, picture: Any) -> Node:
        canvas = self._canvas
        if canvas.background == "none":
            crop = self._crop_to(canvas.width, canvas.height, picture)
            return _chain(graph, source, 0, [*crop, *self._scale(canvas.width, canvas.height)])
        split = _chain(graph, source, 0, [("split", "2")])
        small_width, small_height = canvas.width // _BLUR_SHRINK // 2 * 2, canvas.height // _BLUR_SHRINK // 2 * 2
        blurred: list[Step] = [
            *self._crop_to(canvas.width, canvas.height, picture, covering=True),
            *self._scale(small_width, small_height),
            ("gblur", f"sigma={_BLUR_SIGMA}:steps=2"),
        ]
        background = _chain(graph, split, 0, blurred)
        front = _chain(graph, split, 1, self._scale(canvas.picture_width, canvas.picture_height))
        if canvas.picture_width == canvas.width:
            return self._stack(graph, background, front, small_width, small_height)
        whole = _chain(graph, background, 0, [("scale", f"{canvas.width}:{canvas.height}:flags=bilinear")])
        overlay = graph.add("overlay", f"{canvas.x}:{canvas.y}:format=yuv420")
        whole.link_to(overlay, 0, 0)
        front.link_to(overlay, 0, 1)
        return _chain(graph, overlay, 0, [("format", "yuv420p")])

    def _stack(self, graph: Any, background: Node, front: Node, small_width: int, small_height: int) -> Node:
        """Only the strips above and below are enlarged: what the picture hides is never made."""
        canvas = self._canvas
        above, below = canvas.y, canvas.height - canvas.y - canvas.picture_height
        split = _chain(graph, background, 0, [("split", "2")])
        parts = []
        for pad, height, top in ((0, above, True), (1, below, False)):
            rows = max(2, round(small_height * height / canvas.height / 2) * 2)
            at = 0 if top else small_height - rows
            strip: list[Step] = [
                ("crop", f"{small_width}:{rows}:0:{at}"),
                ("scale", f"{canvas.width}:{height}:flags=bilinear"),
            ]
            parts.append(_chain(graph, split, pad, strip))
        stack = graph.add("vstack", "3")
        for index, part in enumerate((parts[0], front, parts[1])):
            part.link_to(stack, 0, index)
        return stack

    def _crop_to(self, width: int, height: int, picture: Any, *, covering: bool = False) -> list[Step]:
        """Cuts the coded picture's centre to the shape of the canvas, before scaling: what is cropped costs nothing.

        Args:
            covering: for the background, which covers the canvas whatever the picture in front does.
        """
        info, canvas = self._info, self._canvas
        if covering:
            scale = max(Fraction(width, info.width), Fraction(height, info.height))
            shown_width, shown_height = width / (info.width * scale), height / (info.height * scale)
        else:
            shown_width = Fraction(width, canvas.picture_width)
            shown_height = Fraction(height, canvas.picture_height)
        if info.rotation in (90, 270):
            shown_width, shown_height = shown_height, shown_width
        crop_width = max(2, min(picture.width, round(picture.width * shown_width)))
        crop_height = max(2, min(picture.height, round(picture.height * shown_height)))
        if (crop_width, crop_height) == (picture.width, picture.height):
            return []
        return [("crop", f"{crop_width}:{crop_height}")]

    def _scale(self, width: int, height: int) -> list[Step]:
        """To `width` × `height` as seen upright, and to BT.709, 8 bit, limited range."""
        info = self._info
        sideways = info.rotation in (90, 270)
        size = f"{height}:{width}" if sideways else f"{width}:{height}"
        matrix, span = info.color_space or "bt709", "pc" if info.full_range else "tv"
        source = f"in_color_matrix={matrix}:in_range={span}"
        target = "out_color_matrix=bt709:out_range=tv"
        steps: list[Step]
        if info.hdr is not None:
            steps = [
                ("scale", f"{size}:flags=bicubic:{source}"),
                ("format", "gbrp10le"),
                ("lut3d", f"file={_quoted(str(self._cube))}:interp=tetrahedral"),
                ("scale", f"{size}:{target}"),
            ]
        else:
            steps = [("scale", f"{size}:flags=bicubic:{source}:{target}")]
        steps += [("format", "yuv420p"), ("setsar", "1")]
        if sideways:
            steps.append(("transpose", _TRANSPOSE[info.rotation]))
        elif info.rotation == 180:
            steps += [("hflip", ""), ("vflip", "")]
        return steps


class Deinterlacer:
    """Makes whole frames of fields, one for one. Gives a frame back one push later: it looks at the next."""

    def __init__(self) -> None:
        self._graph: Any = None

    def push(self, picture: Any | None) -> list[Any]:
        """What is finished after `picture`; None ends. Times pass through."""
        if self._graph is None:
            if picture is None:
                return []
            self._graph = self._build(picture)
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
        end = _chain(graph, source, 0, [("bwdif", "mode=send_frame:deint=interlaced")])
        end.link_to(graph.add("buffersink"))
        graph.configure()
        return graph


def _quoted(value: str) -> str:
    """`value` as one filter option: a data directory may hold what separates options.

    Source: FFmpeg's av_get_token, which reads it.
    """
    return "".join(f"\\{character}" if character in "\\':" else character for character in value)


def _chain(graph: Any, node: Node, pad: int, steps: list[Step]) -> Node:
    """Adds `steps` behind output `pad` of `node`; the last of them."""
    for name, arguments in steps:
        following = graph.add(name, arguments) if arguments else graph.add(name)
        node.link_to(following, pad, 0)
        node, pad = following, 0
    return node
