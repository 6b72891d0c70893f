"""An archive: a whole installation in one tar file that can be written and read as a stream.

vidprod.json       what it is, first: the kind, when it was made, the schema, how many rows
vidprod.db.gz      the database
secret.keys        of the vault: in the clear in what moves house, `secret.keys.locked` in a backup with a passphrase
media/<id>/<name>  takes and segments, where they are included
manifest.json      size and SHA-256 of each, last: an archive without it was cut off

Nothing in it is believed: a reader takes these names and no others, and each file only as its hash says.
"""

import gzip
import hashlib
import io
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, Protocol

import msgspec

from vidprod.errors import BadArchive

HEADER, DATABASE, KEYS, LOCKED_KEYS, MANIFEST = (
    "vidprod.json",
    "vidprod.db.gz",
    "secret.keys",
    "secret.keys.locked",
    "manifest.json",
)
VERSION = 1

_MEDIA = re.compile(
    r"media/(?:vid_[0-9a-z]{26}/(?:source\.[0-9a-z]{1,8}|faces\.track)"
    r"|job_[0-9a-z]{26}/seg_[0-9a-z]{26}(?:-[1-9][0-9]{0,5})?(?:\.sprite|\.gaze)?\.(?:mp4|jpg))"
)
_SMALL = 1 << 20  # of what is read into memory; the manifest may be larger, see `_MOST_MANIFEST`
_MOST_MANIFEST = 256 << 20
_PIECE = 1 << 20

Kind = Literal["backup", "move"]


class Sink(Protocol):
    """What bytes go into."""

    def write(self, piece: bytes, /) -> object: ...


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What an archive says of itself."""

    format: Literal["vidprod archive"] = "vidprod archive"
    version: int = VERSION
    kind: Kind
    made_at: int  # unix ms: as of when its rows are
    program: str  # the version that made it
    schema: int  # the database's last migration
    counts: dict[str, int]  # rows, by table
    database_bytes: int  # unpacked
    media: bool
    sealed_with: list[str] = []  # ids of the keys that what is secret in the rows is sealed with


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One file as it lies in the archive."""

    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """All that is in an archive. `missing`: files that rows told of and that were not there."""

    members: dict[str, Member]
    missing: list[str] = []


class Writer:
    """Writes an archive into a file or a stream, from its beginning to its end. Blocking."""

    def __init__(self, out: Sink, header: Header) -> None:
        self._out = _Counted(out)
        self._tar = tarfile.TarFile(fileobj=self._out, mode="w", format=tarfile.PAX_FORMAT)  # type: ignore[arg-type]
        self._members: dict[str, Member] = {}
        self._missing: list[str] = []
        self.add_bytes(HEADER, msgspec.json.format(msgspec.json.encode(header)))

    @property
    def size(self) -> int:
        """Bytes that were written."""
        return self._out.size

    def add(self, name: str, path: Path) -> bool:
        """Whether the file was there. Raises OSError: it cannot be read, or became shorter meanwhile."""
        try:
            file = path.open("rb")
        except FileNotFoundError:
            self._missing.append(name)
            return False
        with file:
            self._add(name, file, path.stat().st_size)
        return True

    def add_bytes(self, name: str, value: bytes) -> None:
        self._add(name, io.BytesIO(value), len(value))

    def finish(self) -> Manifest:
        """The end, without which it is not whole."""
        manifest = Manifest(members=dict(self._members), missing=self._missing)
        self.add_bytes(MANIFEST, msgspec.json.encode(manifest))
        self._tar.close()
        return manifest

    def _add(self, name: str, file: BinaryIO, size: int) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = size, 0o600
        hashed = _Hashed(file)
        self._tar.addfile(entry, hashed)
        self._members[name] = Member(size=size, sha256=hashed.sha256)


