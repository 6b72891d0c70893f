"""The eyes of a take: sampled while its faces are followed, turned to the lens while it is rendered.

It needs OpenCV, which comes with the face models or not at all: who imports this is ready for its absence.
"""

import time
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec

from vidprod.domain.gaze import Compare, GazeReport, untouched
from vidprod.domain.plan import PlannedSegment
from vidprod.domain.recipe import Recipe
from vidprod.domain.step import RenderRequest
from vidprod.domain.video import VideoStreamInfo
from vidprod.media.encode import sync
from vidprod.media.planes import own, planes_of
from vidprod.media.small import Shrinker
from vidprod.vision.compare import TILE, Pair, View, sheet, strips, view_of
from vidprod.vision.correct import Correction
from vidprod.vision.follow import Seen
from vidprod.vision.gaze import Wish
from vidprod.vision.looks import Sampler
from vidprod.vision.patch import Pixels, Upright
from vidprod.vision.track import EYES, Looks, Track

_JUDGED_AFTER_S = 10.0  # of work: before, what is measured says little
_COMPARED_SIDE = 1280  # pixels, of the picture from which a face is shown
_MOST_PAIRS = 8  # pictures of a segment that are shown before and after
_LET_GO_US = 500_000  # of the take, in which a correction that takes too long is given up


class EyeSamples:
    """What the eyes of a take's faces look like, gathered while they are followed."""

    def __init__(self, video: VideoStreamInfo) -> None:
        self._video = video
        self._sampler = Sampler()

    def see(self, picture: Any, at_us: int, seen: Sequence[Seen]) -> None:
        """A decoded picture, and the faces in it."""
        pixels = _pixels(self._video, picture)
        if pixels is None:
            return
        for face in seen:
            self._sampler.see(face.id, at_us, face.points[EYES, :2], pixels)

    def looks(self) -> Mapping[int, Looks]:
        """By the id of the face, for the track."""
        return self._sampler.looks()


