"""Whether the daemon lives, and whether it can take work."""

import asyncio
from collections.abc import Awaitable

import msgspec
from litestar import Response
from litestar.di import NamedDependency

from vidprod.blobs.disk import amount
from vidprod.blobs.volume import apart
from vidprod.domain.backup import in_words
from vidprod.domain.pressure import OF_VOLUME
from vidprod.errors import NoSpace, VidProdError
from vidprod.telemetry import log
from vidprod.web.auth import known
from vidprod.web.desk import Desk, HttpRequest
from vidprod.web.reading import read

_CHECK_TIMEOUT_S = 5.0
_DEGRADES = frozenset({"disk", "memory"})  # what passes by itself, or when something is deleted

_log = log.get(__name__)


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The process answers."""

    status: str = "alive"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the daemon needs."""

    ok: bool
    detail: str = ""


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """`ready`, `degraded` (200: it serves, and refuses uploads or holds media work up) or `not ready` (503)."""

    status: str
    checks: dict[str, Check]


@read("/health")
async def health() -> Health:
    """Whether the process answers. Nothing else is looked at."""
    return Health()


@read("/ready")
async def ready(request: HttpRequest, desk: NamedDependency[Desk]) -> Response[Readiness]:
    """Whether work can be taken: the store writes, the disk has room, the media child starts. `checks` is empty for
    strangers.

    `degraded` is a 200: on a machine that is full or out of memory the page must stay within reach, because deleting
    takes is what helps, and a proxy sends nobody to a machine that answers 503.
    """
    full: list[str] = []  # what the store says of the volume
    store, child = await asyncio.gather(_check(_store(desk, full)), _check(_child(desk)))
    disk = await _check(_disk(desk, full))
    checks = {"store": store, "disk": disk, "memory": _memory(desk), "child": child}
    if desk.stopping.is_set():
        checks["daemon"] = Check(ok=False, detail="stopping")
    if desk.config.backup_to:
        checks["backup"] = await _backup(desk)
    bad = {name for name, check in checks.items() if not check.ok} - {"backup"}  # work goes on without one
    status = "not ready" if bad - _DEGRADES else "degraded" if bad else "ready"
    told = checks if known(request) is not None else {}  # strangers learn whether, not why
    return Response(Readiness(status=status, checks=told), status_code=503 if status == "not ready" else 200)


async def _store(desk: Desk, full: list[str]) -> str:
    try:
        await desk.store.pulse(now=desk.now())
    except NoSpace as error:
        full.append(str(error))
        return "only what makes room is written"
    return ""


async def _disk(desk: Desk, full: list[str]) -> str:
    if said := [*(cause.message for cause in desk.pressure.causes if cause.thing in OF_VOLUME), *full]:
        raise NoSpace(" ".join(dict.fromkeys(said)))
    desk.blobs.admit(1)
    free, database = f"{amount(desk.blobs.free_bytes())} free", apart(desk.store.path.parent, root=desk.blobs.root)
    return free if database is None else f"{free}, and {amount(database.free_bytes)} for the database"


def _memory(desk: Desk) -> Check:
    said = [cause.message for cause in desk.pressure.causes if cause.thing not in OF_VOLUME]
    return Check(ok=not said, detail=" ".join(said))


async def _child(desk: Desk) -> str:
    if not desk.pressure.begins_media:
        return "not started under pressure"
    await desk.child_check()
    return ""


async def _backup(desk: Desk) -> Check:
    try:
        standing = await desk.store.read(lambda db: db.facts.backup())
    except VidProdError as error:
        return Check(ok=False, detail=str(error))
    if standing is None:
        return Check(ok=True, detail="none was made yet")
    now = desk.now()
    return Check(ok=standing.trouble(now=now) is None, detail=in_words(standing, now=now))


async def _check(work: Awaitable[str]) -> Check:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            return Check(ok=True, detail=await work)
    except TimeoutError:
        return Check(ok=False, detail=f"no answer within {_CHECK_TIMEOUT_S:g} s")
    except VidProdError as error:
        return Check(ok=False, detail=str(error))
    except Exception as error:
        _log.warning("check failed", exc_info=error)
        return Check(ok=False, detail=type(error).__name__)
