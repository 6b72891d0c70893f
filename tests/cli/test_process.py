"""`vidprod process`: the real pipeline on real files, without a server."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cli.running import command, environment, vidprod
from tests.media.synth import numbered

WITH_FACES = ("--segment-s", "4", "--snap", "none", "--loudness", "off")
RECIPE = (*WITH_FACES, "--frame", "original", "--gaze", "off")  # no step that takes longer than all others


@pytest.fixture(scope="module")
def take(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine seconds: segments of 4, 4 and 1 s would be too short at the end, so the last two share."""
    return numbered(tmp_path_factory.mktemp("take") / "take.mov", 270, size=(180, 320))


@pytest.fixture(scope="module")
def long_take(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough to be interrupted in its middle."""
    return numbered(tmp_path_factory.mktemp("long") / "long.mp4", 900, size=(240, 426))


def job_of(directory: Path) -> dict[str, Any]:
    job: dict[str, Any] = json.loads((directory / "job.json").read_text())
    return job


def begin(take: Path, *, cwd: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command("process", take, *RECIPE),
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_a_segment(process: "subprocess.Popen[str]", directory: Path) -> dict[str, Any]:
    """The first segment that job.json tells of, while there is more to do."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if (directory / "job.json").exists() and (job := job_of(directory))["segments"]:
            first: dict[str, Any] = job["segments"][0]
            return first
        time.sleep(0.02)
    raise AssertionError(f"no segment came: {process.communicate()}")


def test_a_take_becomes_segments_posters_and_a_job_file(take: Path, tmp_path: Path) -> None:
    done = vidprod("process", take, "-o", "made", *WITH_FACES, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "segments of 9.0 s in made/take" in done.stdout
    directory = tmp_path / "made/take"
    job = job_of(directory)
    assert job["state"] == "completed"
    assert job["recipe"]["segment_s"] == 4
    assert job["info"]["video"]["codec"] == "h264"
    assert len(job["segments"]) == 3
    assert [s["index"] for s in job["segments"]] == [0, 1, 2]
    assert (job["segments"][0]["in_us"], job["segments"][-1]["out_us"]) == (0, 9_000_000)
    for segment in job["segments"]:
        content = (directory / segment["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == segment["rendition"]["sha256"]
        assert len(content) == segment["rendition"]["size"]
        assert (directory / segment["poster"]).read_bytes()[:2] == b"\xff\xd8"
    named = {f"take-0{n}{end}" for n in (1, 2, 3) for end in (".mp4", ".jpg", ".sprite.jpg")}
    faces = {"take.track"} if job["tracked"]["reason"] is None else set()  # where there is a model to find them
    assert {path.name for path in directory.iterdir()} == named | {"job.json"} | faces


def test_a_second_run_makes_nothing_again(take: Path, tmp_path: Path) -> None:
    assert vidprod("process", take, *RECIPE, cwd=tmp_path).returncode == 0
    before = {path: path.stat().st_ino for path in (tmp_path / "out/take").glob("*.mp4")}
    assert vidprod("process", take, *RECIPE, cwd=tmp_path).returncode == 0
    assert {path: path.stat().st_ino for path in (tmp_path / "out/take").glob("*.mp4")} == before


def test_a_segment_that_was_damaged_is_made_again_and_the_others_are_not(take: Path, tmp_path: Path) -> None:
    assert vidprod("process", take, *RECIPE, cwd=tmp_path).returncode == 0
    first, second, third = sorted((tmp_path / "out/take").glob("*.mp4"))
    kept = (first.stat().st_ino, third.stat().st_ino)
    second.write_bytes(second.read_bytes()[:-100])
    assert vidprod("process", take, *RECIPE, cwd=tmp_path).returncode == 0
    told = job_of(tmp_path / "out/take")["segments"][1]["rendition"]["sha256"]
    assert hashlib.sha256(second.read_bytes()).hexdigest() == told
    assert (first.stat().st_ino, third.stat().st_ino) == kept


def test_another_recipe_does_not_overwrite_without_force(take: Path, tmp_path: Path) -> None:
    assert vidprod("process", take, *RECIPE, cwd=tmp_path).returncode == 0
    other = ("--segment-s", "5", *RECIPE[2:])
    refused = vidprod("process", take, *other, cwd=tmp_path)
    assert refused.returncode == 1
    assert "conflict: " in refused.stderr
    assert "--force" in refused.stderr
    assert job_of(tmp_path / "out/take")["recipe"]["segment_s"] == 4
    forced = vidprod("process", take, *other, "--force", cwd=tmp_path)
    assert forced.returncode == 0, forced.stderr
    assert len(list((tmp_path / "out/take").glob("*.mp4"))) == len(job_of(tmp_path / "out/take")["segments"]) == 2


def test_takes_of_one_name_get_a_directory_each(tmp_path: Path) -> None:
    """Once all went to OUT/take: with --force each wiped what the one before had just made."""
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
    numbered(tmp_path / "a/take.mp4", 90, size=(90, 160))
    numbered(tmp_path / "b/take.mov", 120, size=(90, 160))
    numbered(tmp_path / "b/take-2.mp4", 150, size=(90, 160))
    takes = ("a/take.mp4", "b/take.mov", tmp_path / "a/take.mp4", "b/take-2.mp4")
    done = vidprod("process", "--force", *takes, *RECIPE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "b/take.mov: its name is taken, its segments go to out/take-3\n" in done.stderr
    assert done.stderr.count("its name is taken") == 1
    made = {path.name: path for path in (tmp_path / "out").iterdir()}
    assert {name: job_of(path)["info"]["duration_us"] for name, path in made.items()} == {
        "take": 3_000_000,
        "take-2": 5_000_000,
        "take-3": 4_000_000,
    }
    assert (made["take-3"] / "take-3-01.mp4").is_file()
    before = {path: path.stat().st_ino for path in (tmp_path / "out").glob("*/*.mp4")}
    assert vidprod("process", *takes, *RECIPE, cwd=tmp_path).returncode == 0
    assert {path: path.stat().st_ino for path in (tmp_path / "out").glob("*/*.mp4")} == before


def test_files_of_someone_else_are_not_touched(take: Path, tmp_path: Path) -> None:
    (tmp_path / "out/take").mkdir(parents=True)
    (tmp_path / "out/take/holiday.txt").write_text("mine")
    done = vidprod("process", take, cwd=tmp_path)
    assert done.returncode == 1
    assert "already holds other files" in done.stderr
    assert [path.name for path in (tmp_path / "out/take").iterdir()] == ["holiday.txt"]


def test_what_is_refused_is_said_as_the_api_says_it_and_the_others_are_done(take: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("dear diary, this is no video at all\n")
    (tmp_path / "empty.mov").touch()
    (tmp_path / "folder.mp4").mkdir()
    torn = tmp_path / "torn.mov"
    torn.write_bytes(take.read_bytes()[:40])
    files = ("notes.mp4", "empty.mov", "folder.mp4", "nothing.mp4", torn, take)
    done = vidprod("process", *files, *RECIPE, cwd=tmp_path)
    assert done.returncode == 1
    assert "notes.mp4: not_a_video: " in done.stderr
    assert "it looks like text" in done.stderr
    assert "→ Send a video file: MP4, MOV" in done.stderr
    assert "empty.mov: not_a_video: " in done.stderr
    assert "folder.mp4: not_a_video: it is a directory" in done.stderr
    assert "nothing.mp4: not_found: cannot be read: No such file or directory" in done.stderr
    assert f"{torn}: " in done.stderr
    assert "Traceback" not in done.stderr
    assert job_of(tmp_path / "out/take")["state"] == "completed"
    failed = job_of(tmp_path / "out/torn")
    assert failed["state"] == "failed"
    assert failed["error"]["message"] in done.stderr


def test_a_directory_that_cannot_be_written_is_said_and_ends_with_3(take: Path, tmp_path: Path) -> None:
    done = vidprod("process", take, "-o", "/proc/nope", *RECIPE, cwd=tmp_path)
    assert done.returncode == 3
    assert f"{take}: /proc/nope: No such file or directory" in done.stderr
    assert "→ Choose an -o that can be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_directory_that_cannot_be_written_does_not_keep_the_others_from_being_done(
    take: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/other").write_text("a file, where a directory has to be")
    (tmp_path / "other.mov").write_bytes(take.read_bytes())
    done = vidprod("process", "other.mov", take, *RECIPE, cwd=tmp_path)
    assert done.returncode == 3
    assert "Not a directory" in done.stderr
    assert "Traceback" not in done.stderr
    assert job_of(tmp_path / "out/take")["state"] == "completed"


@pytest.mark.parametrize("size", ["4k", "64k"])
def test_a_full_volume_is_said_and_ends_with_3(take: Path, tmp_path: Path, size: str) -> None:
    """Of 4 KiB not even job.json can be rewritten; of 64 KiB the media child finds no room for a segment."""
    (tmp_path / "out").mkdir()
    mounted = (
        "unshare",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        f'mount -t tmpfs -o size={size} none out && exec "$@"',
    )
    done = subprocess.run(
        [*mounted, "sh", *command("process", take, *RECIPE)],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 3, done.stderr
    assert f"vidprod: {take}: " in done.stderr
    assert "No space left on device" in done.stderr
    assert "→ Choose an -o that can be written and has room" in done.stderr
    assert "File " not in done.stderr


def test_a_wrong_recipe_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    done = vidprod("process", "nothing.mp4", "--segment-s", "90", "--frame", "round", cwd=tmp_path)
    assert done.returncode == 2
    assert "bad_recipe: segment_s='90'" in done.stderr
    assert "frame='round': must be one of auto, face, blur, fill, original" in done.stderr


def test_an_interrupted_run_ends_its_child_and_goes_on_the_next_time(long_take: Path, tmp_path: Path) -> None:
    directory = tmp_path / "out/long"
    process = begin(long_take, cwd=tmp_path)
    first = wait_for_a_segment(process, directory)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    inode = (directory / first["file"]).stat().st_ino
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130, told
    assert "interrupted" in told
    assert "Traceback" not in told
    assert psutil.wait_procs(children, timeout=5)[1] == []
    assert not (directory / ".work").exists()
    assert job_of(directory)["state"] == "processing"

    again = vidprod("process", long_take, *RECIPE, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert (directory / first["file"]).stat().st_ino == inode
    job = job_of(directory)
    assert (job["state"], len(job["segments"])) == ("completed", len(job["plan"]["segments"]))


def test_a_run_that_was_killed_before_its_first_job_file_goes_on_the_next_time(take: Path, tmp_path: Path) -> None:
    """What it leaves is its own, though nothing there says so yet."""
    directory = tmp_path / "out/take"
    (directory / ".work").mkdir(parents=True)
    (directory / ".work/probe.json").write_text("{}")
    (directory / ".job.json.part").write_text('{"version"')
    done = vidprod("process", take, *RECIPE, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert job_of(directory)["state"] == "completed"
    assert not [path for path in directory.iterdir() if path.name.startswith(".")]


def test_a_child_that_dies_costs_only_the_segment_it_was_making(long_take: Path, tmp_path: Path) -> None:
    directory = tmp_path / "out/long"
    process = begin(long_take, cwd=tmp_path)
    first = wait_for_a_segment(process, directory)
    inode = (directory / first["file"]).stat().st_ino
    (child,) = psutil.Process(process.pid).children()
    (worker,) = child.children()
    os.kill(worker.pid, signal.SIGSEGV)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert len(job_of(directory)["segments"]) == len(job_of(directory)["plan"]["segments"])
    assert (directory / first["file"]).stat().st_ino == inode


@pytest.mark.parametrize(
    ("asked", "environ", "level"),
    [("", {}, "WARNING"), ("", {"VIDPROD_LOG_LEVEL": "debug"}, "DEBUG"), ('log_level = "info"', {}, "INFO")],
    ids=["default", "environment", "file"],
)
def test_the_log_has_the_level_that_is_asked_for_wherever_it_is_asked(
    asked: str, environ: dict[str, str], level: str, tmp_path: Path
) -> None:
    """Once the level of this command's own went before the environment and the file."""
    (tmp_path / "vidprod.toml").write_text(asked)
    code = (
        "import logging\nfrom vidprod.cli import main\nmain(['process', 'nothing.mp4'], standalone_mode=False)\n"
        "print(logging.getLevelName(logging.getLogger().level))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(**environ), cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == f"{level}\n", done.stderr
