"""Where the faces of a take are, picture by picture: the track, and its file.

The file, all numbers little-endian:

    0       8 bytes   "VPFACES" and a zero
    8       uint32    version, 1
    12      uint32    bytes of the header
    16      header    JSON, UTF-8
    …       arrays, each at a multiple of 64 bytes from the start of the file

The header says {"width", "height"}: pixels of the pictures as displayed, upright and square; "main": which of "faces"
is the main speaker, or null; and where the arrays are, each as {"dtype", "shape", "offset"}: "times_us" (int64) of
every picture on the output's clock, "scenes" (int32) it belongs to, and of each face {"id", "rows", "looks"}. A row is
a picture in which the face is seen:

    at          int32             number of the picture, rising
    eyes        float32 [2][21][2]    x and y, pixels from the picture's top left corner; eye 0 is the subject's right,
                                  left in the picture; 0 outer corner, 1 inner corner, 2–8 upper lid and 9–15 lower lid
                                  from outer to inner, 16 centre of the iris, 17–20 on its edge
    mouth       float32 [4][2]    right and left corner (the subject's), middle of the upper and of the lower inner lip
    box         float32 [4]       left, top, right, bottom of the face's 468 points
    pose        float32 [3]       yaw, pitch, roll in degrees, as the lens sees it: turned to the right of the picture,
                                  up, clockwise
    confidence  float32           0 … 1

Between the pictures in which faces were traced, where there are more than 30 a second, rows are interpolated.
"""

import math
import os
from array import array
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from io import BufferedWriter
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np
from numpy.typing import NDArray

from vidprod.errors import BadTrack
from vidprod.vision.follow import Seen
from vidprod.vision.landmarks import FACE_POINTS, Landmarks
from vidprod.vision.pose import pose_of

MAGIC = b"VPFACES\0"
VERSION = 1

_ALIGNMENT = 64
_LONGEST_HEADER = 64 << 20
_BLOCK = 256  # rows of a face that are held in memory
_LEAST_PICTURES = 3  # a face that is traced in fewer is a mistake of the detector
_CROWDED = 0.5  # of its worth a face loses at the very edge of the picture

# Points of MediaPipe's face mesh, in the order of `eyes`: its contours of the eye, and the iris that refines it.
EYES = np.array(
    [
        [33, 133, 246, 161, 160, 159, 158, 157, 173, 7, 163, 144, 145, 153, 154, 155, 468, 469, 470, 471, 472],
        [263, 362, 466, 388, 387, 386, 385, 384, 398, 249, 390, 373, 374, 380, 381, 382, 473, 474, 475, 476, 477],
    ]
)
_MOUTH = np.array([61, 291, 13, 14])

ROW = np.dtype(
    [
        ("at", "<i4"),
        ("eyes", "<f4", (2, 21, 2)),
        ("mouth", "<f4", (4, 2)),
        ("box", "<f4", (4,)),
        ("pose", "<f4", (3,)),
        ("confidence", "<f4"),
    ]
)
_MEASURED = [name for name in ROW.names or () if name != "at"]

Rows = NDArray[np.void]
Looks = dict[str, NDArray[Any]]


@dataclass
class Face:
    """One face, in the m pictures in which it is seen. Units are those of the file."""

    id: int
    at: NDArray[np.int32]  # (m,) rising indexes into Track.times_us
    eyes: NDArray[np.float32]  # (m, 2, 21, 2)
    mouth: NDArray[np.float32]  # (m, 4, 2)
    box: NDArray[np.float32]  # (m, 4)
    pose: NDArray[np.float32]  # (m, 3)
    confidence: NDArray[np.float32]  # (m,)
    looks: Looks = field(default_factory=dict)  # by name, what was sampled of it besides

    @classmethod
    def of_rows(cls, number: int, rows: Rows, looks: Looks) -> "Face":
        """The arrays are views of `rows`."""
        return cls(id=number, at=rows["at"], **{name: rows[name] for name in _MEASURED}, looks=looks)

    def rows(self) -> Rows:
        rows = np.empty(len(self.at), ROW)
        for name in ROW.names or ():
            rows[name] = getattr(self, name)
        return rows


