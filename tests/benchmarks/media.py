"""`python -m tests.benchmarks.media`: how fast takes become segments, against Debian's ffmpeg doing the same.

Both do the same graph with the same x264 settings and threads, in alternating rounds of one run; what is printed is
the ratio of wall clocks (ours over ffmpeg's, the median of the rounds). Ours includes probing, listening, planning,
loudness measured after the codec, posters, sprites, hashes and syncing; ffmpeg is only asked for the segments.

The sound of ours is brought to -14 LUFS and under -1 dBTP whatever it was before. Of ffmpeg's filters loudnorm does
that (in one pass, so it may ride the gain; ours measures first and limits only peaks). Where its row says "gain known"
ffmpeg is given the gain beforehand and only limits: it need not listen, and does less than ours.

The blurred background is made at an eighth of its size here and at full size (gblur, sigma 20) by ffmpeg; how much
the two differ is measured on the strips above and below the picture. Needs Debian's `ffmpeg` (with libx265).
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from rich.console import Console
from rich.table import Table

from vidprod.domain.recipe import parse_recipe
from vidprod.domain.step import Limits, PlanRequest, ProbeRequest, RenderRequest
from vidprod.media.encode import X264
from vidprod.pipeline import plan, probe, render
from vidprod.services.process import environment

THREADS = 2
LOUDNORM = "loudnorm=I=-14:TP=-1.5:LRA=11,aresample=48000"
GAIN_KNOWN = "volume=6dB,aresample=192000,alimiter=limit=0.84:level=0:attack=2:release=60,aresample=48000"


def ours(source: Path, out: Path, **recipe: str) -> None:
    """The three steps, in this process."""
    limits = Limits(threads=THREADS)
    wanted = parse_recipe(recipe)

    def say(_: object) -> None:
        return

    info = probe.run(ProbeRequest(source=str(source), work_dir=str(out), limits=limits), say)
    planned = plan.run(PlanRequest(source=str(source), work_dir=str(out), limits=limits, info=info, recipe=wanted), say)
    todo = [segment.index for segment in planned.segments]
    render.run(
        RenderRequest(
            source=str(source), work_dir=str(out), limits=limits, info=info, recipe=wanted, plan=planned, todo=todo
        ),
        say,
    )


def in_a_child(source: Path, out: Path, **recipe: str) -> dict[str, float]:
    """Wall seconds and peak resident bytes of `ours` in a fresh process."""
    code = (
        "import json,resource,sys,time;from pathlib import Path;from tests.benchmarks.media import ours;"
        "a=json.loads(sys.argv[1]);t=time.perf_counter();ours(Path(a['s']),Path(a['o']),**a['r']);"
        "print(json.dumps({'wall_s':time.perf_counter()-t,"
        "'rss':resource.getrusage(resource.RUSAGE_SELF).ru_maxrss*1024}))"
    )
    request = json.dumps({"s": str(source), "o": str(out), "r": recipe})
    surroundings = {**os.environ, **environment()}
    done = subprocess.run(
        [sys.executable, "-c", code, request], check=True, capture_output=True, text=True, env=surroundings
    )
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def ffmpeg(*arguments: str) -> None:
    """Debian's ffmpeg, silent."""
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-nostdin", *arguments], check=True)


def encode_arguments(rate: float) -> list[str]:
    """Our x264 settings as ffmpeg's command line has them."""
    gop = str(round(2 * rate))
    settings = {key: value for key, value in X264.items() if key != "x264-params"}
    arguments = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", gop, "-keyint_min", gop, "-threads", str(THREADS)]
    for key, value in settings.items():
        arguments += [f"-{key}" if key != "profile" else "-profile:v", value]
    return [*arguments, "-x264-params", X264["x264-params"]]


def ffmpeg_segments(source: Path, out: Path, *, graph: str, sound: str, rate: float) -> None:
    """The same graph and encode, cut every 60 s."""
    ffmpeg(
        "-i", str(source), "-filter_complex", f"[0:v]{graph}[v];[0:a]{sound}[a]", "-map", "[v]", "-map", "[a]",
        *encode_arguments(rate), "-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "48000",
        "-f", "segment", "-segment_time", "60", "-reset_timestamps", "1",
        "-segment_format_options", "movflags=+faststart", str(out / "%03d.mp4"),
    )  # fmt: skip


