"""The step that makes the segments: one pass over the take, each segment whole and synced before the next begins."""

import traceback
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import groupby
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from vidprod.domain.canvas import over_blur
from vidprod.domain.gaze import Compare, FramingReport, GazeReport, disclosure, untouched
from vidprod.domain.plan import PlannedSegment
from vidprod.domain.step import Progress, RenderRequest, Say, SegmentDone
from vidprod.errors import Refused, VidProdError
from vidprod.media.container import open_source
from vidprod.media.encode import SegmentWriter
from vidprod.media.filters import Painter
from vidprod.media.frames import Pictures, decoding_threads
from vidprod.media.master import Mastered, master_segment
from vidprod.media.remux import Cutter
from vidprod.media.sound import Sound
from vidprod.pipeline.ahead import Ahead
from vidprod.pipeline.framing import plan_path
from vidprod.vision.framing import CropPath, Window

if TYPE_CHECKING:
    from vidprod.pipeline.gaze import Corrector

_AHEAD = 3  # canvases decoded and painted ahead of the encoder: enough to keep both cores busy


def run(request: RenderRequest, say: Say) -> None:
    """Makes the segments `request.todo`. Raises Refused when the take cannot be decoded."""
    todo = [segment for segment in request.plan.segments if segment.index in set(request.todo)]
    if request.recipe.video == "copy":
        _copy(request, todo, say)
        return
    path, warnings = plan_path(request, say)
    eyes = _eyes(request, todo)
    with _Canvases(request, todo, path, eyes) as canvases, _Sounds(request, todo) as sounds:
        for segment in todo:
            _make(request, segment, canvases, sounds, say, warnings)


def _eyes(request: RenderRequest, todo: list[PlannedSegment]) -> "Corrector | GazeReport | None":
    """What turns the eyes; where nothing can, the report that says why; None where it is not asked for."""
    recipe = request.recipe
    if not recipe.corrects:
        return None
    if request.track is None or request.no_track is not None:  # with both, an attempt before failed over the eyes
        return untouched(recipe.gaze_strength, reason=request.no_track or "there is no track of the faces")
    try:
        from vidprod.pipeline.gaze import Corrector

        return Corrector(request, Path(request.track), todo)
    except ImportError as error:
        return untouched(recipe.gaze_strength, reason=f"OpenCV is not installed ({error})")
    except (OSError, VidProdError) as error:
        return untouched(recipe.gaze_strength, reason=str(error))
    except Exception as error:  # whatever it is, it costs the eyes and not the segment
        traceback.print_exc()
        reason = f"the eyes could not be edited: {type(error).__name__}: {error}"
        return untouched(recipe.gaze_strength, reason=reason)


def _make(
    request: RenderRequest,
    segment: PlannedSegment,
    canvases: "_Canvases",
    sounds: "_Sounds",
    say: Say,
    warnings: list[str],
) -> None:
    rate = Fraction(request.plan.fps)
    with SegmentWriter(
        Path(request.work_dir),
        segment.stem,
        width=canvases.size[0],
        height=canvases.size[1],
        rate=rate,
        frames=segment.frames,
        threads=request.limits.threads,
        cover=request.cover_frame,
    ) as writer:

        def tell(frames: float) -> None:
            done_us = segment.in_us + int(frames * 1_000_000 / rate)
            say(Progress(done_us=done_us, total_us=request.info.duration_us))

        for done, canvas in enumerate(canvases.next(segment.frames, waiting=tell), 1):
            writer.add_picture(canvas)
            if not writer.has_sound and sounds.ready:  # the pictures of the first segment need not wait for its sound
                writer.add_sound(sounds.next())
            tell(done)
        if not writer.has_sound:
            writer.add_sound(sounds.next())
        rendition = writer.finish()
    if canvases.frozen:
        still = f"the take is damaged here: the picture stands still for {float(canvases.frozen / rate):.2f} s"
        warnings = [still, *warnings]
    gaze = canvases.gaze(segment)
    synthetic = disclosure(gaze)
    rendition = msgspec.structs.replace(
        rendition,
        warnings=[*rendition.warnings, *warnings],
        framing=canvases.framing(segment),
        gaze=gaze,
        compare=canvases.compare(segment),
        synthetic=synthetic is not None,
        synthetic_reason=synthetic,
    )
    say(SegmentDone(index=segment.index, stem=segment.stem, rendition=rendition))


def _copy(request: RenderRequest, todo: list[PlannedSegment], say: Say) -> None:
    cutter = Cutter(
        Path(request.source),
        Path(request.work_dir),
        request.info,
        limits=request.limits,
        normalize=request.recipe.normalize,
        copies_sound=request.plan.copies_sound,
        longest_us=int(request.recipe.segment_s * 1_000_000),
    )

    def tell(done_us: int) -> None:
        say(Progress(done_us=done_us, total_us=request.info.duration_us))

    for segment, rendition in cutter.cut(todo, progress=tell):
        say(SegmentDone(index=segment.index, stem=segment.stem, rendition=rendition))
    if todo:
        tell(todo[-1].out_us)


