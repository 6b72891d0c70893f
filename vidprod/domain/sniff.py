"""What a file is, told by its first bytes: a container we read, or the name of the thing it looks like.

The name and the declared type of an upload are what the client says; the bytes are what a demuxer will see.
"""

from vidprod.errors import NotAVideo

HEAD_BYTES = 4096  # enough for five transport packets wherever the first one starts

IMAGE_BRANDS = {  # ISO/IEC 23008-12, annex B, but for the last
    b"heic": "a HEIC photo",
    b"heix": "a HEIC photo",
    b"heim": "a HEIC photo",
    b"heis": "a HEIC photo",
    b"hevc": "a HEIC picture sequence",
    b"hevx": "a HEIC picture sequence",
    b"mif1": "a HEIF photo",
    b"msf1": "a HEIF picture sequence",
    b"avif": "an AVIF picture",
    b"avis": "an AVIF picture sequence",
    b"crx ": "a Canon raw photo",
}
_QUICKTIME_ATOMS = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})  # of files older than ftyp

# (offset, bytes, what it is)
_KNOWN: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture"),
    (0, b"GIF87a", "a GIF picture"),
    (0, b"GIF89a", "a GIF picture"),
    (8, b"WEBP", "a WebP picture"),
    (0, b"II*\x00", "a TIFF or camera raw picture"),
    (0, b"MM\x00*", "a TIFF or camera raw picture"),
    (0, b"BM", "a BMP picture"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (0, b"8BPS", "a Photoshop picture"),
    (0, b"ID3", "an MP3 sound file"),
    (0, b"fLaC", "a FLAC sound file"),
    (8, b"WAVE", "a WAV sound file"),
    (0, b"#!AMR", "an AMR sound file"),
    (0, b"MThd", "a MIDI file"),
    (8, b"AIFF", "an AIFF sound file"),
    (8, b"AIFC", "an AIFF sound file"),
    (0, b"OggS", "an Ogg file"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media (WMV, WMA) file"),
    (0, b"\x06\x0e\x2b\x34", "an MXF file"),
    (0, b".RMF", "a RealMedia file"),
    (0, b"YUV4MPEG2", "raw video without a container (Y4M)"),
    (0, b"\x00\x00\x01\xb3", "raw MPEG video without a container"),
    (0, b"\x00\x00\x00\x01", "raw H.264 or H.265 video without a container"),
    (0, b"%PDF-", "a PDF document"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"\xfd7zXZ\x00", "an xz archive"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\xd0\xcf\x11\xe0", "an Office document"),
    (0, b"SQLite format 3\x00", "an SQLite database"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a Windows program"),
)

# how a text starts, in lower case → what it is
_TEXTS: tuple[tuple[str, str], ...] = (
    ("#extm3u", "an HLS playlist"),
    ("ffconcat", "an ffconcat script"),
    ("v=0", "an SDP session description"),
    ("webvtt", "WebVTT subtitles"),
    ("[playlist]", "a playlist"),
    ("<!doctype html", "a web page (HTML)"),
    ("<html", "a web page (HTML)"),
    ("<svg", "an SVG drawing"),
    ("%pdf-", "a PDF document"),
    ("{", "text (JSON)"),
)


def sniff(head: bytes) -> str:
    """The extension for a file that starts with `head`: mp4, mov, m4a, 3gp, 3g2, mkv, webm, avi, flv, ts, m2ts or mpg.

    Args:
        head: the first `HEAD_BYTES` bytes, or all there are.
    Raises:
        NotAVideo: saying what it looks like.
    """
    if not head:
        raise NotAVideo("The file is empty.", hint="Check that it was copied whole, then send it again.")
    extension = _container(head)
    if extension is None:
        raise NotAVideo(f"This is not a video: it looks like {_look(head)}.")
    return extension


def _container(head: bytes) -> str | None:
    if _text(head) is not None:
        return None  # "Get free tickets" has QuickTime's "free" where an atom would have it
    if head[4:8] == b"ftyp":
        return _by_brand(head[8:12])
    if head[4:8] in _QUICKTIME_ATOMS:
        return "mov"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return _by_doctype(head[:128])
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return "avi"
    if head[:4] == b"FLV\x01":
        return "flv"
    if head[:4] == b"\x00\x00\x01\xba":
        return "mpg"
    return _transport_stream(head)


def _by_brand(brand: bytes) -> str:
    if brand in IMAGE_BRANDS:
        raise NotAVideo(f"This is not a video: it looks like {IMAGE_BRANDS[brand]}.")
    if brand[:3] in (b"3gp", b"3g2"):
        return brand[:3].decode()
    if brand[:3] in (b"M4A", b"M4B", b"M4P"):
        return "m4a"  # the probe says that it has no picture: the brand alone proves little
    return "mov" if brand == b"qt  " else "mp4"


def _by_doctype(head: bytes) -> str | None:
    if b"webm" in head:
        return "webm"
    return "mkv" if b"matroska" in head else None


def _transport_stream(head: bytes) -> str | None:
    """Sync bytes at a packet's distance, from any place in the first packet: recordings start anywhere."""
    for packet, extension in ((188, "ts"), (192, "m2ts")):
        seen = min(5, len(head) // packet)
        if seen < 2:
            continue
        for start in range(min(packet, len(head) - packet * (seen - 1))):
            if all(head[start + packet * n] == 0x47 for n in range(seen)):
                return extension
    return None


def _look(head: bytes) -> str:
    if (text := _text(head)) is not None:
        return _kind_of_text(text)
    for offset, magic, what in _KNOWN:
        if head.startswith(magic, offset):
            return what
    if head[0] == 0xFF and len(head) > 1 and head[1] & 0xE0 == 0xE0:
        return "an AAC sound file" if head[1] & 0xF6 == 0xF0 else "an MP3 sound file"
    if not any(head):
        return "nothing but zeros"
    return f"data of an unknown kind (it starts with {head[:8].hex(' ')})"


def _text(head: bytes) -> str | None:
    """`head` as text, or None when it is none."""
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return head[: len(head) & ~1].decode("utf-16", "ignore")
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # not just a character cut at the end of the head
            return None
        text = head[: error.start].decode("utf-8-sig")
    return text if all(c >= " " or c in "\t\n\r\f\x1b" for c in text) else None


def _kind_of_text(text: str) -> str:
    start = text.lstrip().lower()
    for prefix, what in _TEXTS:
        if start.startswith(prefix):
            return what
    if start.startswith("<"):
        return "a DASH manifest" if "<mpd" in start else "a web page (HTML)" if "<html" in start else "text (XML)"
    return "text"
