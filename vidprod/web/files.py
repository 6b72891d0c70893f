"""A file as an answer: whole or in part (RFC 9110, sections 13 and 14), named for whoever saves it (RFC 8187)."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.response import Stream

from vidprod.errors import BadRequest, NotFound
from vidprod.web.desk import HttpRequest
from vidprod.web.problems import problem

_PIECE_BYTES = 256 << 10
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")
_TOKEN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`|~")

# Nobody's page may come out of a file of ours, whatever is in it: no script runs. The policy also governs the player
# that a browser makes of a file opened by itself, which loads the file once more, from its own origin.
_POLICY = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'"

_HEADERS = {
    "Accept-Ranges": "bytes",
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
}


_STAYS = "private, max-age=86400, immutable"  # a shared cache must not keep private footage
_MAY_CHANGE = "private, no-cache"  # asked for again each time, sent only when it changed


class OutOfRange(BadRequest):
    """The range starts behind the end of the file."""

    code = "out_of_range"
    status = 416


async def send_file(
    request: HttpRequest,
    path: Path,
    *,
    media_type: str,
    etag: str,
    filename: str,
    attachment: bool,
    stays: bool = False,
) -> Response[Any]:
    """The file, the part of it that is asked for, or that nothing changed.

    Args:
        etag: strong, without quotes: the same only for the same bytes.
        filename: what it is saved as.
        stays: this address never has another file.
    Raises:
        NotFound: the file is not there (any more).
    """
    try:
        file = await asyncio.to_thread(_Opened, path)
    except FileNotFoundError as error:
        raise NotFound("The file is gone.", code="media_gone") from error
    headers = {
        **_HEADERS,
        "ETag": f'"{etag}"',
        "Cache-Control": _STAYS if stays else _MAY_CHANGE,
        "Content-Disposition": disposition(filename, attachment=attachment),
    }
    if matches(request.headers.get("if-none-match"), etag):
        file.close()
        return Response(b"", status_code=304, headers=headers, media_type=media_type)
    try:
        part = _part(request, size=file.size, etag=etag)
    except OutOfRange as error:
        file.close()
        size = {"Content-Range": f"bytes */{file.size}"}
        return problem(error.status, str(error), code=error.code, headers=size)
    start, end = part or (0, file.size)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    headers["Content-Length"] = str(end - start)
    status = 200 if part is None else 206
    if request.method == "HEAD":
        file.close()
        return Response(b"", status_code=status, headers=headers, media_type=media_type)
    return Stream(file.pieces(start, end), status_code=status, headers=headers, media_type=media_type)


class _Opened:
    """A file that is open: it can be read to its end even when it is deleted meanwhile."""

    _fd = -1

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self.size = os.fstat(self._fd).st_size

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __del__(self) -> None:
        self.close()  # an answer whose client was gone before its first byte is never iterated

    async def pieces(self, start: int, end: int) -> AsyncIterator[bytes]:
        try:
            while start < end:
                piece = await asyncio.to_thread(os.pread, self._fd, min(_PIECE_BYTES, end - start), start)
                if not piece:
                    return  # cut short on the disk: the client sees that bytes are missing
                start += len(piece)
                yield piece
        finally:
            self.close()


def _part(request: HttpRequest, *, size: int, etag: str) -> tuple[int, int] | None:
    """The half-open range that is asked for; None for the whole file. Raises OutOfRange."""
    header = request.headers.get("range")
    if header is None or request.method not in ("GET", "HEAD"):
        return None
    condition = request.headers.get("if-range")
    if condition is not None and condition != f'"{etag}"':
        return None  # of another version, or a date, which we do not give
    found = _RANGE.fullmatch(header.replace(" ", ""))
    if found is None:
        return None  # several ranges, or none we know: RFC 9110, 14.2 lets the whole be sent
    first, last, suffix = found.groups()
    if suffix is not None:
        start, end = max(0, size - int(suffix)), size
    else:
        start, end = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < int(first):
            return None
    if start >= end:
        raise OutOfRange
    return start, end


def matches(header: str | None, etag: str) -> bool:
    """Whether If-None-Match names `etag` (without quotes)."""
    if header is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in header.split(",")}
    return "*" in tags or f'"{etag}"' in tags


def disposition(filename: str, *, attachment: bool) -> str:
    """The header that names a file: plain ASCII for old clients, all of it for the others."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in filename)
    full = quote(filename, safe="".join(_TOKEN))
    return f"{'attachment' if attachment else 'inline'}; filename=\"{plain}\"; filename*=UTF-8''{full}"
