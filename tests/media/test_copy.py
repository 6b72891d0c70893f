"""`video=copy` cuts on keyframes and leaves every packet of the picture as it was."""

import os
import resource
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media import damage, hdr, readers, synth
from tests.media.boxes import Movie, Track, read_movie
from tests.media.conftest import MakeSegments
from tests.media.synth import PLAIN, PORTRAIT
from vidprod.domain.step import Limits
from vidprod.errors import Refused
from vidprod.media import keyframes
from vidprod.media.probe import measure

GOP_S = 1.0
TINY = (36, 64)


def payloads(path: Path) -> list[bytes]:
    """The picture's packets as they lie in the file."""
    movie = read_movie(path)
    track = next(track for track in movie.tracks if track.handler == "vide")
    return list(movie.samples(track))


def sound_of(path: Path) -> tuple[Movie, Track]:
    movie = read_movie(path)
    return movie, next(track for track in movie.tracks if track.handler == "soun")


def sound_blocks(path: Path) -> Iterator[bytes]:
    with av.open(str(path)) as container:
        yield from (bytes(packet) for packet in container.demux(audio=0) if packet.size and not packet.is_discard)


def closed(options: dict[str, str]) -> synth.Style:
    return replace(PLAIN, options={"x264-params": "open-gop=0:scenecut=0", **options}, gop=30)


@pytest.mark.parametrize("options", [{"preset": "ultrafast"}, {"preset": "veryfast"}], ids=["plain", "b-frames"])
def test_a_copy_keeps_every_packet_to_the_bit(
    tmp_path: Path, make_segments: MakeSegments, options: dict[str, str]
) -> None:
    source = synth.numbered(tmp_path / "take.mp4", 300, style=closed(options))
    done = make_segments(source, segment_s=4.5, video="copy", snap="none")
    assert len(done.segments) == 3
    assert [payload for path in done.segments for payload in payloads(path)] == payloads(source)
    assert [n for path in done.segments for _, n in readers.numbers(path, PORTRAIT)] == list(range(300))
    assert done.faults() == []


def test_a_copy_is_cut_on_keyframes_and_no_segment_is_too_long(tmp_path: Path, make_segments: MakeSegments) -> None:
    source = synth.numbered(tmp_path / "take.mp4", 300, style=closed({"preset": "ultrafast"}))
    done = make_segments(source, segment_s=4.5, video="copy")
    for path, planned in zip(done.segments, done.plan.segments, strict=True):
        track = next(track for track in read_movie(path).tracks if track.handler == "vide")
        assert track.sync is None or track.sync[0] == 0
        assert planned.in_us % round(GOP_S * 1e6) == pytest.approx(0, abs=1)
        assert (planned.out_us - planned.in_us) / 1e6 <= 4.5
    assert done.faults() == []


@pytest.mark.parametrize("name", ["take.mp4", "take.mkv"])
def test_picture_and_sound_of_a_copy_end_by_the_limit(tmp_path: Path, make_segments: MakeSegments, name: str) -> None:
    """4 s between keyframes are 187.5 blocks of sound: where 188 began in a segment, it was 11 ms too long."""
    beat = [n + 0.5 for n in range(12)]
    source = synth.flash_and_beep(tmp_path / name, beat, seconds=12.0, style=closed(B_FRAMES))
    done = make_segments(source, segment_s=4.0, video="copy")
    assert [segment.out_us - segment.in_us for segment in done.plan.segments] == [4_000_000] * 3
    rounded = "decoded picture ends at 4.000333 s"  # Matroska's last time of presentation, and a thirtieth of a second
    assert [fault for fault in done.faults() if rounded not in fault] == []
    beeps = [n * 4 + time for n, path in enumerate(done.segments) for time in readers.beep_times(path)]
    assert beeps == pytest.approx(beat, abs=0.020)


