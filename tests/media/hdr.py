"""HDR takes with patches of known light, and what an SDR picture made of them must look like.

Sources: ITU-R BT.2100-2 (PQ and HLG), BT.2408-7 (reference white 203 cd/m2, grey card 26 cd/m2), BT.2087 (BT.709 in
BT.2020), BT.1886 (SDR displays), CIE 15 (L*a*b*).
"""

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tests.media.readers import frame_at, mean_colour
from tests.media.synth import PORTRAIT, Sound, Style, noise, write

Light = tuple[float, float, float]  # linear BT.709 red, green, blue in cd/m2
Signal = tuple[float, float, float]  # R'G'B', 0 ... 1
Floats = NDArray[np.float64]

REFERENCE_WHITE = 203.0
PATCHES: dict[str, Light] = {
    "black": (0.0, 0.0, 0.0),
    "grey": (26.0, 26.0, 26.0),
    "skin": (105.0, 66.0, 49.0),
    "white": (203.0, 203.0, 203.0),
    "highlight": (1000.0, 1000.0, 1000.0),
    "red": (90.0, 6.0, 6.0),
    "green": (8.0, 90.0, 8.0),
    "blue": (8.0, 8.0, 90.0),
}
_COLUMNS = 2
_BT709_IN_BT2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
_XYZ_OF_BT709 = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def pq(light: Floats) -> Floats:
    """BT.2100 PQ: cd/m2 of the display to signal."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = (np.clip(light, 0, 10_000) / 10_000) ** m1
    return np.asarray(((c1 + c2 * power) / (1 + c3 * power)) ** m2)


def hlg(light: Floats) -> Floats:
    """BT.2100 HLG: cd/m2 on a 1000 cd/m2 display to signal, through the inverse of its system gamma 1.2."""
    luminance = float(light @ np.array([0.2627, 0.6780, 0.0593]))
    if luminance <= 0:
        return np.zeros(3)
    scene_luminance: float = (luminance / 1000) ** (1 / 1.2)
    scene: Floats = np.clip(light / (1000 * scene_luminance**0.2), 0, 1)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.asarray(np.where(scene <= 1 / 12, np.sqrt(3 * scene), a * np.log(np.maximum(12 * scene - b, 1e-9)) + c))


def hdr(
    path: Path,
    transfer: Literal["pq", "hlg"],
    *,
    seconds: float = 3.2,
    size: tuple[int, int] = PORTRAIT,
    gop: int | None = None,
) -> Path:
    """HEVC, 10 bit, BT.2020, with `PATCHES` in two columns, in closed groups of `gop` pictures."""
    width, height = size
    rows = len(PATCHES) // _COLUMNS
    planes = np.full((height * 3 // 2, width), 512, np.uint16)
    chroma = planes[height:].reshape(2, height // 2, width // 2)
    for number, light in enumerate(PATCHES.values()):
        row, column = divmod(number, _COLUMNS)
        y, cb, cr = _ten_bits(signal_of(light, transfer))
        top, bottom = row * height // rows, (row + 1) * height // rows
        left, right = column * width // _COLUMNS, (column + 1) * width // _COLUMNS
        planes[top:bottom, left:right] = y
        chroma[0, top // 2 : bottom // 2, left // 2 : right // 2] = cb
        chroma[1, top // 2 : bottom // 2, left // 2 : right // 2] = cr
    style = Style(
        codec="libx265",
        pix_fmt="yuv420p10le",
        options={"preset": "ultrafast", "crf": "14", "x265-params": "log-level=error:open-gop=0"},
        colour=(9, 16 if transfer == "pq" else 18, 9),
        gop=gop,
    )
    pictures = ((Fraction(n, 30), planes) for n in range(round(seconds * 30)))
    return write(path, pictures, rate=Fraction(30), sound=Sound(noise(seconds)), style=style)


def signal_of(light: Light, transfer: str) -> Signal:
    """R'G'B' in BT.2020 of a light."""
    r, g, b = (pq if transfer == "pq" else hlg)(_BT709_IN_BT2020 @ np.array(light))
    return float(r), float(g), float(b)