@dataclass
class Track:
    """All faces of a take."""

    width: int  # of its pictures as displayed, pixels
    height: int
    times_us: NDArray[np.int64]  # (n,) of every picture, on the output's clock, rising
    scenes: NDArray[np.int32]  # (n,) number of the scene it belongs to
    faces: list[Face]
    main: int | None  # index of the main speaker: large, in the middle, often there

    @classmethod
    def open(cls, path: Path) -> "Track":
        """The track in a file; what is read of it comes from the file when it is used.

        Raises:
            BadTrack: it is none, of another version, or damaged.
        """
        with path.open("rb") as file:
            header = _read_header(file, os.fstat(file.fileno()).st_size)
            if not header.times_us.count:
                raise BadTrack(f"{path.name} holds no pictures")
            data = np.memmap(file, np.uint8, mode="r")
        faces = [
            Face.of_rows(each.id, each.rows.of(data, ROW), {name: place.of(data) for name, place in each.looks.items()})
            for each in header.faces
        ]
        track = cls(
            width=header.width,
            height=header.height,
            times_us=header.times_us.of(data, np.dtype("<i8")),
            scenes=header.scenes.of(data, np.dtype("<i4")),
            faces=faces,
            main=header.main,
        )
        track.check(path.name)
        return track

    def check(self, name: str) -> None:
        """Raises BadTrack where its parts do not fit together: it would be read out of bounds later."""
        pictures = len(self.times_us)
        fits = (
            self.scenes.shape == self.times_us.shape
            and (self.main is None or 0 <= self.main < len(self.faces))
            and bool((np.diff(self.times_us) > 0).all())
        )
        for face in self.faces:
            rises = len(face.at) and face.at[0] >= 0 and face.at[-1] < pictures and (np.diff(face.at) > 0).all()
            fits = fits and bool(rises)
        if not fits:
            raise BadTrack(f"{name} is damaged: its parts do not fit together")

    def save(self, path: Path) -> None:
        """As a file. It is there whole, or not at all."""
        rows = [face.rows() for face in self.faces]
        parts = [_Part(face.id, len(each), [each], face.looks) for face, each in zip(self.faces, rows, strict=True)]
        _write(path, self.width, self.height, self.times_us, self.scenes, parts, main=self.main)


# Writing


class TrackWriter:
    """Takes a track picture by picture, and writes it at the end. Little of it is in memory: a take may last hours."""

    def __init__(self, path: Path, *, width: int, height: int) -> None:
        """
        Args:
            path: of the file that will be; what is known so far lies beside it.
            width, height: of the pictures as displayed.
        """
        self._path = path
        self._width, self._height = width, height
        self._times = array("q")
        self._spool: BufferedWriter = path.with_suffix(".rows").open("w+b")  # type: ignore[assignment]
        self._faces: dict[int, _Written] = {}
        self._latest: dict[int, Rows] = {}  # of the last picture that was looked at, one row of each face in it
        self.with_face = 0  # pictures, once it is finished

    def __enter__(self) -> "TrackWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._spool.close()
        Path(self._spool.name).unlink(missing_ok=True)

    @property
    def pictures(self) -> int:
        return len(self._times)

    def add(self, at_us: int, seen: Sequence[Seen] | None, *, cut: bool = False) -> None:
        """The next picture, and the faces in it; None: it was not looked at, the faces are between those before and
        those after.

        Args:
            cut: the take may have cut right before it: nothing is between.
        """
        at_us = max(at_us, self._times[-1] + 1) if self._times else at_us
        self._times.append(at_us)
        if seen is None:
            return
        if cut:
            self._latest = {}
        at = len(self._times) - 1
        rows = {each.id: self._row(at, each) for each in seen}
        for number, row in rows.items():
            face = self._faces.setdefault(number, _Written())
            if number in self._latest:
                face.add(self._between(self._latest[number], row))
                face.worth += self._worth(row) * (at_us - self._times[int(self._latest[number]["at"][0])])
            face.add(row)
            face.traced += 1
            face.spill(self._spool, least=_BLOCK)
        self._latest = rows

    def finish(
        self,
        scenes: NDArray[np.int32],
        *,
        doubtful: Collection[int] = (),
        looks: Mapping[int, Looks] | None = None,
    ) -> int:
        """Writes the file. How many faces there are in it.

        Args:
            scenes: of each picture.
            doubtful: ids of what turned out to be no faces.
            looks: what else to keep of the faces, by their ids.
        """
        least = min(_LEAST_PICTURES, self.pictures)
        kept = {
            number: face
            for number, face in sorted(self._faces.items())
            if face.traced >= least and number not in doubtful
        }
        parts = []
        with_face = np.zeros(self.pictures, np.bool_)
        for number, face in kept.items():
            face.spill(self._spool, least=1)
            for first, end in face.stretches:
                with_face[first:end] = True
            parts.append(_Part(number, face.count, face.blocks, (looks or {}).get(number, {})))
        main = max(range(len(parts)), key=lambda index: kept[parts[index].id].worth, default=None)
        self.with_face = int(with_face.sum())
        times = np.frombuffer(self._times, np.int64)
        _write(self._path, self._width, self._height, times, scenes, parts, main=main, spool=self._spool)
        return len(parts)

    def _row(self, at: int, seen: Seen) -> Rows:
        row = np.empty(1, ROW)
        row["at"] = at
        row["eyes"][0] = seen.points[EYES, :2]
        row["mouth"][0] = seen.points[_MOUTH, :2]
        row["box"][0] = _box(seen.points)
        row["pose"][0] = pose_of(seen.points)
        row["confidence"] = seen.confidence
        return row

    def _between(self, before: Rows, after: Rows) -> Rows:
        """Rows for the pictures between two."""
        first, last = int(before["at"][0]), int(after["at"][0])
        rows = np.empty(last - first - 1, ROW)
        rows["at"] = np.arange(first + 1, last)
        times = np.array(self._times[first : last + 1], np.float64)
        share = (times[1:-1] - times[0]) / (times[-1] - times[0])
        for name in _MEASURED:
            shaped = share.reshape(-1, *[1] * (rows[name].ndim - 1))
            rows[name] = before[name] + (after[name] - before[name]) * shaped
        return rows

    def _worth(self, row: Rows) -> float:
        """How much a face looks like the one the take is about: large, in the middle."""
        x0, y0, x1, y1 = row["box"][0].tolist()
        off = max(abs((x0 + x1) / self._width - 1), abs((y0 + y1) / self._height - 1))
        return float((x1 - x0) / min(self._width, self._height) * (1 - _CROWDED * min(1.0, off)))


