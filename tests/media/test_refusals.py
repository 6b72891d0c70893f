"""What cannot be processed is refused by a rule that the sentence names; what only looks odd is not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.media import damage, readers, synth
from tests.media.conftest import Finished, MakeSegments, probe
from tests.media.synth import PLAIN, PORTRAIT
from vidprod.domain.sniff import IMAGE_BRANDS
from vidprod.domain.step import Limits
from vidprod.errors import NotAVideo, Refused


def text(path: Path) -> Path:
    path.write_text("This is no video, though its name says so.\n" * 40)
    return path


def playlist(path: Path) -> Path:
    synth.numbered(path.with_name("secret.ts"), 30)
    path.write_text("ffconcat version 1.0\nfile secret.ts\n")
    return path


def hls(path: Path) -> Path:
    synth.numbered(path.with_name("secret.ts"), 30)
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST\n")
    return path


def empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def noise_bytes(path: Path) -> Path:
    import numpy as np

    path.write_bytes(np.random.default_rng(1).bytes(200_000))
    return path


def plain(path: Path) -> Path:
    return synth.numbered(path, 120)


def encrypted(path: Path) -> Path:
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "0" * 32, "encryption_kid": "1" * 32}
    return synth.numbered(path, 30, style=replace(PLAIN, container_options=key))


REFUSED: list[tuple[str, Callable[[Path], Path], Limits, set[str]]] = [
    ("a sound in a video's clothes", damage.sound_only, Limits(), {"no_video_stream"}),
    ("a header that never came", damage.headless, Limits(), {"incomplete_file"}),
    ("an end that never came", damage.truncated, Limits(), {"truncated", "incomplete_file"}),
    ("nothing", empty, Limits(), {"empty_file", "not_a_video"}),
    ("a text", text, Limits(), {"not_a_video"}),
    ("a list of files", playlist, Limits(), {"not_a_video"}),
    ("an HLS playlist", hls, Limits(), {"not_a_video"}),
    ("noise", noise_bytes, Limits(), {"not_a_video", "corrupted"}),
    ("too long", plain, Limits(max_duration_s=3), {"too_long"}),
    ("too large a picture", plain, Limits(max_pixels=240 * 428 - 1), {"too_many_pixels"}),
    ("encrypted", encrypted, Limits(), {"encrypted"}),
    ("too many streams", damage.many_streams, Limits(max_streams=16), {"too_many_streams"}),
]


@pytest.mark.parametrize(("what", "make", "limits", "codes"), REFUSED, ids=[each[0] for each in REFUSED])
def test_a_refusal_names_its_rule(
    tmp_path: Path, what: str, make: Callable[[Path], Path], limits: Limits, codes: set[str]
) -> None:
    source = make(tmp_path / "take.mp4")
    with pytest.raises((Refused, NotAVideo)) as refusal:
        probe(source, tmp_path, limits=limits)
    assert refusal.value.code in codes
    assert len(str(refusal.value)) > 15


def test_a_limit_is_named_with_its_value_and_what_was_found(tmp_path: Path) -> None:
    source = plain(tmp_path / "take.mp4")
    for limits, found, allowed in (
        (Limits(max_duration_s=3), "4", "3"),
        (Limits(max_pixels=100_000), "240", "0.1"),
    ):
        with pytest.raises(Refused) as refusal:
            probe(source, tmp_path, limits=limits)
        assert found in str(refusal.value)
        assert allowed in str(refusal.value)


def test_a_picture_that_was_not_stopped_at_the_door_is_refused_by_the_probe(tmp_path: Path) -> None:
    """FFmpeg reads it as a video of one frame."""
    data = synth.numbered(tmp_path / "take.mp4", 6).read_bytes()
    for brand, image in IMAGE_BRANDS.items():
        source = tmp_path / "picture.mp4"
        source.write_bytes(data[:8] + brand + data[12:])
        with pytest.raises(Refused, match=image) as refusal:
            probe(source, tmp_path)
        assert refusal.value.code == "image_not_video"


def test_words_are_not_taken_for_encryption(tmp_path: Path) -> None:
    """The names of boxes that say so were looked for in the whole index, which has the words of the creator."""
    words = {"comment": "me encanta! Geschmack, encv, schm cenc", "title": "pssh"}
    source = synth.numbered(tmp_path / "take.mp4", 30, style=replace(PLAIN, tags=words))
    assert b"encanta" in source.read_bytes()
    assert probe(source, tmp_path).video.frames == 30


def test_a_stream_without_keyframes_ends_cleanly(tmp_path: Path, make_segments: MakeSegments) -> None:
    source = damage.no_keyframes(tmp_path / "take.ts")
    ended_well(source, make_segments)


def test_pictures_without_a_keyframe_are_one_group(tmp_path: Path, make_segments: MakeSegments) -> None:
    done = make_segments(damage.no_keyframes_but_pictures(tmp_path / "take.avi"))
    assert (done.info.video.keyframes, done.info.video.longest_gop_us) == (0, done.info.video.duration_us)
    assert done.faults() == []


def test_a_damaged_middle_ends_cleanly_and_loses_no_time(tmp_path: Path, make_segments: MakeSegments) -> None:
    done = ended_well(damage.damaged_middle(tmp_path / "take.mp4"), make_segments)
    if done is not None:
        assert sum(rendition.frames for rendition in done.renditions) == pytest.approx(180, abs=1)


def test_one_picture_and_a_second_of_sound_end_cleanly(tmp_path: Path, make_segments: MakeSegments) -> None:
    ended_well(damage.one_picture(tmp_path / "take.mp4"), make_segments)


def test_the_end_of_a_data_track_is_not_taken_for_a_picture(tmp_path: Path) -> None:
    """The empty packets at the end all say that they belong to the first track; phones write tracks of data."""
    source = synth.numbered(tmp_path / "take.mp4", 2)
    data = source.read_bytes()
    assert (data.count(b"soun"), data.count(b"mp4a")) == (1, 1)
    source.write_bytes(data.replace(b"soun", b"meta").replace(b"mp4a", b"mett"))
    assert probe(source, tmp_path).video.frames == 2


def test_a_cut_off_transport_stream_gives_what_there_is(tmp_path: Path, make_segments: MakeSegments) -> None:
    """Such a stream has no header that could say how much is missing."""
    source = synth.numbered(tmp_path / "take.ts", 240, style=replace(PLAIN, gop=30))
    done = make_segments(damage.cut_to(source, keep=0.62), segment_s=60, frame="original")
    read = [number for _, number in readers.numbers(done.segments[0], PORTRAIT)]
    assert read[:100] == list(range(100))
    assert done.faults() == []


def ended_well(source: Path, make_segments: MakeSegments) -> Finished | None:
    """Either a refusal that says why, or segments as they should be."""
    try:
        done = make_segments(source, segment_s=60, frame="original")
    except Refused as error:
        refusal = error
    else:
        assert done.faults() == []
        return done
    assert refusal.code not in ("internal", "refused")
    assert len(str(refusal)) > 15
    return None


@pytest.mark.parametrize("keys", [False, True], ids=["atoms", "keys"])
def test_place_device_and_words_are_gone(tmp_path: Path, make_segments: MakeSegments, keys: bool) -> None:
    source = synth.with_metadata(tmp_path / "take.mov", keys=keys)
    done = make_segments(source)
    assert done.faults() == []
    for path in (done.segments[0], done.segments[0].with_suffix(".jpg"), done.segments[0].with_suffix(".sprite.jpg")):
        data = path.read_bytes()
        for value in synth.PRIVATE_TAGS.values():
            assert value.encode() not in data
    dropped = " ".join(done.info.dropped_metadata)
    assert "location" in dropped
    assert "model" in dropped
