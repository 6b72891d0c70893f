"""`python -m tests.benchmarks.gaze --judge PYTHON`: how well eyes are turned to the lens, and what it costs.

Quality: each clip's eyes are turned with the defaults of the recipe, written nearly without loss, and judged by the
metric beside the clips (`gaze_metrics.py`), which asks a network that sees only pixels. It needs a Python of its own
with `openvino mediapipe==0.10.21 av opencv-python-headless scipy matplotlib`, given by `--judge`; without one the table
is left out. Outside the eyes nothing may differ by a bit; that is looked at before anything is encoded.

Cost: processor time a picture of following and editing, each on one core; wall clock of whole jobs with gaze against
the same jobs without, in alternating rounds; peak memory of the child. Takes for these are the clip `nv_eyecontact`,
scaled with Debian's `ffmpeg`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import uvloop
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from tests.benchmarks.media import ffmpeg
from vidprod.cli.take import Take
from vidprod.config import Config
from vidprod.domain.recipe import Recipe
from vidprod.domain.step import TRACK_FILE, Limits, PlanRequest, ProbeRequest, RenderRequest, TrackRequest
from vidprod.media.container import open_source
from vidprod.media.frames import Pictures
from vidprod.media.planes import own, planes_of
from vidprod.media.small import Shrinker
from vidprod.pipeline import plan, probe, track
from vidprod.pipeline.gaze import Corrector, EyeSamples
from vidprod.services.child import ChildHost
from vidprod.services.process import environment
from vidprod.telemetry import metrics
from vidprod.vision.follow import Follower
from vidprod.vision.landmarks import Mesh
from vidprod.vision.scenes import Scenes
from vidprod.vision.track import Track

SHARED = Path(__file__).resolve().parents[3] / "shared" / "gaze"
AVERTED = ("nv_eyecontact", "lp_d9", "vrt_5", "lp_d0")
CONTROLS = ("lp_d18", "lp_d19", "vrt_3")
PEER = {"nv_eyecontact": 10.3, "lp_d9": 3.9, "vrt_5": 6.8}  # mean degrees after; the open peer's, of the clips' page

Planes = list[NDArray[Any]]


@dataclass
class Prepared:
    """A take whose faces were followed."""

    request: RenderRequest

    @property
    def corrector(self) -> Corrector:
        assert self.request.track is not None
        return Corrector(self.request, Path(self.request.track), [])

    def pictures(self, container: Any) -> Pictures:
        request = self.request
        rate = Fraction(request.plan.fps)
        return Pictures(container, request.info, rate=rate, threads=1, max_pixels=request.limits.max_pixels)


def prepare(source: Path, work_dir: Path, **recipe: Any) -> Prepared:
    """Probe, plan and track, in this process."""
    common: dict[str, Any] = {"source": str(source), "work_dir": str(work_dir), "limits": Limits()}
    wanted = Recipe(frame="original", **recipe)
    info = probe.run(ProbeRequest(**common), ignore)
    planned = plan.run(PlanRequest(**common, info=info, recipe=wanted), ignore)
    done = track.run(TrackRequest(**common, info=info, recipe=wanted, plan=planned, time_factor=1e6), ignore)
    if done.reason is not None:
        raise SystemExit(f"{source.name}: {done.reason}")
    return Prepared(
        RenderRequest(
            **common, info=info, recipe=wanted, plan=planned, todo=[], track=str(work_dir / TRACK_FILE), time_factor=1e6
        )
    )


def ignore(_: object) -> None:
    return


# Quality


def edited(taken: Prepared, out: Path) -> float:
    """Writes the take with its eyes turned, in its own size and rate. The share of pixels that changed outside a box
    around the eyes, which is 0."""
    corrector, faces = taken.corrector, Track.open(Path(str(taken.request.track)))
    strays: list[float] = []
    with open_source(taken.request.source, limits=taken.request.limits) as container, av.open(str(out), "w") as made:
        stream: Any = None
        pictures = taken.pictures(container)
        for number, (picture, _) in enumerate(pictures):
            own(picture)
            before = copied(picture)
            corrector.correct(picture, pictures.position_us)
            strays.append(stray(before, picture, eye_boxes(faces, number, picture)))
            if stream is None:
                rate = container.streams.video[0].average_rate
                stream = made.add_stream("libx264", rate=rate, options={"crf": "6", "preset": "veryfast"})
                stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
                context = stream.codec_context
                context.colorspace, context.color_range = int(picture.colorspace), int(picture.color_range)
            picture.pts, picture.time_base, picture.pict_type = number, 1 / stream.average_rate, 0
            made.mux(stream.encode(picture))
        made.mux(stream.encode(None))
    return max(strays)


def copied(picture: Any) -> Planes:
    found = planes_of(picture)
    assert found is not None
    return [plane.copy() for plane in found[0]]


def eye_boxes(faces: Track, number: int, picture: Any) -> NDArray[np.int64]:
    """(n, 4) left, top, right, bottom, coded pixels, of boxes around the eyes in a picture: 0.55 eye widths beyond the
    corners, 0.75 above and 0.55 below, as the metric has them. The take is upright."""
    coded = np.array([picture.width / faces.width, picture.height / faces.height] * 2)
    boxes = []
    for face in faces.faces:
        for eye in face.eyes[face.at == number].reshape(-1, 21, 2):
            width = float(np.linalg.norm(eye[0] - eye[1]))
            low, high = eye[:16].min(axis=0), eye[:16].max(axis=0)
            boxes.append([*(low - np.array([0.55, 0.75]) * width), *(high + 0.55 * width + 1)])
    return np.asarray((np.array(boxes).reshape(-1, 4) * coded).clip(0), np.int64)


def stray(before: Planes, picture: Any, boxes: NDArray[np.int64]) -> float:
    """The share of luma that changed outside the boxes."""
    found = planes_of(picture)
    assert found is not None
    changed = before[0] != found[0][0]
    for left, top, right, bottom in boxes:
        changed[top:bottom, left:right] = False
    return float(changed.mean())


def judged(before: Path, after: Path, *, judge: str, step: int) -> dict[str, Any]:
    """What the metric says."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [
            judge,
            str(SHARED / "gaze_metrics.py"),
            str(before),
            str(after),
            "--step",
            str(step),
            "--json",
            file.name,
        ]
        subprocess.run(command, check=True, capture_output=True)
        said: dict[str, Any] = json.loads(Path(file.name).read_text())
    return said


