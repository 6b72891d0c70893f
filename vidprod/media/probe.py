"""Measures a source: every packet's time, the first pictures, and what the header claims against what is there."""

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vidprod.domain.step import Limits
from vidprod.domain.video import AudioStreamInfo, MediaInfo, VideoStreamInfo
from vidprod.errors import Refused
from vidprod.media.container import INCOMPLETE_HINT, TELL_EVERY_S, is_cut_off, open_source
from vidprod.media.facts import describe_audio, describe_video
from vidprod.media.tracks import check_streams, choose_audio, choose_video, other_streams, read_packets

_WHOLE = 0.9  # of what is declared must be there
_PRIVATE_TAGS = (
    "location",
    "gps",
    "xyz",
    "make",
    "model",
    "software",
    "creation",
    "date",
    "artist",
    "author",
    "device",
)


def measure(path: Path, *, limits: Limits, progress: Callable[[int, int], None]) -> MediaInfo:
    """The facts of the source at `path`.

    Args:
        progress: told (bytes read, bytes to read at most) now and then.
    Raises:
        Refused: naming the rule: no picture, too long, too large, encrypted, incomplete, undecodable at second x.
    """
    size = path.stat().st_size
    if size == 0:
        raise Refused("the file is empty (0 bytes)", code="empty_file", hint="Send the file again.")
    told = _Told(size, progress)
    digest = _Digest(path, told)
    with open_source(path, limits=limits) as container:
        check_streams(container)
        tracks = read_packets(container, limits=limits, tell=told.by("packets"))
        told.done("packets")
        video = choose_video(container, tracks)
        audio = choose_audio(container, tracks)
        video_index, audio_index = video.index, None if audio is None else audio.index  # streams end with the container
        declared = None if container.duration is None else int(container.duration)
        others = other_streams(container, {video_index, audio_index})
        tags = {**container.metadata, **video.metadata, **(audio.metadata if audio is not None else {})}
        chapters = len(container.chapters())
        indexed = int(video.frames)
        container_name = _container_name(container)
    warnings: list[str] = []
    video_info = describe_video(path, video_index, tracks[video_index], limits=limits, tell=told.by("pictures"))
    told.done("pictures")
    audio_info = None
    if audio_index is not None:
        audio_info = describe_audio(path, audio_index, tracks[audio_index], limits=limits, tell=told.by("sound"))
        if audio_info is None:
            warnings.append("the sound cannot be decoded; the segments will be silent")
    told.done("sound")
    start_us, end_us = _extent(video_info, audio_info)
    _check_duration(end_us - start_us, limits=limits)
    if indexed:  # the index says how many pictures there are: a truer word than the header's duration
        _check_whole(tracks[video_index].read / indexed, what=f"{indexed} pictures", left=tracks[video_index].read)
    elif declared:
        there_us = max(end_us - start_us, end_us) + 1_000_000
        if is_cut_off(path):
            _check_whole(there_us / declared, what=f"{declared / 1e6:.1f} s", left=f"{there_us / 1e6 - 1:.1f} s")
        elif there_us < _WHOLE * declared:
            warnings.append(f"the header declares {declared / 1e6:.1f} s; there are {(end_us - start_us) / 1e6:.1f} s")
    return MediaInfo(
        container=container_name,
        size=size,
        sha256=digest.result(),
        duration_us=end_us - start_us,
        declared_duration_us=declared,
        start_us=start_us,
        video=video_info,
        audio=audio_info,
        other_streams=others,
        dropped_metadata=sorted({key for key in tags if any(word in key.lower() for word in _PRIVATE_TAGS)}),
        chapters=chapters,
        warnings=warnings,
    )


def _container_name(container: Any) -> str:
    name = str(container.format.name).split(",")[0]
    brand = container.metadata.get("major_brand", "").strip()
    if name == "mov":
        return "mov" if brand == "qt" else "3gp" if brand.startswith("3g") else "mp4"
    return name


def _extent(video: VideoStreamInfo, audio: AudioStreamInfo | None) -> tuple[int, int]:
    """Where the take begins and ends. Sound that outlasts the picture by less than half a second is its last block."""
    start_us, end_us = video.start_us, video.start_us + video.duration_us
    if audio is None or audio.duration_us == 0:
        return start_us, end_us
    sound_end_us = audio.start_us + audio.duration_us
    if abs(audio.start_us - start_us) > 30_000_000 + video.duration_us:  # a broken clock, not a late start
        return start_us, end_us
    # Sound that starts a little before the picture is encoder delay; more is a picture that comes late.
    if start_us - audio.start_us > 50_000:
        start_us = audio.start_us
    return start_us, sound_end_us if sound_end_us > end_us + 500_000 else end_us


def _check_duration(duration_us: int, *, limits: Limits) -> None:
    if duration_us > limits.max_duration_s * 1_000_000:
        raise Refused(
            f"the take is {duration_us / 1e6:.0f} s long; at most {limits.max_duration_s:.0f} s are taken",
            code="too_long",
            hint="Cut it into shorter takes.",
        )
    if duration_us <= 0:
        raise Refused("the take has no length", code="incomplete_file", hint=INCOMPLETE_HINT)


def _check_whole(share: float, *, what: str, left: object) -> None:
    if share < _WHOLE:
        raise Refused(
            f"the file is truncated: it declares {what}, but the data ends after {left}",
            code="truncated",
            hint=INCOMPLETE_HINT,
        )


_READERS = ("packets", "pictures", "sound", "digest")


class _Told:
    """How far each of those is who read the file, some of them all of it and some a little, told as one."""

    def __init__(self, size: int, progress: Callable[[int, int], None]) -> None:
        self._size, self._progress = size, progress
        self.read = dict.fromkeys(_READERS, 0)

    def by(self, reader: str) -> Callable[[int], None]:
        """Where `reader` tells the bytes it has read."""

        def tell(read: int) -> None:
            self.read[reader] = read
            self()

        return tell

    def done(self, reader: str) -> None:
        """`reader` needs no more."""
        self.by(reader)(self._size)

    def __call__(self) -> None:
        self._progress(sum(min(read, self._size) for read in self.read.values()), len(_READERS) * self._size)


class _Digest:
    """SHA-256 of a file, computed beside the demuxing: hashing leaves the interpreter to other threads."""

    def __init__(self, path: Path, told: _Told) -> None:
        self._path, self._told = path, told
        self._hash = hashlib.sha256()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        buffer = memoryview(bytearray(1 << 18))
        try:
            with self._path.open("rb", buffering=0) as file:
                while read := file.readinto(buffer):
                    self._hash.update(buffer[:read])
                    self._told.read["digest"] += read  # said by whoever tells next: one thread speaks
        except OSError as error:
            self._error = error

    def result(self) -> str:
        while self._thread.is_alive():
            self._thread.join(TELL_EVERY_S)
            self._told()
        self._told()
        if self._error is not None:
            raise self._error
        return self._hash.hexdigest()
