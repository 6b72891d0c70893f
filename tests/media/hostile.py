"""Files made to harm whoever opens them: playlists in a video's clothes, and mutants of good takes."""

import random
import zlib
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests.media import synth
from tests.media.synth import PLAIN, Sound, noise

SEEDS = ("take.mp4", "fragments.mp4", "take.mov", "take.mkv", "take.webm", "take.ts", "take.avi")
_EVIL = (0, 1, 0x7F, 0x80, 0xFF)
_SIZES = (0, 1, 7, 8, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


class Lure(NamedTuple):
    """A file that points elsewhere."""

    name: str
    make: Callable[[Path, int], bytes]  # given a neighbour's file and a listening port of this machine


def _hls(target: str) -> bytes:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n".encode()


def _concat(target: str) -> bytes:
    return f"ffconcat version 1.0\nfile '{target}'\n".encode()


def _dash(target: str) -> bytes:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
        '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
        f"<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    ).encode()


def _sdp(port: int) -> bytes:
    return (
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=video {port} RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    ).encode()


def _in_avi(text: bytes) -> bytes:
    """CVE-2016-1897 and CVE-2017-9993: a playlist behind the head of an AVI."""
    return b"RIFF" + (len(text) + 4).to_bytes(4, "little") + b"AVI " + b"GAB2" + b"\0\2\0" + text


def _png(side: int) -> bytes:
    """A picture of `side` squared pixels, all alike, in a few hundred kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    pack = zlib.compressobj(9)
    rows = b"".join(pack.compress(bytes(1 + side * 3)) for _ in range(side)) + pack.flush()
    head = side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


LURES = (
    Lure("HLS to a file", lambda path, _: _hls(f"file://{path}")),
    Lure("HLS to a neighbour", lambda path, _: _hls(path.name)),
    Lure("HLS to this machine", lambda _, port: _hls(f"http://127.0.0.1:{port}/seg.ts")),
    Lure("HLS behind the head of an AVI", lambda path, _: _in_avi(_hls(f"file://{path}"))),
    Lure("ffconcat of a neighbour", lambda path, _: _concat(path.name)),
    Lure("ffconcat of a path", lambda path, _: _concat(str(path))),
    Lure("ffconcat to this machine", lambda _, port: _concat(f"http://127.0.0.1:{port}/seg.ts")),
    Lure("DASH to a neighbour", lambda path, _: _dash(path.name)),
    Lure("DASH to this machine", lambda _, port: _dash(f"http://127.0.0.1:{port}/seg.mp4")),
    Lure("SDP", lambda _, port: _sdp(port)),
    Lure("a picture of 225 megapixels", lambda _, __: _png(15_000)),
)


def seeds(directory: Path) -> list[Path]:
    """Good takes of half a second, one of each container that is taken."""
    sound = Sound(noise(0.5))
    styles = {
        "take.mp4": PLAIN,
        "fragments.mp4": replace(PLAIN, container_options={"movflags": "frag_keyframe+empty_moov"}),
        "take.mov": replace(PLAIN, rotation=90),
        "take.mkv": PLAIN,
        "take.webm": replace(PLAIN, codec="libvpx", options={"cpu-used": "16", "deadline": "realtime"}),
        "take.ts": replace(PLAIN, format="mpegts"),
        "take.avi": replace(PLAIN, codec="mpeg4", options={}),
    }
    grey = [(Fraction(number, 12), np.full((96, 64), 16 + 30 * number, np.uint8)) for number in range(6)]
    voices = {"take.webm": "libopus", "take.ts": "mp2", "take.avi": "mp2"}
    for name in SEEDS:
        voice = replace(sound, codec=voices.get(name, "aac"))
        synth.write(directory / name, grey, rate=Fraction(12), sound=voice, style=styles[name])
    return [directory / name for name in SEEDS]


def mutant(data: bytes, seed: int) -> bytes:
    """`data` with one to twelve changes, the same for the same seed: the head is hit more often than the rest."""
    chance = random.Random(seed)
    mutated = bytearray(data)
    for _ in range(chance.randint(1, 12)):
        if not mutated:
            break
        _CHANGES[chance.randrange(len(_CHANGES))](mutated, chance)
    return bytes(mutated)


def _place(data: bytearray, chance: random.Random) -> int:
    return chance.randrange(min(len(data), 2048) if chance.random() < 0.6 else len(data))


def _flip(data: bytearray, chance: random.Random) -> None:
    data[_place(data, chance)] ^= 1 << chance.randrange(8)


def _byte(data: bytearray, chance: random.Random) -> None:
    data[_place(data, chance)] = chance.choice((*_EVIL, chance.randrange(256)))


def _size(data: bytearray, chance: random.Random) -> None:
    """A number of four bytes, as boxes and counts are."""
    at = _place(data, chance)
    data[at : at + 4] = chance.choice((*_SIZES, chance.randrange(1 << 32))).to_bytes(4, "big")


def _cut(data: bytearray, chance: random.Random) -> None:
    del data[_place(data, chance) + 1 :]


def _drop(data: bytearray, chance: random.Random) -> None:
    at = _place(data, chance)
    del data[at : at + chance.randint(1, 64)]


def _repeat(data: bytearray, chance: random.Random) -> None:
    at = _place(data, chance)
    data[at:at] = data[at : at + chance.randint(1, 256)] * chance.randint(1, 8)


def _move(data: bytearray, chance: random.Random) -> None:
    here, there, size = _place(data, chance), _place(data, chance), chance.randint(1, 128)
    data[there : there + size] = data[here : here + size]


def _noise(data: bytearray, chance: random.Random) -> None:
    at = _place(data, chance)
    size = min(chance.randint(1, 200), len(data) - at)
    data[at : at + size] = chance.randbytes(size)


_CHANGES = (_flip, _flip, _byte, _byte, _size, _size, _cut, _drop, _repeat, _move, _noise)
