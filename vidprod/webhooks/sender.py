"""The sender: one POST to a receiver, and how it ended. Nothing is followed, kept, reused or believed.

HTTP/1.1 by h11 on a connection of its own, which is given up after the answer's first bytes. A pool would carry what
one receiver said to the next, and a client with redirects, proxies and cookies would have to be told to leave all that.
"""

import asyncio
import email.utils
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from http import HTTPStatus

import h11
import msgspec

from vidprod import __version__
from vidprod.config import Config
from vidprod.webhooks.egress import Egress, Stream, Unreachable, in_words
from vidprod.webhooks.rules import Denied, Target

WHOLE_S = 15.0  # from the first question to the resolver to the last byte that is read
MOST_BYTES = 64 << 10  # of an answer; what comes after that is left
HEAD_BYTES = 16 << 10  # of the answer's headers
KEPT_BYTES = 1000  # of the answer, for the log
_PIECE_BYTES = 16 << 10

_ASKS_TO_WAIT = frozenset({429, 502, 503, 504})


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """How one request ended."""

    status: int | None = None  # None: there was no answer
    error: str = ""  # why it failed, in words, without the address, which may hold a secret
    answer: str = ""  # its first bytes
    retry_after_s: float | None = None  # as a receiver asked that is too busy

    @property
    def well(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class Sender:
    """Sends what it is given, once."""

    def __init__(self, egress: Egress, *, whole_s: float = WHOLE_S, now_s: Callable[[], float] = time.time) -> None:
        """
        Args:
            now_s: unix seconds, for a `Retry-After` that is a date.
        """
        self._egress = egress
        self._whole_s = whole_s
        self._now_s = now_s

    @classmethod
    def of(cls, config: Config) -> "Sender":
        """As the settings say where nothing may be sent."""
        return cls(Egress.of(config))

    async def send(
        self, url: str, *, headers: Mapping[str, str], body: bytes, content_type: str = "application/json"
    ) -> Sent:
        """POST `body`. Raises nothing of its own: whatever happens there is an answer."""
        answer = _Answer()
        try:
            async with asyncio.timeout(self._whole_s):
                target, stream = await self._egress.connect(url)
                try:
                    await _exchange(stream, _request(target, headers, body, content_type), body, answer)
                finally:
                    stream.close()
        except TimeoutError:
            answer.fault = f"no whole answer within {self._whole_s:g} s"
        except (Denied, Unreachable) as error:
            answer.fault = str(error)
        except h11.RemoteProtocolError as error:
            answer.fault = f"the answer is no HTTP: {_shown(str(error).encode())[:200]}"
        except OSError as error:
            answer.fault = f"the connection broke: {in_words(error)}"
        return self._told(answer)

    def _told(self, answer: "_Answer") -> Sent:
        status = answer.status
        if status is None:
            return Sent(error=answer.fault or "the connection ended without an answer")
        return Sent(
            status=status,
            error="" if 200 <= status < 300 else _words(status),
            answer=_shown(answer.body),
            retry_after_s=self._retry_after_s(answer.retry_after) if status in _ASKS_TO_WAIT else None,
        )

    def _retry_after_s(self, text: str) -> float | None:
        """Seconds or a date. Source: RFC 9110, 10.2.3."""
        if text.isascii() and text.isdigit():
            return float(text[:9])
        try:
            date = email.utils.parsedate_to_datetime(text)
            until = date if date.tzinfo is not None else date.replace(tzinfo=UTC)  # a date of HTTP is one of UTC
            return max(0.0, until.timestamp() - self._now_s())
        except (ValueError, OverflowError):
            return None


class _Answer:
    """What came, as far as it came."""

    def __init__(self) -> None:
        self.status: int | None = None
        self.retry_after = ""
        self.body = b""
        self.fault = ""


def _request(target: Target, headers: Mapping[str, str], body: bytes, content_type: str) -> h11.Request:
    return h11.Request(
        method="POST",
        target=target.path,
        headers=[
            ("Host", target.authority),
            ("User-Agent", f"VidProd/{__version__}"),
            ("Content-Type", content_type),
            ("Content-Length", str(len(body))),
            ("Accept", "*/*"),
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
            *headers.items(),
        ],
    )


async def _exchange(stream: Stream, request: h11.Request, body: bytes, answer: _Answer) -> None:
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
    stream.writer.write(
        (http.send(request) or b"") + (http.send(h11.Data(data=body)) or b"") + (http.send(h11.EndOfMessage()) or b"")
    )
    # not drained first: who answers before it has read all is heard
    read = 0
    while read < MOST_BYTES + HEAD_BYTES:
        event = http.next_event()
        if event is h11.NEED_DATA:
            piece = await stream.reader.read(_PIECE_BYTES)
            if not piece:
                return  # the end of the answer, or of all hope for one
            read += len(piece)
            http.receive_data(piece)
        elif isinstance(event, h11.Response):
            answer.status = event.status_code
            answer.retry_after = _header(event, b"retry-after")
        elif isinstance(event, h11.Data):
            answer.body = (answer.body + event.data)[:KEPT_BYTES]
        elif not isinstance(event, h11.InformationalResponse):
            return  # its end


def _header(response: h11.Response, name: bytes) -> str:
    return next((value.decode("latin-1").strip() for found, value in response.headers if found == name), "")


def _words(status: int) -> str:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "no known status"
    followed = ": redirects are not followed" if 300 <= status < 400 else ""
    return f"it answered {status} {phrase}{followed}"


def _shown(body: bytes) -> str:
    """As text, without what could steer a terminal or a page."""
    text = body.decode(errors="replace")
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text)