class _Written:
    """What is known of a face: rows in the spool, and the latest ones."""

    def __init__(self) -> None:
        self.blocks: list[tuple[int, int]] = []  # offset and bytes in the spool
        self.stretches: list[list[int]] = []  # first picture, and the one after the last, of each run of rows
        self.count = 0  # rows
        self.traced = 0  # of them, not between others
        self.worth = 0.0
        self._rows: list[Rows] = []
        self._held = 0

    def add(self, rows: Rows) -> None:
        if not len(rows):
            return
        first, end = int(rows["at"][0]), int(rows["at"][-1]) + 1
        if self.stretches and self.stretches[-1][1] == first:
            self.stretches[-1][1] = end
        else:
            self.stretches.append([first, end])
        self._rows.append(rows)
        self._held += len(rows)
        self.count += len(rows)

    def spill(self, spool: BinaryIO, *, least: int) -> None:
        """Moves the rows to the spool where there are so many."""
        if self._held < least:
            return
        data = np.concatenate(self._rows).tobytes()
        self.blocks.append((spool.tell(), len(data)))
        spool.write(data)
        self._rows.clear()
        self._held = 0


@dataclass
class _Part:
    """A face to be written. `blocks` are rows, or where they are in the spool: offset and bytes."""

    id: int
    rows: int
    blocks: Sequence[Rows | tuple[int, int]]
    looks: Looks


class _Place(msgspec.Struct):
    """Where an array is in the file."""

    dtype: Any  # as numpy describes it: a string, or a list of names, types and shapes
    shape: list[int]
    offset: int

    @property
    def count(self) -> int:
        return math.prod(self.shape)

    def of(self, data: NDArray[np.uint8], wanted: np.dtype[Any] | None = None) -> Any:
        """The array, of this type where one is `wanted`."""
        try:
            dtype = _dtype(self.dtype)
        except (TypeError, ValueError, SyntaxError) as error:
            raise BadTrack(f"the track's header is damaged: {error}") from error
        if dtype.hasobject or not dtype.itemsize or (wanted is not None and dtype != wanted):
            raise BadTrack(f"the track's header is damaged: an array of {dtype} where there cannot be one")
        size = self.count * dtype.itemsize
        if min([self.offset, *self.shape]) < 0 or not 0 <= size <= len(data) - self.offset:
            raise BadTrack(f"the track is damaged: an array of {size} bytes at {self.offset} lies outside of it")
        return data[self.offset : self.offset + size].view(dtype).reshape(self.shape)


