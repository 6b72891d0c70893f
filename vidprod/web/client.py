"""Whose request it is: the address that it came from and the scheme that it came by, as far as they can be believed.

A proxy hides both and says them in headers, which anybody else can write too. They are believed as the setting
`trusted_proxy` says, and only from a peer on a private network or on this machine: who comes from the internet himself
came past the proxy.
"""

import ipaddress
from collections.abc import Mapping
from typing import Any

from vidprod.config import Config

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# written out: Python calls much more private, that is only not for everybody
_NEAR = [
    ipaddress.ip_network(network)
    for network in (
        *("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16"),
        *("::1/128", "fc00::/7", "fe80::/10"),
    )
]
_FLY = b"fly-client-ip"
_FORWARDED_FOR = b"x-forwarded-for"
_FORWARDED_PROTO = b"x-forwarded-proto"


def client_address(scope: Mapping[str, Any], config: Config) -> str:
    """From where a request came; "" where the server does not know its peer.

    Sources: Fly's proxy overwrites Fly-Client-IP. Of X-Forwarded-For each proxy appends the peer that it sees, so
    only the last entries, as many as there are proxies, are theirs: whoever asks may have written all before them.
    """
    peer = _peer(scope)
    if peer is None:
        return ""
    if not _is_behind(peer, config):
        return str(peer)
    if config.trusted_proxy == "fly":
        told = _entries(scope, _FLY)
        said = told[0] if len(told) == 1 else ""
    else:
        told, hops = _entries(scope, _FORWARDED_FOR), int(config.trusted_proxy)
        said = told[-hops] if len(told) >= hops else ""  # fewer: it did not come through all of them
    return str(_read(said) or peer)


def network_of(address: str) -> str:
    """What counts as one client: an IPv4 address, or a /64 of IPv6, in which each of us has 2^64 addresses."""
    read = _read(address)
    if isinstance(read, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(read) >> 64 << 64, 64)))
    return "" if read is None else str(read)


def scheme(scope: Mapping[str, Any], config: Config) -> str:
    """By which the client came: "http" or "https"."""
    peer = _peer(scope)
    if peer is not None and _is_behind(peer, config):
        told = _entries(scope, _FORWARDED_PROTO)
        if told and set(told) == {"https"}:  # of several proxies each: https all the way
            return "https"
    return str(scope.get("scheme", "http"))


def _is_behind(peer: _Address, config: Config) -> bool:
    """Whether what a peer says of others is believed."""
    return config.trusted_proxy != "" and any(peer in network for network in _NEAR)


def _peer(scope: Mapping[str, Any]) -> _Address | None:
    client = scope.get("client")
    return None if client is None else _read(client[0])


def _entries(scope: Mapping[str, Any], name: bytes) -> list[str]:
    """The entries of a header that is a list, in whichever lines it came."""
    values = [value.decode("latin-1") for told, value in scope["headers"] if told.lower() == name]
    return [entry.strip().lower() for value in values for entry in value.split(",")]


def _read(text: str) -> _Address | None:
    """An address, as proxies write them: also with a port or in brackets. None when it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        read = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(read, "ipv4_mapped", None) or read
