"""A received file as a platform sees it: hashed while it comes in, and what its MP4 boxes say of it, without a codec.

Of the bytes only the boxes `ftyp` and `moov` are kept; pictures and sound are counted and hashed. `Facts.faults` says
what each platform would refuse, by the code that platform has for it.

Source: ISO/IEC 14496-12 (boxes), 14496-15 (avcC, hvcC); limits: each platform's media specification.
"""

import hashlib
import struct
from collections.abc import Iterator
from copy import copy
from typing import Any

import msgspec

from vidprod.domain.account import Platform

MOST_INDEX_BYTES = 32 << 20  # of a moov; a clip of a minute has some tens of kB
_MOST_BOXES = 10_000

_H264, _H265 = ("avc1", "avc3"), ("hvc1", "hev1")
_TIKTOK_CODECS = {*_H264, *_H265, "vp08", "vp09"}
_YOUTUBE_CODECS = {*_TIKTOK_CODECS, "av01", "mp4v", "s263", "apch", "apcn", "apcs", "apco"}
_INSTAGRAM_CODECS = {*_H264, *_H265}


class Refusal(msgspec.Struct, frozen=True):
    """Why a platform does not take a file: its code, and what is wrong, in words."""

    code: str
    message: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a file. None, or an empty name: its boxes do not say."""

    size: int
    sha256: str
    container: str  # "mp4", "mov", "webm"; empty: none that is known
    whole: bool  # no box goes on behind the end of the file, and the index is there
    moov_first: bool = False  # before the first mdat
    edit_list: bool = False
    fragmented: bool = False
    video_tracks: int = 0
    audio_tracks: int = 0
    video: str = ""  # sample entry: "avc1", "hvc1"
    audio: str = ""  # "mp4a"
    width: int | None = None  # as shown: turned by the track's matrix
    height: int | None = None
    rotation: int = 0  # degrees clockwise
    duration_us: int | None = None
    frames: int | None = None
    fps: float | None = None
    constant_fps: bool | None = None
    chroma: str = ""  # "4:2:0"
    depth: int | None = None  # bits a component
    audio_rate: int | None = None  # Hz
    audio_channels: int | None = None

    def faults(self, platform: Platform, *, longest_s: float | None = None) -> list[Refusal]:
        """Why `platform` would not take it; none: it would.

        The codes are TikTok's `fail_reason`, YouTube's `failureReason` ("length": `rejectionReason`) and Instagram's
        error_subcode.

        Args:
            longest_s: of this account, where it is less than what the platform allows anyone.
        """
        match platform:
            case "tiktok":
                return list(self._tiktok(600 if longest_s is None else longest_s))
            case "youtube":
                return list(self._youtube(900 if longest_s is None else longest_s))
            case "instagram":
                return list(self._instagram(900 if longest_s is None else longest_s))

    def _tiktok(self, longest_s: float) -> Iterator[Refusal]:
        if self.container not in ("mp4", "mov", "webm"):
            yield Refusal("file_format_check_failed", "this is no MP4, MOV or WebM")
        elif self.container != "webm" and (not self.whole or self.video not in _TIKTOK_CODECS):
            what = f"the codec is {self.video or 'missing'}" if self.whole else "the file is cut off"
            yield Refusal("file_format_check_failed", what)
        elif self.size > 4 << 30:
            yield Refusal("file_format_check_failed", f"{self.size} bytes are more than 4 GiB")
        if self.duration_us is not None and not 0 < self.duration_us <= longest_s * 1e6:
            yield Refusal(
                "duration_check_failed", f"{self.duration_us / 1e6:.3f} s, at most {longest_s:g} s are allowed"
            )
        if self.fps is not None and not 22.9 <= self.fps <= 60.1:
            yield Refusal("frame_rate_check_failed", f"{self.fps:.2f} frames a second, 23 to 60 are allowed")
        if self._side_outside(360, 4096):
            yield Refusal("picture_size_check_failed", f"{self.width}×{self.height}, each side 360 to 4096")

    def _youtube(self, longest_s: float) -> Iterator[Refusal]:
        if self.size == 0:
            yield Refusal("emptyFile", "there are no bytes")
        elif not self.container or (self.container != "webm" and not (self.whole and self.video_tracks)):
            yield Refusal("invalidFile", "this is no video file, or not the whole of it")
        elif self.container != "webm" and self.video not in _YOUTUBE_CODECS:
            yield Refusal("codec", f"the codec {self.video} is not known")
        if self.duration_us is not None and self.duration_us > longest_s * 1e6:
            yield Refusal("length", f"{self.duration_us / 1e6:.3f} s, at most {longest_s:g} s are allowed")

    def _instagram(self, longest_s: float) -> Iterator[Refusal]:
        for wrong, words in (
            (self.container not in ("mp4", "mov"), "this is no MP4 or MOV"),
            (not self.whole, "the file is cut off"),
            (not self.moov_first, "the index (moov) is not in front"),
            (self.edit_list, "there is an edit list"),
            (self.video not in _INSTAGRAM_CODECS, f"the codec is {self.video or 'missing'}, not H.264 or HEVC"),
            (self.chroma not in ("", "4:2:0"), f"the chroma is {self.chroma}, not 4:2:0"),
            (self.audio not in ("", "mp4a"), f"the sound is {self.audio}, not AAC"),
            ((self.audio_rate or 0) > 48_000, f"the sound has {self.audio_rate} Hz, at most 48000"),
            ((self.audio_channels or 1) > 2, f"the sound has {self.audio_channels} channels, at most 2"),
            (self.fps is not None and not 22.9 <= self.fps <= 60.1, f"{self.fps or 0:.2f} frames a second, 23 to 60"),
            ((self.width or 0) > 1920, f"{self.width} columns, at most 1920"),
            (self.size > 300_000_000, f"{self.size} bytes are more than 300 MB"),
            (
                self.duration_us is not None and not 3e6 <= self.duration_us <= longest_s * 1e6,
                f"{(self.duration_us or 0) / 1e6:.3f} s, 3 to {longest_s:g} s are allowed",
            ),
        ):
            if wrong:
                yield Refusal("2207026", words)

    def _side_outside(self, shortest: int, longest: int) -> bool:
        return any(side is not None and not shortest <= side <= longest for side in (self.width, self.height))


class Inspection:
    """A file that is coming in. `feed` it in order; `facts` at any time, of what is there."""

    def __init__(self) -> None:
        self.size = 0
        self._hash = hashlib.sha256()
        self._head = b""  # the first bytes, for what is no ISO file
        self._header = b""  # of a box, as far as it is there
        self._kept = bytearray()  # of the box that is being kept
        self._kind = b""
        self._left: int | None = 0  # of the present box's body; None: it goes to the end of the file
        self._lost = False  # what came here is no box
        self._boxes = 0
        self._ftyp = b""
        self._moov: bytes | None = None
        self._moov_first = False
        self._media = False  # an mdat has begun

    def feed(self, piece: bytes) -> None:
        """The next bytes of the file."""
        self.size += len(piece)
        self._hash.update(piece)
        if len(self._head) < 64:
            self._head += piece[: 64 - len(self._head)]
        at = 0
        while at < len(piece) and not self._lost:
            at = self._skip(piece, at) if self._left != 0 else self._open(piece, at)

    def copy(self) -> "Inspection":
        """Another one that has seen the same: to go back to when a chunk breaks off."""
        other = copy(self)
        other._hash = self._hash.copy()
        other._kept = bytearray(self._kept)
        return other

    @property
    def sha256(self) -> str:
        """Of what is there."""
        return self._hash.hexdigest()

    def facts(self) -> Facts:
        """What the bytes so far say."""
        container = self._container()
        basis: dict[str, Any] = {"size": self.size, "sha256": self.sha256, "container": container}
        if container not in ("mp4", "mov") or self._moov is None:
            return Facts(**basis, whole=container == "webm")
        try:
            told = _read_moov(self._moov)
        except (struct.error, IndexError, ZeroDivisionError):  # boxes that contradict themselves
            return Facts(**basis, whole=False)
        whole = self._left in (0, None) and not (self._header and not self._lost) and self._media
        return Facts(**basis, whole=whole, moov_first=self._moov_first, **told)

    def _container(self) -> str:
        if self._head[:4] == b"\x1a\x45\xdf\xa3":
            return "webm"
        if self._ftyp:
            return "mov" if self._ftyp[:4] == b"qt  " else "mp4"
        return ""

    def _open(self, piece: bytes, at: int) -> int:
        """Read on in a box's header, from `at`. Where what follows it begins."""
        wanted = 8 if len(self._header) < 8 else 16
        taken = piece[at : at + wanted - len(self._header)]
        self._header += taken
        at += len(taken)
        if len(self._header) < 8:
            return at
        length, kind = struct.unpack(">I4s", self._header[:8])
        if length == 1 and len(self._header) < 16:
            return at if wanted == 16 else self._open(piece, at)
        if length == 1:
            length = struct.unpack(">Q", self._header[8:16])[0]
        self._boxes += 1
        first = self._boxes == 1
        if not kind.isascii() or (first and kind != b"ftyp") or self._boxes > _MOST_BOXES:
            self._lost = True
            return at
        left = None if length == 0 else length - len(self._header)
        keeps = kind in (b"ftyp", b"moov")
        if (left is not None and left < 0) or (keeps and (left is None or left > MOST_INDEX_BYTES)):
            self._lost = True
            return at
        self._header, self._kind, self._left = b"", kind, left
        if kind == b"mdat":
            self._media = True
        if left == 0:
            self._close()
        return at

    def _skip(self, piece: bytes, at: int) -> int:
        """Read on in a box's body, from `at`. Where what follows it begins."""
        if self._left is None:
            return len(piece)
        end = min(len(piece), at + self._left)
        if self._kind in (b"ftyp", b"moov"):
            self._kept += piece[at:end]
        self._left -= end - at
        if self._left == 0:
            self._close()
        return end

    def _close(self) -> None:
        if self._kind == b"ftyp":
            self._ftyp = bytes(self._kept) or b"????"
        elif self._kind == b"moov":
            self._moov, self._moov_first = bytes(self._kept), not self._media
        self._kept = bytearray()


