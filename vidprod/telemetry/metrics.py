"""The numbers at /metrics: one registry, every collector named here and nowhere else."""

from collections.abc import Mapping

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from vidprod import __version__
from vidprod.domain.pressure import RANK, THINGS, Pressure
from vidprod.domain.publication import PublicationState
from vidprod.domain.task import TaskKind, TaskState

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second line for each counter that nobody reads
registry = CollectorRegistry()

_UPLOAD_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_HTTP_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_STEP_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
_PACE = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10)

uploads = Counter(
    "vidprod_uploads",
    "Uploads that ended, by outcome: stored, refused, aborted, failed.",
    ["outcome"],
    registry=registry,
)
upload_bytes = Counter("vidprod_upload_bytes", "Bytes of uploads taken from the network.", registry=registry)
upload_seconds = Histogram(
    "vidprod_upload_seconds", "From an upload's first byte to its answer.", buckets=_UPLOAD_S, registry=registry
)

queue_tasks = Gauge(
    "vidprod_queue_tasks",
    "Tasks in the queue, by kind and state; discarded: dead letters, without what was refused.",
    ["kind", "state"],
    registry=registry,
)
queue_oldest_available_seconds = Gauge(
    "vidprod_queue_oldest_available_seconds", "How long the oldest task that may run has waited.", registry=registry
)

step_seconds = Histogram(
    "vidprod_step_seconds", "Wall time of a step that completed.", ["kind"], buckets=_STEP_S, registry=registry
)
step_seconds_per_media_second = Histogram(
    "vidprod_step_seconds_per_media_second",
    "Wall time of a step that completed, for each second of the take.",
    ["kind"],
    buckets=_PACE,
    registry=registry,
)
attempts = Counter(
    "vidprod_attempts",
    "Attempts at a task that ended, by outcome: completed, without (the job goes on without what it was to bring), "
    "retried, postponed, discarded, refused, given_back, lost.",
    ["kind", "outcome"],
    registry=registry,
)

child_deaths = Counter(
    "vidprod_child_deaths", "Media children that died at work, by the error's code.", ["reason"], registry=registry
)
child_rss_peak_bytes = Gauge(
    "vidprod_child_rss_peak_bytes",
    "Peak resident memory of the last child, by kind of step.",
    ["kind"],
    registry=registry,
)

disk_total_bytes = Gauge("vidprod_disk_total_bytes", "Size of the volume, now.", registry=registry)
disk_free_bytes = Gauge("vidprod_disk_free_bytes", "Bytes of the volume that are free for us, now.", registry=registry)
database_disk_free_bytes = Gauge(
    "vidprod_database_disk_free_bytes",
    "Bytes that are free where the database lies, now; NaN where that is the same volume.",
    registry=registry,
)
disk_used_bytes = Gauge(
    "vidprod_disk_used_bytes",
    "Bytes of media, uploads and work files, as counted in the pruner's last round (every prune_every_s).",
    registry=registry,
)
pressure = Gauge(
    "vidprod_pressure",
    "How near the machine is to the end of a thing: 0 ok, 1 tight (no new uploads), 2 strained (no media work).",
    ["thing"],
    registry=registry,
)
rss_bytes = Gauge("vidprod_resident_memory_bytes", "Resident memory of the daemon.", registry=registry)
rss_bytes.set_function(lambda: float(psutil.Process().memory_info().rss))

http_requests = Counter("vidprod_http_requests", "Requests answered.", ["method", "route", "status"], registry=registry)
http_request_seconds = Histogram(
    "vidprod_http_request_seconds",
    "From the request's head to the end of its answer.",
    ["method", "route"],
    buckets=_HTTP_S,
    registry=registry,
)
webhook_attempts = Counter(
    "vidprod_webhook_attempts",
    "Attempts to deliver an event to an endpoint, by outcome: delivered, retried, failed (no attempt follows).",
    ["outcome"],
    registry=registry,
)

publications = Gauge("vidprod_publications", "Publications that are not over, by state.", ["state"], registry=registry)

backup_age_seconds = Gauge(
    "vidprod_backup_age_seconds", "Age of the last nightly backup that was made and read again.", registry=registry
)

sse_clients = Gauge("vidprod_sse_clients", "Open event streams.", registry=registry)

build = Gauge("vidprod_build_info", "Always 1; the version is the label.", ["version"], registry=registry)
build.labels(version=__version__).set(1)


def set_queue(depth: Mapping[tuple[TaskKind, TaskState], int], *, oldest_available_age_ms: int) -> None:
    """Show the queue as it is now. A kind and state that is not in `depth` is at 0, not at its last value."""
    queue_tasks.clear()
    for (kind, state), count in depth.items():
        queue_tasks.labels(kind=kind, state=state).set(count)
    queue_oldest_available_seconds.set(oldest_available_age_ms / 1000)


def set_publications(states: Mapping[PublicationState, int]) -> None:
    """Show them as they are now. A state that is not in `states` is at 0, not at its last value."""
    publications.clear()
    for state, count in states.items():
        publications.labels(state=state).set(count)


def set_pressure(now: Pressure) -> None:
    """Show it as it is now."""
    for thing in THINGS:
        pressure.labels(thing=thing).set(RANK[now.of(thing)])


def set_backup(at: int | None, *, now: int) -> None:
    """Show how old the last good one is.

    Args:
        at: when it was made, unix ms; None: there is none.
    """
    backup_age_seconds.set(float("nan") if at is None else max(0, now - at) / 1000)


def render() -> tuple[bytes, str]:
    """Everything in Prometheus' text format, and its content type."""
    return generate_latest(registry), CONTENT_TYPE_LATEST
