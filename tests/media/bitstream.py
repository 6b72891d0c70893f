"""What H.264 parameter sets and an AudioSpecificConfig say, read bit by bit.

Source: ITU-T H.264 7.3.2.1 and E.1; ISO/IEC 14496-3 1.6.2.1; ISO/IEC 14496-15 5.3.3.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from tests.media.boxes import BadBoxes, Box, read_boxes

_HIGH_PROFILES = {100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135}
_ASPECTS = {1: (1, 1), 2: (12, 11), 3: (10, 11), 4: (16, 11), 5: (40, 33), 14: (4, 3), 15: (3, 2), 16: (2, 1)}
_SAMPLE_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)


class _Bits:
    def __init__(self, data: bytes) -> None:
        self._number, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        if count > self._left:
            raise BadBoxes("a parameter set ends too soon")
        self._left -= count
        return (self._number >> self._left) & ((1 << count) - 1)

    def golomb(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed_golomb(self) -> int:
        value = self.golomb()
        return (value + 1) // 2 if value % 2 else -(value // 2)


@dataclass(frozen=True)
class Sps:
    """A sequence parameter set. `colour` is (primaries, transfer, matrix); None: not said."""

    profile: int
    constraints: int
    level: int
    chroma_format: int
    bit_depth: int
    frames_only: bool
    width: int
    height: int
    sample_aspect: tuple[int, int] | None
    full_range: bool | None
    colour: tuple[int, int, int] | None


def parse_sps(nal: bytes) -> Sps:
    """One sequence parameter set with its NAL header byte."""
    bits = _Bits(nal[1:].replace(b"\0\0\3", b"\0\0"))
    profile, constraints, level = bits.take(8), bits.take(8), bits.take(8)
    bits.golomb()
    chroma, depth = _chroma(bits) if profile in _HIGH_PROFILES else (1, 8)
    bits.golomb()  # log2_max_frame_num
    _skip_order(bits)
    bits.golomb()  # max_num_ref_frames
    bits.take(1)
    columns, rows = bits.golomb() + 1, bits.golomb() + 1
    frames_only = bool(bits.take(1))
    if not frames_only:
        bits.take(1)
    bits.take(1)
    crop = [bits.golomb() for _ in range(4)] if bits.take(1) else [0, 0, 0, 0]
    unit_x, unit_y = (2 if chroma in (1, 2) else 1), (2 if chroma == 1 else 1) * (1 if frames_only else 2)
    aspect, full_range, colour = _usability(bits) if bits.take(1) else (None, None, None)
    return Sps(
        profile,
        constraints,
        level,
        chroma,
        depth,
        frames_only,
        16 * columns - unit_x * (crop[0] + crop[1]),
        16 * rows * (1 if frames_only else 2) - unit_y * (crop[2] + crop[3]),
        aspect,
        full_range,
        colour,
    )


def _chroma(bits: _Bits) -> tuple[int, int]:
    chroma = bits.golomb()
    if chroma == 3:
        bits.take(1)
    depth = 8 + bits.golomb()
    bits.golomb()
    bits.take(1)
    if bits.take(1):
        for index in range(8 if chroma != 3 else 12):
            if bits.take(1):
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return chroma, depth


def _skip_scaling_list(bits: _Bits, size: int) -> None:
    last = after = 8
    for _ in range(size):
        if after:
            after = (last + bits.signed_golomb()) % 256
        last = after or last


def _skip_order(bits: _Bits) -> None:
    kind = bits.golomb()
    if kind == 0:
        bits.golomb()
    elif kind == 1:
        bits.take(1)
        bits.signed_golomb()
        bits.signed_golomb()
        for _ in range(bits.golomb()):
            bits.signed_golomb()


def _usability(bits: _Bits) -> tuple[tuple[int, int] | None, bool | None, tuple[int, int, int] | None]:
    aspect: tuple[int, int] | None = None
    if bits.take(1):
        code = bits.take(8)
        aspect = (bits.take(16), bits.take(16)) if code == 255 else _ASPECTS.get(code)
    if bits.take(1):
        bits.take(1)
    full_range: bool | None = None
    colour: tuple[int, int, int] | None = None
    if bits.take(1):
        bits.take(3)
        full_range = bool(bits.take(1))
        if bits.take(1):
            colour = (bits.take(8), bits.take(8), bits.take(8))
    return aspect, full_range, colour


@dataclass(frozen=True)
class VideoEntry:
    """A visual sample entry: its parameter sets, and what `pasp` and `colr` say when they are there."""

    length_size: int
    sps: list[bytes]
    pixel_aspect: tuple[int, int] | None
    nclx: tuple[int, int, int, bool] | None  # primaries, transfer, matrix, full range
    others: list[str]


def parse_video_entry(entry: bytes) -> VideoEntry:
    """An `avc1` sample entry with its box header."""
    boxes = {box.kind: box for box in read_boxes(entry, 86, len(entry))}
    if b"avcC" not in boxes:
        raise BadBoxes("the video sample entry has no avcC")
    config = _payload(entry, boxes[b"avcC"])
    sets, at = [], 6
    for _ in range(config[5] & 31):
        (size,) = struct.unpack_from(">H", config, at)
        sets.append(config[at + 2 : at + 2 + size])
        at += 2 + size
    aspect = struct.unpack(">II", _payload(entry, boxes[b"pasp"])) if b"pasp" in boxes else None
    colour = _payload(entry, boxes[b"colr"]) if b"colr" in boxes else b""
    nclx = (*struct.unpack_from(">HHH", colour, 4), bool(colour[10] >> 7)) if colour[:4] == b"nclx" else None
    known = {b"avcC", b"pasp", b"colr", b"btrt", b"fiel", b"chrm"}
    others = [kind.decode("latin1") for kind in boxes if kind not in known]
    return VideoEntry((config[4] & 3) + 1, sets, aspect, nclx, others)


@dataclass(frozen=True)
class AudioConfig:
    """An AudioSpecificConfig. `extended` says that SBR or PS is signalled (HE-AAC)."""

    object_type: int  # 2: AAC-LC
    sample_rate: int
    channels: int
    extended: bool


NOT_AAC = AudioConfig(0, 0, 0, False)


def parse_audio_entry(entry: bytes) -> AudioConfig:
    """An `mp4a` sample entry with its box header (version 0)."""
    boxes = {box.kind: box for box in read_boxes(entry, 36, len(entry))}
    if b"esds" not in boxes:
        raise BadBoxes("the audio sample entry has no esds")
    config = _decoder_specific(_payload(entry, boxes[b"esds"])[4:])
    return parse_audio_config(config) if config else NOT_AAC


def parse_audio_config(config: bytes) -> AudioConfig:
    bits = _Bits(config + b"\0\0\0\0")
    kind = _object_type(bits)
    rate = _sample_rate(bits)
    channels = bits.take(4)
    sync = config.find(
        b"\x56\xe5"
    )  # 0x2b7 and object type 5, as muxers align them; the next bit says whether it is SBR
    extended = kind in (5, 29) or (sync >= 0 and bool(config[sync + 2 : sync + 3] >= b"\x80"))
    return AudioConfig(kind, rate, 8 if channels == 7 else channels, extended)


def _object_type(bits: _Bits) -> int:
    kind = bits.take(5)
    return 32 + bits.take(6) if kind == 31 else kind


def _sample_rate(bits: _Bits) -> int:
    index = bits.take(4)
    return bits.take(24) if index == 15 else _SAMPLE_RATES[index]


def _decoder_specific(data: bytes) -> bytes:
    """Down the descriptors 3 → 4 → 5; nothing when the sound is not MPEG-4 audio (0x40)."""
    at = 0
    while at < len(data):
        tag, size = data[at], 0
        at += 1
        while True:
            size = size << 7 | data[at] & 127
            at += 1
            if not data[at - 1] & 128:
                break
        if tag == 4 and data[at] != 0x40:
            return b""
        if tag == 5:
            return data[at : at + size]
        at += {3: 3, 4: 13}.get(tag, size)
    raise BadBoxes("esds has no decoder configuration")


def _payload(entry: bytes, box: Box) -> bytes:
    return entry[box.body : box.end]


def nal_units(sample: bytes, length_size: int) -> Iterator[bytes]:
    """The NAL units of one sample, each with its header byte."""
    at = 0
    while at + length_size <= len(sample):
        size = int.from_bytes(sample[at : at + length_size], "big")
        at += length_size
        if not size or at + size > len(sample):
            raise BadBoxes(f"a NAL unit of {size} bytes does not fit its sample")
        yield sample[at : at + size]
        at += size
    if at != len(sample):
        raise BadBoxes("stray bytes after the last NAL unit of a sample")
