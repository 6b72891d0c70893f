"""From HDR to SDR: a 3D lookup table that brings PQ or HLG in BT.2020 to BT.709, bright and not washed out."""

from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Literal

import numpy as np
from numpy.typing import NDArray

_SIZE = 33  # grid points a side; PQ and HLG are near perceptual, so linear steps between them do not band
_PEAK_NITS = 1000.0  # what phones and most HDR masters use
_WHITE_NITS = 203.0  # HDR reference white (ITU-R BT.2408); becomes SDR's peak before the shoulder

Array = NDArray[np.float64]

# ITU-R BT.2087: BT.2020 to BT.709, linear light.
_TO_709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]]
)


def cube(folder: Path, transfer: Literal["pq", "hlg"]) -> Path:
    """The table as a file in `folder`, in the .cube format that FFmpeg's lut3d reads. Written where there is none.

    Several threads may ask at a time: the file is there whole, or not at all, and stays as it is.
    """
    path = folder / f"{transfer}.cube"
    if not path.exists():
        with NamedTemporaryFile("w", dir=folder, suffix=".part", delete=False) as file:
            file.write(_table(transfer))
        Path(file.name).replace(path)
    return path


def _table(transfer: Literal["pq", "hlg"]) -> str:
    """Red runs fastest."""
    axis = np.linspace(0.0, 1.0, _SIZE)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    table = to_sdr(np.stack([red, green, blue], axis=-1).reshape(-1, 3), transfer)
    rows = "\n".join(f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in table)
    return f"LUT_3D_SIZE {_SIZE}\n{rows}\n"


def to_sdr(signal: Array, transfer: Literal["pq", "hlg"]) -> Array:
    """BT.709 R'G'B' signals, (n, 3) in 0 … 1, of BT.2020 PQ or HLG signals, (n, 3) in 0 … 1.

    The tone curve is that of ITU-R BT.2390 (5.4.1, EETF) from 1000 to 203 cd/m², applied to the largest of R, G, B
    so that hues stay; colours outside BT.709 are drawn towards grey of the same luminance.
    """
    nits = _pq_to_nits(signal) if transfer == "pq" else _hlg_to_nits(signal)
    largest = np.maximum(nits.max(axis=-1, keepdims=True), 1e-6)
    mapped = nits * (_eetf(largest) / largest) / _WHITE_NITS
    linear = _into_gamut(mapped @ _TO_709.T)
    return np.asarray(np.clip(linear, 0.0, 1.0) ** (1 / 2.4))  # ITU-R BT.1886


def _pq_to_nits(signal: Array) -> Array:
    """SMPTE ST 2084, EOTF: cd/m² of signals in 0 … 1."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = signal ** (1 / m2)
    return np.asarray(10000.0 * (np.maximum(power - c1, 0.0) / (c2 - c3 * power)) ** (1 / m1))


def _nits_to_pq(nits: Array) -> Array:
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = (nits / 10000.0) ** m1
    return np.asarray(((c1 + c2 * power) / (1 + c3 * power)) ** m2)


def _hlg_to_nits(signal: Array) -> Array:
    """ARIB STD-B67 with the system gamma 1.2 of a 1000 cd/m² display (ITU-R BT.2100)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    luminance = scene @ np.array([0.2627, 0.6780, 0.0593])
    return np.asarray(_PEAK_NITS * np.maximum(luminance, 1e-9)[..., None] ** 0.2 * scene)


def _eetf(nits: Array) -> Array:
    top = _nits_to_pq(np.array(_PEAK_NITS))
    signal = np.minimum(_nits_to_pq(nits) / top, 1.0)
    limit = _nits_to_pq(np.array(_WHITE_NITS)) / top
    knee = 1.5 * limit - 0.5
    t = np.clip((signal - knee) / (1 - knee), 0.0, 1.0)
    shoulder = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * limit
    return _pq_to_nits(np.where(signal < knee, signal, shoulder) * top)


def _into_gamut(linear: Array) -> Array:
    """Mixes in grey of the same luminance until no component is negative or over 1."""
    grey = np.clip(linear @ np.array([0.2126, 0.7152, 0.0722]), 0.0, 1.0)[..., None]
    low, high = linear.min(axis=-1, keepdims=True), linear.max(axis=-1, keepdims=True)
    keep_low = np.where(low < 0, grey / np.maximum(grey - low, 1e-9), 1.0)
    keep_high = np.where(high > 1, (1 - grey) / np.maximum(high - grey, 1e-9), 1.0)
    return np.asarray(grey + np.minimum(keep_low, keep_high) * (linear - grey))
