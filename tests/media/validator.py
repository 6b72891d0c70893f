"""The judge of one finished segment: what every platform would accept, checked on the bytes and on every frame.

    python -m tests.media.validator FILE…

Each violation is a sentence that opens with the name of its rule. What may be is in `Expect`.
"""

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from tests.media.bitstream import Sps, VideoEntry, nal_units, parse_audio_entry, parse_sps, parse_video_entry
from tests.media.boxes import IDENTITY_MATRIX, BadBoxes, Movie, Track, read_movie
from tests.media.measure import Decoded, decode_all, source_duration_s, source_tags

STANDARD_RATES = tuple(
    Fraction(rate)
    for rate in ("24000/1001", "24", "25", "30000/1001", "30", "48000/1001", "48", "50", "60000/1001", "60")
)
MAX_BYTES = 64_000_000  # TikTok takes one chunk up to here
MAX_BITS_PER_S = 8_200_000
GENERIC_NAMES = {"", "VideoHandler", "SoundHandler", "Video", "Sound", "Audio"}
HARMLESS_TAGS = {b"\xa9too"}  # the muxer's own name
LOUDNESS_LUFS, LOUDNESS_TOLERANCE_LU = -14.0, 1.0
MAX_TRUE_PEAK_DBTP = -1.0
PUBLIC_TAGS = {"encoder", "major_brand", "minor_version", "compatible_brands", "language", "DURATION"}
MIN_SOURCE_TAG_CHARACTERS = 6  # shorter values of a source's tags turn up in any file by chance


@dataclass(frozen=True)
class Expect:
    """What this segment was meant to be."""

    frame: str = "auto"
    copied: bool = False  # video=copy: the source's own packets
    normalized: bool = True
    longest_s: float = 60.0
    source_s: float | None = None  # how long the source is: only a shorter one excuses a segment under 3 s
    frames: int | None = None


@dataclass
class Verdict:
    """What was found. `notes` are no faults: what could not be judged, and why."""

    violations: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, str] = field(default_factory=dict)

    def against(self, rule: str, what: str) -> None:
        self.violations.append(f"{rule}: {what}")


_DEFAULT = Expect()


def validate(path: Path | str, *, source: Path | str | None = None, expect: Expect = _DEFAULT) -> list[str]:
    """The violations of a finished segment; none when every platform would take it."""
    return examine(Path(path), source=Path(source) if source else None, expect=expect).violations


def examine(path: Path, *, source: Path | None = None, expect: Expect = _DEFAULT) -> Verdict:
    """As `validate`, with notes and the facts of the file."""
    verdict = Verdict()
    try:
        movie = read_movie(path)
    except (BadBoxes, ValueError, IndexError, ArithmeticError) as error:
        verdict.against("boxes", str(error))
        return verdict
    decoded = decode_all(path)
    pictures = [track for track in movie.tracks if track.handler == "vide"]
    sounds = [track for track in movie.tracks if track.handler == "soun"]
    _judge_container(movie, verdict, source)
    if len(movie.tracks) != 2 or len(pictures) != 1 or len(sounds) != 1:
        verdict.against("tracks", f"there are {[track.handler for track in movie.tracks]}, not one vide and one soun")
    if pictures:
        _guarded(verdict, lambda: _judge_picture(movie, pictures[0], decoded, verdict, expect))
    if sounds:
        _guarded(verdict, lambda: _judge_sound_format(sounds[0], verdict, expect))
        _judge_loudness(decoded, verdict, expect)
    source_s = expect.source_s if expect.source_s is not None else source_duration_s(source) if source else None
    _judge_times(movie, decoded, verdict, expect, source_s)
    _judge_bytes(movie, decoded, verdict, expect)
    _state_facts(movie, decoded, verdict)
    return verdict


def _guarded(verdict: Verdict, judge: Callable[[], None]) -> None:
    try:
        judge()
    except (BadBoxes, ValueError, IndexError) as error:
        verdict.against("boxes", str(error))