class _FacePlace(msgspec.Struct):
    id: int
    rows: _Place
    looks: dict[str, _Place] = {}


class _Header(msgspec.Struct):
    width: int
    height: int
    main: int | None
    times_us: _Place
    scenes: _Place
    faces: list[_FacePlace]


def _write(
    path: Path,
    width: int,
    height: int,
    times_us: NDArray[np.int64],
    scenes: NDArray[np.int32],
    parts: list[_Part],
    *,
    main: int | None,
    spool: BinaryIO | None = None,
) -> None:
    times_us, scenes = np.asarray(times_us, "<i8"), np.asarray(scenes, "<i4")
    at = [0]  # where the next array goes, from the end of the header

    def place(dtype: np.dtype[Any], shape: Sequence[int]) -> _Place:
        offset = at[0]
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        at[0] = -(-(offset + size) // _ALIGNMENT) * _ALIGNMENT
        return _Place(dtype=_described(dtype), shape=list(shape), offset=offset)

    header = _Header(
        width=width,
        height=height,
        main=main,
        times_us=place(times_us.dtype, times_us.shape),
        scenes=place(scenes.dtype, scenes.shape),
        faces=[
            _FacePlace(
                id=part.id,
                rows=place(ROW, [part.rows]),
                looks={name: place(look.dtype, look.shape) for name, look in part.looks.items()},
            )
            for part in parts
        ],
    )
    begin = _settle(header)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        file.write(MAGIC + VERSION.to_bytes(4, "little") + (begin - 16).to_bytes(4, "little"))
        file.write(msgspec.json.encode(header).ljust(begin - 16))
        _put(file, header.times_us, times_us)
        _put(file, header.scenes, scenes)
        for part, placed in zip(parts, header.faces, strict=True):
            file.seek(placed.rows.offset)
            for block in part.blocks:
                _put_rows(file, block, spool)
            for name, look in part.looks.items():
                _put(file, placed.looks[name], look)
        file.truncate(begin + at[0])
    unfinished.replace(path)


def _settle(header: _Header) -> int:
    """Makes the offsets count from the start of the file; how long that is up to the first array."""
    places = [header.times_us, header.scenes]
    for face in header.faces:
        places += [face.rows, *face.looks.values()]
    longest = len(msgspec.json.encode(header)) + 12 * len(places)  # the offsets grow by so many digits at most
    begin = -(-(16 + longest) // _ALIGNMENT) * _ALIGNMENT
    for each in places:
        each.offset += begin
    return begin


def _put(file: BinaryIO, place: _Place, values: NDArray[Any]) -> None:
    file.seek(place.offset)
    file.write(np.ascontiguousarray(values).tobytes())


def _put_rows(file: BinaryIO, block: Rows | tuple[int, int], spool: BinaryIO | None) -> None:
    if not isinstance(block, tuple):
        file.write(block.tobytes())
        return
    assert spool is not None
    offset, size = block
    spool.seek(offset)
    file.write(spool.read(size))


def _described(dtype: np.dtype[Any]) -> Any:
    """As the header says it."""
    if dtype.names is None:
        return dtype.newbyteorder("<").str
    return [[name, *rest] for name, *rest in dtype.descr]


def _dtype(described: Any) -> np.dtype[Any]:
    if isinstance(described, str):
        return np.dtype(described)
    return np.dtype([(name, kind, tuple(*shape)) for name, kind, *shape in described])


# Reading


def _read_header(file: BinaryIO, size: int) -> _Header:
    start = file.read(16)
    if start[:8] != MAGIC:
        raise BadTrack("the file is not a track of faces")
    version, length = (int.from_bytes(start[at : at + 4], "little") for at in (8, 12))
    if version != VERSION:
        raise BadTrack(f"the track is of version {version}; read is {VERSION}")
    if length > min(size, _LONGEST_HEADER):
        raise BadTrack(f"the track is damaged: its header should have {length} bytes, the file has {size}")
    try:
        return msgspec.json.decode(file.read(length), type=_Header)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadTrack(f"the track's header is damaged: {error}") from error


def _box(points: Landmarks) -> NDArray[np.float32]:
    face = points[:FACE_POINTS, :2]
    return np.concatenate([face.min(axis=0), face.max(axis=0)])
