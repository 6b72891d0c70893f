"""What of the take is shown: the path of a crop that follows the faces, where there is a track of them."""

from pathlib import Path
from typing import Any

from vidprod.domain.step import Progress, RenderRequest, Say
from vidprod.errors import VidProdError
from vidprod.media.sound import RATE, Levels, Sound
from vidprod.vision import framing
from vidprod.vision.track import Track

_LISTEN_S = 10  # at once


def plan_path(request: RenderRequest, say: Say) -> tuple[framing.CropPath | None, list[str]]:
    """The path, where the recipe asks for one and somebody is there to follow; and what to tell if that is missed."""
    plan, asked_for = request.plan, request.recipe.frame == "face"
    if plan.close is None or not request.recipe.follows(request.info):
        return None, []
    if request.track is None:
        why = request.no_track or "no face was found"
        return None, [f"the frame follows no face: {why}"] if asked_for else []
    try:
        track = Track.open(Path(request.track))
    except (OSError, VidProdError) as error:
        return None, [f"the frame follows no face: {error}"]
    path = framing.follow(
        track,
        canvas=plan.close,
        listen=lambda: _levels(request, say),
        hop_s=Levels.HOP_MS / 1000,
        blurs=plan.canvas.background == "blur",
        asked_for=asked_for,
    )
    if path is None and asked_for:
        return None, ["the frame follows no face: none was there that could be followed"]
    return path, []


def _levels(request: RenderRequest, say: Say) -> Any:
    """How loud each moment of the take is; None without sound."""
    info = request.info
    if info.audio is None:
        return None
    sound = Sound(Path(request.source), info, limits=request.limits)
    levels = Levels()
    total = info.duration_us * RATE // 1_000_000
    for number, first in enumerate(range(0, total, RATE * _LISTEN_S), 1):
        levels.hear(sound.read(first, min(RATE * _LISTEN_S, total - first)))
        say(Progress(done_us=number, total_us=info.duration_us))  # next to nothing of the work, but it goes on
    return levels.values
