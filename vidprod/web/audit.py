"""The log of changes: who did what, from where, and how it ended. Written after the answer, so nobody waits for it.

There is a row for each request that changed something, for each that was forbidden to somebody who was known, and for
each try to sign in. The pieces of an upload that resumes make none: its beginning and its end do.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, cast

import msgspec
from litestar.di import NamedDependency
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.params import QueryParameter
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from vidprod.config import Config
from vidprod.domain.who import Who
from vidprod.errors import VidProdError
from vidprod.store.sqlite import Store, Tables
from vidprod.store.sqlite.audit import Audited
from vidprod.telemetry import log
from vidprod.web.client import client_address
from vidprod.web.desk import Desk
from vidprod.web.limits import Limits
from vidprod.web.moments import moment
from vidprod.web.reading import read

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_CHANGES_NOTHING = frozenset({"POST /v1/posts/preview"})
_PIECES = frozenset({"PATCH /files/{upload_id}", "POST /files/{upload_id}"})
_SIGNING_IN = frozenset({"POST /login", "POST /setup"})
_NAMES_WHAT_CAME = frozenset({b"location", b"vidprod-job"})
_ID = re.compile(r"\b[a-z]{3,4}_[0-9a-z]{26}\b")
_MOST_SUBJECTS = 20
_LARGEST = (1 << 63) - 1

_log = log.get(__name__)


class Audit(ASGIMiddleware):
    """Writes the rows. It stands before the one that says who asks, to hear of what that one forbids."""

    scopes = (ScopeType.HTTP,)

    def __init__(self, store: Store, config: Config, limits: Limits, now: Callable[[], int]) -> None:
        self._store = store
        self._config = config
        self._limits = limits
        self._now = now

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        request = cast(HTTPScope, scope)  # `scopes` says so
        if request["method"] in _SAFE:
            await next_app(scope, receive, send)
            return
        status = 0
        made: list[str] = []

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                made.extend(
                    value.decode("latin-1") for name, value in message["headers"] if name.lower() in _NAMES_WHAT_CAME
                )
            await send(message)

        try:
            await next_app(scope, receive, watched)
        except Exception as error:
            status = getattr(error, "status", getattr(error, "status_code", 500))
            raise
        finally:
            await self._record(request, status, made)

    async def _record(self, request: HTTPScope, status: int, made: list[str]) -> None:
        what = f"{request['method']} {request.get('path_template', '').rstrip('/')}"
        who: Who | None = request["state"].get("who")
        if not self._is_kept(what, who, status, made):
            return
        subject = list(dict.fromkeys(_ID.findall(" ".join([request["path"], *made]))))[:_MOST_SUBJECTS]
        address, now = client_address(request, self._config), self._now()

        def write(db: Tables) -> None:
            db.audit.record(who, what[:120], subject=subject, address=address, status=status, now=now)

        try:
            await self._store.write(write)
        except VidProdError as error:  # it is done and answered: all that is left is to say so elsewhere
            _log.error("change not logged", what=what, status=status, subject=subject, error=str(error))

    def _is_kept(self, what: str, who: Who | None, status: int, made: list[str]) -> bool:
        if what in _SIGNING_IN:
            # strangers write here: only so many an hour, or they would fill the volume
            return status < 400 or (status != 429 and self._limits.take("strangers_told", "") is None)
        if what in _CHANGES_NOTHING or (what in _PIECES and not made):
            return False
        return 0 < status < 400 or status >= 500 or (status == 403 and who is not None)


class ByView(msgspec.Struct, frozen=True, kw_only=True):
    """Who it was. `open`: where nobody is asked; `stranger`: who tried to sign in."""

    kind: Literal["open", "owner", "key", "stranger"]
    user_id: str | None
    key_id: str | None
    session_id: str | None
    address: str


class AuditView(msgspec.Struct, frozen=True, kw_only=True):
    """A change. `subject`: ids of what it was about; `status`: how it was answered."""

    number: int
    at: str
    by: ByView
    what: str
    subject: list[str]
    status: int | None
    data: dict[str, Any]


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some changes, newest first; `next_before` goes on, and is null on the last page."""

    changes: list[AuditView]
    next_before: int | None


@read("/v1/audit")
async def list_changes(
    desk: NamedDependency[Desk],
    limit: Annotated[int, QueryParameter(ge=1, le=500, description="changes a page")] = 100,
    before: Annotated[
        int | None, QueryParameter(ge=1, le=_LARGEST, description="`next_before` of the page before")
    ] = None,
    subject: Annotated[
        str | None, QueryParameter(max_length=60, description="only what this id did, or what was done to it")
    ] = None,
) -> AuditPage:
    """Who changed what, from where, newest first."""
    found = await desk.store.read(lambda db: db.audit.list(limit=limit, before=before, subject=subject))
    more = found[-1].number if len(found) == limit and found[-1].number > 1 else None
    return AuditPage(changes=[_view(one) for one in found], next_before=more)


def _view(one: Audited) -> AuditView:
    return AuditView(
        number=one.number,
        at=moment(one.at),
        by=ByView(
            kind=one.kind,
            user_id=one.user_id,
            key_id=one.key_id,
            session_id=one.session_id,
            address=one.address,
        ),
        what=one.what,
        subject=one.subject,
        status=one.status,
        data=one.data,
    )


HANDLERS = [list_changes]
