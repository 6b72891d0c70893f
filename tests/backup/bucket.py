"""A small S3 on this machine: objects, parts, listings and faults when wanted. It checks no signature."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


class Bucket:
    """What is stored, by key; `refuses` answers so to what matches."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.unfinished: dict[str, tuple[str, dict[int, bytes]]] = {}
        self.requests: list[str] = []
        self.refuses: dict[str, int] = {}  # "PUT partNumber=2": 403
        self.url = ""


@contextmanager
def bucket() -> Iterator[Bucket]:
    """One that serves."""
    kept = Bucket()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(kept))
    server.daemon_threads = True
    kept.url = f"http://127.0.0.1:{server.server_address[1]}"
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    serving.start()
    try:
        yield kept
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def _handler(kept: Bucket) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

        def _asked(self) -> tuple[str, dict[str, str]]:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            return unquote(parts.path).removeprefix("/videos").removeprefix("/"), query

        def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", headers.pop("length", str(len(body))))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _body(self) -> bytes:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if "aws-chunked" in self.headers.get("Content-Encoding", ""):
                return _unchunked(body)
            return body

        def _refused(self, body: bytes) -> bool:
            line = f"{self.command} {self.path}"
            kept.requests.append(line)
            for part, status in kept.refuses.items():
                if all(word in line for word in part.split()):
                    self._answer(status, b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
                    return True
            return False

        def do_PUT(self) -> None:
            (key, query), body = self._asked(), self._body()
            if self._refused(body):
                return
            if "uploadId" in query:
                kept.unfinished[query["uploadId"]][1][int(query["partNumber"])] = body
            else:
                kept.objects[key] = body
            self._answer(200, ETag='"e"')

        def do_POST(self) -> None:
            (key, query), body = self._asked(), self._body()
            if self._refused(body):
                return
            if "uploads" in query:
                upload = f"u{len(kept.unfinished) + 1}"
                kept.unfinished[upload] = (key, {})
                self._answer(200, f"<R><UploadId>{upload}</UploadId></R>".encode())
                return
            _, parts = kept.unfinished.pop(query["uploadId"])
            numbers = [int(number) for number in re.findall(rb"<PartNumber>(\d+)", body)]
            kept.objects[key] = b"".join(parts[number] for number in numbers)
            self._answer(200, b"<R><ETag>e</ETag></R>")

        def do_HEAD(self) -> None:
            key, _ = self._asked()
            if self._refused(b""):
                return
            found = kept.objects.get(key)
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(found or b"")))
            self.end_headers()

        def do_GET(self) -> None:
            key, query = self._asked()
            if self._refused(b""):
                return
            if "uploads" in query:
                found = "".join(
                    f"<Upload><Key>{key}</Key><UploadId>{name}</UploadId>"
                    "<Initiated>2020-01-01T00:00:00.000Z</Initiated></Upload>"
                    for name, (key, _) in kept.unfinished.items()
                )
                self._answer(200, f"<ListMultipartUploadsResult>{found}</ListMultipartUploadsResult>".encode())
            elif key == "":
                keys = sorted(one for one in kept.objects if one.startswith(query.get("prefix", "")))
                listed = "".join(f"<Contents><Key>{one}</Key><Size>1</Size></Contents>" for one in keys)
                self._answer(200, f"<ListBucketResult>{listed}</ListBucketResult>".encode())
            elif key in kept.objects:
                self._answer(200, kept.objects[key])
            else:
                self._answer(404, b"<Error><Code>NoSuchKey</Code><Message>no</Message></Error>")

        def do_DELETE(self) -> None:
            key, query = self._asked()
            if self._refused(b""):
                return
            if "uploadId" in query:
                kept.unfinished.pop(query["uploadId"], None)
            else:
                kept.objects.pop(key, None)
            self._answer(204)

    return Handler


def _unchunked(body: bytes) -> bytes:
    plain = b""
    while body:
        head, _, rest = body.partition(b"\r\n")
        size = int(head.partition(b";")[0], 16)
        if not size:
            break
        plain, body = plain + rest[:size], rest[size + 2 :]
    return plain