def inspect(data: bytes) -> Facts:
    """The facts of a whole file."""
    inspection = Inspection()
    inspection.feed(data)
    return inspection.facts()


def _read_moov(moov: bytes) -> dict[str, Any]:
    told: dict[str, Any] = {"video_tracks": 0, "audio_tracks": 0}
    header = _find(moov, b"mvhd")
    movie_us = _duration_us(header) if header else None
    videos = audios = 0
    for kind, body in _boxes(moov):
        if kind == b"mvex":
            told["fragmented"] = True
        if kind != b"trak":
            continue
        edits = _find(body, b"edts", b"elst")
        if edits is not None and struct.unpack_from(">I", edits, 4)[0]:
            told["edit_list"] = True
        handler = (_find(body, b"mdia", b"hdlr") or b"")[8:12]
        if handler == b"vide":
            videos += 1
            if videos == 1:
                told.update(_read_video(body))
        elif handler == b"soun":
            audios += 1
            if audios == 1:
                told.update(_read_audio(body))
    return told | {
        "video_tracks": videos,
        "audio_tracks": audios,
        "duration_us": movie_us or told.get("duration_us"),
    }


def _read_video(trak: bytes) -> dict[str, Any]:
    told: dict[str, Any] = {}
    entry, name = _sample_entry(trak)
    times = _find(trak, b"mdia", b"mdhd")
    if times is not None:
        told["duration_us"] = _duration_us(times) or None
    if name:
        told["video"] = name
    if len(entry) >= 78:
        width, height = struct.unpack_from(">HH", entry, 24)
        turned = _rotation(trak)
        told["rotation"] = turned
        told["width"], told["height"] = (height, width) if turned in (90, 270) else (width, height)
        told.update(_read_pixels(entry[78:]))
    deltas = _find(trak, b"mdia", b"minf", b"stbl", b"stts")
    if deltas is not None and times is not None:
        told.update(_read_rate(deltas, _timescale(times)))
    return told


