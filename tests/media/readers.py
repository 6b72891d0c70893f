"""What a finished file shows and says: numbers, flashes, beeps, discs and colours, read back from decoded frames."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from tests.media.synth import CODE_COLUMNS, CODE_ROWS, code_cells, code_check

Luma = NDArray[np.uint8]
_MIDDLE, _UNSURE = 126, 25  # of a cell's mean luma: nearer to the middle than this is no bit
POINTS = 5  # of a cell, each way


class Unreadable(Exception):
    """The picture does not show what it should."""


@dataclass(frozen=True)
class Rect:
    """Where the whole source picture lies on a canvas; partly outside when it is cropped."""

    x: float
    y: float
    width: float
    height: float


def pictures(path: Path) -> Iterator[tuple[float, Luma]]:
    """(seconds, luma) of every frame in order of presentation."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for frame in container.decode(stream):
            if frame.pts is not None and frame.time is not None:
                yield frame.time, luma(frame)


def luma(frame: av.VideoFrame) -> Luma:
    """The first plane as it is, 8 bit."""
    plane = frame.planes[0]
    if frame.format.components[0].bits != 8:
        frame = frame.reformat(format="gray")
        plane = frame.planes[0]
    rows = np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]


def rgb_planes(frame: av.VideoFrame) -> tuple[Luma, Luma, Luma]:
    """Y, Cb, Cr of a yuv420p frame as they are."""
    if frame.format.name not in ("yuv420p", "yuvj420p"):
        raise Unreadable(f"the frame is {frame.format.name}")
    planes = []
    for plane in frame.planes:
        rows = np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size)
        planes.append(rows[:, : plane.width])
    return planes[0], planes[1], planes[2]


def read_number(picture: Luma, size: tuple[int, int], rect: Rect | None = None) -> int:
    """The number in a picture made by `numbered_picture` at `size`, shown in `rect` of this canvas.

    Raises:
        Unreadable: a cell is neither black nor white, as in a blend of two frames, or the check is wrong.
    """
    height, width = picture.shape
    rows, columns = _points(size, rect or Rect(0, 0, width, height), (width, height))
    cells = picture[rows[:, None], columns].reshape(CODE_ROWS, POINTS, CODE_COLUMNS, POINTS)
    means = cells.mean(axis=(1, 3)).ravel()
    unsure = np.flatnonzero(np.abs(means - _MIDDLE) < _UNSURE)
    if len(unsure):
        raise Unreadable(f"cell {unsure[0]} is {means[unsure[0]]:.0f}, neither black nor white")
    value = int("".join("1" if mean > _MIDDLE else "0" for mean in means), 2)
    number, check = value >> 8, value & 255
    if check != code_check(number):
        raise Unreadable(f"{number} with check {check}, not {code_check(number)}")
    return number


