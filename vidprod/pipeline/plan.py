"""The step that listens to a take and decides its cuts."""

from fractions import Fraction
from pathlib import Path

from vidprod.domain.canvas import layout
from vidprod.domain.cuts import SHORTEST_S, Cut, cut
from vidprod.domain.pauses import pauses, quietest
from vidprod.domain.plan import Canvas, Plan, PlannedSegment
from vidprod.domain.step import PlanRequest, Progress, Say
from vidprod.media.keyframes import keyframe_cuts
from vidprod.media.sound import RATE, Listener, Sound
from vidprod.media.timebase import output_rate


def run(request: PlanRequest, say: Say) -> Plan:
    """The plan of the take under the request's recipe. Raises Refused where it cannot be made."""
    if request.recipe.video == "copy":
        return _plan_copy(request, say)
    info, recipe = request.info, request.recipe
    video = info.video
    rate = output_rate(Fraction(video.average_rate), usual=Fraction(video.usual_rate), variable=video.variable_rate)
    total = max(1, round(info.duration_us * rate / 1_000_000))
    listener = _listen(request, say)
    levels = listener.values.tolist()

    def pause(first: int, last: int) -> int | None:
        at_s = quietest(levels, hop_s=listener.HOP_MS / 1000, from_s=float(first / rate), to_s=float(last / rate))
        return None if at_s is None else min(last, max(first, round(at_s * rate)))

    snap = recipe.snap == "pause" and info.audio is not None
    cuts = cut(total, rate=rate, segment_s=recipe.segment_s, pause=pause if snap else None)
    segments = [_planned(index, piece, rate) for index, piece in enumerate(cuts)]
    return Plan(
        fps=str(rate),
        canvas=layout(video.width, video.height, frame=recipe.frame),
        close=layout(video.width, video.height, frame="fill") if recipe.follows(info) else None,
        segments=segments,
        source_loudness_lufs=listener.loudness(),
        warnings=_warnings(segments),
        pauses_ms=[round(1000 * at_s) for at_s in pauses(levels, hop_s=listener.HOP_MS / 1000)],
    )


def _planned(index: int, piece: Cut, rate: Fraction) -> PlannedSegment:
    first, frames = piece
    return PlannedSegment(
        index=index,
        in_us=round(first * 1_000_000 / rate),
        out_us=round((first + frames) * 1_000_000 / rate),
        first_frame=first,
        frames=frames,
    )


def _listen(request: PlanRequest, say: Say) -> Listener:
    info = request.info
    listener = Listener()
    if info.audio is None:
        return listener
    sound = Sound(Path(request.source), info, limits=request.limits)
    total = info.duration_us * RATE // 1_000_000
    for first in range(0, total, RATE * 2):
        end = min(first + RATE * 2, total)
        listener.hear(sound.read(first, end - first))
        say(Progress(done_us=end * 1_000_000 // RATE, total_us=info.duration_us))
    return listener


def _warnings(segments: list[PlannedSegment]) -> list[str]:
    if any(segment.out_us - segment.in_us < SHORTEST_S * 1_000_000 for segment in segments):
        return [f"a segment is shorter than {SHORTEST_S} s: Instagram does not take it"]
    return []


def _plan_copy(request: PlanRequest, say: Say) -> Plan:
    """Cuts on keyframes; the picture keeps its size, rate and rotation."""
    info = request.info
    pieces, sound_follows = keyframe_cuts(
        Path(request.source),
        info,
        segment_s=request.recipe.segment_s,
        limits=request.limits,
        progress=lambda done_us: say(Progress(done_us=done_us, total_us=info.duration_us)),
    )
    return Plan(
        fps=info.video.average_rate,
        canvas=Canvas(
            width=info.video.width,
            height=info.video.height,
            picture_width=info.video.width,
            picture_height=info.video.height,
            x=0,
            y=0,
            background="none",
        ),
        segments=pieces,
        copies_sound=sound_follows and not request.recipe.normalize,
        warnings=["the picture is copied as it is: it may not be what every platform takes", *_warnings(pieces)],
    )
