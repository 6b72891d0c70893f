"""A received file as a platform sees it: hashed while it comes in, and what its MP4 boxes say of it, without a codec.

Of the bytes only the boxes `ftyp` and `moov` are kept; pictures and sound are counted and hashed. `Facts.faults` says
what each platform would refuse, by the code that platform has for it.

Source: ISO/IEC 14496-12 (boxes); limits: each platform's media specification.
"""

import hashlib
import struct
from collections.abc import Iterator
from copy import copy
from typing import Any

import msgspec

from vidprod.domain.account import Platform
from vidprod.platforms.simulators.boxes import MOST_BOXES, read_moov

MOST_INDEX_BYTES = 32 << 20  # of a moov; a clip of a minute has some tens of kB

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
            told = read_moov(self._moov)
        except (struct.error, IndexError, ZeroDivisionError):
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
        if not kind.isascii() or (first and kind != b"ftyp") or self._boxes > MOST_BOXES:
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