def test_each_block_of_sound_is_in_one_segment_but_for_what_the_limit_leaves_out(
    tmp_path: Path, make_segments: MakeSegments
) -> None:
    source = synth.numbered(tmp_path / "take.mp4", 360, style=closed(B_FRAMES))
    for segment_s, left_out in ((4.5, 0), (4.0, 1)):
        done = make_segments(source, segment_s=segment_s, video="copy")
        kept = [list(movie.samples(track)) for movie, track in map(sound_of, done.segments)]
        first, *_ = whole = list(sound_blocks(source))
        assert kept[0][0] == first
        at = 0
        for blocks in kept:
            skipped = whole.index(blocks[0]) - at
            assert skipped <= left_out
            assert blocks == whole[at + skipped : at + skipped + len(blocks)]
            at += skipped + len(blocks)
        assert len(whole) - at <= 1 + left_out


def test_sound_stays_with_a_copied_picture(tmp_path: Path, make_segments: MakeSegments) -> None:
    at = [0.4, 1.4, 2.4, 3.4, 4.6, 5.4, 6.0]
    source = synth.flash_and_beep(tmp_path / "take.mp4", at, seconds=7.0, style=closed({"preset": "veryfast"}))
    done = make_segments(source, segment_s=4.5, video="copy", snap="none")
    flashes, beeps = [], []
    for planned, path in zip(done.plan.segments, done.segments, strict=True):
        start = planned.in_us / 1e6
        flashes += [start + time for time in readers.flash_times(path)]
        beeps += [start + time for time in readers.beep_times(path)]
    assert flashes == pytest.approx(at, abs=0.020)
    assert beeps == pytest.approx(at, abs=0.020)
    assert done.faults() == []


