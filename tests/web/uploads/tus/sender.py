"""A client that goes on, and remembers what was acknowledged. It knows nothing of the daemon but its answers."""

import asyncio
import random
from dataclasses import dataclass, field

PATIENCE_S = 0.5  # for an answer, on a machine where it takes milliseconds
PART = "Content-Type: application/offset+octet-stream"


class Lost(Exception):
    """What was acknowledged is not there any more."""


@dataclass(eq=False)
class Answer:
    status: int
    headers: dict[str, str]


@dataclass(eq=False)
class Sender:
    """Sends one file, whatever becomes of its connections."""

    port: int
    body: bytes
    name: str  # also its Idempotency-Key
    chance: random.Random
    patience_s: float = PATIENCE_S
    acknowledged: int = 0
    address: str = ""
    job_id: str = ""
    tries: int = 0
    seen: list[str] = field(default_factory=list)

    async def send(self, *, most_tries: int = 400) -> str:
        """The job's id. Raises Lost."""
        while not self.job_id:
            self.tries += 1
            if self.tries > most_tries:
                raise Lost(f"{self.name} never came through: {self.seen[-12:]}")
            try:
                await (self._go_on() if self.address else self._begin())
            except ConnectionRefusedError:  # nobody is there: how long that takes is for the machine to say
                self.tries -= 1
                await asyncio.sleep(0.01)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.01)
        return self.job_id

    async def _begin(self) -> None:
        headers = [f"Upload-Length: {len(self.body)}", f"Idempotency-Key: {self.name}"]
        data = b""
        if self.chance.random() < 0.5:
            headers.append(PART)
            data = self.body[: self.chance.randrange(len(self.body) + 1)]
        answer = await self._ask("POST", "/files", *headers, body=data)
        if answer.status == 201:
            self.address = answer.headers["location"]
            self._heed(answer)
        else:
            await self._wait(answer)

    async def _go_on(self) -> None:
        answer = await self._ask("HEAD", self.address)
        while answer.status in (200, 204):
            offset = self._heed(answer)
            if self.job_id:
                return
            size = self.chance.choice((1, 7, 1000, 20_000, len(self.body)))
            part = self.body[offset : offset + size]
            answer = await self._ask("PATCH", self.address, PART, f"Upload-Offset: {offset}", body=part)
        await self._wait(answer)

    def _heed(self, answer: Answer) -> int:
        offset = int(answer.headers["upload-offset"])
        if offset < self.acknowledged:
            raise Lost(f"{self.name} was at {self.acknowledged} and is at {offset}")
        self.acknowledged = offset
        self.job_id = answer.headers.get("vidprod-job", "")
        return offset

    async def _wait(self, answer: Answer) -> None:
        if answer.status in (404, 410, 415):
            raise Lost(f"{self.name}, at {self.acknowledged}, is answered {answer.status}")
        await asyncio.sleep(0.01)

    async def _ask(self, method: str, path: str, *headers: str, body: bytes = b"") -> Answer:
        async with asyncio.timeout(self.patience_s):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", "Tus-Resumable: 1.0.0"]
                lines += [*headers, f"Content-Length: {len(body)}", "", ""]
                writer.write("\r\n".join(lines).encode() + body)
                await writer.drain()
                head = await reader.readuntil(b"\r\n\r\n")
            finally:
                writer.close()
        first, *rest = head.decode().split("\r\n")
        told = (line.split(": ", 1) for line in rest if line)
        answer = Answer(int(first.split()[1]), {name.lower(): value for name, value in told})
        self.seen.append(f"{method} {answer.status}")
        return answer