def _ten_bits(signal: Signal) -> tuple[int, int, int]:
    r, g, b = signal
    luma = 0.2627 * r + 0.6780 * g + 0.0593 * b
    return (
        round(64 + 876 * luma),
        round(512 + 896 * (b - luma) / 1.8814),
        round(512 + 896 * (r - luma) / 1.4746),
    )


def patches(path: Path, *, number: int = 20) -> dict[str, Signal]:
    """The signal of each patch in an SDR segment that fills its canvas."""
    frame = frame_at(path, number)
    rows = len(PATCHES) // _COLUMNS
    return {
        name: mean_colour(frame, (n % _COLUMNS + 0.5) / _COLUMNS, (n // _COLUMNS + 0.5) / rows)
        for n, name in enumerate(PATCHES)
    }


@dataclass(frozen=True)
class Lab:
    """CIE L*a*b*, D65."""

    lightness: float
    a: float
    b: float

    @property
    def chroma(self) -> float:
        return math.hypot(self.a, self.b)

    def hue_from(self, other: "Lab") -> float:
        """Degrees between the hues."""
        turn = math.degrees(math.atan2(self.b, self.a) - math.atan2(other.b, other.a))
        return abs((turn + 180) % 360 - 180)


def lab(linear: Floats) -> Lab:
    """Of linear BT.709 where 1 is white."""
    xyz = _XYZ_OF_BT709 @ np.clip(linear, 0, None) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return Lab(float(116 * f[1] - 16), float(500 * (f[0] - f[1])), float(200 * (f[1] - f[2])))


def lab_of_signal(signal: Signal) -> Lab:
    """As a BT.1886 display shows it."""
    return lab(np.clip(np.array(signal), 0, 1) ** 2.4)


def lab_of_light(light: Light) -> Lab:
    """As the scene was, with reference white as white."""
    return lab(np.array(light) / REFERENCE_WHITE)


def faults_of_brightness(seen: dict[str, Signal]) -> list[str]:
    """What is wrong with an SDR picture of `PATCHES`: washed out, crushed, clipped, out of order or off in hue.

    Reference white belongs at 70 ... 95 % of the signal: bright, with room for highlights. A grey card belongs near the
    0.42 it has in SDR; skin keeps at least half of its colour, and nothing changes its hue.
    """
    faults = []
    level = {name: 0.2126 * r + 0.7152 * g + 0.0722 * b for name, (r, g, b) in seen.items()}
    for name, low, high in (
        ("black", -0.02, 0.04),
        ("grey", 0.30, 0.56),
        ("white", 0.70, 0.95),
        ("highlight", 0.80, 1.02),
    ):
        if not low <= level[name] <= high:
            faults.append(f"{name} is at {level[name]:.3f}, not {low} ... {high}")
    order = ["black", "grey", "skin", "white", "highlight"]
    if any(level[a] + 0.02 > level[b] for a, b in itertools.pairwise(order)):
        faults.append(f"out of order: { {name: round(level[name], 3) for name in order} }")
    for name in ("black", "grey", "white", "highlight"):
        if max(seen[name]) - min(seen[name]) > 0.04:
            faults.append(f"{name} is tinted: {tuple(round(value, 3) for value in seen[name])}")
    for name, most_turn in (("skin", 12.0), ("red", 20.0), ("green", 20.0), ("blue", 25.0)):
        shown, meant = lab_of_signal(seen[name]), lab_of_light(PATCHES[name])
        if (turn := shown.hue_from(meant)) > most_turn:
            faults.append(f"{name} turned its hue by {turn:.1f} degrees")
        if shown.chroma < 0.5 * meant.chroma:
            faults.append(f"{name} has chroma {shown.chroma:.1f} of {meant.chroma:.1f}: washed out")
    return faults
