"""A segment's file at a signed address that ends: for a platform that fetches instead of being sent.

Who has the address has the file, for as long as it lasts; nobody can make one up or lengthen it. It is for machines: no
redirect, no cookie, one file.
"""

from typing import Any

from litestar import Response
from litestar.di import NamedDependency
from litestar.params import FromPath

from vidprod.domain.ids import is_id
from vidprod.errors import NotFound
from vidprod.vault import Vault
from vidprod.web.desk import Desk, HttpRequest
from vidprod.web.files import send_file
from vidprod.web.reading import read

LASTS_MS = 6 * 3600 * 1000  # a container is fetched within minutes; a slow one, and a second try, within hours


def public_path(vault: Vault, segment_id: str, *, making: int, now: int) -> str:
    """The path of a segment's file, from `now` on for some hours: "/public/seg_….1.1760000000000.SIGNATURE.mp4"."""
    told = f"{segment_id}.{making}.{now + LASTS_MS}"
    return f"/public/{told}.{vault.sign(told)}.mp4"


@read("/public/{name:str}")
async def get_public(request: HttpRequest, desk: NamedDependency[Desk], name: FromPath[str]) -> Response[Any]:
    """The file behind a signed address. Not for people: `/v1/segments/{segment_id}/video` is theirs."""
    segment_id, making = _checked(desk, name)
    segment = await desk.store.read(lambda db: db.segments.get(segment_id))
    rendition = segment.rendition
    if rendition is None or segment.deleted_at is not None or segment.making != making:
        raise NotFound("The file is gone.", code="media_gone")
    return await send_file(
        request,
        desk.blobs.segment_path(segment.job_id, segment.id, ".mp4", making=making),
        media_type="video/mp4",
        etag=rendition.sha256,
        filename=f"{segment_id}.mp4",  # not the take's: it is nobody's business there
        attachment=False,
    )


def _checked(desk: Desk, name: str) -> tuple[str, int]:
    """The segment and its making. Raises NotFound, whatever is wrong: nothing is to be learnt by trying."""
    told, _, signature = name.removesuffix(".mp4").rpartition(".")
    segment_id, _, rest = told.partition(".")
    making, _, until = rest.partition(".")
    if not (desk.vault.signed(told, signature) and is_id(segment_id, "seg") and making.isdigit() and until.isdigit()):
        raise NotFound("There is no such file.")
    if desk.now() >= int(until):
        raise NotFound("The address has ended.", code="address_ended")
    return segment_id, int(making)