def _judge_container(movie: Movie, verdict: Verdict, source: Path | None) -> None:
    order = [box.kind for box in movie.boxes]
    if order[0] != b"ftyp":
        verdict.against("moov-first", f"the file opens with {order[0]!r}")
    if b"mdat" in order and order.index(b"moov") > order.index(b"mdat"):
        verdict.against("moov-first", "moov comes after mdat")
    if b"moof" in order:
        verdict.against("moov-first", "the file is fragmented")
    for track in movie.tracks:
        if track.edits:
            verdict.against("edit-list", f"the {track.handler} track has one")
        if any(track.creation_times):
            verdict.against("creation-time", f"the {track.handler} track says {track.creation_times}")
        if track.handler_name not in GENERIC_NAMES:
            verdict.against("handler-name", f"the {track.handler} track is called {track.handler_name!r}")
    if any(movie.creation_times):
        verdict.against("creation-time", f"the movie says {movie.creation_times}")
    for tag in _tags(movie):
        verdict.against("metadata", tag)
    for name, value in source_tags(source).items() if source else ():
        generic = any(value in ours for ours in GENERIC_NAMES)  # Android writes "VideoHandle"
        told = name.split()[-1] not in PUBLIC_TAGS and not generic
        if told and len(value) >= MIN_SOURCE_TAG_CHARACTERS and value.encode() in _header(movie):
            verdict.against("metadata", f"the source's {name} {value!r} is in the file")


def _header(movie: Movie) -> bytes:
    return b"".join(movie.data[box.start : box.end] for box in movie.boxes if box.kind not in (b"mdat", b"ftyp"))


def _tags(movie: Movie) -> Iterator[str]:
    """What lies in user data and metadata boxes, but for the muxer's own name."""
    for box in movie.walk():
        if box.kind == b"udta":
            for child in box.children:
                if child.kind != b"meta":
                    yield f"{child.path} is {movie.data[child.body : child.end][:40]!r}"
        elif box.kind in (b"uuid", b"sefd", b"XMP_") or (box.kind == b"meta" and not box.path.endswith("udta/meta")):
            yield f"there is a {box.path} box"
        if box.path.endswith("udta/meta"):
            yield from _listed_tags(movie.data[box.body : box.end])


def _listed_tags(meta: bytes) -> Iterator[str]:
    at = meta.find(b"ilst")
    if at < 4:
        return
    end, at = at - 4 + int.from_bytes(meta[at - 4 : at], "big"), at + 4
    while at + 8 <= end:
        size, name = int.from_bytes(meta[at : at + 4], "big"), meta[at + 4 : at + 8]
        if name not in HARMLESS_TAGS:
            yield f"tag {name!r} is {meta[at + 24 : at + size][:40]!r}"
        at += max(size, 8)


def _judge_picture(movie: Movie, track: Track, decoded: Decoded, verdict: Verdict, expect: Expect) -> None:
    if len(track.sample_entries) != 1:
        verdict.against("tracks", f"the picture has {len(track.sample_entries)} sample entries")
    _judge_rate(track, decoded, verdict, expect)
    if expect.copied:
        if track.entry[4:8] not in (b"avc1", b"hvc1", b"hev1"):
            verdict.against("video-codec", f"the picture is {track.entry[4:8]!r}")
        return
    if track.matrix != IDENTITY_MATRIX or decoded.rotations - {0}:
        verdict.against("rotation", f"the display matrix is {track.matrix}")
    if track.entry[4:8] != b"avc1":
        verdict.against("video-codec", f"the picture is {track.entry[4:8]!r}, not avc1")
        return
    entry = parse_video_entry(track.entry)
    parameter_sets = [parse_sps(nal) for nal in dict.fromkeys([*entry.sps, *_inband_sps(movie, track, entry)])]
    for sps in parameter_sets:
        _judge_sps(sps, verdict)
        _judge_size(sps.width, sps.height, verdict, expect)
        if (sps.width, sps.height) != track.display_size:
            verdict.against("square-pixels", f"{sps.width}x{sps.height} is shown as {track.display_size}")
    _judge_entry(entry, verdict)
    if decoded.formats - {"yuv420p"} or decoded.interlaced:
        verdict.against("progressive", f"{decoded.interlaced} interlaced frames, formats {sorted(decoded.formats)}")
    _judge_keyframes(movie, track, entry, verdict)


