"""Uploads that are not finished: what the page shows and resumes. tus itself is in `tus.py`."""

import msgspec
from litestar.di import NamedDependency
from litestar.params import FromPath

from vidprod.domain.job import Fault
from vidprod.domain.upload import Upload, UploadKind, UploadState
from vidprod.web.desk import Desk, checked
from vidprod.web.moments import moment
from vidprod.web.reading import read
from vidprod.web.uploads.order import clean_filename
from vidprod.web.uploads.tus_headers import metadata_of


class UploadView(msgspec.Struct, frozen=True, kw_only=True):
    """An upload that can be resumed at `url` until `expires_at`; once it is complete it has a job."""

    id: str
    url: str
    state: UploadState
    kind: UploadKind
    filename: str
    size: int | None
    offset: int
    created_at: str
    expires_at: str | None
    job_id: str | None
    error: Fault | None


class UploadList(msgspec.Struct, frozen=True, kw_only=True):
    """The uploads that are not finished, newest first."""

    uploads: list[UploadView]


@read("/v1/uploads")
async def list_uploads(desk: NamedDependency[Desk]) -> UploadList:
    """The uploads that are not finished, newest first."""
    unfinished = await desk.store.read(lambda db: db.uploads.unfinished())
    now = desk.now()
    return UploadList(uploads=[view(upload) for upload in unfinished if upload.expires_at > now])


@read("/v1/uploads/{upload_id:str}")
async def get_upload(desk: NamedDependency[Desk], upload_id: FromPath[str]) -> UploadView:
    """One upload, finished or not, however it ended."""
    checked(upload_id, "upl")
    return view(await desk.store.read(lambda db: db.uploads.get(upload_id)))


HANDLERS = [list_uploads, get_upload]


def view(upload: Upload) -> UploadView:
    """An upload as it is shown."""
    return UploadView(
        id=upload.id,
        url=f"/files/{upload.id}",
        state=upload.state,
        kind=upload.kind,
        filename=filename_of(upload),
        size=upload.length,
        offset=upload.offset,
        created_at=moment(upload.created_at),
        expires_at=None if upload.finished_at is not None else moment(upload.expires_at),
        job_id=upload.job_id,
        error=upload.error,
    )


def filename_of(upload: Upload) -> str:
    """The client's name for the file."""
    pairs = dict(metadata_of(upload.metadata))
    return clean_filename(pairs.get("filename", pairs.get("name")))
