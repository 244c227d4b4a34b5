"""Wall time passes for streams of which nothing comes."""

import logging
import threading

import pytest

from streammonitor_worker.ticker import Ticker


class Clocked:
    """Counts its ticks, and fails at the first."""

    name = "a"

    def __init__(self) -> None:
        self.ticks = 0
        self.twice = threading.Event()

    def tick(self) -> None:
        self.ticks += 1
        if self.ticks == 1:
            raise RuntimeError("a fault")
        self.twice.set()


def test_a_stream_whose_tick_fails_is_called_again(caplog: pytest.LogCaptureFixture) -> None:
    faulty, sound = Clocked(), Clocked()
    sound.ticks = 1
    ticker = Ticker(lambda: [faulty, sound])
    with caplog.at_level(logging.CRITICAL, "streammonitor_worker.ticker"):
        ticker.start()
        ticker.start()
        try:
            assert faulty.twice.wait(10)
            assert sound.twice.is_set()
        finally:
            ticker.stop()
