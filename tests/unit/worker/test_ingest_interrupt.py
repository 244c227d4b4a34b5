"""A stop event ends a blocked FFmpeg call at once."""

import socket
import threading
import time

import pytest

from streammonitor_worker.ingest import SourceError, Stop, open_source


@pytest.mark.parametrize("scheme", ["http", "rtmp", "rtsp"])
def test_a_stop_ends_a_wait_for_a_server_that_says_nothing(scheme: str) -> None:
    stop = Stop()
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        timer = threading.Timer(0.2, stop.set)
        timer.start()
        started = time.monotonic()
        with pytest.raises(SourceError) as caught:
            open_source(f"{scheme}://127.0.0.1:{mute.getsockname()[1]}/live/a", stop=stop)
        timer.join()

    assert caught.value.reason == "Stopped"
    assert time.monotonic() - started < 7, "without the hook it is the time-out of 8 s or more"
