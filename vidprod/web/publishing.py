"""The one switch that stops all publishing, over HTTP."""

from typing import Protocol

import msgspec
from litestar import post
from litestar.di import NamedDependency

from vidprod.store.sqlite import Tables
from vidprod.store.sqlite.standing import PAUSED_AT, held_by, move_out, pause_publishing, resume_publishing
from vidprod.web.desk import Desk
from vidprod.web.moments import moment


class PublishingView(msgspec.Struct, frozen=True, kw_only=True):
    """Since when nothing is published anywhere; null: all goes out as planned. `held`: why, where it is more than a
    pause: this was restored from a backup, or moved to another home."""

    paused_at: str | None
    held: str | None = None


@post("/v1/publishing/pause", status_code=200)
async def pause_all(desk: NamedDependency[Desk]) -> PublishingView:
    """Publish nothing anywhere, from now on and over restarts."""
    return await _switched(desk, pause_publishing, urgent=True)


@post("/v1/publishing/resume", status_code=200)
async def resume_all(desk: NamedDependency[Desk]) -> PublishingView:
    """Publish again what is due; what was restored or missed waits for a word about each. Not where it was moved."""
    return await _switched(desk, resume_publishing)


@post("/v1/publishing/move-out", status_code=200)
async def move_house(desk: NamedDependency[Desk]) -> PublishingView:
    """This home publishes nothing from now on: `vidprod move out` takes everything to another one."""
    return await _switched(desk, move_out)


HANDLERS = [pause_all, resume_all, move_house]


def view_publishing(db: Tables) -> PublishingView:
    """As it is now, inside a transaction."""
    held = held_by(db)
    return PublishingView(paused_at=moment(db.facts.get(PAUSED_AT)), held=None if held is None else held.message)


class _Switch(Protocol):
    def __call__(self, db: Tables, *, now: int) -> object: ...


async def _switched(desk: Desk, switch: _Switch, *, urgent: bool = False) -> PublishingView:
    def work(db: Tables) -> PublishingView:
        switch(db, now=desk.clock())
        return view_publishing(db)

    return await desk.store.write(work, urgent=urgent)