def _inband_sps(movie: Movie, track: Track, entry: VideoEntry) -> Iterator[bytes]:
    for sample in movie.samples(track):
        yield from (nal for nal in nal_units(sample, entry.length_size) if nal[0] & 31 == 7)


def _judge_sps(sps: Sps, verdict: Verdict) -> None:
    if sps.profile != 100:
        verdict.against("video-profile", f"profile {sps.profile} is not High (100)")
    if (sps.chroma_format, sps.bit_depth) != (1, 8):
        verdict.against("pixel-format", f"chroma format {sps.chroma_format}, {sps.bit_depth} bit; not 4:2:0, 8 bit")
    if not sps.frames_only:
        verdict.against("progressive", "the stream allows fields")
    if sps.sample_aspect not in (None, (1, 1)) and sps.sample_aspect[0] != sps.sample_aspect[1]:
        verdict.against("square-pixels", f"the stream says {sps.sample_aspect[0]}:{sps.sample_aspect[1]}")
    if sps.colour != (1, 1, 1):
        verdict.against("colour", f"the stream says {sps.colour}, not BT.709 (1, 1, 1)")
    if sps.full_range is not False:
        verdict.against("colour", "the stream does not say limited range")


def _judge_entry(entry: VideoEntry, verdict: Verdict) -> None:
    if entry.pixel_aspect and entry.pixel_aspect[0] != entry.pixel_aspect[1]:
        verdict.against("square-pixels", f"pasp says {entry.pixel_aspect[0]}:{entry.pixel_aspect[1]}")
    if entry.nclx not in (None, (1, 1, 1, False)):
        verdict.against("colour", f"colr says {entry.nclx}")
    if entry.others:
        verdict.against("metadata", f"the sample entry holds {', '.join(entry.others)}")


def _judge_size(width: int, height: int, verdict: Verdict, expect: Expect) -> None:
    if width % 2 or height % 2:
        verdict.against("dimensions", f"{width}x{height} is odd")
    if max(width, height) > 4096:
        verdict.against("dimensions", f"{width}x{height} is over 4096")
    if expect.frame == "original":
        return
    if min(width, height) < 360 or height > 1920:
        verdict.against("dimensions", f"{width}x{height} is not within 360 … 1920")
    if abs(width - height * 9 / 16) > 1:
        verdict.against("shape", f"{width}x{height} is not 9:16")


def _judge_rate(track: Track, decoded: Decoded, verdict: Verdict, expect: Expect) -> None:
    start = min(track.presentation_times, default=0)
    if start:
        verdict.against("starts-at-zero", f"the picture starts at {start / track.timescale * 1000:.3f} ms")
    if decoded.frame_times and decoded.frame_times[0]:
        verdict.against("starts-at-zero", f"the first picture is at {float(decoded.frame_times[0]) * 1000:.3f} ms")
    if len(track.sizes) != len(decoded.frame_times):
        verdict.against("frame-count", f"{len(track.sizes)} samples gave {len(decoded.frame_times)} pictures")
    if expect.frames is not None and len(decoded.frame_times) != expect.frames:
        verdict.against("frame-count", f"{len(decoded.frame_times)} pictures, not {expect.frames}")
    if any(later <= earlier for earlier, later in itertools.pairwise(decoded.frame_times)):
        verdict.against("picture-order", "pictures come out of the decoder in an order that is not that of their times")
    if expect.copied or not track.deltas:
        return
    runs = track.deltas
    if len(runs) > 2 or (len(runs) == 2 and runs[1][0] != 1):
        verdict.against("constant-rate", f"stts has {len(runs)} runs: {runs[:4]}")
    delta = runs[0][1]
    if not delta or not any(_near(Fraction(track.timescale, delta), rate) for rate in STANDARD_RATES):
        verdict.against("standard-rate", f"{track.timescale}/{delta} frames a second")
    steps = {later - earlier for earlier, later in itertools.pairwise(decoded.frame_times)}
    if len(steps) > 1:
        verdict.against("constant-rate", f"pictures are {sorted(float(step) * 1000 for step in steps)[:4]} ms apart")


