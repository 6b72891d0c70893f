"""Writes one segment: H.264 and AAC in an MP4 that all three platforms take.

Source: the platforms' common encode: High profile yuv420p, closed GOP of 2 s, constant rate, BT.709, moov first, no
edit list, nothing of the source's metadata.
"""

import hashlib
import os
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
from av.video.frame import PictureType

from vidprod.domain.segment import Rendition, Sprite
from vidprod.media.master import Mastered
from vidprod.media.sound import RATE
from vidprod.media.stills import Stills

GOP_S = 2
_MAX_RATE = 8_000_000  # bits a second: 60 s stay under TikTok's 64,000,000 bytes for one chunk
X264 = {
    "preset": "veryfast",
    "crf": "21",
    "profile": "high",
    "maxrate": str(_MAX_RATE),
    "bufsize": str(_MAX_RATE),
    "sc_threshold": "0",
    "x264-params": "open-gop=0",
}
# Without an edit list B-frames would start two frames late; negative offsets keep the first picture at 0.
MUXER = {"movflags": "+faststart+negative_cts_offsets", "use_editlist": "0", "fflags": "+bitexact"}


class SegmentWriter:
    """One segment's files in the work directory: `<stem>.mp4`, `<stem>.jpg`, `<stem>.sprite.jpg`.

    Leaving with an error removes nothing: the work directory goes as a whole.
    """

    def __init__(
        self,
        work_dir: Path,
        stem: str,
        *,
        width: int,
        height: int,
        rate: Fraction,
        frames: int,
        threads: int,
        cover: int | None = None,
    ) -> None:
        """
        Args:
            cover: the frame that the poster shows; None: chosen by itself.
        """
        self._path = work_dir / f"{stem}.mp4"
        self._poster, self._sheet = work_dir / f"{stem}.jpg", work_dir / f"{stem}.sprite.jpg"
        self._rate, self._frames, self._written = rate, frames, 0
        self._size = (width, height)
        self._stills = Stills(width=width, height=height, frames=frames, rate=float(rate), cover=cover)
        self._container = av.open(str(self._path), "w", format="mp4", options=MUXER)
        self._video = self._add_video(threads)
        self._audio: Any = self._container.add_stream("aac", rate=RATE, layout="stereo")
        self._audio.codec_context.format = "fltp"
        self._held: list[Any] = []  # pictures coded before the sound was there
        self._waiting: list[Any] = []
        self._sound: Mastered | None = None

    def _add_video(self, threads: int) -> Any:
        gop = str(int(GOP_S * self._rate))
        options = {**X264, "g": gop, "keyint_min": gop, "threads": str(threads)}
        stream: Any = self._container.add_stream("libx264", rate=self._rate, options=options)
        stream.width, stream.height = self._size
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = 1 / self._rate
        context = stream.codec_context
        # PyAV asks for slice threads unless told otherwise: slower, and larger files
        context.thread_type = "FRAME"
        context.color_range = 1  # limited
        context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709 (ITU-T H.273)
        return stream

    def __enter__(self) -> "SegmentWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def add_sound(self, sound: Mastered) -> None:
        """The whole segment's sound, at any time before `finish`; its packets are laid between the pictures."""
        self._sound = sound
        self._waiting = list(reversed(sound.packets))
        held, self._held = self._held, []
        for packet in held:
            self._mux(packet)

    def add_picture(self, canvas: Any) -> None:
        """The next frame. The same canvas may come again: it is then shown longer."""
        self._stills.see(canvas, self._written)
        canvas.pts = self._written
        canvas.time_base = 1 / self._rate
        canvas.pict_type = PictureType.NONE
        for packet in self._video.encode(canvas):
            self._mux(packet)
        self._written += 1

    @property
    def has_sound(self) -> bool:
        """Whether `add_sound` was called."""
        return self._sound is not None

    def _mux(self, packet: Any) -> None:
        if self._sound is None:
            self._held.append(packet)
            return
        until = None if packet.dts is None else Fraction(packet.dts * packet.time_base)
        while self._waiting and until is not None and Fraction(self._waiting[-1].pts, RATE) <= until:
            self._mux_sound()
        self._container.mux(packet)

    def _mux_sound(self) -> None:
        packet = self._waiting.pop()
        packet.stream = self._audio
        self._container.mux(packet)

    def finish(self) -> Rendition:
        """Closes and syncs the files, then measures the one that matters."""
        for packet in self._video.encode(None):
            self._mux(packet)
        while self._waiting:
            self._mux_sound()
        self._container.close()
        sprite = self._stills.write(self._poster, self._sheet)
        for path in (self._path, self._poster, self._sheet):
            sync(path)
        return rendition_of(
            self._path,
            self._sound,
            duration_us=int(self._written * 1_000_000 / self._rate),
            frames=self._written,
            size=self._size,
            fps=str(self._rate),
            sha256=sha256(self._path),
            video_codec="h264",
            sprite=sprite,
        )


def rendition_of(
    path: Path,
    sound: Mastered | None,
    *,
    duration_us: int,
    frames: int,
    size: tuple[int, int],
    fps: str,
    sha256: str,
    video_codec: str,
    sprite: Sprite,
) -> Rendition:
    """What a finished file is. `sound`: what was made for it, None where it was copied; `size`: of the picture."""

    def told(level: float | None) -> float | None:
        return None if level is None else round(level, 2)

    return Rendition(
        duration_us=duration_us,
        frames=frames,
        width=size[0],
        height=size[1],
        fps=fps,
        size=path.stat().st_size,
        sha256=sha256,
        video_codec=video_codec,
        audio_codec="aac",
        loudness_lufs=None if sound is None else told(sound.loudness_lufs),
        true_peak_dbtp=None if sound is None else told(sound.true_peak_dbtp),
        sprite=sprite,
        warnings=[] if sound is None else sound.warnings,
    )


def sync(path: Path) -> None:
    """Onto the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
