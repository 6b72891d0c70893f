"""Egress: no address that leads home is ever dialled, however it is spelt and whoever resolves it."""

import asyncio
import ipaddress
import socket
import ssl
import threading
from pathlib import Path

import pytest

from tests.webhooks.certificates import Authority
from tests.webhooks.receiver import receiving
from vidprod.config import Config
from vidprod.errors import BadConfig, BadRequest
from vidprod.webhooks.egress import (
    MOST_DIALLED,
    Denied,
    Egress,
    Found,
    SocketAddress,
    Unreachable,
    denied,
    dial,
    resolve,
)

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


class Dialled(list[str]):
    """Takes the place of the network: remembers whom it was to reach."""

    async def __call__(self, family: socket.AddressFamily, address: SocketAddress) -> socket.socket:
        self.append(address[0])
        raise ConnectionRefusedError(111, "Connection refused")


def found(*addresses: str, port: int = 443) -> list[Found]:
    """As a resolver answers."""
    made: list[Found] = []
    for address in addresses:
        six = ":" in address
        made.append((socket.AF_INET6, (address, port, 0, 0)) if six else (socket.AF_INET, (address, port)))
    return made


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


async def test_one_denied_address_among_public_ones_denies_all() -> None:
    dialled = Dialled()
    egress = Egress(resolve=lambda host, port: found("1.1.1.1", "10.0.0.1", "8.8.8.8"), dial=dialled)
    with pytest.raises(Denied, match=r"leads to 10\.0\.0\.1: a private network"):
        await egress.connect("https://receiver.example/hook")
    assert dialled == []


