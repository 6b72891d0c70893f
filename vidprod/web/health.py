"""Whether the daemon lives, and whether it can take work."""

import asyncio
from collections.abc import Awaitable

import msgspec
from litestar import Response
from litestar.di import NamedDependency

from vidprod.blobs.disk import amount
from vidprod.errors import VidProdError
from vidprod.telemetry import log
from vidprod.web.auth import known
from vidprod.web.desk import Desk, HttpRequest
from vidprod.web.reading import read

_CHECK_TIMEOUT_S = 5.0

_log = log.get(__name__)


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The process answers."""

    status: str = "alive"


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing the daemon needs."""

    ok: bool
    detail: str = ""


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether every check is well."""

    status: str
    checks: dict[str, Check]


@read("/health")
async def health() -> Health:
    """Whether the process answers. Nothing else is looked at."""
    return Health()


@read("/ready")
async def ready(request: HttpRequest, desk: NamedDependency[Desk]) -> Response[Readiness]:
    """Whether work can be taken: the store writes, the disk has room, the media child starts. `checks` is empty for
    strangers."""
    store, disk, child = await asyncio.gather(
        _check(desk.store.pulse(now=desk.now())), _check(_disk(desk)), _check(desk.child_check())
    )
    checks = {"store": store, "disk": disk, "child": child}
    if desk.stopping.is_set():
        checks["daemon"] = Check(ok=False, detail="stopping")
    well = all(check.ok for check in checks.values())
    told = checks if known(request) is not None else {}  # strangers learn whether, not why
    return Response(Readiness(status="ready" if well else "not ready", checks=told), status_code=200 if well else 503)


async def _disk(desk: Desk) -> str:
    desk.blobs.admit(1)
    return f"{amount(desk.blobs.free_bytes())} free"


async def _check(work: Awaitable[str | None]) -> Check:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            return Check(ok=True, detail=await work or "")
    except TimeoutError:
        return Check(ok=False, detail=f"no answer within {_CHECK_TIMEOUT_S:g} s")
    except VidProdError as error:
        return Check(ok=False, detail=str(error))
    except Exception as error:
        _log.warning("check failed", exc_info=error)
        return Check(ok=False, detail=type(error).__name__)
