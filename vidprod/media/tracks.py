"""Which streams a file has: what the packets of each say, and which of them are used."""

from array import array
from collections.abc import Callable
from typing import Any

import av.error
from av.stream import Disposition

from vidprod.domain.sniff import IMAGE_BRANDS
from vidprod.domain.step import Limits
from vidprod.errors import Refused
from vidprod.media.container import INCOMPLETE_HINT, can_decode, decoder_name, packets_of


def check_streams(container: Any) -> None:
    """Raises Refused where there is no picture that moves."""
    if image := IMAGE_BRANDS.get(container.metadata.get("major_brand", "").encode()):
        raise Refused(f"the file is {image}, not a video", code="image_not_video", hint="Send a video.")
    if not container.streams:
        raise Refused("the file has no streams: no picture, no sound", code="no_streams", hint=INCOMPLETE_HINT)
    pictures = [s for s in container.streams.video if not _is_cover(s)]
    if not pictures:
        kinds = ", ".join(f"{s.type} ({decoder_name(s) or 'unknown'})" for s in container.streams)
        raise Refused(
            f"there is no video stream, only {kinds}", code="no_video_stream", hint="Send a file with a picture."
        )


class Track:
    """What the packets of one stream said. Times in ticks of the stream."""

    def __init__(self) -> None:
        self.pts = array("q")
        self.keys = array("q")
        self.packets = 0  # that are shown
        self.read = 0  # all of them
        self.untimed = 0
        self.last_duration = 0

    def add(self, packet: Any) -> None:
        self.packets += 1
        if packet.pts is None:
            self.untimed += 1
            return
        self.pts.append(packet.pts)
        if packet.duration:
            self.last_duration = packet.duration
        if packet.is_keyframe:
            self.keys.append(packet.pts)


def read_packets(container: Any, *, limits: Limits, tell: Callable[[int], None]) -> dict[int, Track]:
    """One pass over the file without decoding."""
    streams = [s for s in container.streams if s.type in ("video", "audio") and not _is_cover(s)]
    tracks = {s.index: Track() for s in streams}
    most = int(limits.max_duration_s * limits.max_fps) + 1000
    try:
        for packet in packets_of(container, tracks, tell=tell):
            if packet.size == 0:
                continue
            track = tracks[packet.stream_index]
            track.read += 1
            if not packet.is_discard:
                track.add(packet)
            if track.packets > most:
                raise Refused(f"a stream has more than {most} packets", code="too_long", hint="Send a shorter take.")
    except av.error.FFmpegError:
        pass  # what was read before counts; whether that is enough is decided by the measured times
    return tracks


def choose_video(container: Any, tracks: dict[int, Track]) -> Any:
    """The default picture stream, or else the first, of those that have pictures we decode."""
    pictures = [s for s in container.streams.video if not _is_cover(s)]
    filled = [s for s in pictures if tracks[s.index].packets]
    if not filled:
        raise Refused("the video stream holds no pictures", code="incomplete_file", hint=INCOMPLETE_HINT)
    usable = [s for s in filled if can_decode(s)]
    if not usable:
        raise Refused(
            f"the picture is coded as {decoder_name(filled[0]) or 'something unknown'}, which is not read here",
            code="unsupported_codec",
            hint="Export it as H.264 or HEVC.",
        )
    return min(usable, key=lambda s: (not s.disposition & Disposition.default, s.index))


def choose_audio(container: Any, tracks: dict[int, Track]) -> Any | None:
    """The default sound stream, or else the first, of those we decode: iPhones add one ('apac') that we do not."""
    usable = [s for s in container.streams.audio if can_decode(s) and tracks[s.index].packets]
    return min(usable, key=lambda s: (not s.disposition & Disposition.default, s.index), default=None)


def other_streams(container: Any, chosen: set[int | None]) -> list[str]:
    def describe(stream: Any) -> str:
        name = decoder_name(stream) or stream.metadata.get("handler_name") or "unknown"
        return f"{stream.type}:{name}" + (" (cover)" if stream.type == "video" and _is_cover(stream) else "")

    return [describe(s) for s in container.streams if s.index not in chosen]


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))
