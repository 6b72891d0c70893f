"""What tus 1.0.0 says in headers, read and checked. All of it is what a client says: hostile until it is checked."""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from vidprod.domain.upload import UploadKind
from vidprod.errors import BadRequest, TooLarge
from vidprod.web.desk import HttpRequest
from vidprod.web.uploads.order import Order, read_order

VERSION = "1.0.0"
EXTENSIONS = (
    "creation",
    "creation-with-upload",
    "creation-defer-length",
    "expiration",
    "checksum",
    "termination",
    "concatenation",
)
CHECKSUMS = ("sha1", "sha256")
CONTENT_TYPE = "application/offset+octet-stream"

MAX_METADATA = 32 << 10  # characters; a recipe as JSON is a few hundred bytes, the longest captions some thousand
MAX_PARTS = 64  # of one final upload; clients send three or four at once
MAX_NUMBER = (1 << 63) - 1  # of a column

_NOT_ORDERED = frozenset({"filetype", "type", "name", "relativePath"})  # what tus-js-client and Uppy add by themselves


class WrongVersion(BadRequest):
    """The request speaks no tus 1.0.0."""

    code = "wrong_tus_version"
    status = 412
    hint = "Send the header `Tus-Resumable: 1.0.0`."


class WrongContentType(BadRequest):
    """The body is not declared as a part of an upload."""

    code = "wrong_content_type"
    status = 415
    hint = f"Send the header `Content-Type: {CONTENT_TYPE}`."


class BadHeader(BadRequest):
    """A header of tus cannot be read."""

    code = "bad_header"


class Checksum(msgspec.Struct, frozen=True, kw_only=True):
    """What a body is said to hash to."""

    name: str
    digest: bytes

    def begin(self) -> Any:
        """A hash to be fed."""
        return hashlib.new(self.name, usedforsecurity=False)


class Concat(msgspec.Struct, frozen=True, kw_only=True):
    """Which part an upload plays, and of which ones a final one is made."""

    kind: UploadKind
    parts: list[str] = []  # the last part of each address


def check_version(request: HttpRequest) -> None:
    """Raises WrongVersion."""
    version = request.headers.get("tus-resumable")
    if version != VERSION:
        raise WrongVersion(f"Tus-Resumable is {(version or 'not given')[:30]!r}, not {VERSION!r}.")


def check_content_type(request: HttpRequest) -> None:
    """Raises WrongContentType."""
    if not has_part(request):
        kind = request.headers.get("content-type", "not given")
        raise WrongContentType(f"Content-Type is {kind[:60]!r}, not {CONTENT_TYPE!r}.")


def has_part(request: HttpRequest) -> bool:
    """Whether the body is declared as bytes of an upload."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == CONTENT_TYPE


def offset_of(request: HttpRequest) -> int:
    """Where the body goes on. Raises BadHeader."""
    offset = _number(request, "Upload-Offset")
    if offset is None:
        raise BadHeader("Upload-Offset is missing.", hint="HEAD says how far the upload is.")
    return offset


def length_of(request: HttpRequest) -> int | None:
    """The size of the whole upload, where the request says one. Raises BadHeader."""
    return _number(request, "Upload-Length")


def announced(request: HttpRequest) -> int | None:
    """The size of a new upload; None: it comes later. Raises BadHeader when it says neither, or both."""
    length, defer = length_of(request), request.headers.get("upload-defer-length")
    if defer not in (None, "1"):
        raise BadHeader(f"Upload-Defer-Length is {defer[:30]!r}, not '1'.")
    if (length is None) == (defer is None):
        both = "both given" if defer else "both missing"
        raise BadHeader(f"Upload-Length and Upload-Defer-Length are {both}: it must be one of them.")
    return length


def checksum_of(request: HttpRequest) -> Checksum | None:
    """What the body must hash to. Raises BadHeader."""
    text = request.headers.get("upload-checksum")
    if text is None:
        return None
    name, _, encoded = text.partition(" ")
    if name not in CHECKSUMS:
        raise BadHeader(f"Upload-Checksum is by {name[:30]!r}: known are {', '.join(CHECKSUMS)}.")
    checksum = Checksum(name=name, digest=_decoded(encoded, "Upload-Checksum"))
    if len(checksum.digest) != checksum.begin().digest_size:
        raise BadHeader(f"Upload-Checksum has {len(checksum.digest)} bytes, which is no {name}.")
    return checksum


def concat_of(request: HttpRequest) -> Concat:
    """Raises BadHeader."""
    text = request.headers.get("upload-concat")
    if text is None:
        return Concat(kind="whole")
    if text.strip() == "partial":
        return Concat(kind="partial")
    word, semicolon, rest = text.partition(";")
    parts = [address.rstrip("/").rpartition("/")[2] for address in rest.split()]
    if word.strip() != "final" or not semicolon or not parts:
        raise BadHeader(f"Upload-Concat is {text[:60]!r}: it must be 'partial', or 'final;' and addresses.")
    if len(parts) > MAX_PARTS:
        raise TooLarge(f"Upload-Concat names {len(parts)} uploads; at most {MAX_PARTS} are joined.")
    return Concat(kind="final", parts=parts)


def metadata_of(text: str | None) -> list[tuple[str, str]]:
    """The pairs of an Upload-Metadata; none where it is missing or empty, which some clients send. Raises BadHeader."""
    if text is None or not text.strip():
        return []
    if len(text) > MAX_METADATA:
        raise TooLarge(f"Upload-Metadata has {len(text)} characters; at most {MAX_METADATA} are taken.")
    pairs: dict[str, str] = {}
    for pair in text.split(","):
        name, _, encoded = pair.strip().partition(" ")
        if not name or not name.isascii() or " " in encoded:
            raise BadHeader(f"Upload-Metadata has {pair[:60]!r}, which is no key, a space and its value in base64.")
        if name in pairs:
            raise BadHeader(f"Upload-Metadata has {name[:60]!r} more than once.")
        try:
            pairs[name] = _decoded(encoded, f"Upload-Metadata: {name[:60]}").decode()
        except UnicodeDecodeError as error:
            raise BadHeader(f"Upload-Metadata: {name[:60]} is not UTF-8.") from error
    return list(pairs.items())


def order_of(pairs: Iterable[tuple[str, str]]) -> Order:
    """What an upload's metadata orders: every field that a form may have. Raises BadRecipe, naming every fault."""
    given = dict(pairs)
    if "filename" not in given and "name" in given:
        given["filename"] = given["name"]
    return read_order((name, value) for name, value in given.items() if name not in _NOT_ORDERED)


def without(text: str, name: str) -> str:
    """An Upload-Metadata without one of its pairs, and else as it was."""
    return ",".join(pair for pair in text.split(",") if pair.strip().partition(" ")[0] != name)


def _number(request: HttpRequest, name: str) -> int | None:
    text = request.headers.get(name)
    if text is None:
        return None
    # its length before its value: Python refuses to read thousands of digits
    if not (text.isascii() and text.isdigit() and len(text) <= 19) or (number := int(text)) > MAX_NUMBER:
        raise BadHeader(f"{name} is {text[:30]!r}, not a number of bytes.")
    return number


def _decoded(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadHeader(f"{what} is not base64.") from error
