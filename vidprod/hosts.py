"""Hosts by name and address: which are written right, and which are this machine."""

import ipaddress
import re
from urllib.parse import urlsplit

_NAME = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9_.\[\]:-]+/?")


def is_name(text: str) -> bool:
    """Whether it can be the name of a host, in lower case, without scheme and port."""
    return _NAME.fullmatch(text) is not None


def is_network(text: str) -> bool:
    """Whether it is an address or a network: 10.0.0.0/24."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def is_origin(text: str) -> bool:
    """Whether it is an address without a path: https://video.example:8443."""
    try:
        return _ORIGIN.fullmatch(text) is not None and urlsplit(text).port != 0
    except ValueError:  # a bracket alone, or a port that there is not
        return False


def split_host(text: str) -> tuple[str, str]:
    """The host, in lower case and without brackets, and the port of a Host header; "" where it names no port."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal():
        host, port = text, ""
    return _bare(host), port


def is_loopback(host: str) -> bool:
    """Whether only this machine is reached by that name or address."""
    address = address_of(host)
    return is_localhost(host) if address is None else address.is_loopback


def is_localhost(host: str) -> bool:
    """Whether it is the name of this machine. Source: RFC 6761, 6.3."""
    name = _bare(host)
    return name == "localhost" or name.endswith(".localhost")


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, also one in brackets; None: a name."""
    try:
        return ipaddress.ip_address(_bare(host))
    except ValueError:
        return None


def _bare(host: str) -> str:
    name = host.lower().removesuffix(".")
    return name[1:-1] if name.startswith("[") and name.endswith("]") else name
