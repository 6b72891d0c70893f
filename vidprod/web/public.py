"""A segment's file at a signed address that ends: for a platform that fetches instead of being sent.

Who has the address has the file, for as long as it lasts; nobody can make one up or lengthen it. It is for machines: no
redirect, no cookie, one file.
"""

from typing import Any

from litestar import Response
from litestar.di import NamedDependency
from litestar.params import FromPath

from vidprod.domain.address import read_address
from vidprod.errors import NotFound
from vidprod.web.desk import Desk, HttpRequest
from vidprod.web.files import send_file
from vidprod.web.reading import read


@read("/public/{name:str}")
async def get_public(request: HttpRequest, desk: NamedDependency[Desk], name: FromPath[str]) -> Response[Any]:
    """The file behind a signed address. Not for people: `/v1/segments/{segment_id}/video` is theirs."""
    address = read_address(name, signed=desk.vault.signed)
    if address is None:
        raise NotFound("There is no such file.")  # whatever is wrong with it: nothing is to be learnt by trying
    if desk.now() >= address.until:
        raise NotFound("The address has ended.", code="address_ended")
    segment, ended_at = await desk.store.read(
        lambda db: (db.segments.get(address.segment_id), db.links.ended_at(address.segment_id))
    )
    if address.made is not None and ended_at is not None and address.made <= ended_at:
        raise NotFound("The address has ended.", code="address_ended")
    rendition = segment.rendition
    if rendition is None or segment.deleted_at is not None or segment.making != address.making:
        raise NotFound("The file is gone.", code="media_gone")
    return await send_file(
        request,
        desk.blobs.segment_path(segment.job_id, segment.id, ".mp4", making=segment.making),
        media_type="video/mp4",
        etag=rendition.sha256,
        filename=f"{segment.id}.mp4",  # not the take's: it is nobody's business there
        attachment=False,
    )
