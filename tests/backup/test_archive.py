"""An archive is whole or refused, and holds nothing that does not belong there."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from vidprod.blobs import archive
from vidprod.errors import BadArchive

MEDIA = f"media/job_{'0' * 26}/seg_{'1' * 26}-2.sprite.jpg"


def an_archive(tmp_path: Path, *, media: bytes = b"picture" * 1000) -> bytes:
    database = tmp_path / "rows"
    database.write_bytes(b"rows" * 10_000)
    packed = tmp_path / "rows.gz"
    archive.pack(database, packed)
    out = io.BytesIO()
    writer = archive.Writer(out, a_header())
    writer.add(archive.DATABASE, packed)
    (tmp_path / "picture").write_bytes(media)
    writer.add(MEDIA, tmp_path / "picture")
    writer.finish()
    return out.getvalue()


def a_header(*, version: int = archive.VERSION) -> archive.Header:
    return archive.Header(
        version=version,
        kind="backup",
        made_at=1,
        program="1",
        schema=4,
        counts={"job": 3},
        database_bytes=40_000,
        media=True,
    )


def test_what_was_written_is_read(tmp_path: Path) -> None:
    reader = archive.Reader(io.BytesIO(an_archive(tmp_path)))
    read = {}
    for entry in reader.members():
        out = io.BytesIO()
        reader.unpack(entry, out)
        read[entry.name] = out.getvalue()
    assert read == {archive.DATABASE: b"rows" * 10_000, MEDIA: b"picture" * 1000}
    assert reader.header.counts == {"job": 3}


def test_wherever_it_is_cut_off_it_is_refused(tmp_path: Path) -> None:
    whole = an_archive(tmp_path)
    end = whole.rindex(b"}") + 1  # of the manifest; after it come only zeros
    for size in [*range(0, end, 509), end - 1]:
        with pytest.raises(BadArchive):
            archive.verify(io.BytesIO(whole[:size]))


def test_wherever_a_byte_of_a_file_is_changed_it_is_refused(tmp_path: Path) -> None:
    whole = an_archive(tmp_path)
    for at in (whole.index(b"picture"), whole.index(b"\x1f\x8b") + 40, whole.index(b'"counts"') + 2):
        changed = bytearray(whole)
        changed[at] ^= 1
        with pytest.raises(BadArchive):
            archive.verify(io.BytesIO(bytes(changed)))


def test_the_manifest_of_another_size_is_refused(tmp_path: Path) -> None:
    whole = an_archive(tmp_path)
    with pytest.raises(BadArchive, match="is not what was written"):
        archive.verify(io.BytesIO(whole.replace(b'"size":7000', b'"size":7001')))


def add(name: str, *, kind: bytes = tarfile.REGTYPE) -> Callable[[tarfile.TarFile], None]:
    def write(tar: tarfile.TarFile) -> None:
        entry = tarfile.TarInfo(name)
        entry.type = kind
        entry.linkname = "/etc/passwd" if kind != tarfile.REGTYPE else ""
        tar.addfile(entry)

    return write


@pytest.mark.parametrize(
    "alien",
    [
        add("../vidprod.db"),
        add("/etc/passwd"),
        add("media/../../x"),
        add("media/job_1/x.mp4"),
        add("notes.txt"),
        add(MEDIA, kind=tarfile.SYMTYPE),
        add(MEDIA, kind=tarfile.LNKTYPE),
        add(MEDIA, kind=tarfile.FIFOTYPE),
        add("media", kind=tarfile.DIRTYPE),
    ],
)
def test_a_name_that_does_not_belong_there_is_refused(alien: Callable[[tarfile.TarFile], None]) -> None:
    out = io.BytesIO()
    writer = archive.Writer(out, a_header())
    alien(writer._tar)
    writer.finish()
    with pytest.raises(BadArchive, match="does not belong there"):
        archive.verify(io.BytesIO(out.getvalue()))


def test_a_database_that_is_larger_than_it_says_is_not_unpacked(tmp_path: Path) -> None:
    (tmp_path / "zeros").write_bytes(bytes(1 << 24))
    archive.pack(tmp_path / "zeros", tmp_path / "packed")
    out = io.BytesIO()
    writer = archive.Writer(out, a_header())
    writer.add(archive.DATABASE, tmp_path / "packed")
    writer.finish()
    with pytest.raises(BadArchive, match="larger than it says"):
        archive.verify(io.BytesIO(out.getvalue()))


def test_another_program_s_file_and_a_later_version_are_told_as_such() -> None:
    with pytest.raises(BadArchive, match="no archive"):
        archive.Reader(io.BytesIO(b"no tar" * 200))
    out = io.BytesIO()
    archive.Writer(out, a_header(version=2)).finish()
    with pytest.raises(BadArchive, match="version 2"):
        archive.Reader(io.BytesIO(out.getvalue()))
