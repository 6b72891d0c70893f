"""Opens what a stranger sent: as a file object, with demuxers, protocols, decoders and sizes on a short list."""

import errno
import io
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO, NamedTuple

import av
import av.container
import av.error
import av.logging

from vidprod.domain.step import Limits
from vidprod.domain.video import MediaInfo
from vidprod.errors import Refused

# FFmpeg's own callback writes to standard error. PyAV's would call into Python from codec threads, and a thread that is
# being closed then waits for the interpreter that waits for it: a render that ended early hung.
av.logging.set_libav_level(av.logging.ERROR)
av.logging.restore_default_callback()

# A path would let ffconcat read a neighbour's file and SDP open sockets; a file object with both lists does not.
_OPTIONS = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,flv",
    "protocol_whitelist": "none",
    "probesize": "20000000",
    "analyzeduration": "20000000",
}

# A tag in no known encoding is no reason to refuse a take; PyAV 19 replaces what it cannot read by itself.
_LENIENT: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}

_BUFFER_BYTES = 1 << 18  # of a read: with FFmpeg's 32 KiB a third of the time of copying a take went into asking

VIDEO_DECODERS = frozenset(
    {
        "h264",
        "hevc",
        "vp8",
        "vp9",
        "libdav1d",
        "av1",
        "mpeg4",
        "mpeg2video",
        "mpeg1video",
        "mjpeg",
        "prores",
        "h263",
        "flv",
        "vc1",
        "theora",
        "dnxhd",
        "libvpx-vp9",
        "libvpx",
    }
)
AUDIO_DECODERS = frozenset(
    {
        "aac",
        "aac_latm",
        "mp3",
        "mp3float",
        "mp2",
        "mp2float",
        "mp1float",
        "ac3",
        "eac3",
        "opus",
        "libopus",
        "vorbis",
        "libvorbis",
        "flac",
        "alac",
        "amrnb",
        "amrwb",
        "libopencore_amrnb",
        "libopencore_amrwb",
        "adpcm_ima_wav",
        "adpcm_ima_qt",
        "adpcm_ms",
        "adpcm_swf",
        "nellymoser",
        "speex",
        "libspeex",
        "truehd",
        "dca",
    }
)

_TO_ENTRIES = ("trak", "mdia", "minf", "stbl", "stsd")  # from an ISO file's index

_MOST_BOXES = 1_000_000  # in one row: a take in fragments of a picture each, for hours
TELL_EVERY_S = 0.5  # how far a reader is
INCOMPLETE_HINT = "Copy the file from the device again and check that it plays to its end, then send it once more."