@pytest.mark.parametrize("name", ["take.mp4", "take.mkv"])
@pytest.mark.parametrize(
    ("begins_s", "missing_s"),
    [(2048 / synth.RATE, (0, 0)), (0, (2.0, 4.5))],
    ids=["it begins two blocks late", "there is a hole across a cut"],
)
def test_sound_that_does_not_follow_the_picture_is_made_anew_in_its_place(
    tmp_path: Path, make_segments: MakeSegments, name: str, begins_s: float, missing_s: tuple[float, float]
) -> None:
    """The first block of a copied segment was put at its beginning, wherever it belonged: 43 ms early, 0.5 s early."""
    at = [0.4, 1.4, 5.4, 6.4]
    style = closed({"preset": "ultrafast"})
    whole = synth.flash_and_beep(tmp_path / f"whole-{name}", at, seconds=8.0, audio_start_s=begins_s, style=style)
    source = with_a_hole(whole, tmp_path / name, *missing_s)
    done = make_segments(source, segment_s=4.5, video="copy")
    assert [planned.in_us // 1_000_000 for planned in done.plan.segments] == [0, 4]
    beeps = [
        planned.in_us / 1e6 + time
        for planned, path in zip(done.plan.segments, done.segments, strict=True)
        for time in readers.beep_times(path)
    ]
    assert beeps == pytest.approx(at, abs=0.020)
    assert done.faults() == []


def with_a_hole(source: Path, path: Path, from_s: float, to_s: float) -> Path:
    """The same file without the sound between these two times."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        streams = {stream.index: new.add_stream_from_template(stream) for stream in old.streams}
        for packet in old.demux():
            if packet.dts is None:
                continue
            time = float((packet.pts or 0) * packet.time_base)
            if packet.stream.type != "audio" or not from_s <= time < to_s:
                packet.stream = streams[packet.stream_index]
                new.mux(packet)
    return path


def test_segments_are_finished_one_by_one_though_the_sound_ends_early(
    tmp_path: Path, make_segments: MakeSegments
) -> None:
    """All of them were kept open for the sound that might still come: a long take ran out of descriptors."""
    style = replace(closed({"preset": "ultrafast"}), gop=5)
    sound = synth.Sound(synth.noise(4.0))
    source = synth.numbered(tmp_path / "take.mp4", 360, 5, size=TINY, sound=sound, style=style)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 16, hard))
    try:
        done = make_segments(source, segment_s=3, video="copy")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(done.segments) == 24


def test_a_copy_of_a_transport_stream_and_of_hevc_works(tmp_path: Path, make_segments: MakeSegments) -> None:
    stream = synth.numbered(tmp_path / "take.ts", 120, style=closed({"preset": "ultrafast"}))
    hevc = hdr.hdr(tmp_path / "take.mp4", "hlg", seconds=3.2)
    for source in (stream, hevc):
        done = make_segments(source, video="copy")
        assert done.faults() == []
        assert sum(1 for _ in readers.pictures(done.segments[0])) == done.renditions[0].frames


B_FRAMES = {"preset": "veryfast", "x264-params": "open-gop=0:scenecut=0:bframes=3:b-pyramid=normal:b-adapt=0"}


@pytest.mark.parametrize("options", [{}, {"live": "1"}], ids=["with cues", "without cues"])
@pytest.mark.parametrize("todo", [None, [1]], ids=["whole", "one alone"])
def test_pictures_without_decode_times_are_copied(
    tmp_path: Path, make_segments: MakeSegments, options: dict[str, str], todo: list[int] | None
) -> None:
    """Matroska has none, and where there are B-frames FFmpeg does not guess those of the first pictures."""
    style = replace(closed(B_FRAMES), format="matroska", container_options=options)
    source = synth.numbered(tmp_path / "take.mkv", 300, style=style)
    done = make_segments(source, segment_s=4.5, video="copy", todo=todo)
    wanted = done.plan.segments if todo is None else [done.plan.segments[index] for index in todo]
    numbers = [segment.first_frame + n for segment in wanted for n in range(segment.frames)]
    assert [n for path in done.segments for _, n in readers.numbers(path, PORTRAIT)] == numbers
    assert done.faults() == []
    for path in done.segments:
        track = next(track for track in read_movie(path).tracks if track.handler == "vide")
        assert {round(delta / track.timescale, 2) for _, delta in track.deltas} == {0.03}  # even, as they were coded


def test_segments_left_over_on_both_sides_of_a_finished_one_keep_their_sound(
    tmp_path: Path, make_segments: MakeSegments
) -> None:
    source = synth.numbered(tmp_path / "take.mp4", 420, style=closed(B_FRAMES))
    done = make_segments(source, segment_s=4.5, video="copy", todo=[0, 2])
    assert done.faults() == []


@pytest.mark.parametrize("name", ["take.mp4", "take.mkv", "take.flv"])
def test_a_copied_segment_made_alone_is_the_same_to_the_byte(
    tmp_path: Path, make_segments: MakeSegments, name: str
) -> None:
    source = synth.numbered(tmp_path / name, 420, size=TINY, style=closed(B_FRAMES))
    whole = make_segments(source, segment_s=4.5, video="copy")
    for todo in ([1], [0, 2]):
        alone = make_segments(source, segment_s=4.5, video="copy", todo=todo)
        assert alone.renditions == [whole.renditions[index] for index in todo]


def test_reordered_pictures_of_a_varying_rate_keep_their_times(tmp_path: Path, make_segments: MakeSegments) -> None:
    times = [n / 60 + 1.5 * (n // 12) for n in range(48)]  # bursts, and B-frames across the gaps between them
    pictures = ((Fraction(round(at * 1000), 1000), synth.numbered_picture(n, PORTRAIT)) for n, at in enumerate(times))
    style = replace(closed(B_FRAMES), time_base=Fraction(1, 1000))
    source = synth.write(tmp_path / "take.mkv", pictures, rate=Fraction(60), sound=None, style=style)
    done = make_segments(source, video="copy")
    read = readers.numbers(done.segments[0], PORTRAIT)
    assert [n for _, n in read] == list(range(48))
    assert [at for at, _ in read] == pytest.approx(times, abs=0.001)


@pytest.mark.parametrize("name", ["take.avi", "take.mkv", "take.ts"])
@pytest.mark.parametrize("todo", [None, [1]], ids=["whole", "one alone"])
def test_a_take_whose_picture_comes_after_its_sound_is_copied(
    tmp_path: Path, make_segments: MakeSegments, name: str, todo: list[int] | None
) -> None:
    """What is before the first segment was sought for before the first picture, which AVI does not allow."""
    style = closed({"preset": "ultrafast"})
    source = synth.flash_and_beep(tmp_path / name, [2.5, 6.5], seconds=8.0, video_start_s=0.3, style=style)
    done = make_segments(source, segment_s=4.5, video="copy", todo=todo)
    assert done.info.start_us < done.info.video.start_us
    assert done.faults() == []
    assert sum(1 for path in done.segments for _ in readers.pictures(path)) == (231 if todo is None else 111)


def test_an_avi_with_b_frames_is_not_copied(tmp_path: Path, make_segments: MakeSegments) -> None:
    """Its copy showed pictures in the order of the file: four steps forward, three back."""
    source = synth.numbered(tmp_path / "take.avi", 300, style=closed(B_FRAMES))
    with pytest.raises(Refused, match="does not say when its pictures are shown") as refusal:
        make_segments(source, video="copy")
    assert refusal.value.code == "copy_times"


def test_a_copy_of_a_take_whose_index_is_off_starts_from_its_beginning(
    tmp_path: Path, make_segments: MakeSegments
) -> None:
    source = synth.numbered(tmp_path / "take.mkv", 300, style=closed({"preset": "ultrafast"}))
    damage.misleading_cues(source)
    whole, alone = (make_segments(source, segment_s=4.5, video="copy", todo=todo) for todo in (None, [1]))
    assert payloads(alone.segments[0]) == payloads(whole.segments[1])


def test_what_is_said_of_a_copied_segment_is_what_its_file_says(tmp_path: Path, make_segments: MakeSegments) -> None:
    """Of a take whose pictures are far apart where it is cut, the plan alone would not do."""
    times = [n / 30 + 0.9 * (n // 60) for n in range(240)]  # 2 s of pictures, then one that is shown for 0.9 s
    pictures = ((Fraction(round(at * 1000), 1000), synth.numbered_picture(n, PORTRAIT)) for n, at in enumerate(times))
    style = replace(closed({"preset": "ultrafast"}), time_base=Fraction(1, 1000))
    source = synth.write(tmp_path / "take.mkv", pictures, rate=Fraction(30), sound=None, style=style)
    done = make_segments(source, segment_s=3.5, video="copy")
    assert len(done.segments) > 1
    for planned, path, rendition in zip(done.plan.segments, done.segments, done.renditions, strict=True):
        with av.open(str(path)) as container:
            assert rendition.duration_us == container.duration
        track = next(track for track in read_movie(path).tracks if track.handler == "vide")
        assert track.duration / track.timescale * 1e6 == pytest.approx(planned.out_us - planned.in_us, abs=1)
        assert rendition.frames == sum(1 for _ in readers.pictures(path))


def test_a_copied_take_keeps_its_rotation(tmp_path: Path, make_segments: MakeSegments) -> None:
    source = synth.rotated(tmp_path / "take.mp4", 90)
    done = make_segments(source, video="copy")
    with av.open(str(done.segments[0])) as container:
        frame = next(container.decode(video=0))
    assert frame.rotation % 360 == 270  # FFmpeg counts anticlockwise
    assert done.faults() == []


def test_the_stills_of_a_copy_are_its_own_pictures(tmp_path: Path, make_segments: MakeSegments) -> None:
    """Each second of the take is brighter than the one before, and each tile of a sheet than the one to its left."""
    pictures = ((Fraction(n, 30), np.full(PORTRAIT[::-1], 40 + n // 30 * 20, np.uint8)) for n in range(240))
    source = synth.write(tmp_path / "take.mp4", pictures, rate=Fraction(30), sound=None, style=closed(B_FRAMES))
    done = make_segments(source, segment_s=4.5, video="copy")
    seen = []
    for path, rendition in zip(done.segments, done.renditions, strict=True):
        sheet, sprite = readers.luma(readers.frame_at(path.with_suffix(".sprite.jpg"), 0)), rendition.sprite
        assert sprite is not None
        tiles = np.split(sheet[:, : sprite.count * sprite.tile_width], sprite.count, axis=1)
        seen += [round((float(tile.mean()) * 219 / 255 + 16 - 40) / 20) for tile in tiles]
    assert seen == list(range(8))


def test_private_words_are_gone_from_a_copy(tmp_path: Path, make_segments: MakeSegments) -> None:
    done = make_segments(synth.with_metadata(tmp_path / "take.mov"), video="copy")
    assert done.faults() == []


OPEN = {"preset": "veryfast", "x264-params": "open-gop=1:scenecut=0:bframes=3:b-adapt=0"}


@pytest.mark.parametrize(
    "style",
    [
        closed({"preset": "ultrafast"}),
        closed(B_FRAMES),
        replace(closed(B_FRAMES), time_base=Fraction(1, 1000)),
        replace(closed({}), options=OPEN),
        replace(closed({"preset": "ultrafast"}), container_options={"movflags": "frag_keyframe+empty_moov"}),
    ],
    ids=["plain", "B-frames", "milliseconds", "open GOPs", "fragments"],
)
@pytest.mark.parametrize("segment_s", [3.0, 4.5, 7.0])
def test_an_index_gives_the_cuts_that_the_packets_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, style: synth.Style, segment_s: float
) -> None:
    """It is trusted as far as the packets at the cuts bear it out."""
    source = synth.numbered(tmp_path / "take.mp4", 390, size=TINY, style=style, first_s=0.2)
    by_index = cuts_of(source, segment_s)
    monkeypatch.setattr(keyframes, "_cuts_by_index", lambda *args, **kwargs: None)
    assert by_index == cuts_of(source, segment_s)


def cuts_of(source: Path, segment_s: float) -> keyframes.CopyCuts | str:
    info = measure(source, limits=Limits(), progress=lambda done, total: None)
    try:
        return keyframes.keyframe_cuts(source, info, segment_s=segment_s, limits=Limits(), progress=lambda done: None)
    except Refused as refusal:
        return refusal.code


@pytest.mark.parametrize("name", ["take.mp4", "take.mov"])
def test_planning_a_copy_reads_little_of_a_take_with_an_index(tmp_path: Path, name: str) -> None:
    loud = synth.Sound(synth.noise(20.0, channels=6), layout="5.1", codec="pcm_s16le")  # 12 MB
    source = synth.numbered(tmp_path / name, 600, size=TINY, sound=loud, style=closed(B_FRAMES))
    info = measure(source, limits=Limits(), progress=lambda done, total: None)
    before = bytes_read()
    cuts = keyframes.keyframe_cuts(source, info, segment_s=10, limits=Limits(), progress=lambda done: None)
    assert len(cuts.segments) == 2
    assert bytes_read() - before < source.stat().st_size / 5


def bytes_read() -> int:
    """By this process, so far."""
    return int(Path("/proc/self/io").read_text().split()[1])


def test_a_take_that_cannot_be_copied_is_refused_with_the_reason(tmp_path: Path, make_segments: MakeSegments) -> None:
    source = damage.long_gop(tmp_path / "take.mp4", seconds=8)
    with pytest.raises(Refused, match=r"keyframe") as refusal:
        make_segments(source, segment_s=4, video="copy")
    assert refusal.value.code
    assert refusal.value.hint


def test_a_copied_segment_that_is_too_short_for_a_platform_is_warned_about(
    tmp_path: Path, make_segments: MakeSegments
) -> None:
    source = synth.numbered(tmp_path / "take.mp4", 150, size=TINY, style=closed({"preset": "ultrafast"}))
    done = make_segments(source, segment_s=4, video="copy", todo=[])
    assert min(segment.out_us - segment.in_us for segment in done.plan.segments) < 3_000_000
    assert [warning for warning in done.plan.warnings if "shorter than 3 s" in warning]


def test_a_copy_with_nothing_left_to_do_is_done(tmp_path: Path, make_segments: MakeSegments) -> None:
    """A daemon that died after the last segment and before the step's end asks for this."""
    source = synth.numbered(tmp_path / "take.mp4", 150, size=TINY, style=closed({"preset": "ultrafast"}))
    assert make_segments(source, segment_s=4, video="copy", todo=[]).segments == []
