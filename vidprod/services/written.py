"""What was sent is written down, however long that takes: what no row tells of would be sent again."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from vidprod.errors import NoSpace, Unavailable
from vidprod.store.sqlite import Store, Tables
from vidprod.telemetry import log

T = TypeVar("T")

PAUSE_S = 2.0  # of the wall, between two tries

_logger = log.get(__name__)


async def written(store: Store, record: Callable[[Tables], T], *, fault: str) -> T:
    """What `record` returns, once the store takes it: a full volume is waited for.

    Args:
        fault: what the log says of it, once.
    """
    is_told = False
    while True:
        try:
            return await store.write(record, urgent=True)
        except (NoSpace, Unavailable) as error:
            if not is_told:
                _logger.error(fault, error=str(error))
            is_told = True
            await asyncio.sleep(PAUSE_S)
