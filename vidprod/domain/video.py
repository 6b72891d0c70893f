"""A video: one source file that arrived, and what the probe found in it."""

from typing import Literal

import msgspec

from vidprod.domain.user import OWNER_ID

VideoState = Literal["stored", "deleted"]


class VideoStreamInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The picture stream that was chosen. Sizes in pixels; `width` and `height` are as displayed: after
    sample aspect and rotation."""

    index: int
    codec: str
    pix_fmt: str
    coded_width: int
    coded_height: int
    width: int
    height: int
    rotation: Literal[0, 90, 180, 270]  # degrees clockwise to turn the coded picture upright
    mirrored: bool = False  # left and right are swapped then, as recorders of selfies do
    sample_aspect: str  # "1:1"
    average_rate: str  # "30000/1001", measured: frames over time
    usual_rate: str  # one over the median distance of two frames
    declared_rate: str | None
    variable_rate: bool
    hdr: Literal["pq", "hlg"] | None
    interlaced: bool
    full_range: bool
    color_space: str | None
    frames: int  # counted packets
    start_us: int
    duration_us: int
    keyframes: int
    longest_gop_us: int


class AudioStreamInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The sound stream that was chosen."""

    index: int
    codec: str
    sample_rate: int  # Hz
    channels: int
    layout: str
    start_us: int
    duration_us: int
    loudness_lufs: float | None = None  # integrated over the take; known after planning; None also when silent


class MediaInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The probed facts of a source. Times in microseconds on the source's own clock."""

    container: str
    size: int  # bytes
    sha256: str
    duration_us: int  # measured from the packets, both streams
    declared_duration_us: int | None
    start_us: int  # the earliest presentation time of picture or sound: 0 on the output's clock
    video: VideoStreamInfo
    audio: AudioStreamInfo | None
    other_streams: list[str] = []  # what is left out: "data:mebx", "subtitle:mov_text", "video:mjpeg (cover)"
    dropped_metadata: list[str] = []  # names of container tags that will not be passed on: "location", "make"
    chapters: int = 0
    warnings: list[str] = []


class Video(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `video`. Times are unix milliseconds."""

    id: str
    user_id: str = OWNER_ID
    state: VideoState
    filename: str  # the client's name for it: data, never a path
    extension: str  # decided by content: "mp4", "mkv", …
    size: int  # bytes
    created_at: int
    info: MediaInfo | None = None
    deleted_at: int | None = None
