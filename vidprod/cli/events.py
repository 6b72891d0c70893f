"""The daemon's event stream as a client reads it: Server-Sent Events, resumed by `Last-Event-ID`."""

import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import msgspec

_SILENCE_S = 45.0  # the daemon says something every 15 s
_TRIES = 5  # in a row without a message


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the stream. `id` is the cursor of a durable event, and empty of a passing one."""

    id: str
    type: str
    data: dict[str, Any]


def follow(client: httpx.Client, *, job_id: str) -> Iterator[Message]:
    """Every event of a job from its first, then as they come; a connection that breaks is taken up where it was.

    Raises:
        httpx.TransportError: the daemon is gone.
    """
    cursor, tries = "0", 0
    while True:
        try:
            with client.stream(
                "GET",
                "/v1/events/stream",
                params={"job_id": job_id},
                headers={"Last-Event-ID": cursor},
                timeout=httpx.Timeout(10.0, read=_SILENCE_S),
            ) as answer:
                answer.raise_for_status()
                for message in read(answer.iter_lines()):
                    cursor, tries = message.id or cursor, 0
                    yield message
        except httpx.TransportError:
            tries += 1
            if tries == _TRIES:
                raise
        time.sleep(0.2)


def read(lines: Iterable[str]) -> Iterator[Message]:
    """The messages in the lines of a stream. Source: HTML Living Standard, 9.2.6 "Interpreting an event stream"."""
    found: dict[str, str] = {}
    for line in lines:
        if not line:
            if "data" in found:
                data = msgspec.json.decode(found["data"], type=dict[str, Any])
                yield Message(id=found.get("id", ""), type=found.get("event", "message"), data=data)
            found = {}
            continue
        name, _, value = line.partition(":")
        if name:  # a line that begins with a colon is a heartbeat
            value = value.removeprefix(" ")
            found[name] = f"{found[name]}\n{value}" if name == "data" and name in found else value
