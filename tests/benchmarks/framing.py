"""`python -m tests.benchmarks.framing`: how calmly the crop follows faces, and whether it keeps them inside.

For each clip with a picture wider than 9:16 and a face: in how many of the pictures that are cropped and show the main
speaker the face's box is inside the crop; the same of its middle and both eyes; how often the crop turns back, and how
far it travels, as pixels of a crop 1080 wide (hard cuts are no travel); its moves and cuts; how much is shown whole.
Then the same for motions of which the truth is known. The goals are for takes with one speaker who moves. `--cost`
measures a moving crop against one that stands.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tests.vision import takes
from vidprod.domain.canvas import layout
from vidprod.domain.recipe import Recipe
from vidprod.domain.step import (
    TRACK_FILE,
    Limits,
    PlanRequest,
    ProbeRequest,
    RenderRequest,
    SegmentDone,
    TrackRequest,
)
from vidprod.errors import VidProdError
from vidprod.media.filters import Painter
from vidprod.media.probe import measure
from vidprod.pipeline import framing, plan, probe, render, track
from vidprod.vision.framing import CropPath, follow
from vidprod.vision.track import Track

SHARED = Path(__file__).resolve().parents[3] / "shared"
DEFAULT = [SHARED / "gaze" / "clips", SHARED / "media"]
GOAL_INSIDE, GOAL_REVERSALS, GOAL_TRAVEL = 0.99, 0.13, 60.0
_TILE = (108, 192)

Values = NDArray[np.float64]
Motion = Callable[[Values], Any]


@dataclass(frozen=True)
class Figures:
    """What came out for one take."""

    name: str
    seconds: float
    faces: int
    box_inside: float
    eyes_inside: float
    reversals_a_s: float
    travel_a_s: float  # pixels at 1080
    moves: int
    cuts: int
    whole: float


def judge(name: str, taken: Track, path: CropPath) -> Figures:
    """Of the pictures of a take, each seen through its window."""
    shown = min(taken.width, taken.height * 9 / 16)
    free = taken.width - shown
    windows = [path.window(int(at)) for at in taken.times_us]
    left = np.array([window.place * free for window in windows])
    close = np.array([window.close for window in windows])
    box_inside = eyes_inside = 1.0
    if taken.main is not None:
        face = taken.faces[taken.main]
        seen = close[face.at]
        edge = left[face.at][seen]
        low, high = face.box[seen, 0], face.box[seen, 2]
        corners = face.eyes[seen][:, :, :2, 0].reshape(len(edge), -1)
        middle = (low + high) / 2
        if len(edge):
            box_inside = float(((low >= edge) & (high <= edge + shown)).mean())
            points = np.column_stack([corners, middle])
            eyes_inside = float(((points >= edge[:, None]) & (points <= edge[:, None] + shown)).all(axis=1).mean())
    report = path.report([(int(at), window) for at, window in zip(taken.times_us, windows, strict=True)])
    seconds = max(1e-3, float(taken.times_us[-1] - taken.times_us[0]) / 1e6)
    moves = [piece for piece in path.pieces if piece.start != piece.stop]
    directions = np.sign([piece.stop - piece.start for piece in moves])
    travel = sum(abs(piece.stop - piece.start) for piece in moves) * free / shown * 1080
    return Figures(
        name=name,
        seconds=seconds,
        faces=report.speakers,
        box_inside=box_inside,
        eyes_inside=eyes_inside,
        reversals_a_s=float((np.diff(directions) != 0).sum()) / seconds,
        travel_a_s=travel / seconds,
        moves=report.moves,
        cuts=report.cuts,
        whole=report.blurred,
    )


def of_clip(source: Path, work_dir: Path, tracks: Path | None, sheets: Path | None) -> Figures | None:
    """None where there is nothing to follow."""
    common: dict[str, Any] = {"source": str(source), "work_dir": str(work_dir), "limits": Limits()}
    recipe = Recipe(gaze="off", frame="face")
    info = probe.run(ProbeRequest(**common), ignore)
    if not recipe.follows(info):
        return None
    planned = plan.run(PlanRequest(**common, info=info, recipe=recipe), ignore)
    kept = work_dir / TRACK_FILE if tracks is None else tracks / f"{source.stem}.track"
    if not kept.exists():
        made = track.run(TrackRequest(**common, info=info, recipe=recipe, plan=planned, time_factor=100.0), ignore)
        if made.reason is not None:
            raise SystemExit(f"{source.name}: {made.reason}")
        (work_dir / TRACK_FILE).replace(kept)
    request = RenderRequest(**common, info=info, recipe=recipe, plan=planned, todo=[0], track=str(kept))
    path, _ = framing.plan_path(request, ignore)
    if path is None:
        return None
    if sheets is not None:
        draw(request, sheets / f"{source.stem}.png")
    return judge(source.name, Track.open(kept), path)


def ignore(_: object) -> None:
    return


def draw(request: RenderRequest, out: Path) -> None:
    """A sheet of the first segment, two pictures a second."""
    said: list[Any] = []
    render.run(request, said.append)
    (done,) = (each for each in said if isinstance(each, SegmentDone))
    tiles: list[NDArray[np.uint8]] = []
    with av.open(str(Path(request.work_dir) / f"{done.stem}.mp4")) as container:
        every = max(1, round(float(container.streams.video[0].average_rate or 30) / 2))
        for number, picture in enumerate(container.decode(video=0)):
            if number % every == 0:
                small = picture.reformat(width=_TILE[0], height=_TILE[1], format="rgb24")
                tiles.append(np.asarray(small.to_ndarray(), np.uint8))
    columns = 16
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * _TILE[1], columns * _TILE[0], 3), np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet[row * _TILE[1] : (row + 1) * _TILE[1], column * _TILE[0] : (column + 1) * _TILE[0]] = tile
    with av.open(str(out), "w", format="image2", options={"update": "1"}) as image:
        stream = image.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = sheet.shape[1], sheet.shape[0], "rgb24"
        for packet in [*stream.encode(av.VideoFrame.from_ndarray(sheet, format="rgb24")), *stream.encode(None)]:
            image.mux(packet)


def wandering(seed: int) -> Motion:
    """As people do who stand and talk: stays of some seconds, steps aside, sways; pixels of a picture 1280 wide."""
    random = np.random.default_rng(seed)
    begins = np.cumsum(random.uniform(6, 20, 40))
    places = 640 + random.normal(0, 110, 41).clip(-350, 350)
    sway, period = random.uniform(4, 25), random.uniform(1.5, 6)

    def motion(t: Values) -> Values:
        at = np.full(len(t), places[0])
        for begin, before, after in zip(begins, places, places[1:], strict=False):
            part = np.clip((t - begin) / random_duration(begin), 0, 1)
            at = at + (after - before) * part * part * (3 - 2 * part)
        return np.asarray(at + sway * np.sin(2 * np.pi * t / period))

    def random_duration(begin: float) -> float:
        return 0.7 + (begin * 7.3) % 2.0

    return motion


MOTIONS: dict[str, Motion] = {
    "sits still": lambda t: np.full(len(t), 700.0),
    "sways 12 % of the crop, 3 s": lambda t: 640 + 50 * np.sin(2 * np.pi * t / 3),
    "sways 20 % of the crop, 6 s": lambda t: 640 + 80 * np.sin(2 * np.pi * t / 6),
    "walks across in 12 s": lambda t: 350 + 580 * np.clip((t - 20) / 12, 0, 1),
    "walks, stays, returns": lambda t: 500 + 300 * (np.clip((t - 10) / 3, 0, 1) - np.clip((t - 35) / 3, 0, 1)),
    "paces, 25 s a round": lambda t: 640 + 280 * np.sin(2 * np.pi * t / 25),
    "jumps to another chair": lambda t: 450 + 350 * np.clip((t - 30) / 0.4, 0, 1),
    **{f"stands and wanders, {seed}": wandering(seed) for seed in range(1, 7)},
}


def of_motions() -> Iterator[Figures]:
    """A face 160 wide in a picture of 1280 × 720, a minute of each, with the noise of landmarks."""
    times = takes.times(60)
    for name, motion in MOTIONS.items():
        noise = np.random.default_rng(1).normal(0, 1.5, len(times))
        taken = takes.track(times, takes.face(1, times, motion(times / 1e6) + noise, size=160.0))
        canvas = layout(taken.width, taken.height, frame="fill")
        path = follow(taken, canvas=canvas, listen=lambda: None, hop_s=0.02, blurs=True, asked_for=True)
        assert path is not None
        yield judge(name, taken, path)


def table(title: str, rows: list[Figures]) -> Table:
    """Goals that are missed are red."""
    drawn = Table(title=title)
    for heading in ("take", "s", "faces", "box inside", "eyes inside", "reversals/s", "px/s", "moves", "cuts", "whole"):
        drawn.add_column(heading, justify="left" if heading == "take" else "right")

    def against(text: str, good: bool) -> str:
        return text if good else f"[red]{text}[/red]"

    for row in rows:
        drawn.add_row(
            row.name,
            f"{row.seconds:.1f}",
            str(row.faces),
            against(f"{row.box_inside:.1%}", row.box_inside >= GOAL_INSIDE),
            against(f"{row.eyes_inside:.1%}", row.eyes_inside >= GOAL_INSIDE),
            against(f"{row.reversals_a_s:.2f}", row.reversals_a_s <= GOAL_REVERSALS),
            against(f"{row.travel_a_s:.0f}", row.travel_a_s <= GOAL_TRAVEL),
            str(row.moves),
            str(row.cuts),
            f"{row.whole:.0%}",
        )
    return drawn


def cost(source: Path) -> tuple[float, float]:
    """Milliseconds a frame of a crop that stands, and of one that moves in each: painting alone, one thread."""
    info = measure(source, limits=Limits(), progress=lambda done, total: None).video
    with av.open(str(source)) as container, tempfile.TemporaryDirectory() as folder:
        pictures = [picture for picture, _ in zip(container.decode(video=0), range(60), strict=False)]
        close = layout(info.width, info.height, frame="fill")
        spent = []
        for moves in (False, True):
            painter = Painter(close, info, work_dir=Path(folder), moves=moves)
            painter.paint(pictures[0])
            began = time.perf_counter()
            for number, picture in enumerate(pictures):
                painter.paint(picture, place=0.2 + number / 100)
            spent.append((time.perf_counter() - began) / len(pictures) * 1000)
    return spent[0], spent[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path, help="clips, or folders of them")
    parser.add_argument("--tracks", type=Path, help="keep the tracks here, and take those that are there")
    parser.add_argument("--sheets", type=Path, help="draw a sheet of pictures of each clip here")
    parser.add_argument("--cost", type=Path, help="measure painting with this clip instead")
    chosen = parser.parse_args()
    console = Console()
    if chosen.cost is not None:
        standing, moving = cost(chosen.cost)
        console.print(f"a crop that stands {standing:.2f} ms a frame, one that moves {moving:.2f} ms")
        return
    for folder in (chosen.tracks, chosen.sheets):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    console.print(table("Motions of known truth", list(of_motions())))
    rows: list[Figures] = []
    for source in clips(chosen.clips or [folder for folder in DEFAULT if folder.is_dir()]):
        with tempfile.TemporaryDirectory() as folder:
            try:
                figures = of_clip(source, Path(folder), chosen.tracks, chosen.sheets)
            except VidProdError:
                continue  # what is no take is another benchmark's
        if figures is not None:
            rows.append(figures)
    console.print(table("Clips", rows))


def clips(places: list[Path]) -> Iterator[Path]:
    for place in places:
        yield from sorted(path for path in place.iterdir() if path.is_file()) if place.is_dir() else [place]


if __name__ == "__main__":
    main()
