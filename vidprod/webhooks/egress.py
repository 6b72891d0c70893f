"""Egress: the only way out for webhooks. Their addresses are given by whoever may use the API, so each is taken for
hostile: it must not reach this machine, its network, or a cloud's metadata (server-side request forgery).

A name is resolved once, every address it has is judged, one of those is dialled, and the socket is asked whom it
reached. Judging the URL and then handing the name to a client that resolves it again would be the hole: the second
answer may be another one (DNS rebinding). Spellings need no list: 0177.0.0.1, 127.1 and 2130706433 are all
127.0.0.1 once they are resolved.

Source of the denied networks: the IANA special-purpose registries, with what Svix and smokescreen deny. Python's own
`is_global` calls NAT64, 6to4, multicast and others global, and changed its mind between versions: it is not asked.
"""

import asyncio
import concurrent.futures
import functools
import ipaddress
import itertools
import os
import re
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from vidprod.config import Config
from vidprod.domain.endpoint import MAX_URL
from vidprod.errors import BadConfig, BadRequest, VidProdError

T = TypeVar("T")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
SocketAddress = tuple[str, int] | tuple[str, int, int, int]
Found = tuple[socket.AddressFamily, SocketAddress]
Resolve = Callable[[str, int], list[Found]]  # blocking; raises OSError
Dial = Callable[[socket.AddressFamily, SocketAddress], Awaitable[socket.socket]]  # raises OSError

PORTS = (443, 8443)
CONNECT_S = 5.0
MOST_DIALLED = 4  # of a name's addresses; all are judged

_DENIED: dict[Network, str] = {
    ipaddress.ip_network(network): why
    for why, networks in {
        "this machine": "0.0.0.0/8 127.0.0.0/8 ::1/128 ::/128",
        "a private network": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fec0::/10",
        "a provider's network": "100.64.0.0/10",
        "link-local, where clouds keep their metadata": "169.254.0.0/16 fe80::/10 168.63.129.16/32",
        "set aside for protocols": "192.0.0.0/24 192.88.99.0/24 2001::/23 100::/64 5f00::/16",
        "an example": "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20",
        "for measurements": "198.18.0.0/15",
        "multicast": "224.0.0.0/4 ff00::/8",
        "reserved": "240.0.0.0/4",
        "a tunnel": "2002::/16 64:ff9b:1::/48 ::/96",
    }.items()
    for network in networks.split()
}
_GLOBAL_V6 = ipaddress.ip_network("2000::/3")  # all that is given out
# what a name in `webhook_allow` may lead to: no name is a reason to reach a cloud's metadata
_OF_A_LAN = ("this machine", "a private network", "a provider's network")
_MAPPED = ipaddress.ip_network("::ffff:0:0/96")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

# inside some network, and often answered by its own resolver
_INSIDE = ("localhost", "internal", "flycast", "local", "localdomain", "home.arpa", "lan", "svc", "cluster.local")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_MAX_NAME = 253
_USUAL = f"only https on the ports {' and '.join(map(str, PORTS))} is reached"


class Denied(VidProdError):
    """A webhook may not go there."""

    code = "egress_refused"


