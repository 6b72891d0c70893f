"""The numbers of /metrics, and the ones every request adds."""

import time
from typing import cast

from litestar import Response
from litestar.di import NamedDependency
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from vidprod.blobs.volume import apart
from vidprod.telemetry import metrics
from vidprod.web.auth import is_near, need
from vidprod.web.desk import Desk, HttpRequest
from vidprod.web.reading import read


@read("/metrics", media_type="text/plain")
async def get_metrics(request: HttpRequest, desk: NamedDependency[Desk]) -> Response[bytes]:
    """Numbers in Prometheus' text format: for this machine, and for who may read."""
    if not is_near(request.scope):
        need(request, "read")
    now = desk.now()
    depth, age_ms, states, backup = await desk.store.read(
        lambda db: (
            db.tasks.depth(),
            db.tasks.oldest_available_age_ms(now=now),
            db.publications.count(),
            db.facts.backup(),
        )
    )
    metrics.set_queue(depth, oldest_available_age_ms=age_ms)
    metrics.set_publications(states)
    metrics.set_backup(None if backup is None else backup.at, now=now)
    metrics.set_pressure(desk.pressure)
    metrics.disk_total_bytes.set(desk.blobs.total_bytes())
    metrics.disk_free_bytes.set(desk.blobs.free_bytes())
    database = apart(desk.store.path.parent, root=desk.blobs.root)
    metrics.database_disk_free_bytes.set(float("nan") if database is None else database.free_bytes)
    body, media_type = metrics.render()
    return Response(body, media_type=media_type)


class CountRequests(ASGIMiddleware):
    """Each request by its route, not its path: ids must not become labels."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        method = cast(HTTPScope, scope)["method"]  # `scopes` says so
        began = time.monotonic()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        route = scope.get("path_template", "")
        try:
            await next_app(scope, receive, watched)
        except Exception as error:
            status = getattr(error, "status", getattr(error, "status_code", 500))
            raise
        finally:
            metrics.http_requests.labels(method=method, route=route, status=str(status)).inc()
            metrics.http_request_seconds.labels(method=method, route=route).observe(time.monotonic() - began)