class Reader:
    """Reads an archive from its beginning to its end, once. Blocking."""

    def __init__(self, source: BinaryIO) -> None:
        """Raises BadArchive: it is none, or of a later version."""
        try:
            self._tar = tarfile.open(fileobj=source, mode="r|")  # noqa: SIM115  # it is read until there is no more
            first = self._tar.next()
        except (tarfile.TarError, EOFError) as error:
            raise BadArchive(f"it is no archive: {error}") from error
        if first is None or first.name != HEADER or first.size > _SMALL:
            raise BadArchive("it is no archive of vidprod")
        self._members: dict[str, Member] = {}
        text = self.read(first)
        try:
            known = msgspec.json.decode(text, type=_Known)
            if known.version > VERSION:
                raise BadArchive(f"it is of version {known.version}, and this program reads up to {VERSION}")
            self.header = msgspec.json.decode(text, type=Header)
        except msgspec.DecodeError as error:
            raise BadArchive(f"it is no archive of vidprod: {error}") from error

    def members(self) -> Iterator[tarfile.TarInfo]:
        """What follows, each to be read with `read` or `unpack` before the next is asked for; at the end the manifest
        was compared with what was read. Raises BadArchive."""
        seen: set[str] = {HEADER}
        while (entry := self._next()) is not None:
            if entry.name in seen or not entry.isreg() or not _is_ours(entry.name):
                raise BadArchive(f"it holds {entry.name[:100]!r}, which does not belong there")
            seen.add(entry.name)
            if entry.name == MANIFEST:
                self._compare(entry)
                return
            yield entry
        raise BadArchive("it was cut off: its end is missing")

    def read(self, entry: tarfile.TarInfo) -> bytes:
        """A small one, whole. Raises BadArchive."""
        if entry.size > (_MOST_MANIFEST if entry.name == MANIFEST else _SMALL):
            raise BadArchive(f"{entry.name} has {entry.size} bytes")
        out = io.BytesIO()
        self._copy(entry, out)
        return out.getvalue()

    def unpack(self, entry: tarfile.TarInfo, out: Sink) -> None:
        """Into a file; the database as it is without its compression. Raises BadArchive, OSError."""
        if entry.name != DATABASE:
            self._copy(entry, out)
            return
        unzip = _Unzipped(out, most=self.header.database_bytes)
        self._copy(entry, unzip)
        unzip.end()

    def _next(self) -> tarfile.TarInfo | None:
        try:
            return self._tar.next()
        except (tarfile.TarError, EOFError) as error:
            raise BadArchive(f"it is damaged or was cut off: {error}") from error

    def _copy(self, entry: tarfile.TarInfo, out: Sink) -> None:
        file, hashed, size = self._tar.extractfile(entry), hashlib.sha256(), 0
        assert file is not None
        try:
            while piece := file.read(_PIECE):
                size += len(piece)
                hashed.update(piece)
                out.write(piece)
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise BadArchive(f"{entry.name} is damaged or was cut off: {error}") from error
        if size != entry.size:
            raise BadArchive(f"it was cut off in {entry.name}")
        self._members[entry.name] = Member(size=size, sha256=hashed.hexdigest())

    def _compare(self, entry: tarfile.TarInfo) -> None:
        read = dict(self._members)
        try:
            self.manifest = msgspec.json.decode(self.read(entry), type=Manifest)
        except msgspec.DecodeError as error:
            raise BadArchive(f"its manifest cannot be read: {error}") from error
        for name in sorted(read.keys() | self.manifest.members.keys()):
            if read.get(name) != self.manifest.members.get(name):
                raise BadArchive(f"{name} is not what was written: it was changed or damaged")


def verify(source: BinaryIO) -> Reader:
    """Read it all, and keep nothing. Raises BadArchive."""
    reader = Reader(source)
    nowhere = _Nowhere()
    for entry in reader.members():
        reader.unpack(entry, nowhere)
    return reader


def pack(source: Path, target: Path) -> None:
    """Compress a file. Level 1: the database of a year takes a second, and higher ones gain a tenth. Blocking."""
    with source.open("rb") as file, target.open("wb") as out, gzip.open(out, "wb", compresslevel=1) as packed:
        shutil.copyfileobj(file, packed, _PIECE)


class _Known(msgspec.Struct):
    format: Literal["vidprod archive"]
    version: int


def _is_ours(name: str) -> bool:
    return name in (DATABASE, KEYS, LOCKED_KEYS, MANIFEST) or _MEDIA.fullmatch(name) is not None


class _Hashed(io.RawIOBase):
    """A file as it is read, hashed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._hash = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(size)
        self._hash.update(piece)
        return piece

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


class _Counted:
    """What is written, counted: a tar is only ever written on."""

    def __init__(self, out: Sink) -> None:
        self._out, self.size = out, 0

    def write(self, piece: bytes) -> None:
        self._out.write(piece)
        self.size += len(piece)

    def tell(self) -> int:
        return self.size


class _Unzipped:
    """Takes what is compressed and writes it as it was, but no more than was announced."""

    def __init__(self, out: Sink, *, most: int) -> None:
        self._out, self._left, self._unzip = out, most, zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

    def write(self, piece: bytes) -> None:
        while piece:
            plain = self._unzip.decompress(piece, _PIECE)
            piece = self._unzip.unconsumed_tail
            self._left -= len(plain)
            if self._left < 0:
                raise BadArchive("its database is larger than it says")
            self._out.write(plain)

    def end(self) -> None:
        if not self._unzip.eof or self._left:
            raise BadArchive("its database is not whole")


class _Nowhere:
    def write(self, piece: bytes) -> None:
        """It is only looked at."""
