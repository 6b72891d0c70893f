"""The application: every route, the guard before them, and errors as problems."""

import asyncio
from collections.abc import Awaitable, Callable

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide

from vidprod.blobs.disk import DiskBlobs
from vidprod.config import Config
from vidprod.store.sqlite import Store
from vidprod.vault import Vault
from vidprod.web import (
    accounts,
    archive,
    audit,
    auth,
    backups,
    docs,
    endpoints,
    events,
    given,
    guard,
    health,
    jobs,
    keys,
    limits,
    links,
    login,
    metrics,
    pages,
    pressure,
    problems,
    public,
    publications,
    push,
    quote,
    review,
    security,
    segments,
    slow,
)
from vidprod.web.desk import Connects, Desk, Watch
from vidprod.web.door import Door
from vidprod.web.uploads import form, raw, share, tus, unfinished


def create_app(
    store: Store,
    blobs: DiskBlobs,
    config: Config,
    child_check: Callable[[], Awaitable[None]],
    child_warm: Callable[[], None],
    now: Callable[[], int],
    *,
    vault: Vault,
    connects: Connects,
    clock: Callable[[], int] | None = None,
    watch: Watch | None = None,
) -> Litestar:
    """The application on open rooms. Whoever serves it sets `app.state.stopping` when it shall end its streams.
    `app.state.door` says who may come in.

    Args:
        child_check: raises when the media child does not start.
        child_warm: called when a video comes in, so that a media child is up when it is here.
        now: unix ms.
        clock: unix ms of publishing, where its clock is another.
        watch: refuses uploads under pressure; None: nobody does.
    """
    door = Door(store, config, now)
    desk = Desk(
        store=store,
        blobs=blobs,
        config=config,
        child_check=child_check,
        child_warm=child_warm,
        now=now,
        clock=clock or now,
        vault=vault,
        connects=connects,
        stopping=asyncio.Event(),
        door=door,
        limits=limits.Limits(config),
        watch=watch,
    )

    def provide_desk() -> Desk:
        return desk

    return Litestar(
        route_handlers=[
            form.post_upload,
            share.post_share,
            raw.put_upload,
            raw.put_upload_named,
            *tus.HANDLERS,
            *unfinished.HANDLERS,
            jobs.get_status,
            jobs.get_job,
            jobs.list_jobs,
            jobs.cancel_job,
            jobs.retry_job,
            jobs.delete_job,
            archive.get_archive,
            segments.get_file,
            segments.make_again,
            segments.retry,
            *review.HANDLERS,
            public.get_public,
            *login.HANDLERS,
            *keys.HANDLERS,
            *security.HANDLERS,
            *accounts.HANDLERS,
            *publications.HANDLERS,
            *audit.HANDLERS,
            *links.HANDLERS,
            *quote.HANDLERS,
            *push.HANDLERS,
            events.list_events,
            events.stream_events,
            endpoints.list_endpoints,
            endpoints.add_endpoint,
            endpoints.get_endpoint,
            endpoints.edit_endpoint,
            endpoints.delete_endpoint,
            endpoints.test_endpoint,
            endpoints.rotate_secret,
            endpoints.enable_endpoint,
            endpoints.disable_endpoint,
            endpoints.list_deliveries,
            endpoints.replay_span,
            endpoints.get_delivery,
            endpoints.replay_delivery,
            health.health,
            health.ready,
            pressure.get_pressure,
            backups.get_backup,
            metrics.get_metrics,
            pages.get_page,
            pages.get_static,
            pages.get_icon,
            pages.get_worker,
            pages.get_login,
            pages.get_setup,
            docs.get_document,
            docs.get_style,
        ],
        dependencies={"desk": Provide(provide_desk, sync_to_thread=False)},
        middleware=[
            metrics.CountRequests(),
            guard.RefuseOtherHosts([config.host, *config.hosts, config.public_host]),
            guard.RefuseOtherSites(),
            audit.Audit(store, config, desk.limits, now),
            auth.Authenticate(door, desk.limits, config),
            limits.Limit(desk.limits, config, door.mode),
            slow.EndSlowBodies(within_s=min(slow.WITHIN_S, config.upload_read_timeout_s)),
        ],
        before_send=[guard.headers(config), limits.add_headers],
        exception_handlers=problems.HANDLERS,
        openapi_config=docs.OPENAPI,
        request_max_body_size=given.MOST_BYTES,  # uploads say otherwise
        state=State({"stopping": desk.stopping, "door": door}),
        logging_config=None,  # ours is set up by who starts the daemon
    )