def measure_quality(
    console: Console, room: Path, *, judge: str, step: int, clips: list[Path], recipe: dict[str, Any]
) -> None:
    """A row a clip."""
    table = Table(title="eyes, judged by pixels alone (goals in the heading)")
    for heading in (
        "take", "gaze °", "within 8°", "pitch °", "peer °", "outside", "jitter ≤1.15 yaw/pitch", "flicker ≤1.05",
        "blinks", "IoU ≥.95", "EAR ≥.97", "sharp .85–1.25", "white ≤1.08 (p95 ≤1.15)", "iris area/width .92–1.08",
        "eyes differ",
    ):  # fmt: skip
        table.add_column(heading)
    for clip in clips:
        work_dir = room / clip.stem
        work_dir.mkdir()
        out = room / f"{clip.stem}.mp4"
        outside = edited(prepare(clip, work_dir, **recipe), out)
        table.add_row(*row(clip.stem, judged(clip, out, judge=judge, step=step), outside))
        console.print(f"{clip.stem}: judged")
    console.print(table)


def row(name: str, said: dict[str, Any], outside: float) -> list[str]:
    """The figures of one clip."""
    before, after, jitter = said["a_ov_before"], said["a_ov_after"], said["c_jitter"]
    blink, sharp, iris, eyes = said["d_blink"], said["e_sharpness"], said["f_iris"], said["g_eyes_agree"]

    def ratio(pair: list[float]) -> str:
        return f"{pair[1] / pair[0]:.2f}"

    def found(value: float | None, digits: int = 2) -> str:
        return "–" if value is None else f"{value:.{digits}f}"

    return [
        name + (" (control)" if name in CONTROLS else ""),
        f"{before['mean']:.1f} → {after['mean']:.1f}",
        f"{before['within8']:.0%} → {after['within8']:.0%}",
        f"{before['pitch_mean']:+.1f} → {after['pitch_mean']:+.1f}",
        found(PEER.get(name), 1),
        "same bits" if outside == 0 else f"[red]{outside:.2%}[/red]",
        f"{ratio(jitter['OV_yaw'])} / {ratio(jitter['OV_pitch'])}",
        f"{said['h_flicker']['after'] / said['h_flicker']['before']:.2f}",
        f"{blink['blinks_before']} → {blink['blinks_after']}",
        found(blink["blink_frame_iou"]),
        found(blink["ear_corr"], 3),
        found(sharp["median"]),
        f"{sharp['white92_median']:.3f} ({sharp['white92_p95']:.2f})",
        f"{found(iris['area_ratio'] and iris['area_ratio']['median'])} / "
        f"{found(iris['width_ratio'] and iris['width_ratio']['median'])}",
        f"{eyes['LF_h_diff_sd'][0]:.4f} → {eyes['LF_h_diff_sd'][1]:.4f}",
    ]


