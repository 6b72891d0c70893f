"""Rules: what a webhook's address must be like, and which addresses its name may lead to.

Spellings need no list: 0177.0.0.1, 127.1 and 2130706433 are all 127.0.0.1 once they are resolved.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from vidprod.domain.endpoint import MAX_URL
from vidprod.errors import BadConfig, VidProdError
from vidprod.webhooks.networks import Address, Network, denied, parsed, unwrapped

PORTS = (443, 8443)

# what a name in `webhook_allow` may lead to: no name is a reason to reach a cloud's metadata
_OF_A_LAN = ("this machine", "a private network", "a provider's network")

# inside some network, and often answered by its own resolver
_INSIDE = ("localhost", "internal", "flycast", "local", "localdomain", "home.arpa", "lan", "svc", "cluster.local")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_MAX_NAME = 253
_USUAL = f"only https on the ports {' and '.join(map(str, PORTS))} is reached"


class Denied(VidProdError):
    """A webhook may not go there."""

    code = "egress_refused"


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


class Rules:
    """What is allowed here."""

    def __init__(self, *, allow: Iterable[str] = (), home: Iterable[str] = ()) -> None:
        """
        Args:
            allow: the setting `webhook_allow`: addresses, networks, names.
            home: names this daemon is reached by.
        Raises:
            BadConfig: an entry of `allow` is none of the three.
        """
        self._networks, self._names = parse_allow(allow)
        self._home = frozenset(name.lower().strip("[]").removesuffix(".") for name in home if name and name != "*")

    def target(self, url: str) -> Target:
        """What can be said of an address before its name is resolved. Raises Denied."""
        target = self._target(url)
        if (address := _literal(target.host)) is not None:
            self.judge(address, target)
        return target

    def _target(self, url: str) -> Target:
        if len(url) > MAX_URL:
            raise Denied(f"the address is longer than {MAX_URL} characters")
        if not url.isprintable() or any(c in url for c in ' \\<>"^`{|}'):
            raise Denied("the address has characters that belong in no address")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Denied("the address cannot be read", hint='Like "https://receiver.example/hook".') from None
        if parts.scheme not in ("http", "https"):
            raise Denied("the address must begin with https://")
        if "@" in parts.netloc or parts.fragment or url.endswith("#"):
            raise Denied("the address must be without a user, a password and a fragment")
        if not (parts.path + parts.query).isascii():
            raise Denied("what comes after the name must be ASCII", hint='"é" is written %C3%A9.')
        host = _in_ascii(parts.hostname or "").removesuffix(".")
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

    def judge(self, address: Address, target: Target, *, is_ours: bool = False) -> None:
        """Whether the target may lead to this address.

        Args:
            is_ours: it is public and this machine's: what a firewall keeps from the world would answer us.
        Raises:
            Denied.
        """
        if self._allows(address):
            return
        why = denied(address) or ("this machine" if is_ours else None)
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


def parse_allow(entries: Iterable[str]) -> tuple[list[Network], frozenset[str]]:
    """The networks and the names of the setting `webhook_allow`. Raises BadConfig."""
    networks: list[Network] = []
    names: set[str] = set()
    for entry in entries:
        try:
            networks.append(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            name = _in_ascii(entry.lower()).removesuffix(".")
            if not _is_name(name):
                raise BadConfig(f"webhook_allow: {entry!r} is no address, no network and no name") from None
            names.add(name)
    return networks, frozenset(names)


def _in_ascii(host: str) -> str:
    """As DNS has it: "bücher.example" is xn--bcher-kva.example. What is no name stays as it is, and is judged as that.

    Source: IDNA 2008 after UTS 46, as browsers do it. Python's own codec is that of 2003, to which "faß.de" is another
    site.
    """
    if host.isascii() or len(host) > _MAX_NAME:
        return host
    import idna

    try:
        return idna.encode(host, uts46=True, std3_rules=True).decode()
    except idna.IDNAError:
        return host


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
        return parsed(host)
    except ValueError:
        return None
