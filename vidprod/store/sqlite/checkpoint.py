"""The checkpoint: the write-ahead log is folded into the file after a commit was answered, not while someone waits.

SQLite would do it inside the commit that made the log long. There a fault of the checkpoint meets a caller whose rows
are safe already.
"""

import apsw

from vidprod.telemetry import log

LOG_PAGES = 1000  # about 4 MB, SQLite's own measure

_logger = log.get(__name__)


class Checkpoint:
    """Of the writing connection, on its thread."""

    def __init__(self) -> None:
        self._pages = 0  # in the log after the last commit

    def watch(self, connection: apsw.Connection) -> None:
        """Know from now on how long the log is. It takes the place of SQLite's own checkpoint."""
        connection.set_wal_hook(self._committed)

    def is_due(self) -> bool:
        """Whether the log is long enough to fold."""
        return self._pages >= LOG_PAGES

    def run(self, connection: apsw.Connection) -> None:
        """Fold what no reader needs any more. What cannot be done now is tried again after the next commit."""
        if not self.is_due():
            return
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            _logger.warning("the log cannot be folded into the database", pages=self._pages, error=str(error))
        else:
            self._pages = 0  # or what the next commit finds it to be

    def _committed(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._pages = pages
        return apsw.SQLITE_OK