def ffmpeg_copy(source: Path, out: Path) -> None:
    """Cuts without encoding."""
    ffmpeg(
        "-i", str(source), "-map", "0:v:0", "-map", "0:a:0", "-c", "copy",
        "-f", "segment", "-segment_time", "60", "-reset_timestamps", "1",
        "-segment_format_options", "movflags=+faststart", str(out / "%03d.mp4"),
    )  # fmt: skip


def fill_graph(size: tuple[int, int], canvas: tuple[int, int]) -> str:
    """Crop the centre, then scale."""
    width = round(size[1] * canvas[0] / canvas[1])
    return f"crop={width}:{size[1]},scale={canvas[0]}:{canvas[1]}:flags=bicubic,setsar=1"


def blur_graph(size: tuple[int, int], canvas: tuple[int, int]) -> str:
    """The picture over its blurred copy, the plain way."""
    width, height = canvas
    front = round(width * size[1] / size[0] / 2) * 2
    return (
        f"split[a][b];[a]scale=-2:{height}:flags=bicubic,crop={width}:{height},gblur=sigma=20[bg];"
        f"[b]scale={width}:{front}:flags=bicubic[fg];[bg][fg]overlay=0:(H-h)/2,format=yuv420p,setsar=1"
    )


def make_source(path: Path, *, film: Path | None, seconds: int, size: str, rate: int, codec: str) -> None:
    """A take of the wanted size: the film scaled where there is one, else a moving test pattern with noise."""
    pattern = f"testsrc2=size={size}:rate={rate}:duration={seconds},noise=alls=8:allf=t"
    picture = ["-stream_loop", "-1", "-i", str(film)] if film else ["-f", "lavfi", "-i", pattern]
    tone = ["-f", "lavfi", "-i", f"sine=frequency=300:duration={seconds}"]
    options = {
        "h264": ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "20"],
        "hevc": ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error", "-tag:v", "hvc1"],
    }[codec]
    sound = ["-map", "0:a:0"] if film else ["-map", "1:a:0"]
    colours = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]  # or only ours converts
    width, height = size.split("x")
    ffmpeg(
        *picture, *tone, "-t", str(seconds), "-map", "0:v:0", *sound, "-vf", f"scale={width}:{height}",
        "-r", str(rate), *options, "-g", str(rate * 2), "-pix_fmt", "yuv420p", *colours, "-c:a", "aac", str(path),
    )  # fmt: skip


def timed(work: Callable[[Path], Any], out: Path) -> float:
    """Wall seconds of `work` into an empty directory."""
    begin = time.perf_counter()
    work(emptied(out))
    return time.perf_counter() - begin


