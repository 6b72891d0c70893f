"""The desk: what every handler has at hand."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from litestar import Request

from vidprod.blobs.disk import DiskBlobs
from vidprod.config import Config
from vidprod.domain.account import Account, Choices, Flavour, LoginWay, Platform
from vidprod.domain.ids import is_id
from vidprod.domain.pressure import Pressure
from vidprod.errors import NotFound
from vidprod.passwords import Passwords
from vidprod.store.sqlite import Store
from vidprod.vault import Vault
from vidprod.web.door import Door
from vidprod.web.limits import Limits
from vidprod.web.uploads.admission import Admission
from vidprod.web.uploads.turns import Turns

HttpRequest = Request[Any, Any, Any]


class Connects(Protocol):
    """Connects accounts: `services/connect.py`."""

    def ways(self, origin: str) -> list[LoginWay]: ...

    async def ask(self, platform: Platform, flavour: Flavour, *, direct: bool, origin: str, user_id: str) -> str: ...

    async def finish(self, platform: str, answer: Mapping[str, str]) -> list[Account]: ...

    async def disconnect(self, account_id: str) -> Account: ...

    async def choices(self, account_id: str) -> Choices: ...

    async def rotate_keys(self) -> object: ...


class Watch(Protocol):
    """Knows how near the machine is to its end: `services/pressure.py`."""

    pressure: Pressure

    def look(self) -> Pressure: ...


@dataclass(frozen=True, eq=False)
class Desk:
    """One for the application; the dependency `desk` of each handler."""

    store: Store
    blobs: DiskBlobs
    config: Config
    child_check: Callable[[], Awaitable[None]]  # raises when the media child does not start
    child_warm: Callable[[], None]  # has one up soon; may be called as often as one likes
    now: Callable[[], int]  # unix ms
    clock: Callable[[], int]  # unix ms of publishing: the same, or faster beside simulated platforms
    vault: Vault
    connects: Connects
    stopping: asyncio.Event  # set by the server when it takes no more requests: streams end, uploads are refused
    door: Door  # who may come in
    limits: Limits
    passwords: Passwords = field(default_factory=Passwords)
    admission: Admission = field(default_factory=Admission)
    turns: Turns = field(default_factory=Turns)
    watch: Watch | None = None  # None: nobody watches, and there is never any pressure

    @property
    def pressure(self) -> Pressure:
        """As it was a few seconds ago at most."""
        return Pressure() if self.watch is None else self.watch.pressure

    def admit_upload(self) -> None:
        """To be asked before a new upload is taken. Raises NoSpace or Unavailable under pressure."""
        if self.watch is None or self.watch.pressure.takes_uploads:
            return
        pressure = self.watch.look()  # nobody is refused for what is over
        if not pressure.takes_uploads:
            raise pressure.refusal()


def checked(given: str, prefix: str) -> str:
    """`given`, if it has the shape of an id of this noun: what has not cannot name anything. Raises NotFound."""
    if not is_id(given, prefix):
        raise NotFound(f"There is no {_NOUNS[prefix]} {given[:60]!r}.")
    return given


_NOUNS = {
    "job": "job",
    "seg": "segment",
    "acc": "account",
    "pub": "publication",
    "end": "endpoint",
    "key": "key",
    "ses": "session",
    "msg": "delivery",
    "sub": "subscription",
    "upl": "upload",
}
