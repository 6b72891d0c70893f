"""A command beside the daemon. Reading goes through a store of this process: a second process on the database is what
SQLite's locks are for. What changes something goes through the daemon when one runs, so that its services and pages
hear of it; without one it goes to the store, under the daemon's own lock, so that none starts meanwhile.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from vidprod.cli.ending import UNUSABLE, Ending
from vidprod.config import Config
from vidprod.errors import Unavailable
from vidprod.place import address, database_path, now_ms, only_daemon
from vidprod.store.sqlite.store import Store
from vidprod.store.sqlite.tables import Tables

T = TypeVar("T")


async def read(config: Config, fn: Callable[[Tables], T]) -> T:
    """Read the database as it is, whether a daemon runs or not."""
    async with await Store.open(database(config), now=now_ms(), migrates=False) as store:
        return await store.read(fn)


async def write(config: Config, fn: Callable[[Tables], T]) -> T:
    """Change the database where `no_daemon` said that none runs."""
    async with await Store.open(database(config), now=now_ms()) as store:
        return await store.write(fn)


async def write_beside(config: Config, fn: Callable[[Tables], T], *, makes: bool = False) -> T:
    """Change what a daemon looks up anew for each request: whether one runs or not makes no difference.

    Args:
        makes: the database, where there is none yet.
    """
    if makes:
        for path in (Path(config.data_dir), database_path(config).parent):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = database_path(config) if makes else database(config)
    with no_daemon(config) as none_runs:
        async with await Store.open(path, now=now_ms(), migrates=none_runs) as store:
            return await store.write(fn, urgent=True)


def key_header() -> dict[str, str]:
    """The key of `$VIDPROD_API_KEY`, as a request carries it: never in an address, where logs would keep it."""
    key = os.environ.get("VIDPROD_API_KEY", "").strip()
    return {"Authorization": f"Bearer {key}"} if key else {}


def ask(
    config: Config, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_s: float = 10.0
) -> Any:
    """What the daemon answers; None when it answers nothing. Raises Ending: it does not answer, or says no."""
    import httpx

    daemon = address(config.host, config.port)
    try:
        # no proxy: its loopback is another
        answer = httpx.request(
            method, f"{daemon}{path}", json=body, timeout=timeout_s, headers=key_header(), trust_env=False
        )
    except httpx.TransportError as error:
        raise Ending(
            f"a daemon works on {config.data_dir}, but {daemon} does not answer: {error}",
            hint="Give its --host and --port, or stop it first.",
            exit_code=UNUSABLE,
        ) from error
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise Ending(
            f"the daemon at {daemon} does not know who asks",
            hint="Set VIDPROD_API_KEY to a key: `vidprod keys add NAME --scope admin` makes one.",
        )
    if answer.is_error:
        raise Ending.answered(answer.status_code, answer.content, by=f"the daemon at {daemon}")
    return msgspec.json.decode(answer.content) if answer.content else None


@contextlib.contextmanager
def no_daemon(config: Config) -> Iterator[bool]:
    """Whether no daemon works on this data directory; if so, none can start meanwhile."""
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(only_daemon(Path(config.data_dir)))
            none_runs = True
        except Unavailable:
            none_runs = False
        yield none_runs


def database(config: Config) -> Path:
    """Raises Ending: there is none."""
    path = database_path(config)
    if not path.exists():  # opening would make one
        raise Ending(f"there is no database {path}", hint="Name the daemon's --data-dir.", exit_code=UNUSABLE)
    return path