def _read_rate(stts: bytes, timescale: int) -> dict[str, Any]:
    """From (sample count, delta) runs. The last frame's own duration says nothing of a rate that changes."""
    count = struct.unpack_from(">I", stts, 4)[0]
    runs = [struct.unpack_from(">II", stts, 8 + 8 * index) for index in range(min(count, (len(stts) - 8) // 8))]
    frames, ticks = sum(run[0] for run in runs), sum(run[0] * run[1] for run in runs)
    if not frames or not ticks:
        return {}  # fragmented: the runs are elsewhere
    inner = [run for index, run in enumerate(runs) if not (index == len(runs) - 1 and index and run[0] == 1)]
    spread = max(run[1] for run in inner) - min(run[1] for run in inner)
    mean = ticks / frames
    return {
        "frames": frames,
        "fps": frames * timescale / ticks,
        "constant_fps": spread <= max(1.0, mean / 100),  # a timescale that does not divide: one tick more or less
    }


def _read_pixels(boxes: bytes) -> dict[str, Any]:
    """From avcC or hvcC."""
    formats = ("4:0:0", "4:2:0", "4:2:2", "4:4:4")
    hevc = _find(boxes, b"hvcC")
    if hevc is not None and len(hevc) > 17:
        return {"chroma": formats[hevc[16] & 3], "depth": 8 + (hevc[17] & 7)}
    avc = _find(boxes, b"avcC")
    if avc is None or len(avc) < 7:
        return {}
    if avc[1] not in (100, 110, 122, 144, 244):  # the others have no other format
        return {"chroma": "4:2:0", "depth": 8}
    at = 6
    for _ in range(avc[5] & 31):
        at += 2 + struct.unpack_from(">H", avc, at)[0]
    pictures = avc[at]
    at += 1
    for _ in range(pictures):
        at += 2 + struct.unpack_from(">H", avc, at)[0]
    if at + 2 > len(avc):
        return {}  # some muxers leave the extension away
    return {"chroma": formats[avc[at] & 3], "depth": 8 + (avc[at + 1] & 7)}


def _read_audio(trak: bytes) -> dict[str, Any]:
    entry, name = _sample_entry(trak)
    told: dict[str, Any] = {"audio": name} if name else {}
    if len(entry) >= 28:
        told["audio_channels"] = struct.unpack_from(">H", entry, 16)[0]
        told["audio_rate"] = struct.unpack_from(">I", entry, 24)[0] >> 16
    return told


def _sample_entry(trak: bytes) -> tuple[bytes, str]:
    """The first one's body and its name."""
    entries = _find(trak, b"mdia", b"minf", b"stbl", b"stsd")
    for kind, body in _boxes((entries or b"")[8:]):
        return body, kind.decode("latin-1")
    return b"", ""


def _rotation(trak: bytes) -> int:
    """Degrees clockwise, by the matrix of the track header."""
    header = _find(trak, b"tkhd")
    if header is None:
        return 0
    a, b, _, c, d = struct.unpack_from(">5i", header, 52 if header[0] == 1 else 40)
    turns = {(1, 0, 0, 1): 0, (0, 1, -1, 0): 90, (-1, 0, 0, -1): 180, (0, -1, 1, 0): 270}
    return turns.get((_sign(a), _sign(b), _sign(c), _sign(d)), 0)


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)


def _timescale(header: bytes) -> int:
    """Of an mvhd or mdhd: ticks a second."""
    return int(struct.unpack_from(">I", header, 20 if header[0] == 1 else 12)[0])


def _duration_us(header: bytes) -> int:
    """Of an mvhd or mdhd."""
    form, at = (">Q", 24) if header[0] == 1 else (">I", 16)
    return int(struct.unpack_from(form, header, at)[0]) * 1_000_000 // _timescale(header)


def _find(data: bytes, *kinds: bytes) -> bytes | None:
    """The body of the first box down this path."""
    for kind in kinds:
        found = next((body for name, body in _boxes(data) if name == kind), None)
        if found is None:
            return None
        data = found
    return data


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of the boxes side by side in `data`."""
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if length == 1:
            length, body = struct.unpack_from(">Q", data, body)[0], at + 16
        elif length == 0:
            length = len(data) - at
        if length < body - at or at + length > len(data):
            return
        yield kind, data[body : at + length]
        at += length
