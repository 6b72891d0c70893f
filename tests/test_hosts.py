"""Hosts by name and address, and which of them are this machine."""

import pytest

from vidprod.hosts import is_loopback, is_origin, split_host


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "LOCALHOST.", "studio.localhost"]
)
def test_this_machine_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "10.0.0.1", "evillocalhost", "127.0.0.1.evil.example", "[127.0.0.1", "a@localhost"]
)
def test_another_is_not(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        ("Video.Example:8443", ("video.example", "8443")),
        ("video.example", ("video.example", "")),
        ("[::1]:8000", ("::1", "8000")),
        ("[::1]", ("::1", "")),
        ("localhost.:80", ("localhost", "80")),
        ("host:port", ("host:port", "")),
        ("", ("", "")),
    ],
)
def test_a_host_header_has_a_host_and_may_have_a_port(header: str, parts: tuple[str, str]) -> None:
    assert split_host(header) == parts


@pytest.mark.parametrize("text", ["https://video.example", "http://10.0.0.1:8000/", "http://[::1]:8000"])
def test_an_origin_has_no_path(text: str) -> None:
    assert is_origin(text)


@pytest.mark.parametrize(
    "text", ["video.example", "https://video.example/here", "http://[::1", "http://a:99999", "ftp://a", "http://a b"]
)
def test_what_is_no_origin_is_refused(text: str) -> None:
    assert not is_origin(text)
