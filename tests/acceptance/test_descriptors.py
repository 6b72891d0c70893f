"""Two hundred who only hold a connection beside fifty who upload, where the system leaves few descriptors."""

import contextlib
import socket
from collections.abc import Iterator

import psutil

from tests.acceptance.conftest import Make
from tests.acceptance.house import Daemon, eventually

HOLDERS, UPLOADS = 200, 50
HEAD = b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41" + bytes(5000)


@contextlib.contextmanager
def held(daemon: Daemon) -> Iterator[list[socket.socket]]:
    """Connections on which nothing is asked."""
    with contextlib.ExitStack() as opened:
        yield [opened.enter_context(socket.create_connection(("127.0.0.1", daemon.port))) for _ in range(HOLDERS)]


@contextlib.contextmanager
def uploading(daemon: Daemon, count: int) -> Iterator[list[socket.socket]]:
    """Uploads that have begun and are not done."""
    with contextlib.ExitStack() as opened:
        senders = [opened.enter_context(socket.create_connection(("127.0.0.1", daemon.port))) for _ in range(count)]
        for n, sender in enumerate(senders):
            head = f"PUT /upload?filename=take{n}.mp4 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"
            sender.sendall(head.encode() + HEAD)
        yield senders


def test_descriptors_are_not_used_up(make: Make) -> None:
    """The soft limit of 256 would be; it is raised to the hard one."""
    daemon = make(prefix=("sh", "-c", 'ulimit -Sn 256 && exec "$0" "$@"'), max_uploads_per_client=UPLOADS + 1)
    daemon.start()
    with held(daemon), uploading(daemon, UPLOADS):
        eventually(lambda: len(daemon.files("incoming")) == UPLOADS)
        assert psutil.Process(daemon.process.pid).num_fds() > 256
        assert daemon.get("/health") == {"status": "alive"}
        assert daemon.get("/v1/pressure")["level"] == "ok"
