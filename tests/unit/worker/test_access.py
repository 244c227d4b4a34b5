"""What may be opened."""

import socket
from ipaddress import ip_network

import pytest

from streammonitor_worker.ingest import SourceError, Stop, open_source
from streammonitor_worker.ingest.access import Access


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "::1",
        "fe80::1%eth0",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "fd00:ec2::254",
    ],
)
def test_addresses_that_mean_something_only_here_are_refused(address: str) -> None:
    assert not Access().permits(address)


@pytest.mark.parametrize("address", ["10.1.2.3", "203.0.113.7", "2001:db8::1", "239.1.1.1"])
def test_other_addresses_are_not(address: str) -> None:
    assert Access().permits(address)


def test_a_network_that_is_allowed_wins_over_one_that_is_denied() -> None:
    access = Access(denied=(ip_network("10.0.0.0/8"),), allowed=(ip_network("10.96.0.0/16"),))
    assert access.permits("10.96.3.4")
    assert not access.permits("10.97.3.4")


RULES = Access(schemes=frozenset({"http", "https"}), hosts=("*.example.com",))


@pytest.mark.parametrize(
    "url", ["https://live.example.com/a.m3u8", "https://LIVE.example.com./a.m3u8"]
)
def test_a_url_that_the_rules_name_may_be_opened(url: str) -> None:
    RULES.check(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://other.example/a.m3u8", "HostNotAllowed"),
        ("https://live.example.com@other.example/a.m3u8", "HostNotAllowed"),
        ("https://other.example/?live.example.com", "HostNotAllowed"),
        ("rtmp://live.example.com/app/key", "SchemeNotAllowed"),
        ("file:///etc/passwd", "SchemeNotAllowed"),
        ("/etc/passwd", "SchemeNotAllowed"),
        ("http://[::1/", "BadUrl"),
    ],
)
def test_any_other_url_may_not(url: str, reason: str) -> None:
    with pytest.raises(SourceError) as caught:
        RULES.check(url)
    assert caught.value.reason == reason


def test_a_name_is_judged_by_the_address_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        where = {"in.example": "169.254.169.254", "out.example": "203.0.113.7"}[host]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (where, port))]

    # The one thing that is made up: the test has no name server that would say this.
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert Access().resolve("out.example", 80, socket.SOCK_STREAM, Stop(), "x") == [
        (socket.AF_INET, ("203.0.113.7", 80))
    ]
    with pytest.raises(SourceError) as caught:
        Access().resolve("in.example", 80, socket.SOCK_STREAM, Stop(), "http://in.example/a")
    assert caught.value.reason == "AddressNotAllowed"
    assert "http://in.example/a is not opened: 169.254.169.254" in caught.value.message


@pytest.mark.parametrize("scheme", ["http", "tcp", "srt", "rtmp", "rtsp"])
def test_no_protocol_reaches_what_is_denied(scheme: str) -> None:
    with pytest.raises(SourceError) as caught:
        open_source(f"{scheme}://127.0.0.1:9/live/a", access=Access())
    assert caught.value.reason == "AddressNotAllowed"