@lru_cache(maxsize=8)
def _points(size: tuple[int, int], where: Rect, canvas: tuple[int, int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The rows and the columns at which the middle of the cells is looked at."""
    left, top, side = code_cells(size)

    def along(first: float, cells: int, scale: float, most: int) -> NDArray[np.intp]:
        spans = [[first + scale * side * (cell + part) for part in (0.3, 0.7)] for cell in range(cells)]
        found = np.concatenate([np.linspace(begin, end - 1, POINTS) for begin, end in spans])
        if found[0] < -1 or found[-1] > most:
            raise Unreadable("a cell is outside the canvas")
        return np.asarray(np.clip(found.round(), 0, most - 1), np.intp)

    scale_x, scale_y = where.width / size[0], where.height / size[1]
    return (
        along(where.y + scale_y * top, CODE_ROWS, scale_y, canvas[1]),
        along(where.x + scale_x * left, CODE_COLUMNS, scale_x, canvas[0]),
    )


def numbers(path: Path, size: tuple[int, int], rect: Rect | None = None) -> list[tuple[float, int]]:
    """(seconds, number) of every frame."""
    return [(at, read_number(picture, size, rect)) for at, picture in pictures(path)]


def flash_times(path: Path, rect: Rect | None = None) -> list[float]:
    """When the picture turns white, in seconds: the first white frame of each flash."""
    times, was_lit = [], False
    for at, picture in pictures(path):
        lit = float(_inside(picture, rect).mean()) > 150
        if lit and not was_lit:
            times.append(at)
        was_lit = lit
    return times


def _inside(picture: Luma, rect: Rect | None) -> Luma:
    if rect is None:
        return picture
    x0, y0 = max(0, round(rect.x)), max(0, round(rect.y))
    return picture[y0 : round(rect.y + rect.height), x0 : round(rect.x + rect.width)]


def sound(path: Path) -> tuple[NDArray[np.float32], int, float]:
    """Samples (channels, samples), their rate, and the time of the first in seconds. Holes become silence."""
    parts: list[tuple[float, NDArray[np.float32]]] = []
    rate = 0
    with av.open(str(path)) as container:
        resample: av.AudioResampler | None = None
        for frame in container.decode(container.streams.audio[0]):
            resample = resample or av.AudioResampler(format="fltp", layout=frame.layout.name, rate=frame.sample_rate)
            rate = frame.sample_rate
            for part in resample.resample(frame):
                parts.append((part.time or 0.0, part.to_ndarray().astype(np.float32)))
    if not parts:
        raise Unreadable("there is no sound")
    start = parts[0][0]
    ends = [round((at - start) * rate) + samples.shape[1] for at, samples in parts]
    whole = np.zeros((parts[0][1].shape[0], max(ends)), np.float32)
    for at, samples in parts:
        first = round((at - start) * rate)
        whole[:, first : first + samples.shape[1]] = samples
    return whole, rate, start


def beep_times(path: Path, *, hz: float = 1000.0, spacing_s: float = 0.3) -> list[float]:
    """When each tone of `hz` begins, in seconds: where its envelope first passes half of its height."""
    samples, rate, start = sound(path)
    mono = samples.mean(axis=0)
    phase = 2 * np.pi * hz * np.arange(len(mono)) / rate
    window = np.ones(round(rate / hz * 2)) / round(
        rate / hz * 2
    )  # two periods: a rectangle, so half height is the edge
    envelope = np.hypot(
        np.convolve(mono * np.sin(phase), window, "same"), np.convolve(mono * np.cos(phase), window, "same")
    )
    if envelope.max() < 1e-3:
        return []
    loud = np.flatnonzero(envelope > 0.5 * np.median(envelope[envelope > 0.5 * envelope.max()]))
    onsets = [loud[0], *(after for before, after in itertools.pairwise(loud) if after - before > spacing_s * rate)]
    return [start + float(onset) / rate for onset in onsets]


def loud_spans(path: Path, *, floor: float = 0.1, window_s: float = 0.02) -> list[tuple[float, float]]:
    """Where the sound is above `floor` of its greatest loudness: (from, to) in seconds."""
    samples, rate, start = sound(path)
    size = round(window_s * rate)
    blocks = samples.mean(axis=0)[: samples.shape[1] // size * size].reshape(-1, size)
    levels = np.sqrt((blocks**2).mean(axis=1))
    above = levels > floor * levels.max()
    edges = np.flatnonzero(np.diff(np.concatenate(([False], above, [False])).astype(np.int8)))
    return [(start + a * window_s, start + b * window_s) for a, b in edges.reshape(-1, 2)]


def disc(picture: Luma, rect: Rect | None = None) -> tuple[float, float]:
    """Width and height in pixels of the white disc: from the number of white pixels on its widest lines."""
    inside = _inside(picture, rect) > 130
    across, down = inside.sum(axis=1), inside.sum(axis=0)
    if not across.any():
        raise Unreadable("no disc")
    return float(across.max()), float(down.max())


def mean_colour(frame: av.VideoFrame, x: float, y: float, *, reach: float = 0.05) -> tuple[float, float, float]:
    """R'G'B', 0 … 1, around the point (x, y) given as fractions of the frame; BT.709 limited range by our own sums."""
    planes = rgb_planes(frame)
    means = []
    for plane in planes:
        height, width = plane.shape
        cut = plane[
            round((y - reach) * height) : round((y + reach) * height),
            round((x - reach) * width) : round((x + reach) * width),
        ]
        means.append(float(cut.mean()))
    luminance, blue, red = (means[0] - 16) / 219, (means[1] - 128) / 224, (means[2] - 128) / 224
    r, b = luminance + 1.5748 * red, luminance + 1.8556 * blue
    return r, (luminance - 0.2126 * r - 0.0722 * b) / 0.7152, b


def frame_at(path: Path, number: int) -> av.VideoFrame:
    """The nth frame, as decoded."""
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(container.streams.video[0])):
            if index == number:
                return frame
    raise Unreadable(f"there is no frame {number}")


def nearest_quadrant(colour: tuple[float, float, float]) -> str:
    """Which of `synth.QUADRANTS` this colour is."""
    from tests.media.synth import QUADRANTS

    def distance(name: str) -> float:
        return sum((a - b / 255) ** 2 for a, b in zip(colour, QUADRANTS[name], strict=True))

    return min(QUADRANTS, key=distance)


def upright(path: Path, *, number: int = 10, rect: Rect | None = None) -> list[str]:
    """The four quadrants as shown: top left, top right, bottom left, bottom right."""
    frame = frame_at(path, number)
    where = rect or Rect(0, 0, frame.width, frame.height)

    def colour(x: float, y: float) -> tuple[float, float, float]:
        return mean_colour(
            frame, (where.x + x * where.width) / frame.width, (where.y + y * where.height) / frame.height
        )

    return [nearest_quadrant(colour(x, y)) for y in (0.25, 0.75) for x in (0.25, 0.75)]


def combing(picture: Luma) -> float:
    """How much odd lines differ from their neighbours where these agree: high when two fields are woven."""
    rows = picture.astype(np.int16)
    odd = rows[1:-1:2]
    above, below = rows[:-2:2][: len(odd)], rows[2::2][: len(odd)]
    even = (above + below) / 2
    agree = np.abs(above - below) < 20
    return float((np.abs(odd - even)[agree] > 60).mean())


def picture_rect(picture: Luma) -> Rect:
    """Where the sharp picture of `striped` lies over a blurred copy: the rows full of steps that a blur has not."""
    steps = np.abs(np.diff(picture.astype(np.int16), axis=1)) > 5
    rows = np.flatnonzero(steps.mean(axis=1) > 0.08)
    if len(rows) == 0:
        raise Unreadable("nothing sharp in the picture")
    return Rect(0, float(rows[0]), float(picture.shape[1]), float(rows[-1] - rows[0] + 1))
