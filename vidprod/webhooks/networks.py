"""Networks that no webhook reaches: this machine, what is beside it, and all that was never given out.

Source of the denied networks: the IANA special-purpose registries, with what Svix and smokescreen deny. Python's own
`is_global` calls NAT64, 6to4, multicast and others global, and changed its mind between versions: it is not asked.
"""

import ipaddress

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

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
_MAPPED = ipaddress.ip_network("::ffff:0:0/96")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


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


def parsed(text: str) -> Address:
    """Raises ValueError."""
    return ipaddress.ip_address(text.partition("%")[0])  # fe80::1%eth0
