"""For the whole suite."""

import logging
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 << 30  # far more than all tests that run at once write

# As a media child has it; read when numpy is loaded. Two threads for every small product of matrices are a third more
# work, most of it waiting for each other, and tests run side by side.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    # Whoever started us in the background may have had us ignore these: the programs under test would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # Where no test sets the log up, structlog paints each traceback with rich and pygments: 50 ms of a core.
    *before, _ = structlog.get_config()["processors"]
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*before, plain])
    if config.option.markexpr == "not soak" and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES:
        # Every store and every upload syncs, which waits for the disk's mood and shows nothing of what is tested.
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture
def own_log() -> Iterator[None]:
    """Whatever the test has the log be, it is afterwards as it was: others in this process read it too."""
    root, said = logging.getLogger(), structlog.get_config()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.configure(**said)
