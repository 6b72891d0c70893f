"""Egress: the only way out for webhooks. Their addresses are given by whoever may use the API, so each is taken for
hostile: it must not reach this machine, its network, or a cloud's metadata (server-side request forgery).

A name is resolved once, every address it has is judged, one of those is dialled, and the socket is asked whom it
reached. Judging the URL and then handing the name to a client that resolves it again would be the hole: the second
answer may be another one (DNS rebinding).
"""

import asyncio
import concurrent.futures
import functools
import itertools
import os
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from vidprod.config import Config
from vidprod.errors import BadRequest, VidProdError
from vidprod.webhooks.networks import parsed
from vidprod.webhooks.rules import Denied, Rules, Target

T = TypeVar("T")

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
Found = tuple[socket.AddressFamily, SocketAddress]
Resolve = Callable[[str, int], list[Found]]  # blocking; raises OSError
IsOurs = Callable[[socket.AddressFamily, SocketAddress], bool]
Dial = Callable[[socket.AddressFamily, SocketAddress], Awaitable[socket.socket]]  # raises OSError

CONNECT_S = 5.0
MOST_DIALLED = 4  # of a name's addresses; all are judged


class Unreachable(VidProdError):
    """No connection came about."""

    code = "unreachable"


@dataclass(frozen=True)
class Stream:
    """An open connection to an address that was judged."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def close(self) -> None:
        """At once: what is still to be read is nothing to us."""
        self.writer.transport.abort()


def resolve(host: str, port: int) -> list[Found]:
    """Every address of a name, as the system knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return [(socket.AddressFamily(family), address) for family, *_, address in found]  # type: ignore[misc]


def is_ours(family: socket.AddressFamily, address: SocketAddress) -> bool:
    """Whether the address is this machine's, public or not: to itself a system speaks from the address it speaks to.
    Nothing is sent."""
    with socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
        try:
            asking.connect(address)
        except OSError:  # no way leads there
            return False
        return parsed(asking.getsockname()[0]) == parsed(address[0])


async def dial(family: socket.AddressFamily, address: SocketAddress) -> socket.socket:
    """A connection to an address, which is no name any more."""
    reached = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        await asyncio.get_running_loop().sock_connect(reached, address)
    except BaseException:
        reached.close()
        raise
    return reached


class Egress:
    """Opens connections to receivers, and to nothing else."""

    def __init__(
        self,
        *,
        allow: Iterable[str] = (),
        home: Iterable[str] = (),
        resolve: Resolve = resolve,
        is_ours: IsOurs = is_ours,
        dial: Dial = dial,
        context: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        """
        Args:
            allow: the setting `webhook_allow`: addresses, networks, names.
            home: names this daemon is reached by.
            context: TLS to receivers; the system's authorities and certifi's when not given.
        Raises:
            BadConfig: an entry of `allow` is none of the three.
        """
        self._rules = Rules(allow=allow, home=home)
        self._resolve = resolve
        self._is_ours = is_ours
        self._dial = dial
        self._context = context or _default_context

    @classmethod
    def of(cls, config: Config) -> "Egress":
        """As the settings have it."""
        return cls(allow=config.webhook_allow, home=[config.public_host, *config.hosts])

    def check(self, url: str) -> Target:
        """What can be said of an address before its name is resolved. Raises BadRequest with what is wrong."""
        try:
            return self._rules.target(url)
        except Denied as error:
            raise BadRequest(str(error), code="bad_webhook_url", hint=error.hint) from error

    async def connect(self, url: str) -> tuple[Target, Stream]:
        """
        Raises:
            Denied: it may not be reached: an address of its name is denied.
            Unreachable: it has no address, or none of them answers.
            TimeoutError, asyncio.CancelledError: who calls sets the deadline for all of it.
        """
        target = self._rules.target(url)
        found = await _in_thread(functools.partial(self._lookup, target))
        for family, address in found:  # all of them: who mixes denied ones in has nothing good in mind
            self._rules.judge(parsed(address[0]), target, is_ours=self._is_ours(family, address))
        reached = await self._reach(target, found)
        return target, await self._open(target, reached)

    def _lookup(self, target: Target) -> list[Found]:
        try:
            return list(dict.fromkeys(self._resolve(target.host, target.port)))
        except (OSError, UnicodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            raise Unreachable(f"the name {target.host} has no address: {reason or 'it is no name'}") from None

    async def _reach(self, target: Target, found: list[Found]) -> socket.socket:
        """The first that answers; together they have `CONNECT_S`."""
        said = "it has no address"
        dialled = _both_kinds(found)[:MOST_DIALLED]
        for family, address in dialled:
            try:
                async with asyncio.timeout(CONNECT_S / len(dialled)):
                    reached = await self._dial(family, address)
            except TimeoutError:
                said = "no answer"
            except OSError as error:
                said = in_words(error)
            else:
                return self._asked(reached, address)
        raise Unreachable(f"{target.host} cannot be reached: {said}")

    def _asked(self, reached: socket.socket, address: SocketAddress) -> socket.socket:
        """`reached`, when its other end is the address that was judged."""
        try:
            peer = reached.getpeername()[0]
        except OSError as error:
            reached.close()
            raise Unreachable(f"the connection ended: {in_words(error)}") from None
        if parsed(peer) != parsed(address[0]):
            reached.close()
            raise Denied("the connection leads to another address than the one that was judged")
        return reached

    async def _open(self, target: Target, reached: socket.socket) -> Stream:
        try:
            reader, writer = await asyncio.open_connection(
                sock=reached,
                ssl=self._context() if target.secure else None,
                server_hostname=target.host if target.secure else None,  # as sent (SNI) and as verified
            )
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(f"the certificate of {target.host} is not taken: {error.verify_message}") from None
        except OSError as error:
            raise Unreachable(f"no connection to {target.host}: {in_words(error)}") from None
        except BaseException:
            reached.close()
            raise
        return Stream(reader, writer)


def in_words(error: OSError) -> str:
    """What the system says, without whom it was said of: loops add addresses."""
    if isinstance(error, ssl.SSLError):  # whose numbers are none of the system's
        return f"TLS: {error.reason or 'it broke'}"
    return os.strerror(error.errno) if error.errno else type(error).__name__


@functools.cache
def _default_context() -> ssl.SSLContext:
    import certifi

    context = ssl.create_default_context()  # the system's, where it has some, and $SSL_CERT_FILE
    context.load_verify_locations(certifi.where())
    return context


def _both_kinds(found: list[Found]) -> list[Found]:
    """IPv6 and IPv4 in turns: on a machine that has one of them only, the other's must not take all the time."""
    kinds: dict[socket.AddressFamily, list[Found]] = {}
    for one in found:
        kinds.setdefault(one[0], []).append(one)
    return [one for turn in itertools.zip_longest(*kinds.values()) for one in turn if one is not None]


async def _in_thread(work: Callable[[], T]) -> T:
    """`work` on a thread that nobody waits for at the end: a resolver may be silent for half a minute."""
    done: concurrent.futures.Future[T] = concurrent.futures.Future()

    def run() -> None:
        if not done.set_running_or_notify_cancel():
            return  # nobody waits any more
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="resolve", daemon=True).start()
    return await asyncio.wrap_future(done)
