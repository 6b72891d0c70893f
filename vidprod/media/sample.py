"""`python -m vidprod.media.sample OUT`: a short take with picture and sound, for the demo and for trying things out."""

import argparse
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from vidprod.media.sound import RATE, audio_frame

_FPS = 30
_DIGITS = ("abcdef", "bc", "abged", "abgcd", "fgbc", "afgcd", "afgedc", "abc", "abcdefg", "abcfgd")  # seven segments
_BARS = {  # x, y, width, height in units of a digit's stroke
    "a": (0, 0, 5, 1), "b": (4, 0, 1, 5), "c": (4, 4, 1, 5), "d": (0, 8, 5, 1),
    "e": (0, 4, 1, 5), "f": (0, 0, 1, 5), "g": (0, 4, 5, 1),
}  # fmt: skip
Picture = NDArray[np.uint8]


def write_sample(path: Path, *, seconds: float, width: int = 1280, height: int = 720) -> None:
    """A take of `seconds`: a clock, a ball that bounces, and a voice-like tone that pauses every few seconds."""
    with av.open(str(path), "w", format="mp4") as container:
        video: Any = container.add_stream("libx264", rate=_FPS, options={"preset": "ultrafast", "crf": "23"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio: Any = container.add_stream("aac", rate=RATE, layout="stereo")
        sound = _voice(seconds)
        backdrop = _backdrop(width, height)
        for index in range(round(seconds * _FPS)):
            picture = _picture(backdrop, index)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, _FPS)
            _mux(container, video.encode(frame))
            first, end = index * RATE // _FPS, (index + 1) * RATE // _FPS
            _mux(container, audio.encode(audio_frame(sound[:, first:end], first)))
        _mux(container, [*video.encode(None), *audio.encode(None)])


def _mux(container: Any, packets: Iterator[Any] | list[Any]) -> None:
    for packet in packets:
        container.mux(packet)


def _backdrop(width: int, height: int) -> Picture:
    x = np.linspace(0, 1, width)[None, :, None]
    y = np.linspace(0, 1, height)[:, None, None]
    top, bottom = np.array([38, 70, 83]), np.array([233, 196, 106])
    return np.asarray((top * (1 - y) + bottom * y) * (0.75 + 0.25 * x), np.uint8)


def _picture(backdrop: Picture, index: int) -> Picture:
    picture = backdrop.copy()
    height, width, _ = picture.shape
    radius = height // 12
    centre_x = radius + abs(index * 7 % (2 * (width - 2 * radius)) - (width - 2 * radius))
    centre_y = height * 3 // 4
    rows, columns = np.ogrid[centre_y - radius : centre_y + radius, centre_x - radius : centre_x + radius]
    ball = (rows - centre_y) ** 2 + (columns - centre_x) ** 2 <= radius**2
    picture[centre_y - radius : centre_y + radius, centre_x - radius : centre_x + radius][ball] = (231, 111, 81)
    stroke = height // 30
    for place, digit in enumerate(f"{index // _FPS // 60:02d}{index // _FPS % 60:02d}"):
        left = width // 2 + (place * 7 - 14 + (place > 1)) * stroke
        for bar in _DIGITS[int(digit)]:
            x, y, wide, high = (value * stroke for value in _BARS[bar])
            picture[height // 6 + y : height // 6 + y + high, left + x : left + x + wide] = 245
    return picture


def _voice(seconds: float) -> NDArray[np.float32]:
    """Syllables at 4 a second, with half a second of near silence every 5 s."""
    time = np.arange(round(seconds * RATE) + RATE) / RATE
    pitch = 140 + 25 * np.sin(2 * np.pi * 0.4 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    tone = sum(np.sin(phase * n) / n for n in range(1, 8))
    syllables = 0.15 + 0.85 * np.sin(np.pi * 4 * time) ** 2
    speaking = ((time % 5.0) > 0.5).astype(float)
    ramp = np.convolve(speaking, np.ones(480) / 480, mode="same")
    hiss = np.random.default_rng(7).normal(0, 0.0008, time.shape)
    return np.asarray(np.stack([0.12 * tone * syllables * ramp + hiss] * 2), np.float32)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m vidprod.media.sample", description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=720)
    arguments = parser.parse_args()
    write_sample(arguments.out, seconds=arguments.seconds, width=arguments.width, height=arguments.height)


if __name__ == "__main__":
    main()
