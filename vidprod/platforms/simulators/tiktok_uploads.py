"""The upload hosts of the simulated TikTok: chunk plans, addresses of one hour that take chunks in order, and what
comes of a file that is whole."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from litestar import Request, Response, put
from litestar.exceptions import InternalServerException
from litestar.handlers import HTTPRouteHandler

from vidprod.platforms.simulators.inspect import Inspection
from vidprod.platforms.simulators.tiktok_faults import Faults
from vidprod.platforms.simulators.tiktok_rules import FAIL_REASONS, Creator, Refused, Rules
from vidprod.platforms.simulators.world import Broken, Fault, World

UPLOAD_HOSTS = ("open-upload.tiktokapis.com", "upload.us.tiktokapis.com", "upload.eu.tiktokapis.com")

_HOUR_MS = 3_600_000
_TYPES = ("video/mp4", "video/quicktime", "video/webm")


@dataclass(kw_only=True)
class Upload:
    """What one init made. Times are unix milliseconds of the world."""

    publish_id: str
    upload_id: str
    upload_token: str
    host: str
    account: str
    direct: bool
    info: Mapping[str, Any]  # post_info
    size: int
    chunk_size: int
    count: int
    created_at: int
    expires_at: int
    asked: bool  # creator_info, in the ten minutes before
    inspection: Inspection = field(default_factory=Inspection)
    forgotten: bool = False
    counted: bool = True  # in what is told of it while it is processed
    completed_at: int | None = None
    processed_at: int | None = None  # None: not complete, or stuck
    fail_reason: str = ""
    post_id: int = 0
    post_id_at: int = 0
    finished_at: int | None = None  # a draft, by its owner in the app

    @property
    def stored(self) -> int:
        return self.inspection.size

    @property
    def privacy(self) -> str:
        return str(self.info.get("privacy_level") or "")


class UploadHosts:
    """Every upload there is."""

    def __init__(self, world: World, *, rules: Rules, faults: Faults, creators: Mapping[str, Creator]) -> None:
        """
        Args:
            creators: by open_id.
        """
        self.uploads: dict[str, Upload] = {}  # by publish_id
        self._world = world
        self._rules = rules
        self._faults = faults
        self._creators = creators
        self._addresses: dict[str, Upload] = {}  # by upload_id

    def handlers(self) -> list[HTTPRouteHandler]:
        """The routes: /HOST/PATH."""
        return [put([f"/{host}/video" for host in UPLOAD_HOSTS])(self._put)]

    def open(
        self, creator: Creator, info: Mapping[str, Any], plan: tuple[int, int, int], *, direct: bool, asked: bool
    ) -> dict[str, Any]:
        """What an init that is taken answers.

        Args:
            plan: size, chunk size and count.
            asked: creator_info was, shortly before.
        """
        size, chunk_size, count = plan
        now = self._world.now()
        upload = Upload(
            publish_id=f"{'v_pub_file' if direct else 'v_inbox_file'}~v2-1.{self._world.number(19)}",
            upload_id=str(self._world.number(19)),
            upload_token=self._world.token(),
            host=UPLOAD_HOSTS[len(self.uploads) % len(UPLOAD_HOSTS)],
            account=creator.open_id,
            direct=direct,
            info=info,
            size=size,
            chunk_size=chunk_size,
            count=count,
            created_at=now,
            expires_at=now + _HOUR_MS,
            asked=asked,
        )
        self.uploads[upload.publish_id] = self._addresses[upload.upload_id] = upload
        address = f"https://{upload.host}/video/?upload_id={upload.upload_id}&upload_token={upload.upload_token}"
        return {"publish_id": upload.publish_id, "upload_url": self._world.url(address)}

    def state(self, upload: Upload) -> dict[str, Any]:
        """What status/fetch tells at this moment."""
        now = self._world.now()
        if upload.completed_at is None or upload.processed_at is None or now < upload.processed_at:
            return {"status": "PROCESSING_UPLOAD", "uploaded_bytes": upload.stored if upload.counted else 0}
        if upload.fail_reason:
            return {"status": "FAILED", "fail_reason": upload.fail_reason, "uploaded_bytes": upload.stored}
        if not upload.direct and not self.is_finished(upload):
            return {"status": "SEND_TO_USER_INBOX", "uploaded_bytes": upload.stored}
        told: dict[str, Any] = {"status": "PUBLISH_COMPLETE", "uploaded_bytes": upload.stored}
        if upload.privacy == "PUBLIC_TO_EVERYONE" and now >= upload.post_id_at:
            told["publicaly_available_post_id"] = [upload.post_id]
        return told

    def is_finished(self, upload: Upload) -> bool:
        """Whether a draft was posted in the app."""
        if self._rules.finishes_s is not None and upload.processed_at is not None:
            return self._world.now() >= upload.processed_at + self._rules.finishes_s * 1000
        return upload.finished_at is not None

    async def _put(self, request: Request[Any, Any, Any]) -> Response[bytes]:
        fault = self._faults.at("tiktok.put")
        upload = self._addresses.get(request.query_params.get("upload_id", ""))
        if fault is not None and fault.name in ("500", "503", "html", "400", "416"):
            await _drained(request)
            return await self._faults.before(fault) or Response(b"", status_code=int(fault.name))
        if fault is not None and upload is not None and fault.name == "403":
            upload.expires_at = min(upload.expires_at, self._world.now())
        if fault is not None and upload is not None and fault.name == "404":
            upload.forgotten = True
        await self._faults.wait(fault)
        refusal = self._put_refusal(request, upload)
        if refusal or upload is None:
            await _drained(request)
            return Response(b"", status_code=refusal or 404)
        first, last = _range(request) or (0, 0)
        received = await self._received(request, upload, last + 1 - first, fault)
        if received is None:
            return Response(b"", status_code=400)
        if upload.stored != first:  # another connection was faster
            return Response(b"", status_code=416)
        upload.inspection = received
        if upload.stored == upload.size:
            self._complete(upload)
        if fault is not None and fault.name in ("lost_answer", "truncated"):
            raise Broken
        progress = {"Content-Range": f"bytes 0-{upload.stored - 1}/{upload.size}"} if upload.stored else {}
        return Response(b"", status_code=201 if upload.stored == upload.size else 206, headers=progress)

    def _put_refusal(self, request: Request[Any, Any, Any], upload: Upload | None) -> int:
        """A status; 0: the chunk may come."""
        if upload is None or upload.forgotten or request.url.path.split("/")[1] != upload.host:
            return 404
        if request.query_params.get("upload_token") != upload.upload_token or self._world.now() >= upload.expires_at:
            return 403
        span = _range(request)
        if span is None or request.headers.get("Content-Type") not in _TYPES or "Authorization" in request.headers:
            return 400
        first, last = span
        total = request.headers["Content-Range"].rpartition("/")[2]
        if total != str(upload.size) or request.headers.get("Content-Length") != str(last + 1 - first):
            return 400
        if first != upload.stored or first >= upload.size:
            return 416
        index = min(first // upload.chunk_size, upload.count - 1)
        end = upload.size if index == upload.count - 1 else (index + 1) * upload.chunk_size
        return 0 if last + 1 == end else 400

    async def _received(
        self, request: Request[Any, Any, Any], upload: Upload, length: int, fault: Fault | None
    ) -> Inspection | None:
        """What is known after this chunk; None: it has another length. What breaks off leaves nothing."""
        inspection = upload.inspection.copy()
        kept = length // 2 if fault is not None and fault.name == "partial" else length
        came = 0
        async for piece in _stream(request):
            inspection.feed(piece[: max(0, kept - came)])
            came += len(piece)
            if fault is not None and fault.name == "reset":
                raise Broken
        return inspection if came == length else None

    def _complete(self, upload: Upload) -> None:
        """Every byte is here: what will come of it is settled now, and told by and by."""
        upload.completed_at = now = self._world.now()
        upload.processed_at = now + int(self._rules.processing_s * 1000 + upload.size / 20_000)
        upload.post_id = 7_400_000_000_000_000_000 + self._world.number(15)
        upload.post_id_at = upload.processed_at + int(self._rules.moderation_s * 1000)
        longest_s = self._creators[upload.account].longest_s if upload.direct else None
        refusals = upload.inspection.facts().faults("tiktok", longest_s=longest_s)
        upload.fail_reason = refusals[0].code if refusals else ""
        fault = self._faults.at("tiktok.processing")
        if fault is None:
            return
        if fault.name in FAIL_REASONS:
            upload.fail_reason = fault.name
        elif fault.name == "stuck":
            upload.processed_at = None
        elif fault.name in ("slow", "uncounted"):
            upload.counted = fault.name == "slow"
            upload.processed_at += int((fault.value or 600) * 1000)
            upload.post_id_at = upload.processed_at + int(self._rules.moderation_s * 1000)
        else:
            upload.post_id_at += int((fault.value or 4 * 3600) * 1000)


def plan_of(source: Any, *, strict: bool) -> tuple[int, int, int]:
    """A plan that is taken. Raises Refused."""
    source = source if isinstance(source, dict) else {}
    if source.get("source") == "PULL_FROM_URL":
        raise Refused("url_ownership_unverified")
    if source.get("source") != "FILE_UPLOAD":
        raise Refused("invalid_params", "source_info.source is missing or unknown.")
    size, chunk, count = (source.get(name) for name in ("video_size", "chunk_size", "total_chunk_count"))
    if not (isinstance(size, int) and isinstance(chunk, int) and isinstance(count, int)) or size <= 0 or chunk <= 0:
        raise Refused("invalid_params", "video_size, chunk_size and total_chunk_count must be positive integers.")
    if size > 4 << 30:
        raise Refused("invalid_params", "The video is too large.")
    if chunk > 64_000_000 or chunk > size or (chunk < 5_000_000 and chunk != size):
        raise Refused("invalid_params", "The chunk size is invalid")
    if count != size // chunk or not 1 <= count <= 1000:
        raise Refused("invalid_params", "The total chunk count is invalid")
    if strict and count == 1 and chunk != size:
        raise Refused("invalid_params", "The chunk size is invalid")
    return size, chunk, count


def _range(request: Request[Any, Any, Any]) -> tuple[int, int] | None:
    found = re.fullmatch(r"bytes (\d+)-(\d+)/\d+", request.headers.get("Content-Range", ""))
    span = (int(found[1]), int(found[2])) if found else (1, 0)
    return span if span[0] <= span[1] else None


async def _stream(request: Request[Any, Any, Any]) -> AsyncIterator[bytes]:
    try:
        async for piece in request.stream():
            yield piece
    except InternalServerException:  # litestar's name for a sender who went away
        raise Broken from None


async def _drained(request: Request[Any, Any, Any]) -> None:
    """Who answers before it has all is not heard over HTTP/1.1."""
    async for _ in _stream(request):
        pass