class Corrector:
    """Corrects picture by picture, in the pictures' own planes. What fails here costs the eyes, not the segment."""

    def __init__(self, request: RenderRequest, track: Path, todo: Sequence[PlannedSegment]) -> None:
        """
        Args:
            todo: the segments that will be made.
        Raises:
            BadTrack, OSError: `track` cannot be read.
        """
        recipe = request.recipe
        self._work_dir, self._explain = Path(request.work_dir), request.explain
        self._shrinker = Shrinker(request.info.video, work_dir=self._work_dir)
        self._video, self._strength = request.info.video, recipe.gaze_strength
        self._time_factor = request.time_factor
        self._correction = Correction(Track.open(track), _wish(recipe), everybody=recipe.gaze_faces == "all")
        self._spent_s, self._began_s = 0.0, time.perf_counter()
        self._given_up_us: int | None = None
        self._failed: str | None = None
        self._failed_us = 0  # from where on it was given up at once
        self._coming = deque(todo)  # segments of whose pictures none was seen yet
        self._wanted: dict[int, PlannedSegment] = {}  # by the number of the picture
        self._pairs: dict[int, list[Pair]] = {}  # by the index of the segment

    def correct(self, picture: Any, at_us: int) -> None:
        """Turns the eyes in `picture`, where they are to be turned.

        Args:
            at_us: of the picture, on the output's clock.
        """
        share = self._share(at_us)
        if self._failed or share <= 0 or self._correction.why_nothing:
            return
        began_s = time.thread_time()
        try:
            self._compared(picture, self._correction.picture_at(at_us), at_us, share)
        except Exception as error:
            traceback.print_exc()
            self._failed = f"the eyes could not be edited: {type(error).__name__}: {error}"
            self._failed_us = at_us
        self._spent_s += time.thread_time() - began_s
        self._judge(at_us)

    def _compared(self, picture: Any, index: int, at_us: int, share: float) -> None:
        """`_turn`, and where the picture is one of those that are shown, it is kept before and after."""
        while self._coming and at_us >= self._coming[0].in_us:  # one at a time: a take may last hours
            begun = self._coming.popleft()
            notable = self._correction.notable(begun.in_us, begun.out_us, most=_MOST_PAIRS)
            self._wanted |= dict.fromkeys(notable, begun)
        segment = self._wanted.pop(index, None)
        face = None if segment is None else self._correction.face_at(index)
        if segment is None or face is None:
            self._turn(picture, index, share)
            return
        box, corners, angle_deg = face
        before = self._view(picture, box, corners)
        self._turn(picture, index, share)
        at_s = round((at_us - segment.in_us) / 1e6, 3)
        pair = Pair(at_s, angle_deg, before, self._view(picture, box, corners))
        self._pairs.setdefault(segment.index, []).append(pair)

    def _view(self, picture: Any, box: Any, corners: Any) -> View:
        """`box` and `corners`: of the face, pixels of the display."""
        small = self._shrinker.shrink(picture, min(_COMPARED_SIDE, max(self._video.width, self._video.height)))
        scale = small.shape[1] / self._video.width
        return view_of(small, box=box * scale, corners=corners * scale)

    def _turn(self, picture: Any, index: int, share: float) -> None:
        if not self._correction.moves(index):
            return
        own(picture)
        pixels = _pixels(self._video, picture)
        if pixels is None:
            self._failed = f"pixels of {picture.format.name} are not edited"
            return
        self._correction.turn_eyes(pixels, index, share=share)

    def _share(self, at_us: int) -> float:
        if self._given_up_us is None:
            return 1.0
        return max(0.0, 1.0 - (at_us - self._given_up_us) / _LET_GO_US)

    def _judge(self, at_us: int) -> None:
        rest_s = time.perf_counter() - self._began_s - self._spent_s
        if self._given_up_us is None and self._spent_s > max(_JUDGED_AFTER_S, self._time_factor * rest_s):
            self._given_up_us = at_us

    def report(self, segment: PlannedSegment, *, rate: Fraction) -> GazeReport:
        """What was done in `segment`, all of whose pictures were corrected."""
        frames = range(segment.first_frame, segment.first_frame + segment.frames)
        until_us = [float((frame + Fraction(1, 2)) * 1_000_000 / rate) for frame in frames]
        if self._failed is None:
            return self._correction.report(until_us, given_up_us=self._given_up_us, let_go_us=_LET_GO_US)
        so_far = self._correction.report(until_us, given_up_us=self._failed_us - 1)  # what was altered must be told
        if not so_far.corrected and not so_far.faded:
            return untouched(self._strength, reason=self._failed)
        alone = {why: share for why, share in so_far.left_alone.items() if why != "too_slow"}
        return msgspec.structs.replace(so_far, left_alone=alone, reason=self._failed)

    def compare(self, segment: PlannedSegment) -> Compare | None:
        """Writes `<stem>.gaze.jpg`, and `<stem>.explain.png` where it is asked for; None where no eyes were turned."""
        pairs = self._pairs.pop(segment.index, [])
        if not pairs:
            return None
        try:
            files = {".gaze.jpg": sheet(pairs)}
            if self._explain:
                files[".explain.png"] = strips(pairs)
        except Exception:  # the segment is worth more than a picture of what was done
            traceback.print_exc()
            return None
        for suffix, data in files.items():
            path = self._work_dir / f"{segment.stem}{suffix}"
            path.write_bytes(data)
            sync(path)
        return Compare(rows=len(pairs), tile_width=TILE, tile_height=TILE, at_s=[pair.at_s for pair in pairs])


def _wish(recipe: Recipe) -> Wish:
    return Wish(
        strength=recipe.gaze_strength,
        look_away_deg=recipe.look_away_deg,
        gaze_fade_deg=(recipe.gaze_fade_from_deg, recipe.gaze_fade_to_deg),
        head_fade_deg=(recipe.head_fade_from_deg, recipe.head_fade_to_deg),
    )


def _pixels(video: VideoStreamInfo, picture: Any) -> Pixels | None:
    """The planes of `picture`, where eyes can be read and written; None where they are none of YUV."""
    planes = planes_of(picture)
    if planes is None:
        return None
    lies = Upright(
        coded=(picture.width, picture.height),
        shown=(video.width, video.height),
        rotation=video.rotation,
        mirrored=video.mirrored,
    )
    return Pixels(planes[0], depth=planes[1], upright=lies)