def _near(rate: Fraction, standard: Fraction) -> bool:
    return abs(rate - standard) < standard / 100_000


def _judge_keyframes(movie: Movie, track: Track, entry: VideoEntry, verdict: Verdict) -> None:
    times = track.presentation_times
    sync = set(range(len(times))) if track.sync is None else set(track.sync)
    for number, sample in enumerate(movie.samples(track)):
        kinds = {nal[0] & 31 for nal in nal_units(sample, entry.length_size)} & {1, 2, 3, 4, 5}
        if not kinds:
            verdict.against("decodes", f"sample {number} holds no slice")
        if (kinds == {5}) != (number in sync):
            said = "a keyframe" if number in sync else "no keyframe"
            verdict.against("closed-gop", f"sample {number} is {said} in stss but has NAL types {sorted(kinds)}")
    if 0 not in sync:
        verdict.against("closed-gop", "the first sample is no keyframe")
    for number in sorted(sync):
        if any(at > times[number] for at in times[:number]) or any(at < times[number] for at in times[number + 1 :]):
            verdict.against("closed-gop", f"pictures are shown across the keyframe at sample {number}")
    ends = [*sorted(times[number] for number in sync if number < len(times)), track.duration]
    allowed = 2 * track.timescale + (track.deltas[0][1] if track.deltas else 0) / 2
    longest = max((later - earlier for earlier, later in itertools.pairwise(ends)), default=track.duration)
    if longest > allowed:
        verdict.against("keyframe-distance", f"{longest / track.timescale:.3f} s without a keyframe")


def _judge_sound_format(track: Track, verdict: Verdict, expect: Expect) -> None:
    if track.entry[4:8] != b"mp4a":
        verdict.against("audio-codec", f"the sound is {track.entry[4:8]!r}, not mp4a")
        return
    config = parse_audio_entry(track.entry)
    if config.object_type != 2 or config.extended:
        verdict.against("audio-codec", f"AAC object type {config.object_type}, not LC (2)")
    if config.sample_rate != 48_000:
        verdict.against("audio-rate", f"{config.sample_rate} Hz, not 48000")
    if config.channels != 2:
        verdict.against("audio-layout", f"{config.channels} channels, not 2")
    if start := min(track.presentation_times, default=0):
        verdict.against("starts-at-zero", f"the sound starts at {start / track.timescale * 1000:.3f} ms")
    if len({delta for _, delta in track.deltas[:-1]} - {1024}) or (track.deltas and track.deltas[-1][1] > 1024):
        verdict.against("audio-gaps", f"stts is {track.deltas[:4]}, not 1024 samples throughout")


def _judge_loudness(decoded: Decoded, verdict: Verdict, expect: Expect) -> None:
    loudness, peak = decoded.integrated_lufs, decoded.true_peak_dbtp
    if not expect.normalized:
        verdict.notes.append("loudness was not asked for")
        return
    if peak is not None and peak > MAX_TRUE_PEAK_DBTP + 0.05:  # ebur128 prints tenths
        verdict.against("true-peak", f"{peak:.2f} dBTP is over {MAX_TRUE_PEAK_DBTP:g}")
    if loudness is None:
        verdict.notes.append("silent, or too short (under 0.4 s) for a loudness to exist")
    elif abs(loudness - LOUDNESS_LUFS) > LOUDNESS_TOLERANCE_LU:
        text = f"{loudness:.2f} LUFS is not {LOUDNESS_LUFS:g} +- {LOUDNESS_TOLERANCE_LU:g}"
        if (decoded.audio_end or 0) < 3:
            verdict.notes.append(f"{text}, on under 3 s of sound, where it is no measure")
        else:
            verdict.against("loudness", text)


