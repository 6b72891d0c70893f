"""The page: plain files, from the checkout's `static/` or from the installed package."""

import functools
import gzip
import hashlib
from pathlib import Path
from string import Template
from typing import Any

import msgspec
from litestar import Response
from litestar.params import FromPath

from vidprod.errors import NotFound
from vidprod.web.desk import HttpRequest
from vidprod.web.files import matches
from vidprod.web.reading import read

_PACKAGE = Path(__file__).resolve().parent.parent

# by suffix, written out: a machine's own table may know .js as anything. Texts get their charset from Litestar
_MEDIA_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
_PACKED = {".png"}  # their bytes are packed already
_WORKER = "sw.js"


def static_directory() -> Path:
    """Where the page's files are: in an installed wheel inside the package, in a checkout beside it."""
    installed = _PACKAGE / "_static"
    return installed if installed.is_dir() else _PACKAGE.parent / "static"


@read("/", include_in_schema=False)
async def get_page(request: HttpRequest) -> Response[Any]:
    """The page."""
    return _send(request, "index.html")


@read("/static/{path:path}", include_in_schema=False)
async def get_static(request: HttpRequest, path: FromPath[Path]) -> Response[Any]:
    """What the page is made of."""
    return _send(request, path.as_posix().lstrip("/"))


@read("/sw.js", include_in_schema=False)
async def get_worker(request: HttpRequest) -> Response[Any]:
    """The service worker. At the root, because it answers for what lies beside and below it."""
    answer = _answer(request, service_worker(), media_type="text/javascript", packable=True)
    answer.headers["Service-Worker-Allowed"] = "/"
    return answer


def service_worker() -> bytes:
    """`sw.js` with what it keeps: the page's files, and a version that is another as soon as one of them is."""
    directory = static_directory()
    version = hashlib.sha256()
    files = []
    for path in sorted(directory.iterdir()):
        if path.suffix in _MEDIA_TYPES:
            version.update(path.name.encode() + b"\0" + path.read_bytes())
            if path.name != _WORKER:
                files.append(f"/static/{path.name}")
    shell = {"version": version.hexdigest()[:16], "files": files}
    return b"const SHELL = " + msgspec.json.encode(shell) + b";\n" + (directory / _WORKER).read_bytes()


@read("/favicon.ico", include_in_schema=False)
async def get_icon(request: HttpRequest) -> Response[Any]:
    """For browsers that ask without reading the page."""
    return _send(request, "favicon.svg")


@read("/login", include_in_schema=False)
async def get_login(request: HttpRequest) -> Response[Any]:
    """The page to sign in."""
    return _send_gate(request, "login", title="Sign in")


@read("/setup", include_in_schema=False)
async def get_setup(request: HttpRequest) -> Response[Any]:
    """The page to set up."""
    return _send_gate(request, "setup", title="Set up")


def _send_gate(request: HttpRequest, name: str, *, title: str) -> Response[Any]:
    """The one frame of the pages for who is not in yet, with the panel of this one."""
    frame, panel = ((static_directory() / one).read_text("utf-8") for one in ("gate.html", f"{name}.html"))
    page = Template(frame).substitute(name=name, title=title, panel=panel)
    return _answer(request, page.encode(), media_type="text/html", packable=True)


def _send(request: HttpRequest, name: str) -> Response[Any]:
    path, media_type = _found(name)
    content = path.read_bytes()  # a few kilobytes from the page cache: a thread would cost more
    return _answer(request, content, media_type=media_type, packable=path.suffix not in _PACKED)


def _answer(request: HttpRequest, content: bytes, *, media_type: str, packable: bool) -> Response[Any]:
    etag = hashlib.sha256(content).hexdigest()[:32]
    headers = {
        "Cache-Control": "no-cache",
        "Vary": "Accept-Encoding",
    }  # asked for again each time, sent when it changed
    packs = packable and _takes_gzip(request.headers.get("accept-encoding", ""))
    if packs:
        etag += "-gzip"  # RFC 9110, 8.8.3.3: other bytes, another tag
    headers["ETag"] = f'"{etag}"'
    if matches(request.headers.get("if-none-match"), etag):
        return Response(b"", status_code=304, headers=headers, media_type=media_type)
    if packs:
        content, headers["Content-Encoding"] = _packed(content), "gzip"
    return Response(content, headers=headers, media_type=media_type)


def _takes_gzip(accepted: str) -> bool:
    """Source: RFC 9110, 12.5.3."""
    for one in accepted.split(","):
        coding, _, weight = one.replace(" ", "").lower().partition(";")
        if coding == "gzip":
            return weight.rstrip("0.") != "q="
    return False


@functools.lru_cache(maxsize=128)  # about as many as there are files, in less memory than a connection takes
def _packed(content: bytes) -> bytes:
    return gzip.compress(content, 9, mtime=0)


def _found(name: str) -> tuple[Path, str]:
    directory = static_directory().resolve()
    path = directory if "\0" in name else (directory / name).resolve()
    media_type = _MEDIA_TYPES.get(path.suffix)
    if media_type is None or not path.is_relative_to(directory) or not _is_file(path):
        raise NotFound(f"There is no page {name[:60]!r}.")
    return path, media_type


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for the file system names nothing
        return False
