"""What is sent to a worker, by its URL."""

import pytest
from pydantic import ValidationError

from streammonitor_api.push import Push, at_port, push_of
from streammonitor_api.spec import StreamMonitorSpec


@pytest.mark.parametrize(
    ("url", "scheme", "port", "transport"),
    [
        ("udp://:5000", "udp", 5000, "UDP"),
        ("udp://@:5000?pkt_size=1316", "udp", 5000, "UDP"),
        ("udp://@127.0.0.1:5000", "udp", 5000, "UDP"),
        ("srt://:9000", "srt", 9000, "UDP"),
        ("srt://0.0.0.0:9000?mode=listener", "srt", 9000, "UDP"),
        ("rtmp://:1936/live/key", "rtmp", 1936, "TCP"),
        ("rtmp:///live/key", "rtmp", 1935, "TCP"),
    ],
)
def test_who_names_no_host_is_sent_to(url: str, scheme: str, port: int, transport: str) -> None:
    push = push_of(url)
    assert push is not None
    assert (push.scheme, push.port, push.transport) == (scheme, port, transport)
    assert push_of(at_port(url, 20_000)) == Push(push.scheme, 20_000)


@pytest.mark.parametrize(
    "url",
    [
        "http://h.example/a.m3u8",
        "udp://@239.1.1.1:5000",
        "udp://[ff15::1]:5000",
        "srt://h.example:9000?streamid=mode=listener",
        "srt://:9000?mode=caller",
        "srt://:0x1",
        "rtmp://h.example/live/key",
        "tcp://:5000",
        "udp://[:5000",
    ],
)
def test_what_is_fetched_or_joined_is_not_sent(url: str) -> None:
    assert push_of(url) is None


def test_one_worker_group_is_all_that_can_receive_it() -> None:
    groups = [{"name": "v", "detectors": ["freeze"]}, {"name": "s", "detectors": ["silence"]}]
    document = {
        "streams": [{"name": "a", "url": "udp://:5000"}],
        "detectors": {"freeze": {}, "silence": {}},
    }
    StreamMonitorSpec.model_validate(document)
    with pytest.raises(ValidationError, match="can be received by one worker only"):
        StreamMonitorSpec.model_validate({**document, "workers": groups})
