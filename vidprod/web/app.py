"""The application: every route, the guard before them, and errors as problems.

Litestar takes 0.1 s to read the handlers' signatures and to wrap each route in its middlewares. None of that depends on
what a daemon is built on, so it is done once a process, and each request brings along whose it is.
"""

import asyncio
import functools
from collections.abc import Awaitable, Callable

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

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
    calendar,
    connecting,
    deliveries,
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
    posts,
    pressure,
    problems,
    public,
    publications,
    publishing,
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


class App:
    """What a server calls: the routes, with one desk."""

    def __init__(self, desk: Desk) -> None:
        config, limits_ = desk.config, desk.limits
        self.desk = desk
        self.state = State({"stopping": desk.stopping, "door": desk.door})
        self.before: list[ASGIMiddleware] = [
            metrics.CountRequests(),
            guard.RefuseOtherHosts([config.host, *config.hosts, config.public_host]),
            guard.RefuseOtherSites(),
            audit.Audit(desk.store, config, limits_, desk.now),
            auth.Authenticate(desk.door, limits_, config),
            limits.Limit(limits_, config, desk.door.mode),
            slow.EndSlowBodies(within_s=min(slow.WITHIN_S, config.upload_read_timeout_s)),
        ]
        self.add_headers = guard.headers(config)
        self._routed = routed()  # now: the first request shall not wait for it

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})[_APP] = self
        await self._routed(scope, receive, send)


_APP = "vidprod_app"


def _asked(scope: Scope) -> App:
    app: App = scope["state"][_APP]
    return app


def _desk(scope: Scope) -> Desk:
    return _asked(scope).desk


async def _add_headers(message: Message, scope: Scope) -> None:
    await _asked(scope).add_headers(message, scope)


class _Before(ASGIMiddleware):
    """The middlewares of the application that was asked, the first one outermost."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        for step in reversed(_asked(scope).before):
            next_app = functools.partial(step.handle, next_app=next_app)
        await next_app(scope, receive, send)


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
) -> App:
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
    return App(desk)


@functools.cache
def routed() -> Litestar:
    """Every route. To be asked through an `App`."""
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
            *connecting.HANDLERS,
            *publishing.HANDLERS,
            *publications.HANDLERS,
            calendar.get_calendar,
            posts.preview_post,
            *audit.HANDLERS,
            *links.HANDLERS,
            *quote.HANDLERS,
            *push.HANDLERS,
            events.list_events,
            events.stream_events,
            *endpoints.HANDLERS,
            *deliveries.HANDLERS,
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
        dependencies={"desk": Provide(_desk, sync_to_thread=False)},
        middleware=[_Before()],
        before_send=[_add_headers, limits.add_headers],
        exception_handlers=problems.HANDLERS,
        openapi_config=docs.OPENAPI,
        request_max_body_size=given.MOST_BYTES,  # uploads say otherwise
        logging_config=None,  # ours is set up by who starts the daemon
    )
