"""A backup in a bucket is there whole or not at all."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

import pytest

from tests.backup import bucket as far
from vidprod.blobs import s3
from vidprod.blobs.shelf import shelf_and_name
from vidprod.errors import BadConfig, Conflict, NotFound, Unavailable


@pytest.fixture(scope="module")
def served() -> Iterator[far.Bucket]:
    with far.bucket() as bucket:
        yield bucket


@pytest.fixture
def bucket(served: far.Bucket, monkeypatch: pytest.MonkeyPatch) -> far.Bucket:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret-key")
    monkeypatch.setattr(s3, "_TRIES", 1)
    for kept in (served.objects, served.unfinished, served.requests, served.refuses):
        kept.clear()
    return served


def shelf_of(bucket: far.Bucket) -> s3.Bucket:
    shelf, name = shelf_and_name("s3://videos/home/backups", endpoint=bucket.url)
    assert isinstance(shelf, s3.Bucket)
    assert name == ""
    return shelf


def writes(*pieces: bytes) -> Callable[[BinaryIO], int]:
    def write(out: BinaryIO) -> int:
        for piece in pieces:
            out.write(piece)
        return len(pieces)

    return write


def test_what_is_put_is_read_listed_and_removed(bucket: far.Bucket) -> None:
    shelf = shelf_of(bucket)
    assert shelf.put("a.tar", writes(b"one", b"two")) == 2
    assert bucket.objects == {"home/backups/a.tar": b"onetwo"}
    with shelf.open("a.tar") as file:
        assert file.read() == b"onetwo"
    assert shelf.names() == ["a.tar"]
    with pytest.raises(Conflict, match="is there already"):
        shelf.put("a.tar", writes(b"three"))
    shelf.remove("a.tar")
    assert bucket.objects == {}
    with pytest.raises(NotFound, match="there is no s3://videos/home/backups/a"):
        shelf.open("a.tar")


def test_a_large_one_goes_in_parts(bucket: far.Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", 5 << 20)
    pieces = [bytes([n]) * (1 << 20) for n in range(12)]
    shelf_of(bucket).put("a.tar", writes(*pieces))
    assert bucket.objects["home/backups/a.tar"] == b"".join(pieces)
    assert any("partNumber=3" in line for line in bucket.requests)


@pytest.mark.parametrize("size_mb", [1, 5, 12])
def test_a_writer_that_fails_leaves_nothing(bucket: far.Bucket, monkeypatch: pytest.MonkeyPatch, size_mb: int) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", 5 << 20)

    def write(out: BinaryIO) -> None:
        for _ in range(size_mb):
            out.write(bytes(1 << 20))
        raise OSError("the disk cannot be read")

    with pytest.raises(OSError, match="the disk cannot be read"):
        shelf_of(bucket).put("a.tar", write)
    assert bucket.objects == {}
    assert bucket.unfinished == {}


def test_a_bucket_that_refuses_a_part_ends_the_writer(bucket: far.Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "PART_BYTES", 5 << 20)
    bucket.refuses["PUT partNumber=2"] = 403
    with pytest.raises(Unavailable) as refusal:
        shelf_of(bucket).put("a.tar", writes(*[bytes(1 << 20)] * 40))
    assert "credentials" in refusal.value.hint
    assert "very-secret-key" not in f"{refusal.value} {refusal.value.__cause__}"
    assert bucket.objects == {}
    assert bucket.unfinished == {}


def test_what_a_kill_left_unfinished_is_forgotten(bucket: far.Bucket) -> None:
    bucket.unfinished["old"] = ("home/backups/a.tar", {1: b"part"})
    shelf_of(bucket).put("b.tar", writes(b"x"))
    assert bucket.unfinished == {}


def test_without_credentials_it_says_which_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(BadConfig) as refusal:
        shelf_and_name("s3://videos")
    assert "AWS_ACCESS_KEY_ID" in refusal.value.hint
