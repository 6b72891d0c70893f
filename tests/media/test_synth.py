"""The synthetic takes are what they say, and the readers read it: proven on the sources, before anything is judged."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media import damage, hdr, readers, synth
from tests.media.boxes import BadBoxes, read_movie
from tests.media.measure import loudness, source_duration_s, source_tags
from tests.media.synth import LANDSCAPE, PORTRAIT, Sound, tone

RATES = ["24", "25", "30000/1001", "30", "50", "60"]


@pytest.mark.parametrize("rate", RATES)
def test_every_number_is_read_back_in_order(tmp_path: Path, rate: str) -> None:
    path = synth.numbered(tmp_path / "take.mp4", 40, Fraction(rate))
    read = readers.numbers(path, PORTRAIT)
    assert [number for _, number in read] == list(range(40))
    assert read[39][0] == pytest.approx(39 / Fraction(rate), abs=1e-4)


def test_numbers_survive_a_crop_to_9_16_and_a_rescale() -> None:
    for number in (0, 1, 255, 256, 4095, 40_000, 65_535):
        picture = synth.numbered_picture(number, LANDSCAPE)
        cropped = picture[:, 219:421]
        assert readers.read_number(cropped, LANDSCAPE, readers.Rect(-219, 0, 640, 360)) == number
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="gray").reformat(width=404, height=228)
        canvas = np.full((720, 404), 80, np.uint8)
        canvas[246:474] = readers.luma(frame)
        assert readers.read_number(canvas, LANDSCAPE, readers.Rect(0, 246, 404, 228)) == number


def test_a_blend_of_two_frames_is_unreadable() -> None:
    one, two = (synth.numbered_picture(n, PORTRAIT).astype(np.uint16) for n in (21, 22))
    with pytest.raises(readers.Unreadable):
        readers.read_number(((one + two) // 2).astype(np.uint8), PORTRAIT)


def test_a_misread_bit_does_not_pass_for_another_number() -> None:
    picture = synth.numbered_picture(1234, PORTRAIT)
    left, top, side = synth.code_cells(PORTRAIT)
    picture[top : top + side, left : left + side] = synth.WHITE
    with pytest.raises(readers.Unreadable):
        readers.read_number(picture, PORTRAIT)


def test_irregular_times_are_kept(tmp_path: Path) -> None:
    times = synth.phone_times(5)
    read = readers.numbers(synth.vfr(tmp_path / "take.mp4", times), PORTRAIT)
    steps = np.diff([at for at, _ in read])
    assert steps.max() > 2.5 * np.median(steps)
    assert max(abs(at - times[number]) for at, number in read) < 1e-4
    assert len(read) == len(times)


AT = [0.5, 1.5, 2.5]


@pytest.mark.parametrize(
    ("starts", "lit", "heard"),
    [
        ((0.0, 0.0), AT, AT),
        ((0.0, 0.7), AT, AT[1:]),
        ((0.7, 0.0), AT[1:], AT),
    ],
    ids=["together", "late sound", "late picture"],
)
def test_flashes_and_beeps_are_found_when_they_happen(
    tmp_path: Path, starts: tuple[float, float], lit: list[float], heard: list[float]
) -> None:
    late_picture, late_sound = starts
    path = synth.flash_and_beep(
        tmp_path / "take.mkv", AT, seconds=3.2, video_start_s=late_picture, audio_start_s=late_sound
    )
    assert readers.flash_times(path) == pytest.approx(lit, abs=0.002)
    assert readers.beep_times(path) == pytest.approx(heard, abs=0.002)


def test_a_transport_stream_starts_late_and_stays_in_step(tmp_path: Path) -> None:
    options = {"output_ts_offset": "100"}
    style = replace(synth.PLAIN, format="mpegts", container_options=options)
    path = synth.flash_and_beep(tmp_path / "take.ts", AT, seconds=3.2, style=style)
    flashes, beeps = readers.flash_times(path), readers.beep_times(path)
    assert flashes[0] > 100
    assert flashes == pytest.approx(beeps, abs=0.002)


@pytest.mark.parametrize(
    ("degrees", "matrix", "coded"),
    [
        (0, (1, 0, 0, 1), ["red", "green", "blue", "white"]),
        (90, (0, 1, -1, 0), ["green", "white", "red", "blue"]),  # as a phone held upright writes it
        (180, (-1, 0, 0, -1), ["white", "blue", "green", "red"]),
        (270, (0, -1, 1, 0), ["blue", "red", "white", "green"]),
    ],
)
def test_a_turned_take_is_coded_turned_and_says_so(
    tmp_path: Path, degrees: int, matrix: tuple[int, ...], coded: list[str]
) -> None:
    path = synth.rotated(tmp_path / "take.mp4", degrees, seconds=0.5)
    whole = read_movie(path).tracks[0].matrix
    assert tuple(whole[i] >> 16 for i in (0, 1, 3, 4)) == matrix
    assert readers.upright(path) == coded


def test_a_disc_is_narrow_in_code_when_it_is_round_on_screen(tmp_path: Path) -> None:
    path = synth.anamorphic(tmp_path / "take.mp4", Fraction(2), size=(320, 360), seconds=0.5)
    width, height = readers.disc(readers.luma(readers.frame_at(path, 3)))
    assert width * 2 == pytest.approx(height, rel=0.02)
    with av.open(str(path)) as container:
        assert container.streams.video[0].sample_aspect_ratio == 2


def test_woven_fields_comb_and_a_still_disc_does_not(tmp_path: Path) -> None:
    path = synth.interlaced(tmp_path / "take.mp4", seconds=0.6)
    frame = readers.frame_at(path, 10)
    assert frame.interlaced_frame
    assert readers.combing(readers.luma(frame)) > 0.01
    assert readers.combing(synth.circle((640, 480), Fraction(1))) < 0.001


@pytest.mark.parametrize(("transfer", "code"), [("pq", 16), ("hlg", 18)])
def test_hdr_takes_are_10_bit_and_tagged(tmp_path: Path, transfer: str, code: int) -> None:
    path = hdr.hdr(tmp_path / "take.mp4", "pq" if transfer == "pq" else "hlg", seconds=0.4)
    frame = readers.frame_at(path, 3)
    tags = (frame.format.name, frame.color_primaries, frame.color_trc, frame.colorspace)
    assert tags == ("yuv420p10le", 9, code, 9)


def test_the_transfer_curves_hit_the_levels_of_bt_2408() -> None:
    for light, of_pq, of_hlg in ((203.0, 0.58, 0.75), (26.0, 0.38, 0.38), (1000.0, 0.75, 1.0), (0.0, 0.0, 0.0)):
        assert hdr.pq(np.full(3, light))[1] == pytest.approx(of_pq, abs=0.006)
        assert hdr.hlg(np.full(3, light))[1] == pytest.approx(of_hlg, abs=0.006)


def tone_mapped(light: hdr.Light, *, white: float = 0.62) -> hdr.Signal:
    """A plain good one: reference white at 82 % of the signal, highlights rolled off above."""
    peak = max(light) / hdr.REFERENCE_WHITE * white
    rolled = peak if peak <= white else white + (1 - white) * (1 - float(np.exp((white - peak) / (1 - white))))
    gain = rolled / peak if peak else 1.0
    r, g, b = ((value / hdr.REFERENCE_WHITE * white * gain) ** (1 / 2.4) for value in light)
    return r, g, b


def show_patches(path: Path, signals: dict[str, hdr.Signal]) -> Path:
    """A segment that shows these signals."""
    width, height = PORTRAIT
    picture = np.zeros((height, width, 3), np.uint8)
    for number, signal in enumerate(signals.values()):
        row, column = divmod(number, 2)
        where = slice(row * height // 4, (row + 1) * height // 4), slice(column * width // 2, (column + 1) * width // 2)
        picture[where] = np.round(np.clip(signal, 0, 1) * np.array(255.0))
    return synth.write(path, [(Fraction(n, 30), picture) for n in range(30)], rate=Fraction(30), sound=None)


def test_a_good_tone_mapping_passes_the_judge_of_brightness(tmp_path: Path) -> None:
    meant = {name: tone_mapped(light) for name, light in hdr.PATCHES.items()}
    assert hdr.faults_of_brightness(meant) == []
    seen = hdr.patches(show_patches(tmp_path / "segment.mp4", meant))
    assert hdr.faults_of_brightness(seen) == []
    for name, signal in meant.items():
        assert seen[name] == pytest.approx(signal, abs=0.03)


def shown_untouched(transfer: str) -> dict[str, hdr.Signal]:
    """The HDR signal taken for an SDR one, as a converter does that ignores the transfer."""
    return {name: hdr.signal_of(light, transfer) for name, light in hdr.PATCHES.items()}


def test_hdr_taken_for_sdr_is_caught() -> None:
    assert any("washed out" in fault for fault in hdr.faults_of_brightness(shown_untouched("pq")))
    assert hdr.faults_of_brightness(shown_untouched("hlg")) != []


def test_clipped_crushed_and_tinted_pictures_are_called_so() -> None:
    good = {name: tone_mapped(light) for name, light in hdr.PATCHES.items()}
    clipped = {name: tone_mapped(light, white=0.999) for name, light in hdr.PATCHES.items()}
    crushed = {name: (r**2, g**2, b**2) for name, (r, g, b) in good.items()}
    tinted = {name: (b, r, g) for name, (r, g, b) in good.items()}
    yellow = {name: (r, g, b * 0.9) for name, (r, g, b) in good.items()}
    for bad in (clipped, crushed, tinted, yellow):
        assert hdr.faults_of_brightness(bad)


def test_pauses_are_silent_and_speech_is_not(tmp_path: Path) -> None:
    path = synth.speech_like(tmp_path / "take.mp4", [(1.2, 1.6), (2.4, 2.8)], seconds=4)
    spans = readers.loud_spans(path)
    assert not any(a < 1.55 and b > 1.25 for a, b in spans)
    assert not any(a < 2.75 and b > 2.45 for a, b in spans)
    assert sum(b - a for a, b in spans) > 2


def test_the_meter_knows_the_loudness_of_a_sine() -> None:
    lufs, peak = loudness(tone(4, hz=1000, peak=0.25))
    assert lufs == pytest.approx(-12.04, abs=0.1)  # 0 LUFS is a full-scale 997 Hz stereo sine of about 0 dBFS
    assert peak == pytest.approx(-12.04, abs=0.1)
    assert loudness(np.zeros((2, 96_000), np.float32)) == (None, None)


@pytest.mark.parametrize(("layout", "channels"), [("mono", 1), ("stereo", 2), ("5.1", 6)])
def test_sounds_have_the_channels_they_say(tmp_path: Path, layout: str, channels: int) -> None:
    sound = Sound(tone(0.5, channels=channels), layout=layout)
    path = synth.with_sound(tmp_path / "take.mp4", sound, seconds=0.5)
    samples, rate, _ = readers.sound(path)
    assert (samples.shape[0], rate) == (channels, 48_000)


def test_private_tags_are_in_the_source(tmp_path: Path) -> None:
    for keys in (False, True):
        tags = source_tags(synth.with_metadata(tmp_path / f"{keys}.mov", seconds=0.3, keys=keys))
        for name in ("location", "make", "model", "creation_time", "comment"):
            assert synth.PRIVATE_TAGS[name] in tags[name]  # FFmpeg 9 says some twice


def test_damaged_takes_are_damaged_as_they_say(tmp_path: Path) -> None:
    with pytest.raises(BadBoxes):
        read_movie(damage.truncated(tmp_path / "truncated.mp4", seconds=2))
    with pytest.raises(av.FFmpegError):
        av.open(str(damage.headless(tmp_path / "headless.mp4")))
    assert b"moof" in damage.fragmented(tmp_path / "fragmented.mp4", seconds=2).read_bytes()
    assert read_movie(damage.long_gop(tmp_path / "long.mp4", seconds=9)).tracks[0].sync == (0,)
    with av.open(str(damage.no_keyframes(tmp_path / "none.ts", seconds=1))) as container:
        assert not any(packet.is_keyframe for packet in container.demux(video=0) if packet.size)
    with av.open(str(damage.odd_size(tmp_path / "odd.mp4", seconds=0.3))) as container:
        context = container.streams.video[0].codec_context
        assert (context.width, context.height, context.pix_fmt) == (321, 241, "yuv444p")
    assert len(read_movie(damage.many_streams(tmp_path / "many.mp4", sounds=18)).tracks) == 19
    with av.open(str(damage.sound_only(tmp_path / "sound.mp4"))) as container:
        assert not container.streams.video
    assert len(read_movie(damage.one_picture(tmp_path / "one.mp4")).tracks[0].sizes) == 1


def test_a_declared_duration_can_lie(tmp_path: Path) -> None:
    path = damage.declared_duration(tmp_path / "liar.mkv", declared_s=36_000, seconds=2)
    with av.open(str(path)) as container:
        assert container.duration == 36_000 * 1_000_000
    assert source_duration_s(path) == pytest.approx(2.0, abs=0.1)