class _Canvases:
    """The canvases of the segments to make, frame by frame, decoded and painted in a thread of their own."""

    def __init__(
        self,
        request: RenderRequest,
        todo: list[PlannedSegment],
        path: CropPath | None,
        eyes: "Corrector | GazeReport | None",
    ) -> None:
        """
        Args:
            eyes: what turns them; where nothing can, what is to be told of it; None where it is not asked for.
        """
        self._request = request
        self._todo = todo
        self._path = path
        self._eyes = eyes
        self._easel = _Easel(request, path)
        self._begins = {segment.first_frame for segment in todo}  # there nothing may be left of a segment before
        video = request.info.video
        self._threads = decoding_threads(video, most=request.limits.threads)
        self._ahead = Ahead(self._paint, ahead=_AHEAD, name="pictures")
        self._pictures: Pictures | None = None
        self._canvas: Any = None
        self._left = 0  # frames that still show `_canvas`
        self._left_frozen = 0  # of these, the last, which stand for pictures that could not be decoded
        self.frozen = 0  # frames that did so, of those asked for last

    def __enter__(self) -> "_Canvases":
        self._ahead.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ahead.close()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        return self._easel.size

    def framing(self, segment: PlannedSegment) -> FramingReport | None:
        """How the crop followed the faces in `segment`; None where it follows none."""
        if self._path is None:
            return None
        frames = range(segment.first_frame, segment.first_frame + segment.frames)
        times = [int(frame * 1_000_000 / Fraction(self._request.plan.fps)) for frame in frames]
        return self._path.report([(at_us, self._path.window(at_us)) for at_us in times])

    def gaze(self, segment: PlannedSegment) -> GazeReport | None:
        """What was done to the eyes in `segment`, all of whose frames were taken."""
        if self._eyes is None or isinstance(self._eyes, GazeReport):
            return self._eyes
        return self._eyes.report(segment, rate=Fraction(self._request.plan.fps))

    def compare(self, segment: PlannedSegment) -> Compare | None:
        """Pictures before and after, written beside the segment, all of whose frames were taken."""
        return None if self._eyes is None or isinstance(self._eyes, GazeReport) else self._eyes.compare(segment)

    def next(self, frames: int, *, waiting: Callable[[float], None]) -> Iterator[Any]:
        """The canvases of the next `frames` output frames; one that is shown longer comes again.

        Args:
            waiting: told now and then, while the next picture is long in coming, how many frames are done.
        """
        self.frozen = 0
        for done in range(frames):
            while self._left == 0:
                taken = self._take(done, waiting)
                if taken is None:
                    raise Refused("the picture ends before the take does", code="undecodable")
                self._canvas, self._left, self._left_frozen = taken
            self.frozen += self._left <= self._left_frozen
            self._left -= 1
            yield self._canvas

    def _take(self, done: int, waiting: Callable[[float], None]) -> Any:
        """The next canvas."""
        frames = self._request.info.video.frames
        return self._ahead.take_patiently(lambda: self._packets, of=frames, waiting=lambda part: waiting(done + part))

    @property
    def _packets(self) -> int:
        return 0 if self._pictures is None else self._pictures.packets

    def _paint(self) -> Iterator[tuple[Any, int, int]]:
        """A canvas, how many output frames it is shown, and how many of them, the last, stand for damaged pictures.

        Pictures that are never shown are not painted.
        """
        request = self._request
        limits = request.limits
        rate = Fraction(request.plan.fps)
        for first, end in _stretches(self._todo):
            with open_source(request.source, limits=limits) as container:
                pictures = Pictures(
                    container, request.info, rate=rate, threads=self._threads, max_pixels=limits.max_pixels
                )
                pictures.packets = self._packets  # counts on
                self._pictures = pictures
                pictures.seek(first)
                try:
                    yield from self._paint_each(pictures, first=first, end=end)
                except SoughtTooFar:
                    pictures.rewind()
                    yield from self._paint_each(pictures, first=first, end=end)

    def _paint_each(self, pictures: Pictures, *, first: int, end: int) -> Iterator[tuple[Any, int, int]]:
        usual = max(1, ceil(Fraction(self._request.plan.fps) / Fraction(self._request.info.video.usual_rate)))
        told, at = 0, first
        for picture, count, age, since_us in shown(pictures, first=first, end=end):
            frozen = min(count, max(0, age - usual)) if pictures.errors > told else 0
            if frozen:  # not before: a decoder reports damage some pictures before it gives out what precedes it
                told = pictures.errors
            if self._eyes is not None and not isinstance(self._eyes, GazeReport):
                self._eyes.correct(picture, since_us)
            left = count
            for window, same in self._windows(at, count, since_us):
                begins = not self._begins.isdisjoint(range(at, at + same))
                canvas = self._easel.paint(picture, window, afresh=begins)
                left -= same
                yield canvas, same, min(same, max(0, frozen - left))
                at += same

    def _windows(self, at: int, count: int, since_us: int) -> Iterator[tuple[Window | None, int]]:
        """What is shown of a picture in output frames `at` … `at + count − 1`, and in how many of them.

        Args:
            since_us: when the picture is due. Its first frame may be a little earlier: what is shown of it then must
                not be the window of the picture before, for there may be a cut between them.
        """
        if self._path is None:
            yield None, count
            return
        rate = Fraction(self._request.plan.fps)
        windows = [self._path.window(max(since_us, int(frame * 1_000_000 / rate))) for frame in range(at, at + count)]
        for window, same in groupby(windows):
            yield window, len(list(same))