class Unreachable(VidProdError):
    """No connection came about."""

    code = "unreachable"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A webhook's address, taken apart."""

    secure: bool  # https
    host: str  # in ASCII and lower case, without brackets
    port: int
    path: str  # with the query
    trusted: bool  # `webhook_allow` names the host
    only_allowed: bool  # plain http, an unusual port, a name inside a network: only to what `webhook_allow` names

    @property
    def authority(self) -> str:
        """As `Host` says it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


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
        self._networks, self._names = parse_allow(allow)
        self._home = frozenset(name.lower().strip("[]").removesuffix(".") for name in home if name and name != "*")
        self._resolve = resolve
        self._dial = dial
        self._context = context or _default_context

    @classmethod
    def of(cls, config: Config) -> "Egress":
        """As the settings have it."""
        public = urlsplit(config.public_url).hostname or ""
        return cls(allow=config.webhook_allow, home=[public, *config.hosts])

    def check(self, url: str) -> Target:
        """What can be said of an address before its name is resolved. Raises BadRequest with what is wrong."""
        try:
            target = self._target(url)
            if (address := _literal(target.host)) is not None:
                self._judge(address, target)
        except Denied as error:
            raise BadRequest(str(error), code="bad_webhook_url", hint=error.hint) from error
        return target

    async def connect(self, url: str) -> tuple[Target, Stream]:
        """
        Raises:
            Denied: it may not be reached: an address of its name is denied.
            Unreachable: it has no address, or none of them answers.
            TimeoutError, asyncio.CancelledError: who calls sets the deadline for all of it.
        """
        target = self._target(url)
        found = await _in_thread(functools.partial(self._lookup, target))
        for _, address in found:  # all of them: who mixes denied ones in has nothing good in mind
            self._judge(_parsed(address[0]), target)
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
        if _parsed(peer) != _parsed(address[0]):
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
        except (ssl.SSLError, OSError) as error:
            reason = getattr(error, "reason", None) or in_words(error)
            raise Unreachable(f"no TLS with {target.host}: {reason}") from None
        except BaseException:
            reached.close()
            raise
        return Stream(reader, writer)

    # what is allowed

    def _target(self, url: str) -> Target:
        """Raises Denied."""
        if len(url) > MAX_URL:
            raise Denied(f"the address is longer than {MAX_URL} characters")
        if not url.isascii() or not url.isprintable() or any(c in url for c in ' \\<>"^`{|}'):
            raise Denied("the address has characters that belong in no address", hint="A name in ASCII: xn--….")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Denied("the address cannot be read", hint='Like "https://receiver.example/hook".') from None
        if parts.scheme not in ("http", "https"):
            raise Denied("the address must begin with https://")
        if "@" in parts.netloc or parts.fragment or url.endswith("#"):
            raise Denied("the address must be without a user, a password and a fragment")
        host = (parts.hostname or "").removesuffix(".")
        if not _is_name(host) and _literal(host) is None:
            raise Denied(f"{host[:100]!r} is no name of a host")
        trusted = host in self._names
        if host in self._home and not trusted and not self._allows(_literal(host)):
            raise Denied(f"{host} is this daemon itself")
        secure = parts.scheme == "https"
        port = port if port is not None else 443 if secure else 80
        only_allowed = not trusted and (not secure or port not in PORTS or _is_inside(host))
        if only_allowed and not self._networks:
            what = f"{host} is a name inside a network" if _is_inside(host) else _USUAL
            raise Denied(what, hint="The setting webhook_allow names receivers of yours that may be reached.")
        path = parts.path or "/"
        return Target(
            secure=secure,
            host=host,
            port=port,
            path=f"{path}?{parts.query}" if parts.query else path,
            trusted=trusted,
            only_allowed=only_allowed,
        )

    def _judge(self, address: Address, target: Target) -> None:
        """Raises Denied."""
        if self._allows(address):
            return
        why = denied(address)
        if why is None and not target.only_allowed:
            return
        if target.trusted and why in _OF_A_LAN:
            return
        place = f"{target.host} leads to {address}" if str(address) != target.host else str(address)
        if why is None:
            raise Denied(f"{place}, which webhook_allow does not name: {_USUAL}")
        raise Denied(f"{place}: {why}", hint="The setting webhook_allow names private receivers that may be reached.")

    def _allows(self, address: Address | None) -> bool:
        if address is None:
            return False
        inner = unwrapped(address)
        return any(inner.version == network.version and inner in network for network in self._networks)


def in_words(error: OSError) -> str:
    """What the system says, without whom it was said of: loops add addresses."""
    return os.strerror(error.errno) if error.errno else type(error).__name__


def denied(address: Address) -> str | None:
    """Why no webhook goes there; None when it may."""
    inner = unwrapped(address)
    for network, why in _DENIED.items():
        if inner.version == network.version and inner in network:
            return why
    if isinstance(inner, ipaddress.IPv6Address) and inner not in _GLOBAL_V6:
        return "reserved"
    return None


def unwrapped(address: Address) -> Address:
    """The IPv4 address that a mapped or a NAT64 one stands for: packets go there. Tunnels are denied as they are."""
    if isinstance(address, ipaddress.IPv6Address) and (address in _MAPPED or address in _NAT64):
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def parse_allow(entries: Iterable[str]) -> tuple[list[Network], frozenset[str]]:
    """The networks and the names of the setting `webhook_allow`. Raises BadConfig."""
    networks: list[Network] = []
    names: set[str] = set()
    for entry in entries:
        try:
            networks.append(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            name = entry.lower().removesuffix(".")
            if not _is_name(name):
                raise BadConfig(f"webhook_allow: {entry!r} is no address, no network and no name") from None
            names.add(name)
    return networks, frozenset(names)


def _is_inside(host: str) -> bool:
    """Whether it is a name that means something only here. Without a dot it may be completed by a search list."""
    if _literal(host) is not None:
        return False
    return "." not in host or any(host == inside or host.endswith(f".{inside}") for inside in _INSIDE)


def _is_name(host: str) -> bool:
    """What ends in a number is an address, well written or not."""
    labels = host.split(".")
    is_number = _NUMBER.fullmatch(labels[-1])
    return 0 < len(host) <= _MAX_NAME and not is_number and all(_LABEL.fullmatch(label) for label in labels)


def _literal(host: str) -> Address | None:
    try:
        return _parsed(host)
    except ValueError:
        return None


def _parsed(text: str) -> Address:
    return ipaddress.ip_address(text.partition("%")[0])  # fe80::1%eth0


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
        done.set_running_or_notify_cancel()
        try:
            done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="resolve", daemon=True).start()
    return await asyncio.wrap_future(done)
