"""How nightly backups stand, over HTTP."""

import msgspec
from litestar.di import NamedDependency

from vidprod.domain.backup import Trouble
from vidprod.web.desk import Desk
from vidprod.web.moments import moment
from vidprod.web.reading import read


class BackupView(msgspec.Struct, frozen=True, kw_only=True):
    """`trouble`: the last attempt failed, or none was made for a day and a half; null: all is well, or none are asked
    for. `at`: when the last good one was made."""

    nightly: bool
    trouble: Trouble | None = None
    at: str | None = None
    failed_at: str | None = None
    fault: str = ""


@read("/v1/backup")
async def get_backup(desk: NamedDependency[Desk]) -> BackupView:
    """Whether a backup is made each night, when the last good one was, and what went wrong since."""
    nightly = bool(desk.config.backup_to)
    standing = await desk.store.read(lambda db: db.facts.backup()) if nightly else None
    if standing is None:
        return BackupView(nightly=nightly)
    return BackupView(
        nightly=nightly,
        trouble=standing.trouble(now=desk.now()),
        at=moment(standing.at),
        failed_at=moment(standing.failed_at),
        fault=standing.fault,
    )
