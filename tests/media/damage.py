"""Takes that are broken, strange or lie about themselves, made from good ones."""

import re
import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.media.boxes import Box, read_boxes
from tests.media.synth import PLAIN, Sound, noise, numbered, write, write_sound

_MOOV_FIRST = {"movflags": "faststart"}


FAR = 16 << 50  # 16 PiB: few file systems go so far


def truncated(path: Path, *, keep: float = 0.5, seconds: float = 6.0) -> Path:
    """A file whose header came first and whose end never came."""
    numbered(path, round(seconds * 30), style=replace(PLAIN, container_options=_MOOV_FIRST, gop=30))
    return cut_to(path, keep=keep)


def headless(path: Path, *, keep: float = 0.5) -> Path:
    """The same with the header last: cut off, nothing says what it was."""
    numbered(path, 90)
    return cut_to(path, keep=keep)


def cut_to(path: Path, *, keep: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    return path


def damaged_middle(path: Path, *, seconds: float = 6.0) -> Path:
    """200 bytes in the middle of the sample data replaced by noise; the header is whole."""
    numbered(path, round(seconds * 30), style=replace(PLAIN, container_options=_MOOV_FIRST, gop=30))
    data = bytearray(path.read_bytes())
    mdat = next(box for box in read_boxes(bytes(data)) if box.kind == b"mdat")
    middle = (mdat.body + mdat.end) // 2
    data[middle : middle + 200] = np.random.default_rng(3).bytes(200)
    path.write_bytes(data)
    return path


def fragmented(path: Path, *, seconds: float = 4.0) -> Path:
    options = {"movflags": "frag_keyframe+delay_moov+default_base_moof"}
    return numbered(path, round(seconds * 30), style=replace(PLAIN, container_options=options, gop=30))


def far_fragment(path: Path) -> Path:
    """Half a second in one fragment, whose sound is said to lie at `FAR`."""
    numbered(path, 15, style=replace(PLAIN, container_options={"movflags": "frag_keyframe+empty_moov"}))
    data = bytearray(path.read_bytes())
    header = data.rindex(b"tfhd")
    assert data[header + 7] & 1  # it says where: base_data_offset, after the track's number (ISO/IEC 14496-12, 8.8.7)
    struct.pack_into(">Q", data, header + 12, FAR)
    path.write_bytes(data)
    return path


def long_gop(path: Path, *, seconds: float = 8.0) -> Path:
    """One keyframe, at the start."""
    options = {**PLAIN.options, "x264-params": "scenecut=0:keyint=infinite"}
    return numbered(path, round(seconds * 30), style=replace(PLAIN, options=options, gop=100_000))


def no_keyframes(path: Path, *, seconds: float = 4.0) -> Path:
    """A stream joined in the middle that never shows a keyframe."""
    style = replace(PLAIN, format="mpegts", drop_keyframes=True, gop=100_000)
    return numbered(path, round(seconds * 30), style=style)


def no_keyframes_but_pictures(path: Path) -> Path:
    """The same of a codec whose decoder begins all the same, in grey."""
    style = replace(PLAIN, codec="mpeg4", options={}, format="avi", drop_keyframes=True, gop=100_000)
    return numbered(path, 120, style=style, sound=Sound(noise(4.0), codec="mp2"))


def odd_size(path: Path, *, seconds: float = 3.2) -> Path:
    """321x241, 4:4:4."""
    return numbered(path, round(seconds * 30), size=(321, 241), style=replace(PLAIN, pix_fmt="yuv444p"))


def many_streams(path: Path, *, sounds: int = 20) -> Path:
    return numbered(path, 96, style=replace(PLAIN, more_sounds=sounds - 1))


def declared_duration(path: Path, *, declared_s: float, seconds: float = 4.0) -> Path:
    """A Matroska file of a few seconds whose header says `declared_s`."""
    numbered(path, round(seconds * 30), style=replace(PLAIN, format="matroska"))
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3  # Duration, a float of 8 bytes, in milliseconds
    struct.pack_into(">d", data, at, declared_s * 1000)
    path.write_bytes(data)
    return path


def spoil_pictures(path: Path, *, from_s: float, to_s: float) -> Path:
    """Noise in place of every picture shown in these seconds; the index and the sound are whole."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        spoilt = [packet for packet in packets if from_s <= (packet.pts or 0) * packet.time_base < to_s]
        places = [(packet.pos, packet.size) for packet in spoilt]
    noise = np.random.default_rng(4)
    with path.open("r+b") as file:
        for place, size in places:
            file.seek(place or 0)
            file.write(noise.bytes(size))
    return path


def spoil_sound(path: Path, *, from_s: float, to_s: float) -> Path:
    """Bytes that are no AAC in place of every block of sound in these seconds; the index and the pictures are whole."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
        spoilt = [packet for packet in packets if from_s <= (packet.pts or 0) * packet.time_base < to_s]
        places = [(packet.pos, packet.size) for packet in spoilt]
    with path.open("r+b") as file:
        for place, size in places:
            file.seek(place or 0)
            file.write(b"\xff" * size)
    return path


def misleading_cues(path: Path) -> None:
    """Halve each time in a Matroska file's cues: who seeks by them comes out at twice the time."""
    data = path.read_bytes()
    cues = data.rindex(b"\x1c\x53\xbb\x6b")
    halved, count = re.subn(
        rb"(?s)\xb3\x82(..)\xb7",  # CueTime of two bytes, then CueTrackPositions (RFC 9559, 5.1.5)
        lambda found: b"\xb3\x82" + (int.from_bytes(found[1], "big") // 2).to_bytes(2, "big") + b"\xb7",
        data[cues:],
    )
    assert count
    path.write_bytes(data[:cues] + halved)


def patch_durations(path: Path, *, declared_s: float) -> None:
    """Write this duration into mvhd and each tkhd, mdhd and elst of a file."""
    data = bytearray(path.read_bytes())
    boxes = read_boxes(bytes(data))
    moov = next(box for box in boxes if box.kind == b"moov")
    header = _first(moov, b"mvhd")
    (movie_scale,) = struct.unpack_from(">I", data, header.body + 12)
    _put(data, header.body + 16, declared_s * movie_scale)
    for trak in (box for box in moov.children if box.kind == b"trak"):
        _put(data, _first(trak, b"tkhd").body + 20, declared_s * movie_scale)
        media = _first(trak, b"mdia", b"mdhd")
        (scale,) = struct.unpack_from(">I", data, media.body + 12)
        _put(data, media.body + 16, declared_s * scale)
        edits = trak.first(b"edts")
        if edits is not None:
            at = data.index(b"elst", edits.start) + 4
            _put(data, at + 8, declared_s * movie_scale)
    path.write_bytes(data)


def _first(box: Box, *kinds: bytes) -> Box:
    found = box.first(*kinds)
    assert found is not None
    return found


def _put(data: bytearray, at: int, value: float) -> None:
    struct.pack_into(">I", data, at, min(int(value), 2**32 - 1))


def sound_only(path: Path, *, seconds: float = 2.0) -> Path:
    """A sound in a file named and shaped like a video."""
    return write_sound(path, Sound(noise(seconds)))


def one_picture(path: Path) -> Path:
    """A single frame against a second of sound."""
    picture = np.full((568, 320), 100, np.uint8)
    return write(path, [(Fraction(0), picture)], rate=Fraction(30), sound=Sound(noise(1.0)))
