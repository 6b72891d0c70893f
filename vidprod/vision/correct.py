"""The correction of a take: which eyes are turned in which picture, how far, and what is told of it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from vidprod.domain.gaze import GazeReport, LeftAlone, untouched
from vidprod.vision.eyes import OUTER
from vidprod.vision.gaze import NONE, WHOLE, WHYS, Turn, Wish, turn_of, usual_of
from vidprod.vision.looks import Look
from vidprod.vision.patch import Pixels
from vidprod.vision.redirect import Move, redirect
from vidprod.vision.track import Face, Track

_PART = 1800  # pictures that are planned at once: a minute, of usual takes
_LEAST = 1e-4  # eye widths; a smaller way is none
_NO_FACE, _TOO_SLOW = WHYS.index("no_face"), WHYS.index("too_slow")


class Correction:
    """What is done in every picture of a take."""

    def __init__(self, track: Track, wish: Wish, *, everybody: bool) -> None:
        """
        Args:
            everybody: not only the main speaker.
        """
        self._track = track
        faces = [face for face in _faces(track, everybody=everybody) if "eyes" in face.looks]
        self._eyepieces = [_Eyepiece(track, face, wish) for face in faces]
        self._strength = wish.strength

    @property
    def why_nothing(self) -> str | None:
        """Why there are no eyes to turn, in words; None where there are."""
        if self._eyepieces:
            return None
        return "the eyes were never seen well enough" if self._track.faces else "no face was found"

    def picture_at(self, at_us: int) -> int:
        """Which picture of the take is nearest to a time on the output's clock."""
        times = self._track.times_us
        after = int(np.searchsorted(times, at_us))
        near = [index for index in (after - 1, after) if 0 <= index < len(times)]
        return min(near, key=lambda index: abs(int(times[index]) - at_us))

    def moves(self, picture: int) -> bool:
        """Whether anything is to be done in a picture."""
        return any(each.moves(picture) for each in self._eyepieces)

    def turn_eyes(self, pixels: Pixels, picture: int, *, share: float) -> None:
        """Writes the turned eyes into `pixels`; `share`: of what was planned, 0 … 1."""
        for each in self._eyepieces:
            each.turn_eyes(pixels, picture, share)

    def notable(self, first_us: int, end_us: int, *, most: int) -> list[int]:
        """Up to `most` pictures of a stretch of the take, spread over it, in which most is turned."""
        times = self._track.times_us
        bounds = np.searchsorted(times, np.linspace(first_us, end_us, most + 1)).tolist()
        far = np.full(bounds[-1] - bounds[0], -1.0)  # -1: nothing moves
        for each in self._eyepieces:
            each.plan(bounds[0], bounds[-1])
            rows = slice(*np.searchsorted(each.at, [bounds[0], bounds[-1]]))
            here = each.at[rows] - bounds[0]
            far[here] = np.maximum(
                far[here], np.where(each.moving[rows], each.angle_deg[rows] * each.share[rows], -1.0)
            )
        stretches = [(first, end) for first, end in pairwise(bounds) if end > first]
        best = [first + int(far[first - bounds[0] : end - bounds[0]].argmax()) for first, end in stretches]
        return [picture for picture in best if far[picture - bounds[0]] >= 0]

    def face_at(self, picture: int) -> tuple[NDArray[Any], NDArray[Any], float] | None:
        """Of the face turned most in a picture: its box (4,), the outer corners of its eyes (2, 2), left and right in
        the picture, pixels of the display; and the angle between gaze and lens, before. None where there is none."""
        moving = [each for each in self._eyepieces if each.moves(picture)]
        if not moving:
            return None
        return max(moving, key=lambda each: each.how_far(picture)).place_at(picture)

    def report(self, until_us: Sequence[float], *, given_up_us: int | None, let_go_us: int = 1) -> GazeReport:
        """What was done in frames of the output.

        Args:
            until_us: of each frame, the latest time of the picture it shows.
            given_up_us: from where on less and less was done, and nothing `let_go_us` later, for want of time.
        """
        if (nothing := self.why_nothing) is not None:
            return untouched(self._strength, reason=nothing)
        shown = np.clip(np.searchsorted(self._track.times_us, until_us, side="right") - 1, 0, None)
        share, why, angle = (values[shown] for values in self._of_pictures())
        if given_up_us is not None:
            held = np.clip(1.0 - (self._track.times_us[shown] - given_up_us) / let_go_us, 0.0, 1.0)
            share, why = share * held, np.where(held < 1.0, _TOO_SLOW, why)
        turned = share >= NONE
        alone = {
            cast(LeftAlone, WHYS[code]): round(float((why[~turned] == code).sum() / len(shown)), 4)
            for code in np.unique(why[~turned])
        }
        whole = round(float((share >= WHOLE).mean()), 4)
        return GazeReport(
            strength=self._strength,
            corrected=whole,
            faded=round(max(0.0, 1.0 - whole - sum(alone.values())), 4),
            left_alone=alone,
            mean_deg=round(float(angle[turned].mean()), 1) if turned.any() else None,
            largest_deg=round(float(angle[turned].max()), 1) if turned.any() else None,
        )

    def _of_pictures(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Of each picture of the take: the share of the correction, what keeps it from all of it, and the angle
        before; of the face that is corrected most."""
        pictures = len(self._track.times_us)
        share, why, angle = np.zeros(pictures), np.full(pictures, _NO_FACE), np.zeros(pictures)
        for each in self._eyepieces:
            rows = each.at[(each.share > share[each.at]) | (why[each.at] == _NO_FACE)]
            chosen = np.searchsorted(each.at, rows)
            share[rows], why[rows], angle[rows] = each.share[chosen], each.why[chosen], each.angle_deg[chosen]
        return share, why, angle


class _Eyepiece:
    """Turns both eyes of one face, in whichever picture it is asked to.

    What is to be done is known for a part of the take at a time: a take may last hours.
    """

    def __init__(self, track: Track, face: Face, wish: Wish) -> None:
        self._track, self._face, self._wish = track, face, wish
        self._usual = usual_of(face)
        self._looks = [Look.of_array(values) for values in face.looks["eyes"]]
        self._part = -1
        self._turn: Turn
        self._moves: NDArray[np.bool_]  # of its rows, in which something is to be done
        self.at = np.asarray(face.at)
        # Of each row, as far as it was asked for: what `Turn` says of it.
        self.share = np.zeros(len(face.at))
        self.angle_deg = np.zeros(len(face.at))
        self.why = np.full(len(face.at), _NO_FACE, np.int8)
        self.moving = np.zeros(len(face.at), bool)

    def moves(self, picture: int) -> bool:
        """Whether anything is to be done in a picture of the take."""
        row = self._row(picture)
        return row is not None and bool(self._moves[row])

    def turn_eyes(self, pixels: Pixels, picture: int, share: float) -> None:
        """Writes the turned eyes into `pixels`; `share`: of what was planned."""
        row = self._row(picture)
        if row is None or not self._moves[row]:
            return
        turn, eyes = self._turn, self._turn.eyes
        for eye, look in enumerate(self._looks):
            found = pixels.grid(eyes.middle[row, eye], eyes.along[row, eye], float(eyes.width[row, eye]))
            if found is None:  # not all of it is in the picture
                continue
            box, grid = found
            before = pixels.read(box)
            move = Move(
                centre=turn.iris[row, eye] + look.place,
                radius=float(self._usual.radius[eye] * look.size),
                shift=turn.shift[row, eye] * share,
                lift=float(turn.lift[row, eye]) * share,
            )
            pixels.write(box, before, redirect(before, grid, eyes.points[row, eye], move, look))

    def how_far(self, picture: int) -> float:
        """Degrees by which the eyes are turned, in a picture in which they are."""
        row = np.searchsorted(self.at, picture)
        return float(self.angle_deg[row] * self.share[row])

    def place_at(self, picture: int) -> tuple[NDArray[Any], NDArray[Any], float]:
        """As `Correction.face_at` has it, in a picture in which the face is seen."""
        row = int(np.searchsorted(self.at, picture))
        corners = np.asarray(self._face.eyes[row, :, OUTER])
        return np.asarray(self._face.box[row]), corners, float(self.angle_deg[row])

    def plan(self, first: int, end: int) -> None:
        """Sees to it that it is known what is done in the pictures `first` … `end − 1`."""
        for part in range(first // _PART, (max(first, end - 1)) // _PART + 1):
            if part != self._part:
                self._plan(part)

    def _row(self, picture: int) -> int | None:
        """Of `_turn`, which is seen to."""
        if picture // _PART != self._part:
            self._plan(picture // _PART)
        row = int(np.searchsorted(self._turn.at, picture))
        return row if row < len(self._turn.at) and self._turn.at[row] == picture else None

    def _plan(self, part: int) -> None:
        first, end = part * _PART, (part + 1) * _PART
        self._turn = turn_of(self._track, self._face, self._usual, self._wish, first=first, end=end)
        self._part = part
        rows = slice(*np.searchsorted(self.at, [first, end]))
        self.share[rows], self.angle_deg[rows] = self._turn.share, self._turn.angle_deg
        self.why[rows] = self._turn.why
        shift, lift = np.abs(self._turn.shift).max(axis=(1, 2)), np.abs(self._turn.lift).max(axis=1)
        self._moves = self.moving[rows] = np.maximum(shift, lift) > _LEAST


def _faces(track: Track, *, everybody: bool) -> list[Face]:
    if everybody or track.main is None:
        return track.faces
    return [track.faces[track.main]]
