"""A shelf in a bucket of S3, or of what speaks it.

An archive is sent in parts as it is written, and is there when the last one was acknowledged: what ends before leaves
nothing that has a name. Who asks is found as boto3 does it: the environment, its files, the machine's role.
"""

import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, TypeVar, cast

import boto3
import boto3.s3.transfer
import botocore.config
import botocore.exceptions

from vidprod.errors import BadConfig, Conflict, NotFound, Unavailable

T = TypeVar("T")

PART_BYTES = 16 << 20  # at most 10,000 parts: 160 GB
_AT_ONCE = 2  # parts in memory and on their way
_OLD = timedelta(days=2)  # parts of an archive that nobody finishes any more
_TRIES = 5


class Bucket:
    """Below one prefix of it."""

    def __init__(self, name: str, prefix: str = "", *, endpoint: str = "", region: str = "") -> None:
        """
        Args:
            endpoint: "https://…" of what is not Amazon's; region: where its own settings name none.
        Raises:
            BadConfig: the name is none, or there is nothing to sign with.
        """
        self.name, self.prefix = name, f"{prefix}/" if prefix else ""
        settings = botocore.config.Config(
            retries={"mode": "standard", "max_attempts": _TRIES},
            connect_timeout=10,
            read_timeout=60,
            s3={"addressing_style": "path"} if endpoint or os.environ.get("AWS_ENDPOINT_URL") else {},
            request_checksum_calculation="when_required",  # some that speak S3 refuse the newer sums
            response_checksum_validation="when_required",
        )
        with self._told():
            session = boto3.session.Session(region_name=region or None)
            if session.get_credentials() is None:
                raise BadConfig(
                    f"there are no credentials for s3://{name}",
                    hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role.",
                )
            region = session.region_name or "us-east-1"
            self._s3 = session.client("s3", region_name=region, endpoint_url=endpoint or None, config=settings)

    def put(self, name: str, write: Callable[[BinaryIO], T]) -> T:
        """Raises Conflict: there is one of this name. Unavailable: the bucket cannot be written."""
        with self._told():
            if self._size(name) is not None:
                raise Conflict(f"{self.where(name)} is there already", hint="Give another name.")
            self._forget_unfinished()
            result, sent = self._send(name, write)
            if (stored := self._size(name)) != sent:
                raise Unavailable(f"{self.where(name)} has {stored} bytes, and {sent} were sent")
        return result

    def open(self, name: str) -> BinaryIO:
        with self._told():
            try:
                found = self._s3.get_object(Bucket=self.name, Key=self.prefix + name)
            except self._s3.exceptions.NoSuchKey:
                raise NotFound(f"there is no {self.where(name)}") from None
        return cast(BinaryIO, io.BufferedReader(_Body(found["Body"]), 1 << 20))

    def names(self) -> list[str]:
        with self._told():
            pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=self.prefix)
            keys = [one["Key"] for page in pages for one in page.get("Contents", [])]
        return sorted(key.removeprefix(self.prefix) for key in keys)

    def remove(self, name: str) -> None:
        with self._told():
            self._s3.delete_object(Bucket=self.name, Key=self.prefix + name)

    def where(self, name: str) -> str:
        return f"s3://{self.name}/{self.prefix}{name}"

    def free_bytes(self) -> int | None:
        return None

    def _send(self, name: str, write: Callable[[BinaryIO], T]) -> tuple[T, int]:
        """What is written here is read there by boto3, in threads of its own."""
        pipe = _Pipe()
        sending = threading.Thread(target=self._receive, args=(pipe, name), name="s3", daemon=True)
        sending.start()
        try:
            result = write(cast(BinaryIO, pipe))
        except BaseException as error:
            pipe.break_off()
            sending.join()
            if isinstance(error, BrokenPipeError) and pipe.fault is not None:  # the far end has ended it
                raise pipe.fault from None
            raise
        pipe.finish()
        sending.join()
        if pipe.fault is not None:
            raise pipe.fault
        return result, pipe.size

    def _receive(self, pipe: "_Pipe", name: str) -> None:
        transfer = boto3.s3.transfer.TransferConfig(
            multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=_AT_ONCE
        )
        try:
            self._s3.upload_fileobj(_Reads(pipe), self.name, self.prefix + name, Config=transfer)
        except BaseException as error:
            pipe.fault = error
        finally:
            pipe.stop_reading()

    def _size(self, name: str) -> int | None:
        try:
            return int(self._s3.head_object(Bucket=self.name, Key=self.prefix + name)["ContentLength"])
        except botocore.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise

    def _forget_unfinished(self) -> None:
        """Parts that a kill left cost money until somebody forgets them."""
        try:
            found = self._s3.list_multipart_uploads(Bucket=self.name, Prefix=self.prefix).get("Uploads", [])
        except botocore.exceptions.ClientError:  # not every key may, nor does all that speaks S3 know it
            return
        for one in found:
            if one["Initiated"] < datetime.now(UTC) - _OLD:
                self._s3.abort_multipart_upload(Bucket=self.name, Key=one["Key"], UploadId=one["UploadId"])

    @contextmanager
    def _told(self) -> Iterator[None]:
        """boto3's errors become ours; they name the bucket and the request, never a key."""
        try:
            yield
        except (
            botocore.exceptions.BotoCoreError,
            botocore.exceptions.ClientError,
            boto3.exceptions.Boto3Error,
        ) as error:
            raise Unavailable(f"s3://{self.name}/{self.prefix}: {error}", code="s3", hint=_hint(error)) from None


def _hint(error: Exception) -> str:
    if isinstance(error, botocore.exceptions.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status in (401, 403):
            return "Look at the credentials: they need PutObject, GetObject, ListBucket and DeleteObject there."
        if status == 404:
            return "Make the bucket first, or look at its name and region."
    return ""


class _Pipe:
    """Bytes from one thread to another. The reader hears of a writer that gave up, and the writer of a reader."""

    def __init__(self) -> None:
        self._out, self._in = os.pipe()
        self._writes = os.fdopen(self._in, "wb", buffering=1 << 20)
        self._gave_up = False
        self.fault: BaseException | None = None
        self.size = 0

    def write(self, piece: bytes) -> int:
        self.size += len(piece)
        return self._writes.write(piece)

    def flush(self) -> None:
        self._writes.flush()

    def finish(self) -> None:
        """All was written."""
        try:
            self._writes.close()
        except BrokenPipeError:  # the reader says why
            return

    def break_off(self) -> None:
        """No more comes, and what came is not whole."""
        self._gave_up = True
        self.finish()

    def stop_reading(self) -> None:
        """Who writes on hears of it."""
        os.close(self._out)

    def read(self, size: int) -> bytes:
        """`size` bytes, or what is left."""
        pieces, wanted = [], size
        while wanted and (piece := os.read(self._out, min(wanted, 1 << 20))):
            pieces.append(piece)
            wanted -= len(piece)
        if wanted and self._gave_up:
            raise OSError("the archive was not finished")
        return b"".join(pieces)


class _Reads:
    """What boto3 sees of a pipe: it can be read, and nothing else."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe

    def read(self, size: int = -1) -> bytes:
        return self._pipe.read(PART_BYTES if size < 0 else size)


class _Body(io.RawIOBase):
    """An answer's body as a file."""

    def __init__(self, body: Any) -> None:
        self._body = body

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        try:
            piece = self._body.read(len(into))
        except (botocore.exceptions.BotoCoreError, OSError) as error:
            raise Unavailable(f"the answer ended early: {error}", code="s3") from None
        into[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        self._body.close()
        super().close()