def emptied(folder: Path) -> Path:
    """The folder, with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def look(reference: Path, mine: Path, *, strip: int) -> float:
    """PSNR in dB between the strips above the picture, over one frame a second of the first segments."""
    pairs = zip(_luma(reference, strip), _luma(mine, strip), strict=False)
    error = [float(((a.astype(np.float32) - b.astype(np.float32)) ** 2).mean()) for a, b in pairs]
    return 10 * float(np.log10(255**2 / max(statistics.mean(error), 1e-6)))


def _luma(path: Path, strip: int) -> list[Any]:
    with av.open(str(path)) as container:
        frames = (frame.to_ndarray()[:strip] for frame in container.decode(video=0))
        return [frame for index, frame in enumerate(frames) if index % 30 == 0][:20]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.media", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="length of the takes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--film", type=Path, help="real footage to make the takes from")
    parser.add_argument("--only", choices=["speed", "copy", "memory"], help="one part")
    parser.add_argument("--height", type=int, choices=[360, 1080], help="takes of one size only")
    options = parser.parse_args()
    film = options.film or Path(__file__).parents[3] / "shared/media/bbb_640x360_24fps_596s.mp4"
    film = film if film.exists() else None
    table = Table("what", "ours", "ffmpeg", "ratio", "goal")
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        room = Path(folder)
        if options.only in (None, "speed", "copy"):
            for size, canvas in (((640, 360), (720, 1280)), ((1920, 1080), (1080, 1920))):
                if options.height not in (None, size[1]):
                    continue
                source = room / f"{size[1]}.mp4"
                make_source(
                    source, film=film, seconds=options.seconds, size=f"{size[0]}x{size[1]}", rate=24, codec="h264"
                )
                if options.only != "copy":
                    measure_speed(table, source, room, size=size, canvas=canvas, rounds=options.rounds)
                if options.only != "speed":
                    measure_copy(table, source, room, size=size, rounds=options.rounds)
        if options.only in (None, "memory"):
            measure_memory(table, room, film=film)
    Console(width=120).print(table)


def measure_speed(
    table: Table, source: Path, room: Path, *, size: tuple[int, int], canvas: tuple[int, int], rounds: int
) -> None:
    """Cropped and over blur, in alternating rounds."""
    name = f"{size[0]}×{size[1]}"
    fill = (360, 640) if size[1] == 360 else (720, 1280)
    loudnorm = (", loudnorm", LOUDNORM)
    known = (", gain known", GAIN_KNOWN)
    cases = (
        ("crop to fill", fill_graph(size, fill), {"frame": "fill"}, [loudnorm, known], "≤ 0.90", 0),
        ("over blur", blur_graph(size, canvas), {"frame": "auto"}, [known], "≤ 0.65", (canvas[1] * 3) // 10),
    )
    for what, graph, recipe, sounds, goal, strip in cases:
        mine: list[float] = []
        theirs: dict[str, list[float]] = {label: [] for label, _ in sounds}
        for _ in range(rounds):
            mine.append(in_a_child(source, emptied(room / "mine"), snap="none", **recipe)["wall_s"])
            for label, sound in sounds:
                work = partial(ffmpeg_segments, source, graph=graph, sound=sound, rate=24)
                theirs[label].append(timed(work, room / "theirs"))
        note = ""
        if strip:
            psnr = look(room / "theirs/000.mp4", room / "mine/segment-0000.mp4", strip=strip)
            note = f", background {psnr:.1f} dB alike"
        for label, walls in theirs.items():
            _row(table, f"{name} {what}{label}{note}", mine, walls, goal)


def measure_copy(table: Table, source: Path, room: Path, *, size: tuple[int, int], rounds: int) -> None:
    """video=copy against -c copy."""
    mine: list[float] = []
    theirs: list[float] = []
    for _ in range(max(rounds, 3)):
        mine.append(in_a_child(source, emptied(room / "mine"), video="copy")["wall_s"])
        theirs.append(timed(partial(ffmpeg_copy, source), room / "theirs"))
    megabytes = source.stat().st_size / 1e6
    _row(table, f"{size[0]}×{size[1]} copy ({megabytes:.0f} MB)", mine, theirs, "≤ 1.2")


def measure_memory(table: Table, room: Path, *, film: Path | None) -> None:
    """Peak resident memory of a child on HEVC, over a whole segment and the beginning of the next."""
    for size, goal in (("1920x1080", 400), ("3840x2160", 512)):
        short, source = room / f"short-{size}.mp4", room / f"hevc-{size}.mp4"
        make_source(short, film=film, seconds=10, size=size, rate=30, codec="hevc")
        ffmpeg("-stream_loop", "6", "-i", str(short), "-c", "copy", "-tag:v", "hvc1", str(source))
        peak = in_a_child(source, emptied(room / "mine"))["rss"] / 2**20
        table.add_row(f"peak memory, {size} HEVC", f"{peak:.0f} MiB", "", "", f"< {goal} MiB")


def _row(table: Table, what: str, mine: list[float], theirs: list[float], goal: str) -> None:
    ratio = statistics.median(a / b for a, b in zip(mine, theirs, strict=True))
    table.add_row(what, f"{statistics.median(mine):.1f} s", f"{statistics.median(theirs):.1f} s", f"{ratio:.2f}", goal)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
