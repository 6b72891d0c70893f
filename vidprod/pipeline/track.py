"""The step that finds the faces of a take and follows them: one pass over it, small, before anything is encoded."""

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidprod.domain.plan import Plan
from vidprod.domain.step import Progress, Say, Tracked, TrackRequest
from vidprod.domain.video import VideoStreamInfo
from vidprod.errors import ModelMissing
from vidprod.media.container import open_source
from vidprod.media.frames import Pictures, decoding_threads
from vidprod.media.small import Shrinker
from vidprod.pipeline.ahead import Ahead
from vidprod.vision.follow import SIDE_TO_SEARCH, Follower
from vidprod.vision.landmarks import Mesh
from vidprod.vision.scenes import Scenes, numbered
from vidprod.vision.track import TrackWriter

if TYPE_CHECKING:
    from vidprod.pipeline.gaze import EyeSamples

FILE = "faces.track"

_AHEAD = 3  # pictures decoded ahead of the models: enough to keep both cores busy
_JUDGED_AFTER_S = 10.0  # of work: the models load, a take may begin with a crowd

# Encoding a pixel takes at least so many times what decoding one takes: 5.4 to 10.6 times in renders of seven takes
# (talks and a street, 180 to 1080 lines, H.264 and HEVC) on the same two cores, decoded alone and rendered whole.
_ENCODE_TO_DECODE = 5.0


def run(request: TrackRequest, say: Say) -> Tracked:
    """Writes `faces.track`, or says why there is none. Raises Refused when the take cannot be decoded."""
    try:
        mesh = Mesh()
    except ModelMissing as missing:
        return Tracked(faces=0, pictures=0, with_face=0, reason=str(missing))
    with mesh, _Decoded(request) as decoded:
        return _follow(request, mesh, decoded, say)


def _follow(request: TrackRequest, mesh: Mesh, decoded: "_Decoded", say: Say) -> Tracked:
    video = request.info.video
    follower = Follower(mesh, width=video.width, height=video.height)
    scenes = Scenes()
    samples = _samples(request)
    budget = _Budget(request.plan, video, time_factor=request.time_factor)

    def tell(done_us: int) -> None:
        say(Progress(done_us=done_us, total_us=request.info.duration_us))

    with TrackWriter(Path(request.work_dir) / FILE, width=video.width, height=video.height) as writer:
        for picture, small, at_us in decoded.pictures(waiting=tell):
            began_s = time.perf_counter()
            cut = scenes.see(small, at_us)
            seen = follower.see(small, at_us, cut=cut)
            decoded.sides.append(follower.side)
            writer.add(at_us, seen, cut=cut)
            if samples is not None and seen:
                samples.see(picture, at_us, seen)
            budget.spent_s += time.perf_counter() - began_s
            if budget.is_exceeded(decoding_s=decoded.decoding_s, shrinking_s=decoded.shrinking_s):
                return Tracked(faces=0, pictures=writer.pictures, with_face=0, reason=budget.reason)
            tell(at_us)
        looks = None if samples is None else samples.looks()
        cuts = numbered(scenes.cuts(), writer.pictures)
        faces = writer.finish(cuts, doubtful=follower.doubtful(), looks=looks)
        return Tracked(faces=faces, pictures=writer.pictures, with_face=writer.with_face)


def _samples(request: TrackRequest) -> "EyeSamples | None":
    """What looks at the eyes on the way, where OpenCV is there; they may be turned another time if not now."""
    try:
        from vidprod.pipeline.gaze import EyeSamples
    except ImportError:  # the render will say so
        return None
    return EyeSamples(request.info.video)


class _Budget:
    """How long following may take, against what the plain encode takes as far as decoding tells."""

    def __init__(self, plan: Plan, video: VideoStreamInfo, *, time_factor: float) -> None:
        made = plan.canvas.width * plan.canvas.height * Fraction(plan.fps)
        read = video.coded_width * video.coded_height * Fraction(video.average_rate)
        self._allowed = time_factor * _ENCODE_TO_DECODE * float(made / read)  # times what decoding took
        self._time_factor = time_factor
        self.spent_s = 0.0

    def is_exceeded(self, *, decoding_s: float, shrinking_s: float) -> bool:
        return self.spent_s + shrinking_s > max(_JUDGED_AFTER_S, self._allowed * decoding_s)

    @property
    def reason(self) -> str:
        return f"following the faces would take longer than {self._time_factor:g} times the encode"


class _Decoded:
    """The pictures of the take, each once, decoded and made small in a thread of their own."""

    def __init__(self, request: TrackRequest) -> None:
        self._request = request
        self._threads = decoding_threads(request.info.video, most=request.limits.threads)
        self._ahead = Ahead(self._decode, ahead=_AHEAD, name="pictures")
        self._reader: Pictures | None = None
        self.decoding_s = self.shrinking_s = 0.0
        self.sides: list[int] = []  # to be told after each picture: how large the small ones should be

    def __enter__(self) -> "_Decoded":
        self._ahead.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ahead.close()

    def pictures(self, *, waiting: Callable[[int], None]) -> Iterator[tuple[Any, Any, int]]:
        """A picture, the same made small, and its time on the output's clock in microseconds.

        Args:
            waiting: told now and then, while the next is long in coming, how far we are: damage may be much, and
                packets read are progress then, the more of them the nearer to the next second.
        """
        at_us, frames = 0, self._request.info.video.frames

        def tell(part: float) -> None:
            waiting(at_us + int(1_000_000 * part))

        while (taken := self._ahead.take_patiently(lambda: self._packets, of=frames, waiting=tell)) is not None:
            at_us = taken[2]
            yield taken

    @property
    def _packets(self) -> int:
        return 0 if self._reader is None else self._reader.packets

    def _decode(self) -> Iterator[tuple[Any, Any, int]]:
        request = self._request
        limits = request.limits
        shrinker = Shrinker(request.info.video, work_dir=Path(request.work_dir))
        with open_source(request.source, limits=limits) as container:
            reader = self._reader = Pictures(
                container,
                request.info,
                rate=Fraction(request.plan.fps),
                threads=self._threads,
                max_pixels=limits.max_pixels,
            )
            began_s = time.perf_counter()
            for number, (picture, _) in enumerate(reader):
                decoded_s = time.perf_counter()
                small = shrinker.shrink(picture, self._side_of(number))
                self.decoding_s += decoded_s - began_s
                self.shrinking_s += time.perf_counter() - decoded_s
                yield picture, small, reader.position_us
                began_s = time.perf_counter()

    def _side_of(self, number: int) -> int:
        """How large picture `number` is made. So many pictures behind what was told last, and always as many, or the
        result would depend on which thread is faster."""
        told = number - _AHEAD - 2  # one waits to be put, one is being looked at
        return self.sides[told] if told >= 0 else SIDE_TO_SEARCH
