"""Jobs over HTTP: seen, listed, cancelled, tried again, deleted."""

import asyncio
from typing import Annotated

import msgspec
from litestar import Response, delete, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from vidprod.domain.job import FINAL, STATES
from vidprod.domain.video import Video
from vidprod.store.sqlite import Tables, lifecycle, steering
from vidprod.web.desk import Desk, checked
from vidprod.web.job_view import JobView, view_job
from vidprod.web.paging import check_cursor, states_of
from vidprod.web.pressure import held
from vidprod.web.reading import read


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some jobs, newest first, and where the next page starts."""

    jobs: list[JobView]
    next_cursor: str | None


@read("/status/{job_id:str}")
async def get_status(desk: NamedDependency[Desk], job_id: FromPath[str]) -> JobView:
    """How a job is doing."""
    checked(job_id, "job")
    return held(await desk.store.read(lambda db: view_job(db, db.jobs.get(job_id))), desk.pressure)


@read("/v1/jobs/{job_id:str}")
async def get_job(desk: NamedDependency[Desk], job_id: FromPath[str]) -> JobView:
    """The same as /status/{job_id}."""
    checked(job_id, "job")
    return held(await desk.store.read(lambda db: view_job(db, db.jobs.get(job_id))), desk.pressure)


@read("/v1/jobs")
async def list_jobs(
    desk: NamedDependency[Desk],
    limit: Annotated[int, QueryParameter(ge=1, le=100, description="jobs a page")] = 20,
    cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before")] = None,
    states: Annotated[
        str | None, QueryParameter(name="state", description="only these, separated by commas: processing,queued")
    ] = None,
    q: Annotated[str | None, QueryParameter(max_length=200, description="part of the file's name")] = None,
) -> JobPage:
    """Jobs, newest first."""
    wanted = states_of(states, STATES)
    check_cursor(cursor, "job")

    def page(db: Tables) -> JobPage:
        jobs = db.jobs.list(limit=limit + 1, before=cursor, states=wanted, q=q)
        more = len(jobs) > limit
        return JobPage(
            jobs=[held(view_job(db, job, with_errors=False), desk.pressure) for job in jobs[:limit]],
            next_cursor=jobs[limit - 1].id if more else None,
        )

    return await desk.store.read(page)


@post("/v1/jobs/{job_id:str}/cancel", status_code=200)
async def cancel_job(desk: NamedDependency[Desk], job_id: FromPath[str]) -> JobView:
    """Stop a job. Segments that are finished stay."""
    checked(job_id, "job")

    def cancel(db: Tables) -> JobView:
        return view_job(db, lifecycle.cancel_job(db, db.jobs.get(job_id), now=desk.now()))

    return await desk.store.write(cancel, urgent=True)


@post("/v1/jobs/{job_id:str}/retry", status_code=202)
async def retry_job(desk: NamedDependency[Desk], job_id: FromPath[str]) -> JobView:
    """Try a failed or cancelled job again from the step that did not end well. Finished segments stay."""
    checked(job_id, "job")

    def retry(db: Tables) -> JobView:
        return view_job(db, lifecycle.retry_job(db, job_id, max_attempts=desk.config.max_attempts, now=desk.now()))

    return await desk.store.write(retry)


@delete("/v1/jobs/{job_id:str}", status_code=204)
async def delete_job(desk: NamedDependency[Desk], job_id: FromPath[str]) -> Response[None]:
    """Delete a job, its segments and, when no other job uses it, its video. One that runs is cancelled first, and so is
    what is planned of it; refused while a segment is on its way to a platform."""
    checked(job_id, "job")

    def remove(db: Tables) -> Video | None:
        now = desk.now()
        job = db.jobs.get(job_id)
        if job.state not in FINAL:
            lifecycle.cancel_job(db, job, now=now)
        db.tasks.cancel_of_job(job_id, now=now)  # of a job that is over: segments that are made again
        steering.end_with_job(db, job_id, now=desk.clock())
        video = db.jobs.delete(job_id)
        db.events.record("job.deleted", job_id=job_id, now=now)
        return video

    video = await desk.store.write(remove, urgent=True)
    await asyncio.to_thread(_delete_files, desk, job_id, video)
    return Response(None, status_code=204)


def _delete_files(desk: Desk, job_id: str, video: Video | None) -> None:
    desk.blobs.delete_media(job_id)
    if video is not None:
        desk.blobs.delete_source(video.id)
