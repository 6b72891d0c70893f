"""A command beside the daemon. Reading goes through a store of this process: a second process on the database is what
SQLite's locks are for. What changes something goes through the daemon when one runs, so that its services and pages
hear of it; without one it goes to the store, under the daemon's own lock, so that none starts meanwhile.
"""

import contextlib
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


def ask(
    config: Config, method: str, path: str, body: Mapping[str, Any] | None = None, *, timeout_s: float = 10.0
) -> Any:
    """What the daemon answers; None when it answers nothing. Raises Ending: it does not answer, or says no."""
    import httpx

    daemon = address(config.host, config.port)
    try:
        # no proxy: its loopback is another
        answer = httpx.request(method, f"{daemon}{path}", json=body, timeout=timeout_s, trust_env=False)
    except httpx.TransportError as error:
        raise Ending(
            f"a daemon works on {config.data_dir}, but {daemon} does not answer: {error}",
            hint="Give its --host and --port, or stop it first.",
            exit_code=UNUSABLE,
        ) from error
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
