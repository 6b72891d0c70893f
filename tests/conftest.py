"""For the whole suite."""

import signal


def pytest_configure() -> None:
    """Whoever started us in the background may have had us ignore these: the programs under test would inherit it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
