"""What tus 1.0.0 demands, as a table: requests, and what must be answered. Whoever serves it is another matter.

Source: the protocol's text, and the names of tusd's own tests. A case that the reference server is known to fail says
why; one that VidProd answers otherwise on purpose says that.
"""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

Expected = str | Callable[[str], bool]

PART = "application/offset+octet-stream"
HEAD = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41\x00\x00\x00\x08free"
MAX_SIZE = 10_000_000  # of both servers

GONE = (404, 410)
NO = (400, 409, 413, 415)  # which one, the protocol leaves open


def take(size: int) -> bytes:
    """What passes for a video."""
    return (HEAD + bytes(range(256)) * (size // 256 + 1))[:size]


@dataclass(frozen=True)
class Ask:
    """A request, and what must come back. `$name` stands for a Location that was kept, `/…` is below the endpoint."""

    method: str
    path: str = ""
    headers: Mapping[str, str | None] = None  # type: ignore[assignment]  # None: the header is left out
    body: bytes | list[bytes] = b""  # a list is sent in chunks
    status: int | tuple[int, ...] = 204
    has: Mapping[str, Expected] = None  # type: ignore[assignment]
    lacks: tuple[str, ...] = ()
    keep: str = ""  # the Location under this name


@dataclass(frozen=True)
class Case:
    """A sentence of the protocol."""

    name: str
    asks: tuple[Ask, ...]
    reference_fails: str = ""  # why
    ours_differs: str = ""
    reference_varies: str = ""  # with its own timing: it is not asked


def new(
    length: int | str | None = 100,
    *,
    keep: str = "a",
    status: int | tuple[int, ...] = 201,
    body: Any = b"",
    **more: Any,
) -> Ask:
    headers = {} if length is None else {"Upload-Length": str(length)}
    has = more.pop("has", {})
    lacks = more.pop("lacks", ())
    return Ask("POST", "", headers | more.pop("headers", {}), body, status, has, lacks, keep)


def patch(offset: int | str | None, body: Any = b"", *, path: str = "$a", **more: Any) -> Ask:
    headers = {"Content-Type": PART} | ({} if offset is None else {"Upload-Offset": str(offset)})
    status, has = more.pop("status", 204), more.pop("has", None)
    if has is None:
        size = len(body) if isinstance(body, bytes) else sum(map(len, body))
        has = {"Upload-Offset": str(int(offset or 0) + size)} if status == 204 else {}
    return Ask("PATCH", path, headers | more.pop("headers", {}), body, status, has, more.pop("lacks", ()))


def head(offset: int, *, path: str = "$a", **has: Expected) -> Ask:
    return Ask("HEAD", path, {}, status=(200, 204), has={"Upload-Offset": str(offset)} | _named(has))


def _named(has: Mapping[str, Expected]) -> dict[str, Expected]:
    return {name.replace("_", "-"): value for name, value in has.items()}


def pairs(**values: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


def checksum(body: bytes, name: str = "sha1") -> dict[str, str]:
    digest = hashlib.new(name, body).digest()
    return {"Upload-Checksum": f"{name} {base64.b64encode(digest).decode()}"}


def is_coming(text: str) -> bool:
    """A date of RFC 9110 that lies before us."""
    return text.endswith(" GMT") and parsedate_to_datetime(text) > datetime.now(UTC)


def listed(word: str) -> Callable[[str], bool]:
    return lambda text: word in [one.strip() for one in text.split(",")]


DEFER = {"Upload-Defer-Length": "1"}
VIDEO = take(100)
METHODS = (("POST", ""), ("HEAD", "$a"), ("PATCH", "$a"), ("DELETE", "$a"))
NO_CHECKSUM = "@tus/server has no checksum extension"
NO_CONCAT = "@tus/server has no concatenation"
NO_OVERRIDE = "@tus/server does not look at X-HTTP-Method-Override"
NO_412 = "@tus/server answers 400, without Tus-Version"
EMPTY = "an empty file is no video: 415"

CASES: list[Case] = []


def case(name: str, *asks: Ask, reference_fails: str = "", ours_differs: str = "", reference_varies: str = "") -> None:
    CASES.append(Case(name, asks, reference_fails, ours_differs, reference_varies))


# what is understood

case("OPTIONS names the version", Ask("OPTIONS", status=(200, 204), has={"Tus-Version": listed("1.0.0")}))
case("OPTIONS names the largest size", Ask("OPTIONS", status=(200, 204), has={"Tus-Max-Size": str(MAX_SIZE)}))
for extension in ("creation", "creation-with-upload", "creation-defer-length", "termination", "expiration"):
    case(f"OPTIONS names {extension}", Ask("OPTIONS", status=(200, 204), has={"Tus-Extension": listed(extension)}))
case(
    "OPTIONS names concatenation",
    Ask("OPTIONS", status=(200, 204), has={"Tus-Extension": listed("concatenation")}),
    reference_fails=NO_CONCAT,
)
case(
    "OPTIONS names checksum and sha1",
    Ask(
        "OPTIONS",
        status=(200, 204),
        has={"Tus-Extension": listed("checksum"), "Tus-Checksum-Algorithm": listed("sha1")},
    ),
    reference_fails=NO_CHECKSUM,
)
case("OPTIONS needs no Tus-Resumable", Ask("OPTIONS", "", {"Tus-Resumable": None}, status=(200, 204)))
case("OPTIONS ignores another Tus-Resumable", Ask("OPTIONS", "", {"Tus-Resumable": "0.2.2"}, status=(200, 204)))
case("OPTIONS is answered for an upload too", new(), Ask("OPTIONS", "$a", status=(200, 204)))

# the version

for method, path in METHODS:
    other = {"Upload-Length": "100", "Upload-Offset": "0", "Content-Type": PART}
    if method != "PATCH":
        del other["Content-Type"]
    case(
        f"{method} without a version is refused",
        new(),
        Ask(method, path, {**other, "Tus-Resumable": None}, status=412),
    )
    case(
        f"{method} of another version is refused, and told the right one",
        new(),
        Ask(method, path, {**other, "Tus-Resumable": "0.2.2"}, status=412, has={"Tus-Version": listed("1.0.0")}),
        reference_fails=NO_412,
    )
case(
    "what is refused for its version is not done",
    new(),
    patch(0, VIDEO[:50], status=412, headers={"Tus-Resumable": "2.0.0"}),
    head(0),
    reference_fails=NO_412,
)
case("answers name the version", new(has={"Tus-Resumable": "1.0.0"}), head(0, Tus_Resumable="1.0.0"))
case("refusals name the version", Ask("HEAD", "/none", status=404, has={"Tus-Resumable": "1.0.0"}))

# creation

case("an upload is created", new(has={"Location": lambda where: len(where) > 8}), head(0, Upload_Length="100"))
case("each upload has its own address", new(), new(keep="b"), patch(0, VIDEO[:10]), head(0, path="$b"))
case("a length of 0 is complete at once", new(0), head(0, Upload_Length="0"), ours_differs=EMPTY)
for wrong in ("-1", "abc", "1.5", "0x10", "+5", ""):
    case(f"Upload-Length {wrong!r} is refused", new(wrong, status=400))
case("a creation without any length is refused", new(None, status=400))
case("a creation with both lengths is refused", new(100, headers=DEFER, status=400))
for wrong in ("0", "2", "yes"):
    case(f"Upload-Defer-Length {wrong!r} is refused", new(None, headers={"Upload-Defer-Length": wrong}, status=400))
case("more than the largest size is refused", new(MAX_SIZE + 1, status=413))
case("the largest size is taken", new(MAX_SIZE), head(0, Upload_Length=str(MAX_SIZE)))
case(
    "a creation on an upload's address is none",
    new(),
    Ask("POST", "$a", {"Upload-Length": "5"}, status=(404, 405)),
    reference_fails="@tus/server creates another",
)

TEXT = pairs(filename="take.mp4", filetype="video/mp4")
case("metadata is kept as it came", new(headers={"Upload-Metadata": TEXT}), head(0, Upload_Metadata=TEXT))
case(
    "metadata may be of any language",
    new(headers={"Upload-Metadata": pairs(filename="Größe ☃.mp4")}),
    head(0, Upload_Metadata=pairs(filename="Größe ☃.mp4")),
)
case("a key of metadata may have no value", new(headers={"Upload-Metadata": f"filetype,{pairs(filename='a.mp4')}"}))
case(
    "empty metadata is none",
    new(headers={"Upload-Metadata": ""}),
    reference_fails="@tus/server answers 400; tuspy sends it",
)
case("without metadata HEAD has none", new(), Ask("HEAD", "$a", {}, status=(200, 204), lacks=("Upload-Metadata",)))
for why, text in {
    "is not base64": "filename not*base64",
    "has a key twice": "filename YQ==,filename Yg==",
    "has an empty key": "filename YQ==,, YQ==",
}.items():
    case(f"metadata that {why} is refused", new(headers={"Upload-Metadata": text}, status=400))

# how far it is

case("HEAD says the offset, also when it is 0", new(), head(0))
case("HEAD is not to be kept by caches", new(), head(0, Cache_Control=lambda text: "no-store" in text))
case("HEAD of what is not there", Ask("HEAD", "/none", status=GONE, lacks=("Upload-Offset",)))
case("HEAD of a complete one", new(), patch(0, VIDEO), head(100, Upload_Length="100"))
case("HEAD twice is the same", new(), patch(0, VIDEO[:50]), head(50), head(50))

# parts

case("one PATCH brings it all", new(), patch(0, VIDEO), head(100))
case("several bring it in turn", new(), patch(0, VIDEO[:30]), patch(30, VIDEO[30:31]), patch(31, VIDEO[31:]), head(100))
case("an empty PATCH changes nothing", new(), patch(0, b""), patch(0, VIDEO[:10]), patch(10, b""), head(10))
case("a body in chunks", new(), patch(0, [VIDEO[:20], VIDEO[20:60], VIDEO[60:]]), head(100))
case("a large part", new(3_000_000), patch(0, take(3_000_000)), head(3_000_000))
case("a PATCH behind the offset is refused", new(), patch(0, VIDEO[:50]), patch(51, VIDEO[51:], status=409), head(50))
case("a PATCH before the offset is refused", new(), patch(0, VIDEO[:50]), patch(0, VIDEO, status=409), head(50))
case("a PATCH without an offset is refused", new(), patch(None, VIDEO, status=(400, 403, 409)), head(0))
for wrong in ("-1", "abc", "1.5", ""):
    case(f"Upload-Offset {wrong!r} is refused", new(), patch(wrong, VIDEO, status=(400, 403, 409)), head(0))
for kind in ("application/octet-stream", "video/mp4", None):
    case(
        f"a body of type {kind} is refused",
        new(),
        patch(0, VIDEO, status=(400, 403, 415), headers={"Content-Type": kind}),
        head(0),
    )
case("a PATCH to what is not there", patch(0, VIDEO, path="/none", status=GONE))
case("more than the length is refused", new(), patch(0, take(101), status=NO), head(0))
case("more than what is left is refused", new(), patch(0, VIDEO[:50]), patch(50, take(51), status=NO), head(50))
case(
    "more than the length, in chunks, never counts",
    new(100),
    patch(0, [VIDEO[:40], take(100)], status=NO),
    head(40),
    reference_varies="@tus/server says 413, and keeps the first chunk if that was written before the second came",
)
case("a complete one takes nothing more", new(), patch(0, VIDEO), patch(50, VIDEO[50:], status=(403, 409)), head(100))
case("nothing, sent to a complete one, is well", new(), patch(0, VIDEO), patch(100, b""), head(100))
case("a refused part may be sent again", new(), patch(5, VIDEO, status=409), patch(0, VIDEO), head(100))

# expiration

case("a new upload says when it expires", new(has={"Upload-Expires": is_coming}))
case("so does each part", new(), patch(0, VIDEO[:10], has={"Upload-Expires": is_coming}))
case("and not the last one", new(), patch(0, VIDEO, lacks=("Upload-Expires",)))

# bytes with the creation

WITH = {"Content-Type": PART}
case("a creation may bring all", new(headers=WITH, body=VIDEO, has={"Upload-Offset": "100"}), head(100))
case("or a part", new(headers=WITH, body=VIDEO[:60], has={"Upload-Offset": "60"}), head(60), patch(60, VIDEO[60:]))
case("or nothing yet", new(headers=WITH, has={"Upload-Offset": "0"}), patch(0, VIDEO))
case("or come in chunks", new(headers=WITH, body=[VIDEO[:10], VIDEO[10:70]], has={"Upload-Offset": "70"}), head(70))
case("or too much", new(headers=WITH, body=take(101), status=NO))
case(
    "bytes of another type do not count",
    new(headers={"Content-Type": "video/mp4"}, body=VIDEO[:60]),
    head(0),
)
case(
    "a creation with bytes keeps metadata",
    new(headers=WITH | {"Upload-Metadata": TEXT}, body=VIDEO[:60]),
    head(60, Upload_Metadata=TEXT),
)

# a length that comes later

LATER = {"Upload-Length": "100"}
case("a length may come later", new(None, headers=DEFER), head(0, Upload_Defer_Length="1"))
case(
    "HEAD has no length before",
    new(None, headers=DEFER),
    Ask("HEAD", "$a", {}, status=(200, 204), lacks=("Upload-Length",)),
)
case(
    "it comes with the first part",
    new(None, headers=DEFER),
    patch(0, VIDEO[:50], headers=LATER),
    head(50, Upload_Length="100"),
)
case(
    "or with a later one",
    new(None, headers=DEFER),
    patch(0, VIDEO[:50]),
    patch(50, VIDEO[50:], headers=LATER),
    head(100),
)
case("or with nothing at the end", new(None, headers=DEFER), patch(0, VIDEO), patch(100, b"", headers=LATER), head(100))
case("once known, it is told", new(None, headers=DEFER), patch(0, b"", headers=LATER), head(0, Upload_Length="100"))
case(
    "it is not changed",
    new(),
    patch(0, VIDEO, headers={"Upload-Length": "200"}, status=NO),
    head(0, Upload_Length="100"),
)
case(
    "it is not shorter than what is there",
    new(None, headers=DEFER),
    patch(0, VIDEO),
    patch(100, b"", headers={"Upload-Length": "50"}, status=NO),
)
case(
    "it is not over the largest size",
    new(None, headers=DEFER),
    patch(0, VIDEO[:10], headers={"Upload-Length": str(MAX_SIZE + 1)}, status=413),
)
case(
    "bytes may come with the creation",
    new(None, headers=DEFER | WITH, body=VIDEO[:60]),
    head(60, Upload_Defer_Length="1"),
)

# checksums

for name in ("sha1", "sha256"):
    case(
        f"a part with its {name} is taken",
        new(),
        patch(0, VIDEO[:50], headers=checksum(VIDEO[:50], name)),
        patch(50, VIDEO[50:], headers=checksum(VIDEO[50:], name)),
        head(100),
    )
    case(
        f"a part with another {name} is dropped",
        new(),
        patch(0, VIDEO[:50], headers=checksum(b"other", name), status=460),
        head(0),
        patch(0, VIDEO, headers=checksum(VIDEO, name)),
        head(100),
        reference_fails=NO_CHECKSUM,
    )
for why, text in {
    "of an unknown kind": "md4 YQ==",
    "without a digest": "sha1",
    "that is not base64": "sha1 ***",
    "of the wrong length": "sha1 YWJj",
}.items():
    case(
        f"a checksum {why} is refused",
        new(),
        patch(0, VIDEO, headers={"Upload-Checksum": text}, status=400),
        head(0),
        reference_fails=NO_CHECKSUM,
    )
case(
    "a second part with another checksum leaves the first",
    new(),
    patch(0, VIDEO[:50]),
    patch(50, VIDEO[50:], headers=checksum(b"other"), status=460),
    head(50),
    patch(50, VIDEO[50:], headers=checksum(VIDEO[50:])),
    head(100),
    reference_fails=NO_CHECKSUM,
)
case(
    "a creation with bytes may have a checksum",
    new(headers=WITH | checksum(VIDEO), body=VIDEO, has={"Upload-Offset": "100"}),
    new(headers=WITH | checksum(b"other"), body=VIDEO, status=460, keep=""),
    reference_fails=NO_CHECKSUM,
)

# termination

END = Ask("DELETE", "$a", {}, status=204, has={"Tus-Resumable": "1.0.0"})
case("an upload is terminated", new(), END, Ask("HEAD", "$a", {}, status=GONE, lacks=("Upload-Offset",)))
case("one that has begun, too", new(), patch(0, VIDEO[:50]), END, patch(50, VIDEO[50:], status=GONE))
case("once", new(), END, Ask("DELETE", "$a", {}, status=GONE))
case("what is not there is not", Ask("DELETE", "/none", {}, status=GONE))
case("others stay", new(), new(keep="b"), END, head(0, path="$b"))

# through POST

VIA = "X-HTTP-Method-Override"
for name, asks in {
    "PATCH through POST": (Ask("POST", "$a", {VIA: "PATCH", "Upload-Offset": "0", **WITH}, VIDEO[:40]), head(40)),
    "DELETE through POST": (Ask("POST", "$a", {VIA: "DELETE"}), Ask("HEAD", "$a", {}, status=GONE)),
    "HEAD through POST": (Ask("POST", "$a", {VIA: "HEAD"}, status=(200, 204), has={"Upload-Offset": "0"}),),
    "what goes through wins over the method": (
        Ask("PATCH", "$a", {VIA: "DELETE", "Upload-Offset": "0", **WITH}, VIDEO),
        Ask("HEAD", "$a", {}, status=GONE),
    ),
}.items():
    case(name, new(), *asks, reference_fails=NO_OVERRIDE)

# concatenation

PARTIAL = {"Upload-Concat": "partial"}


def final(*names: str, **more: Any) -> Ask:
    where = " ".join(f"${name}" for name in names)
    return new(None, keep="f", headers={"Upload-Concat": f"final;{where}"} | more.pop("headers", {}), **more)


TWO = (
    new(40, headers=PARTIAL),
    new(60, headers=PARTIAL, keep="b"),
    patch(0, VIDEO[:40]),
    patch(0, VIDEO[40:], path="$b"),
)


def concat(name: str, *asks: Ask) -> None:
    case(name, *asks, reference_fails=NO_CONCAT)


concat("a partial upload says that it is one", new(40, headers=PARTIAL), head(0, Upload_Concat="partial"))
concat("two make a final one", *TWO, final("a", "b"), head(100, path="$f", Upload_Length="100"))
concat(
    "a final one says so", *TWO, final("a", "b"), head(100, path="$f", Upload_Concat=lambda t: t.startswith("final;"))
)
concat("nothing is sent to a final one", *TWO, final("a", "b"), patch(100, b"x", path="$f", status=403))
concat(
    "it has its own metadata",
    *TWO,
    final("a", "b", headers={"Upload-Metadata": TEXT}),
    head(100, path="$f", Upload_Metadata=TEXT),
)
concat(
    "parts may be empty",
    new(0, headers=PARTIAL),
    new(100, headers=PARTIAL, keep="b"),
    patch(0, VIDEO, path="$b"),
    final("a", "b"),
)
concat("a part may be there twice", new(50, headers=PARTIAL), patch(0, take(50)), final("a", "a"), head(100, path="$f"))
concat("parts that are not complete are refused", *TWO[:3], final("a", "b", status=(400, 403, 409)), head(40))
concat("parts that are not there are refused", *TWO, final("a", "none", status=(*GONE, 400)))
concat("a whole upload is no part", new(), patch(0, VIDEO), final("a", status=(400, 403, 409)))
concat("a final one has no length of its own", *TWO, final("a", "b", headers={"Upload-Length": "100"}, status=400))
for wrong in ("whole", "final", "partial;x"):
    case(f"Upload-Concat {wrong!r} is refused", new(100, headers={"Upload-Concat": wrong}, status=400))
concat("a final one of nothing is refused", new(None, headers={"Upload-Concat": "final;"}, status=400))
concat("asked for again, it is the same", *TWO, final("a", "b"), final("a", "b"), head(100, path="$f"))
concat("a partial one may be terminated", *TWO, END, final("a", "b", status=GONE))
concat("with bytes at its creation", new(40, headers=PARTIAL | WITH, body=VIDEO[:40]), head(40))
concat("and with its length later", new(None, headers=PARTIAL | DEFER), patch(0, VIDEO, headers=LATER), final("a"))
