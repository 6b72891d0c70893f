"""The resumable door of the simulated far end: what has arrived of each upload, and what is answered about it."""

import base64
import contextlib
import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass
class Arriving:
    """One upload. What came before a cut is kept, as the daemon does."""

    id: str
    length: int
    fields: dict[str, str]
    data: bytearray = field(default_factory=bytearray)
    job_id: str | None = None
    turn: int = 0  # of the newest request
    sender: socket.socket | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def taken(self, connection: socket.socket) -> Iterator[int]:
        """A turn at it, as the daemon gives them: the newest request wins, and what still sends is cut off first."""
        self.turn = turn = self.turn + 1
        if self.sender is not None:
            with contextlib.suppress(OSError):  # it has gone by itself
                self.sender.shutdown(socket.SHUT_RDWR)
        with self.lock:
            self.sender = connection
            try:
                yield turn
            finally:
                self.sender = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def view(self) -> Json:
        """As `GET /v1/uploads` has it."""
        return {
            "id": self.id,
            "url": f"/files/{self.id}",
            "state": "open",
            "kind": "whole",
            "filename": self.fields.get("filename", "video"),
            "size": self.length,
            "offset": len(self.data),
            "created_at": "2026-11-21T00:00:00.000Z",
            "expires_at": "2026-11-22T00:00:00.000Z",
            "job_id": None,
            "error": None,
        }


def fields_of(metadata: str) -> dict[str, str]:
    """tus 1.0, "Upload-Metadata"."""
    pairs = (pair.partition(" ") for pair in metadata.split(",") if pair)
    return {name: base64.b64decode(value, validate=True).decode() for name, _, value in pairs}
