"""From where a request came: what a proxy says is believed, and what anybody can write is not."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
import pytest

from vidprod.config import Config, load_config
from vidprod.errors import BadConfig
from vidprod.web.client import client_address, network_of, scheme

PROXY, STRANGER, VICTIM = "172.16.3.2", "203.0.113.9", "198.51.100.7"

Proxy = Literal["", "fly", "1", "2", "3", "4", "5"]
Says = Callable[[Mapping[str, Any], Config], str]


def request(peer: str | None, *headers: tuple[str, str]) -> dict[str, Any]:
    """What the server knows of one."""
    return {
        "client": None if peer is None else (peer, 40_000),
        "scheme": "http",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }


def behind(proxy: Proxy) -> Config:
    return Config(trusted_proxy=proxy)


# the peer, the setting, the headers, from where it came
TOLD: list[tuple[str, Proxy, list[tuple[str, str]], str]] = [
    (STRANGER, "", [], STRANGER),
    (PROXY, "fly", [("Fly-Client-IP", STRANGER)], STRANGER),
    (PROXY, "1", [("X-Forwarded-For", STRANGER)], STRANGER),
    (PROXY, "2", [("X-Forwarded-For", f"{STRANGER}, 10.0.0.8")], STRANGER),
    (PROXY, "2", [("X-Forwarded-For", STRANGER), ("X-Forwarded-For", "10.0.0.8")], STRANGER),
    ("fdaa::3", "fly", [("Fly-Client-IP", "2001:db8::1")], "2001:db8::1"),
    ("127.0.0.1", "1", [("X-Forwarded-For", "[2001:db8::1]:443")], "2001:db8::1"),
    ("127.0.0.1", "1", [("X-Forwarded-For", f"{STRANGER}:5555")], STRANGER),
    ("::1", "1", [("X-Forwarded-For", f"::ffff:{STRANGER}")], STRANGER),
    ("::ffff:10.1.2.3", "1", [("X-Forwarded-For", STRANGER)], STRANGER),
]


@pytest.mark.parametrize(("peer", "proxy", "headers", "address"), TOLD)
def test_a_proxy_is_believed(peer: str, proxy: Proxy, headers: list[tuple[str, str]], address: str) -> None:
    assert client_address(request(peer, *headers), behind(proxy)) == address


# the peer, the setting, the headers by which a stranger would be somebody else, who he is
SPOOFED: list[tuple[str, Proxy, list[tuple[str, str]], str]] = [
    # no proxy is there: nothing is believed
    (STRANGER, "", [("X-Forwarded-For", VICTIM), ("Fly-Client-IP", VICTIM), ("X-Real-IP", VICTIM)], STRANGER),
    ("127.0.0.1", "", [("X-Forwarded-For", VICTIM), ("Forwarded", f"for={VICTIM}")], "127.0.0.1"),
    # past the proxy, from the internet
    (STRANGER, "fly", [("Fly-Client-IP", VICTIM)], STRANGER),
    (STRANGER, "1", [("X-Forwarded-For", VICTIM)], STRANGER),
    ("2606:4700::1", "1", [("X-Forwarded-For", VICTIM)], "2606:4700::1"),
    # through it, with entries of his own
    (PROXY, "1", [("X-Forwarded-For", f"{VICTIM}, {STRANGER}")], STRANGER),
    (PROXY, "1", [("X-Forwarded-For", VICTIM), ("X-Forwarded-For", STRANGER)], STRANGER),
    (PROXY, "2", [("X-Forwarded-For", f"{VICTIM}, {VICTIM}, {STRANGER}, 10.0.0.8")], STRANGER),
    # the other proxy's header
    (PROXY, "1", [("Fly-Client-IP", VICTIM), ("X-Forwarded-For", STRANGER)], STRANGER),
    (PROXY, "fly", [("X-Forwarded-For", VICTIM), ("Fly-Client-IP", STRANGER)], STRANGER),
    # fewer entries than proxies: it came past one of them
    (PROXY, "2", [("X-Forwarded-For", VICTIM)], PROXY),
    # two of what Fly writes once
    (PROXY, "fly", [("Fly-Client-IP", VICTIM), ("Fly-Client-IP", STRANGER)], PROXY),
    # no address at all
    (PROXY, "1", [("X-Forwarded-For", "unknown")], PROXY),
    (PROXY, "1", [("X-Forwarded-For", "")], PROXY),
    (PROXY, "fly", [("Fly-Client-IP", "x" * 5000)], PROXY),
]


@pytest.mark.parametrize(("peer", "proxy", "headers", "address"), SPOOFED)
def test_a_stranger_is_not_somebody_else(peer: str, proxy: Proxy, headers: list[tuple[str, str]], address: str) -> None:
    assert client_address(request(peer, *headers), behind(proxy)) == address


def from_the_left(scope: Mapping[str, Any], config: Config) -> str:
    """As many do it: whatever the header says first."""
    for name, value in scope["headers"]:
        if name in (b"fly-client-ip", b"x-forwarded-for"):
            return str(value.decode("latin-1").partition(",")[0].strip())
    return str(scope["client"][0])


def of_any_peer(scope: Mapping[str, Any], config: Config) -> str:
    """From the right, whoever says it."""
    return client_address({**scope, "client": ("127.0.0.1", 1)}, config) if config.trusted_proxy else "127.0.0.1"


def from_the_right_without_counting(scope: Mapping[str, Any], config: Config) -> str:
    """The last entry, however many proxies there are, and of fewer the first."""
    told = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return ",".join(told).split(",")[-1].strip() if told else str(scope["client"][0])


@pytest.mark.parametrize("weak", [from_the_left, of_any_peer, from_the_right_without_counting])
def test_weaker_readings_of_the_headers_are_caught(weak: Says) -> None:
    """The twins: each of them would pass some of the table, and none all of it."""
    wrong = [told for told in [*TOLD, *SPOOFED] if weak(request(told[0], *told[2]), behind(told[1])) != told[3]]
    assert wrong


def test_a_server_that_does_not_know_its_peer_knows_no_address() -> None:
    assert client_address(request(None, ("X-Forwarded-For", VICTIM)), behind("1")) == ""


def test_one_client_has_many_addresses_of_ipv6() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff:ffff:ffff:ffff") == "2001:db8:1:2::/64"
    assert network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1")
    assert network_of(f"::ffff:{STRANGER}") == network_of(STRANGER) == STRANGER
    assert network_of("") == ""


@pytest.mark.parametrize(
    ("peer", "proxy", "told", "was"),
    [
        (PROXY, "1", ["https"], "https"),
        (PROXY, "fly", ["https"], "https"),
        (PROXY, "2", ["https, https"], "https"),
        (PROXY, "1", ["http"], "http"),
        (PROXY, "2", ["https, http"], "http"),
        (PROXY, "2", ["https", "http"], "http"),
        (PROXY, "1", ["gopher"], "http"),
        (PROXY, "", ["https"], "http"),
        (STRANGER, "1", ["https"], "http"),
        (PROXY, "1", [], "http"),
    ],
)
def test_https_is_what_the_proxy_says(peer: str, proxy: Proxy, told: list[str], was: str) -> None:
    assert scheme(request(peer, *(("X-Forwarded-Proto", value) for value in told)), behind(proxy)) == was


def test_a_number_of_proxies_may_be_given_as_a_number() -> None:
    assert load_config(None, {}, {"trusted_proxy": 2}).config.trusted_proxy == "2"
    assert load_config(None, {"VIDPROD_TRUSTED_PROXY": "fly"}, {}).config.trusted_proxy == "fly"
    with pytest.raises(BadConfig, match='must be one of "", fly, 1, 2, 3, 4, 5'):
        load_config(None, {"VIDPROD_TRUSTED_PROXY": "6"}, {})
    assert msgspec.json.decode(msgspec.json.encode(Config()), type=Config) == Config()