class _Easel:
    """Paints pictures: on the plan's canvas, or cropped around a face and, in between, whole on one of that size."""

    def __init__(self, request: RenderRequest, path: CropPath | None) -> None:
        plan, video, work_dir = request.plan, request.info.video, Path(request.work_dir)
        canvas, self._close = plan.canvas, None
        if path is not None and plan.close is not None:
            self._close = Painter(plan.close, video, work_dir=work_dir, moves=True)
            canvas = over_blur(video.width, video.height, inside=plan.close)
        self._whole = Painter(canvas, video, work_dir=work_dir)
        self._was_close = False
        self.size = (canvas.width, canvas.height)

    def paint(self, picture: Any, window: Window | None, *, afresh: bool) -> Any:
        """The canvas that shows `window` of `picture`; all of it, where there is none.

        Args:
            afresh: whatever was painted before must not be seen in this canvas.
        """
        if window is not None and window.close and self._close is not None:
            self._was_close = True
            return self._close.paint(picture, place=window.place)
        afresh, self._was_close = afresh or self._was_close, False
        return self._whole.paint(picture, afresh=afresh)


def _stretches(todo: list[PlannedSegment]) -> list[tuple[int, int]]:
    """First and last frame (half-open) of each run of neighbouring segments: within one nothing is decoded twice."""
    stretches: list[tuple[int, int]] = []
    for segment in todo:
        first, end = segment.first_frame, segment.first_frame + segment.frames
        if stretches and stretches[-1][1] == first:
            stretches[-1] = (stretches[-1][0], end)
        else:
            stretches.append((first, end))
    return stretches


class SoughtTooFar(Exception):
    """After a seek the first picture came later than wanted, or none did: the source's index is off, or it is
    damaged there."""


def shown(pictures: Pictures, *, first: int, end: int) -> Iterator[tuple[Any, int, int, int]]:
    """The pictures seen in output frames `first` … `end − 1`, each with the number of frames that show it, its age in
    frames when it goes (more where it was on screen before `first`), and when it is due, µs on the output's clock.

    A picture is shown from its tick until the next one's; the first also before its own, the last until the end.
    Where two share a tick the later is shown.
    """
    held: Any = None
    at = since = first
    since_us = 0
    for picture, tick in pictures:
        if held is None and tick > first and pictures.sought:
            raise SoughtTooFar
        if held is not None and tick > at:
            until = min(tick, end)
            yield held, until - at, until - since, since_us
            at = until
        if at >= end:
            return
        held, since, since_us = picture, tick, pictures.position_us
    if held is None and pictures.sought:
        raise SoughtTooFar  # from there on all is damaged: what is shown is the last picture before
    if held is None:
        raise Refused("no picture could be decoded", code="undecodable")
    yield held, end - at, end - since, since_us


class _Sounds:
    """The coded sound of the segments to make, in order; the next is made while this one's pictures are."""

    def __init__(self, request: RenderRequest, todo: list[PlannedSegment]) -> None:
        self._request = request
        self._todo = todo
        self._ahead = Ahead(self._master, ahead=1, name="sound")

    def __enter__(self) -> "_Sounds":
        self._ahead.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ahead.close()

    @property
    def ready(self) -> bool:
        """Whether `next` need not wait."""
        return self._ahead.ready

    def next(self) -> Mastered:
        """The next segment's sound."""
        sound = self._ahead.take()
        assert isinstance(sound, Mastered)
        return sound

    def _master(self) -> Iterator[Mastered]:
        request = self._request
        rate = Fraction(request.plan.fps)
        sound = Sound(Path(request.source), request.info, limits=request.limits)
        for segment in self._todo:
            begins, duration = segment.first_frame / rate, segment.frames / rate
            yield master_segment(sound, begins=begins, duration=duration, normalize=request.recipe.normalize)