def _judge_times(movie: Movie, decoded: Decoded, verdict: Verdict, expect: Expect, source_s: float | None) -> None:
    ends = {"movie": Fraction(movie.duration, movie.timescale)}
    for track in movie.tracks:
        ends[f"{track.handler} mdhd"] = Fraction(track.duration, track.timescale)
        ends[f"{track.handler} tkhd"] = Fraction(track.tkhd_duration, movie.timescale)
        last = max(track.presentation_times, default=0) + (track.deltas[-1][1] if track.deltas else 0)
        ends[f"{track.handler} samples"] = Fraction(last, track.timescale)
    if decoded.video_end is not None:
        ends["decoded picture"] = decoded.video_end
    if decoded.audio_end is not None:
        ends["decoded sound"] = decoded.audio_end
    limit = min(Fraction(60), Fraction(expect.longest_s).limit_denominator(1000))
    for name, end in ends.items():
        if end > limit:
            verdict.against("at-most-60s", f"{name} ends at {float(end):.6f} s, over {float(limit):g}")
    if decoded.audio_start:
        verdict.against("starts-at-zero", f"the first sound is at {float(decoded.audio_start) * 1000:.3f} ms")
    if decoded.video_end is not None and decoded.audio_end is not None:
        apart = abs(decoded.video_end - decoded.audio_end)
        if apart >= Fraction(50, 1000):
            verdict.against("same-end", f"picture and sound end {float(apart) * 1000:.1f} ms apart")
    length = float(decoded.video_end or 0)
    if length < 3 and not (source_s is not None and source_s < 3):
        verdict.against("at-least-3s", f"{length:.3f} s, of a source of {source_s} s")


def _judge_bytes(movie: Movie, decoded: Decoded, verdict: Verdict, expect: Expect) -> None:
    for error in decoded.errors[:5]:
        verdict.against("decodes", error)
    if decoded.corrupt:
        verdict.against("decodes", f"{decoded.corrupt} damaged pictures")
    size = len(movie.data)
    if size >= MAX_BYTES:
        verdict.against("file-size", f"{size} bytes, not under {MAX_BYTES}")
    seconds = max(3.0, float(decoded.video_end or 0))  # one keyframe may be large: a short clip has 3 s worth of bytes
    if not expect.copied and size * 8 / seconds > MAX_BITS_PER_S:
        verdict.against("bitrate", f"{size * 8 / seconds / 1e6:.2f} Mb/s is over {MAX_BITS_PER_S / 1e6:g}")


def _state_facts(movie: Movie, decoded: Decoded, verdict: Verdict) -> None:
    size = next(iter(decoded.sizes), (0, 0))
    if len(decoded.sizes) > 1:
        verdict.against("dimensions", f"the picture changes its size: {sorted(decoded.sizes)}")
    length = float(decoded.video_end or 0)
    verdict.facts.update(
        size=f"{size[0]}x{size[1]}",
        seconds=f"{length:.3f}",
        frames=str(len(decoded.frame_times)),
        lufs="-" if decoded.integrated_lufs is None else f"{decoded.integrated_lufs:.1f}",
        dbtp="-" if decoded.true_peak_dbtp is None else f"{decoded.true_peak_dbtp:.1f}",
        mbps=f"{len(movie.data) * 8 / length / 1e6:.2f}" if length else "-",
    )


def main(arguments: list[str]) -> int:
    """Judge files and print a table."""
    parser = argparse.ArgumentParser(prog="python -m tests.media.validator", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--frame", choices=("auto", "face", "blur", "fill", "original"), default="auto")
    parser.add_argument("--copied", action="store_true", help="the job was video=copy")
    parser.add_argument("--no-loudness", action="store_true")
    parser.add_argument("--source", type=Path, help="the take the segments were made of")
    options = parser.parse_args(arguments)
    expect = Expect(frame=options.frame, copied=options.copied, normalized=not options.no_loudness)
    columns = ("size", "seconds", "frames", "lufs", "dbtp", "mbps")
    print(f"{'file':40} " + " ".join(f"{name:>10}" for name in columns) + "  verdict")
    faults = 0
    for path in options.files:
        verdict = examine(path, source=options.source, expect=expect)
        faults += bool(verdict.violations)
        cells = " ".join(f"{verdict.facts.get(name, '-'):>10}" for name in columns)
        print(f"{path.name[:40]:40} {cells}  {'ok' if not verdict.violations else 'BAD'}")
        for line in verdict.violations:
            print(f"    {line}")
        for line in verdict.notes:
            print(f"    note: {line}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