# Cost


def enlarged(clip: Path, out: Path, *, size: str, seconds: int, codec: str = "libx264") -> Path:
    """The clip again and again, at another size, 30 pictures a second."""
    width, height = size.split("x")
    options = ["-x265-params", "log-level=error", "-tag:v", "hvc1"] if codec == "libx265" else []
    ffmpeg(
        "-stream_loop", "-1", "-i", str(clip), "-t", str(seconds), "-vf", f"scale={width}:{height}", "-r", "30",
        "-c:v", codec, "-preset", "ultrafast", "-crf", "20", *options, "-pix_fmt", "yuv420p", "-c:a", "aac", str(out),
    )  # fmt: skip
    return out


def measure_cost(table: Table, source: Path, room: Path, *, goal: str) -> None:
    """Processor milliseconds a picture, decoding apart, on one core."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    work_dir = room / f"cost-{source.stem}"
    work_dir.mkdir()
    taken = prepare(source, work_dir)
    follow_s, edit_s = following(taken), editing(taken)
    total = 1e3 * (follow_s + edit_s)
    table.add_row(
        f"{source.stem}: following {1e3 * follow_s:.1f} + editing {1e3 * edit_s:.1f} ms a picture",
        f"{total:.1f} ms",
        goal,
    )


def following(taken: Prepared) -> float:
    """Seconds a picture: made small, looked at, sampled."""
    video = taken.request.info.video
    shrinker = Shrinker(video, work_dir=Path(taken.request.work_dir))
    samples, scenes, spent_s, count = EyeSamples(video), Scenes(), 0.0, 0
    with Mesh() as mesh, open_source(taken.request.source, limits=taken.request.limits) as container:
        follower = Follower(mesh, width=video.width, height=video.height)
        pictures = taken.pictures(container)
        for picture, _ in pictures:
            began_s = time.process_time()
            small = shrinker.shrink(picture, follower.side)
            seen = follower.see(small, pictures.position_us, cut=scenes.see(small, pictures.position_us))
            samples.see(picture, pictures.position_us, seen or [])
            spent_s += time.process_time() - began_s
            count += 1
    return spent_s / count


def editing(taken: Prepared) -> float:
    """Seconds a picture, those that are left alone included."""
    corrector, spent_s, count = taken.corrector, 0.0, 0
    with open_source(taken.request.source, limits=taken.request.limits) as container:
        pictures = taken.pictures(container)
        for picture, _ in pictures:
            began_s = time.process_time()
            corrector.correct(picture, pictures.position_us)
            spent_s += time.process_time() - began_s
            count += 1
    return spent_s / count


def whole_job(source: Path, room: Path, **recipe: Any) -> tuple[float, dict[str, float]]:
    """Wall seconds of `vidprod process`, and the peak resident MB of the child in each step."""
    out = Path(tempfile.mkdtemp(dir=room))
    config = Config()

    async def process() -> None:
        async with ChildHost() as host:
            take = Take(source, directory=out / source.stem, recipe=msgspec.convert(recipe, Recipe), config=config)
            await take.process(host, lambda step, percent: None)

    began_s = time.perf_counter()
    uvloop.run(process())
    wall_s = time.perf_counter() - began_s
    samples = [sample for family in metrics.child_rss_peak_bytes.collect() for sample in family.samples]
    return wall_s, {sample.labels["kind"]: sample.value / 1e6 for sample in samples}


def measure_jobs(table: Table, source: Path, room: Path, *, rounds: int, what: str, **recipe: Any) -> None:
    """With gaze against without."""
    with_s: list[float] = []
    without_s: list[float] = []
    peaks: dict[str, float] = {}
    for _ in range(rounds):
        wall_s, peaks = whole_job(source, room, gaze="on", **recipe)
        with_s.append(wall_s)
        without_s.append(whole_job(source, room, gaze="off", **recipe)[0])
    ratio = statistics.median(a / b for a, b in zip(with_s, without_s, strict=True))
    walls = f"{statistics.median(with_s):.1f} s against {statistics.median(without_s):.1f} s"
    table.add_row(f"whole job, {what}: {walls}", f"{ratio:.2f}", "≤ 1.6")
    memory = ", ".join(f"{kind} {peak:.0f}" for kind, peak in peaks.items() if kind in ("track", "render"))
    table.add_row(f"peak memory of the child, {what}: MB in {memory}", f"{max(peaks.values()):.0f} MB", "< 450 MB")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gaze", description=__doc__)
    parser.add_argument("--judge", help="a Python that has what the metric needs")
    parser.add_argument("--step", type=int, default=2, help="every so-manieth picture is judged")
    parser.add_argument("--clips", type=Path, nargs="*", help="other clips than those beside the metric")
    parser.add_argument("--strength", type=float, default=Recipe().gaze_strength)
    parser.add_argument("--look-away", type=float, default=Recipe().look_away_deg)
    parser.add_argument("--only", choices=["quality", "cost", "jobs"], help="one part")
    parser.add_argument("--seconds", type=int, default=60, help="length of the takes for whole jobs")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if "OPENBLAS_NUM_THREADS" not in os.environ:  # as a child has it; read when numpy is loaded
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **environment()})
    console = Console(width=250)
    clips = options.clips or [SHARED / "clips" / f"{name}.mp4" for name in (*AVERTED, *CONTROLS)]
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        room = Path(folder)
        if options.only in (None, "quality") and options.judge:
            recipe = {"gaze_strength": options.strength, "look_away_deg": options.look_away}
            measure_quality(console, room, judge=options.judge, step=options.step, clips=clips, recipe=recipe)
        table = Table("what", "measured", "goal", title="cost")
        clip = SHARED / "clips" / "nv_eyecontact.mp4"
        if options.only in (None, "jobs"):
            tall = enlarged(clip, room / "tall.mp4", size="1080x1920", seconds=options.seconds)
            wide = enlarged(clip, room / "wide.mp4", size="1920x1080", seconds=options.seconds)
            hevc = enlarged(clip, room / "hevc.mp4", size="1920x1080", seconds=options.seconds, codec="libx265")
            measure_jobs(table, tall, room, rounds=options.rounds, what="1080×1920")
            measure_jobs(table, wide, room, rounds=options.rounds, what="1920×1080, crop follows the face")
            measure_jobs(table, wide, room, rounds=options.rounds, what="1920×1080 over blur", frame="blur")
            measure_jobs(table, wide, room, rounds=options.rounds, what="1920×1080 cropped", frame="fill")
            measure_jobs(table, hevc, room, rounds=1, what="1920×1080 HEVC over blur", frame="blur")
        if options.only in (None, "cost"):
            for size, goal in (("1280x720", "≤ 10 ms"), ("1920x1080", "≤ 14 ms")):
                measure_cost(table, enlarged(clip, room / f"{size}.mp4", size=size, seconds=10), room, goal=goal)
        if table.row_count:
            console.print(table)


if __name__ == "__main__":
    main()
