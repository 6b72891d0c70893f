"""What an upload is, by its first bytes."""

import pytest

from vidprod.domain.sniff import HEAD_BYTES, sniff
from vidprod.errors import NotAVideo


def _ftyp(brand: bytes) -> bytes:
    return b"\x00\x00\x00\x18ftyp" + brand + b"\x00\x00\x02\x00isommp41" + b"\x00\x00\x00\x08free" + bytes(200)


def _packets(size: int, *, lead: bytes = b"", count: int = 12) -> bytes:
    timecode = bytes(size - 188)
    return (lead + (timecode + b"\x47\x40\x11\x10" + bytes(184)) * count)[:HEAD_BYTES]


@pytest.mark.parametrize(
    ("head", "extension"),
    [
        (_ftyp(b"isom"), "mp4"),
        (_ftyp(b"mp42"), "mp4"),
        (_ftyp(b"qt  "), "mov"),
        (_ftyp(b"3gp5"), "3gp"),
        (_ftyp(b"3g2a"), "3g2"),
        (_ftyp(b"M4A "), "m4a"),
        (b"\x00\x00\x10\x00moov" + bytes(100), "mov"),
        (b"\x7f\x00\x10\x00mdat" + bytes(100), "mov"),
        (b"\x1a\x45\xdf\xa3\x01\x00\x00\x00\x00\x00\x00\x1f\x42\x82\x84webm" + bytes(50), "webm"),
        (b"\x1a\x45\xdf\xa3\xa3\x42\x82\x88matroska" + bytes(50), "mkv"),
        (b"RIFF\x00\x10\x00\x00AVI LIST" + bytes(50), "avi"),
        (b"FLV\x01\x05\x00\x00\x00\x09" + bytes(50), "flv"),
        (b"\x00\x00\x01\xba\x44\x00" + bytes(50), "mpg"),
        (_packets(188), "ts"),
        (_packets(188, lead=b"\x00\x01\x02" * 33), "ts"),
        (_packets(188, count=3), "ts"),
        (_packets(192), "m2ts"),
    ],
)
def test_a_container_we_read_is_told_by_its_first_bytes(head: bytes, extension: str) -> None:
    assert sniff(head) == extension


@pytest.mark.parametrize(
    ("head", "looks_like"),
    [
        (b"Dear diary, today I filmed a take.\n" * 50, "text"),
        ("Gr\u00fc\u00dfe \u2013 ein Text mit Umlauten. ".encode() * 80, "text"),
        ("\ufefftake one".encode("utf-16"), "text"),
        (b"Get free tickets now", "text"),  # QuickTime's "free" in the fifth byte
        (b"G" * HEAD_BYTES, "text"),  # a transport stream's sync byte everywhere
        (b'{"segment_s": 45}', "JSON"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "HTML"),
        (b"<?xml version='1.0'?><html xmlns='x'/>", "HTML"),
        (b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'/>", "DASH"),
        (b"#EXTM3U\n#EXT-X-VERSION:3\nseg.ts\n", "HLS playlist"),
        (b"ffconcat version 1.0\nfile other.mp4\n", "ffconcat"),
        (b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n", "SDP"),
        (b"\xff\xd8\xff\xe1" + bytes(50), "JPEG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "PNG"),
        (b"GIF89a\x20\x00\x20\x00\xf3" + bytes(50), "GIF"),
        (_ftyp(b"heic"), "HEIC"),
        (_ftyp(b"avif"), "AVIF"),
        (b"RIFF\x00\x10\x00\x00WEBPVP8 " + bytes(50), "WebP"),
        (b"RIFF\x00\x10\x00\x00WAVEfmt " + bytes(50), "WAV"),
        (b"ID3\x04\x00" + bytes(50), "MP3"),
        (b"\xff\xfb\x90\x64" + bytes(50), "MP3"),
        (b"\xff\xf1\x50\x80" + bytes(50), "AAC"),
        (b"fLaC\x00\x00\x00\x22" + bytes(50), "FLAC"),
        (b"OggS\x00\x02" + bytes(50), "Ogg"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(50), "PDF"),
        (b"PK\x03\x04\x14\x00" + bytes(50), "zip"),
        (b"\x1a\x45\xdf\xa3\xa3\x42\x82\x84else" + bytes(50), "unknown kind"),
        (b"\x7fELF\x02\x01" + bytes(50), "program"),
        (bytes(HEAD_BYTES), "zeros"),
        (bytes(range(128, 256)) * 4, "unknown kind"),
        (b"\x47" + bytes(100), "unknown kind"),
    ],
)
def test_what_is_no_video_is_refused_and_named(head: bytes, looks_like: str) -> None:
    with pytest.raises(NotAVideo, match=looks_like):
        sniff(head)


def test_an_empty_file_is_called_empty() -> None:
    with pytest.raises(NotAVideo, match="empty"):
        sniff(b"")


def test_a_text_cut_in_the_middle_of_a_character_is_still_a_text() -> None:
    text = ("x" * 4095 + "\u00e4").encode()[:HEAD_BYTES]
    with pytest.raises(NotAVideo, match="text"):
        sniff(text)
