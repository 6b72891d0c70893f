"""Egress: a name is resolved once, what was judged is dialled, and TLS is for the name."""

import asyncio
import ipaddress
import socket
import ssl
import threading
from pathlib import Path

import pytest

from tests.webhooks.certificates import Authority
from tests.webhooks.dialled import Dialled, found
from tests.webhooks.receiver import answer, receiving
from vidprod.webhooks.egress import MOST_DIALLED, Egress, Found, SocketAddress, Unreachable, dial, is_ours, resolve
from vidprod.webhooks.networks import denied
from vidprod.webhooks.rules import Denied


async def test_one_denied_address_among_public_ones_denies_all() -> None:
    dialled = Dialled()
    egress = Egress(resolve=lambda host, port: found("1.1.1.1", "10.0.0.1", "8.8.8.8"), dial=dialled)
    with pytest.raises(Denied, match=r"leads to 10\.0\.0\.1: a private network"):
        await egress.connect("https://receiver.example/hook")
    assert dialled == []


@pytest.mark.parametrize(("allow", "is_dialled"), [((), False), (("93.184.216.34",), True), (("n8n.example",), True)])
async def test_a_public_address_of_this_machine_is_dialled_only_when_it_is_named(
    allow: tuple[str, ...], is_dialled: bool
) -> None:
    """Its firewall keeps the world from what listens there, and not itself."""
    dialled = Dialled()
    egress = Egress(
        allow=allow,
        resolve=lambda host, port: found("93.184.216.34"),
        is_ours=lambda family, address: address[0] == "93.184.216.34",
        dial=dialled,
    )
    with pytest.raises(
        Unreachable if is_dialled else Denied, match="cannot be reached" if is_dialled else "this machine"
    ):
        await egress.connect("https://n8n.example/hook")
    assert dialled == ["93.184.216.34"] * is_dialled


def test_this_machine_knows_its_addresses() -> None:
    assert is_ours(socket.AF_INET, ("127.0.0.1", 443))
    assert not is_ours(socket.AF_INET, ("198.51.100.1", 443))


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
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer(400))
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable, match=r"no connection to receiver\.example: TLS: [A-Z_]+$"):
            await secure(authority).connect(f"https://receiver.example:{port}/")


def test_versions_of_tls_that_are_broken_are_not_spoken() -> None:
    from vidprod.webhooks.egress import _default_context

    context = _default_context()
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.get_ca_certs()
