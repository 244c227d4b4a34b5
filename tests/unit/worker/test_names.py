"""Names are looked up for as long as somebody wants to wait, and not for longer."""

import socket
import threading
from collections.abc import Iterator

import pytest

from streammonitor_worker.ingest import SourceError, Stop, names
from streammonitor_worker.ingest.names import look_up


class Resolver:
    """A resolver of which no name server answers until it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = threading.Event()
        self.stop = Stop()
        self.stops = False

    def getaddrinfo(self, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        self.asked.append(host)
        if self.stops:
            self.stop.set()
        self.answers.wait(30)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("203.0.113.7", port))]

    def look_up(self, host: str = "h.example") -> names.Found:
        return look_up(host, 80, socket.SOCK_STREAM, self.stop, "http://h.example/a")


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    made = Resolver()
    # The one thing that is made up: the test has no name server that it could silence.
    monkeypatch.setattr(socket, "getaddrinfo", made.getaddrinfo)
    yield made
    made.answers.set()
    for thread in threading.enumerate():
        if thread.name == "dns":
            thread.join()
    assert not names._asked


def test_whoever_tries_again_waits_for_the_question_that_was_asked(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names, "LOOKUP_TIMEOUT_S", 0.01)
    for _ in range(3):
        with pytest.raises(SourceError) as caught:
            resolver.look_up()
        assert caught.value.reason == "DnsSilent"
        assert "within 0.01 s: check DNS" in caught.value.message
    assert resolver.asked == ["h.example"]

    monkeypatch.setattr(names, "LOOKUP_TIMEOUT_S", 30.0)
    resolver.answers.set()
    assert resolver.look_up()[0][4] == ("203.0.113.7", 80)


def test_a_stop_ends_the_wait(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "LOOKUP_TIMEOUT_S", 3600.0)
    resolver.stops = True
    with pytest.raises(SourceError) as caught:
        resolver.look_up()
    assert caught.value.reason == "Stopped"


def test_only_so_many_threads_hang(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "LOOKUP_TIMEOUT_S", 0.01)
    monkeypatch.setattr(names, "MAX_LOOKUPS", 2)
    for number in range(4):
        with pytest.raises(SourceError):
            resolver.look_up(f"h{number}.example")
    assert resolver.asked == ["h0.example", "h1.example"]


def test_an_address_is_asked_of_nobody() -> None:
    threads = threading.active_count()
    found = look_up("127.0.0.1", 80, socket.SOCK_STREAM, Stop(), "http://127.0.0.1/")
    assert found[0][4] == ("127.0.0.1", 80)
    assert threading.active_count() == threads