class _Source(io.FileIO):
    """A file in which a demuxer may ask for any place: damage points to places before the first byte."""

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Where it is then; where there is no such place a negative number, which FFmpeg takes for no, as it is told so
        of a path. What is raised here would end the reading instead."""
        try:
            return super().seek(offset, whence)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return -errno.EINVAL


@contextmanager
def open_source(path: str | Path, *, limits: Limits) -> Iterator[av.container.InputContainer]:
    """The container at `path`, open for reading.

    Raises:
        Refused: encrypted, incomplete, or nothing FFmpeg can read; too many streams.
    """
    with _Source(path) as file:
        try:
            container = av.open(file, mode="r", options=_OPTIONS, buffer_size=_BUFFER_BYTES, **_LENIENT)
        except (av.error.FFmpegError, ValueError, EOFError) as error:
            raise _why_unreadable(Path(path), error) from error
        with container:
            if len(container.streams) > limits.max_streams:
                raise Refused(
                    f"the file has {len(container.streams)} streams; at most {limits.max_streams} are read",
                    code="too_many_streams",
                    hint="Export the video with one picture and one sound track.",
                )
            if is_encrypted(Path(path)):
                raise _encrypted()
            yield container


def packets_of(container: Any, streams: Collection[int], *, tell: Callable[[int], None]) -> Iterator[Any]:
    """The packets of these streams, by index.

    Args:
        tell: told now and then how many bytes were read in packets of any stream, for one of ours may be far off.
    """
    read, due = 0, monotonic() + TELL_EVERY_S
    for packet in container.demux():
        read += packet.size
        if monotonic() >= due:
            tell(read)
            due = monotonic() + TELL_EVERY_S
        if packet.stream.index in streams:  # `stream_index` of the empty packets at the end is 0, whosever they are
            yield packet


def _why_unreadable(path: Path, error: Exception) -> Refused:
    if is_encrypted(path):
        return _encrypted()
    size = path.stat().st_size
    with path.open("rb") as file:
        boxes = list(boxes_of(file, 0, size))
    names = [box.name for box in boxes]
    if names[:1] == ["ftyp"] and "moov" not in names:
        what = "its index (moov) is missing" if "mdat" in names else "it ends after its first bytes"
        last = boxes[-1]
        if last.end > size:
            what = f"box {last.name!r} claims {last.end - last.at} bytes, the file ends after {size - last.at}"
        return Refused(f"the file is incomplete: {what}", code="incomplete_file", hint=INCOMPLETE_HINT)
    return Refused(
        f"the file cannot be read as a video: {getattr(error, 'strerror', None) or error}",
        code="not_a_video",
        hint="Check that it plays on the device it came from.",
    )


def _encrypted() -> Refused:
    return Refused(
        "the video is encrypted (DRM); its pictures cannot be read",
        code="encrypted",
        hint="Send the original recording, not a protected copy.",
    )


class Box(NamedTuple):
    """One ISO box. Offsets in the file; `end` is where it claims to end.

    Source: ISO/IEC 14496-12, 4.2.
    """

    name: str
    at: int
    body: int
    end: int


def boxes_of(file: BinaryIO, at: int, end: int) -> Iterator[Box]:
    """The boxes between two offsets, one behind the other, until they stop making sense."""
    for _ in range(_MOST_BOXES):
        if at + 8 > end:
            return
        file.seek(at)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        name = head[4:8].decode("latin-1")
        body = at + 8
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:16], "big")
            body = at + 16
        elif length == 0:
            length = end - at
        if length < body - at or not (name.isascii() and name.isprintable()):
            return
        yield Box(name, at, body, at + length)
        at += length


def is_encrypted(path: Path) -> bool:
    """Whether an ISO file's index says its samples are encrypted (Common Encryption).

    Source: ISO/IEC 14496-12, 8.12: sample entries 'encv' and 'enca'; 23001-7: protection system header 'pssh'.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(8)[4:8] != b"ftyp":
            return False
        for box in boxes_of(file, 0, size):
            if box.name == "pssh":
                return True
            if box.name == "moov":
                return any(entry in ("encv", "enca") for entry in _sample_entries(file, box, size))
    return False


def _sample_entries(file: BinaryIO, box: Box, size: int, *, way: tuple[str, ...] = _TO_ENTRIES) -> Iterator[str]:
    """The names of those in `box`. Words in its user data may look like them: only what leads there is read."""
    for inner in boxes_of(file, box.body, min(box.end, size)):
        if inner.name == way[0] and way[1:]:
            yield from _sample_entries(file, inner, size, way=way[1:])
        elif inner.name == way[0]:
            for entry in boxes_of(file, inner.body + 8, min(inner.end, size)):  # behind version, flags and count
                yield entry.name


def is_cut_off(path: Path) -> bool:
    """Whether the file ends before its outermost ISO box or its Matroska segment says it does."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(4096)
        if head[4:8] in (b"ftyp", b"styp", b"moov"):
            return any(box.end > size for box in boxes_of(file, 0, size))
    at = head.find(b"\x18\x53\x80\x67")  # Segment (RFC 9559, 5.1), behind the EBML header
    if head[:4] != b"\x1a\x45\xdf\xa3" or at < 0 or at + 12 > len(head):
        return False
    first = head[at + 4]
    width = 9 - first.bit_length()  # EBML variable-size integer (RFC 8794, 4)
    value = int.from_bytes(head[at + 4 : at + 4 + width], "big") & ((1 << 7 * width) - 1)
    unknown = value == (1 << 7 * width) - 1
    return not unknown and at + 4 + width + value > size


def decoder_name(stream: Any) -> str | None:
    """The decoder PyAV found for `stream`, None where it has none."""
    context = stream.codec_context
    return None if context is None else str(context.name)


def can_decode(stream: Any) -> bool:
    """Whether the stream's decoder is on our list."""
    name = decoder_name(stream)
    if name is None:
        return False
    if stream.type == "video":
        return name in VIDEO_DECODERS
    return name in AUDIO_DECODERS or name.startswith("pcm_")


def orders_by_file(stream: Any, info: MediaInfo) -> bool:
    """Whether the times of the stream's packets say where they lie in the file and not when they are shown.

    An AVI knows no more, and FFmpeg gives its places out as times. That is the same but for B-frames.
    """
    return info.container == "avi" and bool(stream.codec_context.has_b_frames)