class Rebinding:
    """A resolver whose first answer is public, and every later one this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked = 0

    def __call__(self, host: str, port: int) -> list[Found]:
        self.asked += 1
        return found("93.184.216.34" if self.asked == 1 else "127.0.0.1", port=self.port)


async def bad_connect(resolver: Rebinding, host: str) -> None:
    """What must not be done: judge the URL, then hand the name to a client that resolves it again."""
    for _, address in resolver(host, 443):
        assert denied(ipaddress.ip_address(address[0])) is None
    [(family, address)] = resolver(host, 443)
    (await dial(family, address)).close()


async def test_a_name_that_is_rebound_reaches_nothing() -> None:
    dialled = Dialled()

    async def to_loopback_only(family: socket.AddressFamily, address: SocketAddress) -> socket.socket:
        if address[0] == "127.0.0.1":
            return await dial(family, address)
        return await dialled(family, address)

    async with receiving() as inside:
        rebinding = Rebinding(inside.port)
        egress = Egress(resolve=rebinding, dial=to_loopback_only)
        with pytest.raises(Unreachable):
            await egress.connect("https://rebound.example/")
        assert (rebinding.asked, dialled) == (1, ["93.184.216.34"])  # resolved once, and that was dialled
        with pytest.raises(Denied):
            await egress.connect("https://rebound.example/")
        assert (inside.connections, dialled) == (0, ["93.184.216.34"])


async def test_judging_the_url_and_handing_the_name_on_does_connect() -> None:
    """The harness sees the hole where there is one."""
    async with receiving() as inside:
        await bad_connect(Rebinding(inside.port), "rebound.example")
        async with asyncio.timeout(5), inside.changed:
            await inside.changed.wait_for(lambda: inside.connections == 1)


async def test_a_socket_that_reached_another_address_is_given_up() -> None:
    async def astray(family: socket.AddressFamily, address: SocketAddress) -> socket.socket:
        return await dial(socket.AF_INET, ("127.0.0.1", inside.port))

    async with receiving() as inside:
        egress = Egress(resolve=lambda host, port: found("93.184.216.34"), dial=astray)
        with pytest.raises(Denied, match="another address"):
            await egress.connect("https://receiver.example/")
        assert inside.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "https:///hook",
        "receiver.example/hook",
        "ftp://receiver.example/",
        "file:///etc/passwd",
        "http://receiver.example/hook",
        "https://receiver.example:80/",
        "https://receiver.example:22/",
        "https://receiver.example:99999/",
        "https://receiver.example:x/",
        "https://user@receiver.example/",
        "https://user:word@receiver.example/",
        "https://1.1.1.1@127.0.0.1/",
        "https://receiver.example/#fragment",
        "https://receiver.example#",
        "https://receiver.example/a b",
        "https://receiver.example\\@127.0.0.1/",
        "https://receiver.example/\n",
        "https://receiver.example/\x00",
        "https://rec\teiver.example/",
        "https://bücher.example/",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://-receiver.example/",
        "https://receiver..example/",
        "https://" + "a" * 64 + ".example/",
        "https://" + "a." * 130 + "example/",
        "https://receiver.example/" + "x" * 2000,
        "https://[::1",
        "https://[1.1.1.1]x/",
        "https://%31%32%37.0.0.1/",
        # names that mean this network
        "https://localhost/",
        "https://LOCALHOST/",
        "https://localhost./",
        "https://app.localhost/",
        "https://localhost.localdomain/",
        "https://metadata/",
        "https://metadata.google.internal/",
        "https://METADATA.google.internal./computeMetadata/v1/",
        "https://_api.internal:443/",
        "https://app.internal/",
        "https://app.flycast/",
        "https://nas.local/",
        "https://kubernetes.default.svc/",
        "https://db.prod.svc.cluster.local/",
        "https://router.lan/",
        "https://intranet/",
        # this daemon
        "https://video.example/v1/jobs",
        "https://VIDEO.example./",
        "https://studio.example/",
    ],
)
def test_what_is_no_address_of_a_receiver_is_refused_when_it_is_given(url: str) -> None:
    egress = Egress.of(Config(public_url="https://video.example", hosts=("studio.example", "*")))
    with pytest.raises(BadRequest) as refused:
        egress.check(url)
    assert refused.value.code == "bad_webhook_url"


@pytest.mark.parametrize(
    "url",
    [
        "https://receiver.example",
        "https://receiver.example/",
        "https://Receiver.Example:443/hook?token=1%20x&b=[]",
        "https://receiver.example:8443/hook",
        "https://xn--bcher-kva.example/",
        "https://under_score.receiver.example/",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]:8443/",
    ],
)
def test_an_address_of_a_receiver_is_taken(url: str) -> None:
    Egress().check(url)


def test_an_address_is_taken_apart_as_it_is_asked_for() -> None:
    target = Egress().check("https://Receiver.Example:443/hook?a=1")
    assert (target.host, target.port, target.path) == ("receiver.example", 443, "/hook?a=1")
    assert target.authority == "receiver.example"
    assert Egress().check("https://receiver.example:8443").authority == "receiver.example:8443"
    assert Egress().check("https://receiver.example:8443").path == "/"
    assert Egress().check("https://[2606:4700::1111]:8443/").authority == "[2606:4700::1111]:8443"


@pytest.mark.parametrize(
    ("allow", "url", "leads_to", "is_dialled"),
    [
        # an address, a network
        ("192.168.1.20", "http://192.168.1.20:5678/hook", "192.168.1.20", True),
        ("192.168.1.20", "http://192.168.1.21:5678/hook", "192.168.1.21", False),
        ("10.0.0.0/24", "http://10.0.0.7/", "10.0.0.7", True),
        ("10.0.0.0/24", "http://10.0.1.7/", "10.0.1.7", False),
        ("10.0.0.0/24", "http://[::ffff:10.0.0.7]/", "::ffff:10.0.0.7", True),
        ("fd00::/8", "http://[fd00::7]:5678/", "fd00::7", True),
        ("127.0.0.1", "http://127.0.0.1:9000/", "127.0.0.1", True),
        # a name in the network that leads to an allowed address
        ("10.0.0.0/24", "http://n8n.lan:5678/", "10.0.0.7", True),
        ("10.0.0.0/24", "http://n8n.lan:5678/", "10.0.1.7", False),
        ("10.0.0.0/24", "http://receiver.example/", "93.184.216.34", False),  # plain http, outside
        ("10.0.0.0/24", "https://receiver.example:9000/", "93.184.216.34", False),
        ("10.0.0.0/24", "https://receiver.example/", "93.184.216.34", True),
        ("10.0.0.0/24", "https://receiver.example/", "127.0.0.1", False),
        ("10.0.0.0/24", "https://intranet/", "93.184.216.34", False),
        ("10.0.0.0/24", "https://metadata.google.internal/", "169.254.169.254", False),
        # a name
        ("n8n.local", "http://n8n.local:5678/", "192.168.1.20", True),
        ("N8N.local.", "http://n8n.local/", "127.0.0.1", True),
        ("n8n.local", "http://other.n8n.local:5678/", "192.168.1.20", False),
        ("n8n.local", "http://n8n.local:5678/", "169.254.169.254", False),
        ("n8n.local", "http://n8n.local:5678/", "224.0.0.1", False),
        ("n8n.local", "http://n8n.local:5678/", "64:ff9b::a9fe:a9fe", False),
        ("receiver.example", "http://receiver.example:9000/", "93.184.216.34", True),
        ("video.example", "http://video.example:9000/", "93.184.216.34", True),  # named although it is ours
        ("169.254.169.254", "http://169.254.169.254/", "169.254.169.254", True),  # named in so many words
    ],
)
async def test_who_hosts_it_may_name_private_receivers(allow: str, url: str, leads_to: str, is_dialled: bool) -> None:
    dialled = Dialled()
    egress = Egress(
        allow=[allow], home=["video.example"], resolve=lambda host, port: found(leads_to, port=port), dial=dialled
    )
    with pytest.raises(Unreachable if is_dialled else Denied):
        await egress.connect(url)
    assert dialled == [leads_to] * is_dialled


@pytest.mark.parametrize("entry", ["", "10.0.0.0/33", "http://n8n.local", "n8n.local:5678", "a b", "*"])
def test_what_names_no_receiver_is_told(entry: str) -> None:
    with pytest.raises(BadConfig, match="webhook_allow"):
        Egress(allow=[entry])


async def test_of_many_addresses_a_few_of_both_kinds_are_dialled() -> None:
    dialled = Dialled()
    many = [f"2606:4700::{n}" for n in range(1, 9)] + [f"1.1.1.{n}" for n in range(1, 9)]
    with pytest.raises(Unreachable, match="Connection refused"):
        await Egress(resolve=lambda host, port: found(*many), dial=dialled).connect("https://receiver.example/")
    assert dialled == ["2606:4700::1", "1.1.1.1", "2606:4700::2", "1.1.1.2"]
    assert len(dialled) == MOST_DIALLED


async def test_the_next_address_is_dialled_when_one_refuses() -> None:
    async with receiving() as inside:

        async def second(family: socket.AddressFamily, address: SocketAddress) -> socket.socket:
            if address[0] == "127.0.0.2":
                raise ConnectionRefusedError(111, "Connection refused")
            return await dial(family, address)

        egress = Egress(
            allow=["127.0.0.0/8"],
            resolve=lambda host, port: found("127.0.0.2", "127.0.0.1", port=port),
            dial=second,
        )
        _, stream = await egress.connect(inside.url(host="receiver.example"))
        stream.close()


def nobody(host: str, port: int) -> list[Found]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


async def test_a_name_without_an_address_is_told() -> None:
    with pytest.raises(Unreachable, match=r"receiver\.example has no address: Name or service not known"):
        await Egress(resolve=nobody).connect("https://receiver.example/hook?secret=1")


async def test_a_resolver_that_hangs_holds_up_nobody() -> None:
    release = threading.Event()

    def hangs(host: str, port: int) -> list[Found]:
        release.wait()
        return []

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await Egress(resolve=hangs).connect("https://receiver.example/")
    release.set()


async def test_the_system_resolves() -> None:
    assert resolve("127.0.0.1", 443) == [(socket.AF_INET, ("127.0.0.1", 443))]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def secure(authority: Authority, **more: object) -> Egress:
    return Egress(
        allow=["127.0.0.1"],
        resolve=lambda host, port: found("127.0.0.1", port=port),
        context=authority.trusting,
        **more,  # type: ignore[arg-type]
    )


async def test_the_name_of_the_address_is_sent_and_verified_though_an_address_is_dialled(authority: Authority) -> None:
    asked: list[str | None] = []
    tls = authority.serving("receiver.example")
    tls.sni_callback = lambda ssl_object, name, context: asked.append(name)
    async with receiving(tls=tls) as inside:
        url = inside.url(host="receiver.example", scheme="https")
        target, stream = await secure(authority).connect(url)
        assert stream.writer.get_extra_info("peername")[0] == "127.0.0.1"
        stream.close()
    assert asked == ["receiver.example"]
    assert target.secure


async def test_a_certificate_for_another_name_is_not_taken(authority: Authority) -> None:
    async with receiving(tls=authority.serving("other.example")) as inside:
        with pytest.raises(Unreachable, match=r"certificate of receiver\.example is not taken: Hostname mismatch"):
            await secure(authority).connect(inside.url(host="receiver.example", scheme="https"))
        assert inside.requests == []


async def test_a_certificate_of_an_unknown_authority_is_not_taken(authority: Authority) -> None:
    async with receiving(tls=authority.serving("receiver.example")) as inside:
        egress = Egress(allow=["127.0.0.1"], resolve=lambda host, port: found("127.0.0.1", port=port))
        with pytest.raises(Unreachable, match=r"unable to get local issuer certificate"):
            await egress.connect(inside.url(host="receiver.example", scheme="https"))


async def test_what_speaks_no_tls_is_told(authority: Authority) -> None:
    async with receiving() as inside:
        with pytest.raises((Unreachable, TimeoutError)):
            async with asyncio.timeout(0.5):
                await secure(authority).connect(inside.url(host="receiver.example", scheme="https"))


def test_versions_of_tls_that_are_broken_are_not_spoken() -> None:
    from vidprod.webhooks.egress import _default_context

    context = _default_context()
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.get_ca_certs()
