"""Networks: no address that leads home is ever dialled, however it is spelt and whoever resolves it."""

import ipaddress

import pytest

from tests.webhooks.dialled import Dialled, found
from vidprod.errors import BadRequest
from vidprod.webhooks.egress import Egress, Unreachable, resolve
from vidprod.webhooks.networks import denied
from vidprod.webhooks.rules import Denied

# addresses that no webhook may reach, each as one might write it
DENIED = [
    # this machine
    "127.0.0.1",
    "127.0.0.53",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "::1",
    "::",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::127.0.0.1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::127.0.0.1",
    "2002:7f00:1::",
    "2001:0:7f00:1::80ff:fffe",
    # private networks
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "192.168.255.255",
    "::ffff:10.0.0.1",
    "::ffff:192.168.1.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::c0a8:101",
    "2002:c0a8:101::1",
    "2002:a00:1::",
    "fc00::1",
    "fd00::1",
    "fdaa:0:1::3",
    "fec0::1",
    # a provider's network
    "100.64.0.1",
    "100.127.255.255",
    "100.100.100.200",
    # link-local, where clouds keep their metadata
    "169.254.169.254",
    "169.254.170.2",
    "169.254.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%1",
    "168.63.129.16",
    "192.0.0.192",
    # examples, measurements, protocols
    "192.0.0.8",
    "192.0.2.1",
    "198.51.100.1",
    "203.0.113.1",
    "198.18.0.1",
    "198.19.255.255",
    "192.88.99.1",
    "2001:db8::1",
    "3fff::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "5f00::1",
    "100::1",
    # multicast, reserved
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "ff02::1",
    "ff0e::1",
    "4000::1",
    "e000::1",
    "::2",
    "0:0:0:0:0:1::",
]
# spellings that only a resolver understands
SPELT = [
    "127.1",
    "127.0.1",
    "0177.0.0.1",
    "0x7f.1",
    "0x7f.0x0.0x0.0x1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "0",
    "0.0",
    "00.00.00.00",
    "localhost",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "11.0.0.1",
    "9.255.255.255",
    "172.15.255.255",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "169.253.0.1",
    "192.167.255.255",
    "192.169.0.1",
    "198.17.255.255",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:1450::1",
    "2400:cb00::1",
    "64:ff9b::8.8.8.8",
]


def url_of(address: str) -> str:
    return f"https://[{address}]/hook" if ":" in address else f"https://{address}/hook"


@pytest.mark.parametrize("address", DENIED)
async def test_a_name_that_leads_there_is_not_dialled(address: str) -> None:
    dialled = Dialled()
    egress = Egress(resolve=lambda host, port: found(address), dial=dialled)
    with pytest.raises(Denied):
        await egress.connect("https://receiver.example/hook")
    with pytest.raises(BadRequest):
        egress.check(url_of(address))
    assert dialled == []


@pytest.mark.parametrize("spelt", SPELT)
async def test_odd_spellings_are_not_dialled(spelt: str) -> None:
    """With the system's own resolver, which understands them."""
    dialled = Dialled()
    for egress in (Egress(dial=dialled), Egress(dial=dialled, allow=["192.168.1.20"])):
        with pytest.raises(Denied):
            await egress.connect(f"https://{spelt}/hook")
    with pytest.raises(BadRequest):
        Egress().check(f"https://{spelt}/hook")
    egress = Egress(dial=dialled, resolve=lambda host, port: resolve(spelt, port))
    with pytest.raises(Denied):
        await egress.connect("https://receiver.example/hook")
    assert dialled == []


@pytest.mark.parametrize("address", PUBLIC)
async def test_a_public_address_is_dialled(address: str) -> None:
    dialled = Dialled()
    with pytest.raises(Unreachable):
        await Egress(resolve=lambda host, port: found(address), dial=dialled).connect("https://receiver.example/hook")
    assert dialled == [address]
    Egress().check(url_of(address))


def test_the_tables_hold_enough() -> None:
    assert len(DENIED) + len(SPELT) >= 60


@pytest.mark.parametrize("address", ["64:ff9b::1", "2002::1", "192.88.99.1", "ff0e::1", "5f00::1", "192.0.0.8"])
def test_what_python_may_call_global_is_denied_all_the_same(address: str) -> None:
    assert denied(ipaddress.ip_address(address)) is not None
