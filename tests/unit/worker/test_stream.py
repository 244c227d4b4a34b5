"""The supervisor of one stream, with sources that a test makes up."""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streammonitor_api.incident import EndReason, Incident
from streammonitor_api.regions import IgnoreRegion
from streammonitor_api.spec import Stream
from streammonitor_api.worker_status import StreamState, StreamStatus, VideoFormat
from streammonitor_worker import reception, splice
from streammonitor_worker import stream as module
from streammonitor_worker.analysis import EventKind, IncidentEvent
from streammonitor_worker.frames import FormatChange, FrameView, MediaItem
from streammonitor_worker.ingest import EVERYTHING, Access, ContentKeys, SourceError, open_source
from streammonitor_worker.splice import USELESS_RATIO, USELESS_S, Splice
from streammonitor_worker.stream import StreamRunner
from streammonitor_worker.surroundings import Surroundings
from tests.unit.worker.made_up import MadeUpSource
from tests.unit.worker.test_ingest_changes import moved, part

VIDEO = VideoFormat(codec="h264", width=64, height=36, frame_rate=25)
STEP_S = 0.04
DETECTORS = {"black": {"minDuration": "1s"}, "stall": {}}


def frames(count: int, level: int = 120) -> Iterator[MediaItem]:
    """A format, then frames of one grey."""
    yield FormatChange(video=VIDEO, audio=None)
    luma = np.full((36, 64), level, np.uint8)
    for index in range(count):
        yield FrameView(time_s=index * STEP_S, duration_s=STEP_S, arrived_at=time.time(), luma=luma)


def playing(items: Iterable[MediaItem], *, finite: bool = False) -> MadeUpSource:
    """A source in the one format of these tests."""
    return MadeUpSource(items, VIDEO, finite=finite)


class Rig:
    """Opens what a test queues, and remembers what the stream reports."""

    def __init__(self, folder: Path) -> None:
        self.sources: list[MadeUpSource | Exception] = []
        self.opened: list[str] = []
        self.keys: list[ContentKeys] = []
        self.statuses: list[StreamStatus] = []
        self.events: list[IncidentEvent] = []
        self.changed = threading.Condition()
        self.around = Surroundings(
            reporter=self,
            secrets_folder=folder,
            monitor_uid="u",
            worker="w",
            access=Access(),
            backoff=lambda *_: 0.0,
        )

    def open_source(
        self, url: str, *, access: Access, keys: ContentKeys, **_: object
    ) -> MadeUpSource:
        access.check(url)
        self.opened.append(url)
        self.keys.append(keys)
        source = self.sources.pop(0) if self.sources else SourceError("Timeout", "no more")
        if isinstance(source, Exception):
            raise source
        return source

    def stream_changed(self, status: StreamStatus) -> None:
        with self.changed:
            self.statuses.append(status)
            self.changed.notify_all()

    def incident_changed(self, event: IncidentEvent) -> None:
        with self.changed:
            self.events.append(event)
            self.changed.notify_all()

    def wait(self, what: Callable[[], bool]) -> None:
        # Not under the condition's lock: `what` may ask the stream, which may be reporting.
        deadline = time.monotonic() + 10
        while not what():
            assert time.monotonic() < deadline
            with self.changed:
                self.changed.wait(0.05)

    def wait_state(self, state: StreamState, reason: str | None = None) -> None:
        self.wait(lambda: any((s.state, s.reason) == (state, reason) for s in self.statuses))


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    one = Rig(tmp_path)
    monkeypatch.setattr(reception, "open_source", one.open_source)
    return one


@pytest.fixture
def start(rig: Rig) -> Iterator[Callable[..., StreamRunner]]:
    started: list[StreamRunner] = []

    def begin(
        *sources: MadeUpSource | Exception, url: str = "http://h/a", query: Sequence[Any] = ()
    ) -> StreamRunner:
        rig.sources = list(sources)
        stream = Stream.model_validate({"name": "a", "url": url, "queryFrom": [*query] or None})
        runner = StreamRunner(stream, DETECTORS, rig.around)
        started.append(runner)
        runner.start()
        return runner

    yield begin
    for runner in started:
        runner.let_go()
        assert runner.join(10)


def _endless(level: int = 120) -> Iterator[MediaItem]:
    return frames(10**9, level)


def test_a_finite_source_is_completed_and_ends_what_is_open(
    rig: Rig, start: Callable[..., StreamRunner]
) -> None:
    runner = start(playing(frames(100, level=16), finite=True))
    rig.wait_state(StreamState.COMPLETED)

    assert runner.join(10)
    assert runner.alive
    assert rig.events[0].kind is EventKind.STARTED
    assert rig.events[-1].incident.end_reason is EndReason.EOF
    assert runner.figures().frames == 100
    assert runner.figures().started == {("black", "warning"): 1}
    assert rig.events[-1].evidence is not None
    assert runner.evidence(rig.events[-1].incident.id) == rig.events[-1].evidence


def test_a_live_source_that_ends_is_opened_again_on_one_timeline(
    rig: Rig, start: Callable[..., StreamRunner]
) -> None:
    runner = start(playing(frames(50)), playing(frames(50)), playing(_endless()))
    rig.wait_state(StreamState.RETRYING, "Ended")
    rig.wait(lambda: runner.figures().connects == 3 and runner.figures().media_s > 10)

    figures = runner.figures()
    assert figures.discontinuities == 2
    assert figures.decode_errors == 6


def test_a_live_playlist_that_was_closed_is_not_played_again(
    rig: Rig, start: Callable[..., StreamRunner]
) -> None:
    runner = start(playing(frames(50)), playing(_endless(), finite=True))
    rig.wait_state(StreamState.COMPLETED)

    assert runner.figures().frames == 50


def test_wall_time_passes_for_a_source_that_waits_and_not_for_one_that_is_busy(
    rig: Rig, start: Callable[..., StreamRunner], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(module, "Splice", partial(Splice, clock=lambda: now[0]))
    waiting, over = threading.Event(), threading.Event()

    def stopping() -> Iterator[MediaItem]:
        yield from frames(50)
        waiting.set()
        over.wait(10)

    source = playing(stopping())
    runner = start(source)
    assert waiting.wait(10)
    source.reading = False
    now[0] += 60.0
    runner.tick()
    assert rig.events == []
    source.reading = True
    runner.tick()
    over.set()
    assert [event.incident.defect for event in rig.events] == ["stall"]


def test_a_connection_of_which_nothing_can_be_used_is_replaced(
    rig: Rig, start: Callable[..., StreamRunner], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(module, "Splice", partial(Splice, clock=lambda: now[0]))
    waiting, over = threading.Event(), threading.Event()

    def stopping() -> Iterator[MediaItem]:
        yield from frames(50)
        waiting.set()
        over.wait(10)

    runner = start(playing(stopping()), playing(_endless()))
    assert waiting.wait(10)
    now[0] += USELESS_S
    runner.tick()
    assert not runner._connection.is_set()
    now[0] += USELESS_RATIO * 50 * STEP_S  # they came at once, and so much ahead of their time
    runner.tick()
    assert not runner._connection.is_set()
    now[0] += 0.01
    runner.tick()
    assert runner._connection.is_set()
    over.set()
    rig.wait(lambda: runner.figures().connects == 2)
    assert StreamState.RETRYING not in {one.state for one in rig.statuses}


def test_a_program_with_another_number_is_opened_anew(
    rig: Rig,
    start: Callable[..., StreamRunner],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(reception, "open_source", open_source)
    monkeypatch.setattr(splice, "USELESS_S", 0.3)
    monkeypatch.setattr(splice, "USELESS_RATIO", 0.0)
    rig.around = replace(rig.around, access=EVERYTHING)
    here = part(tmp_path)
    there = moved(tmp_path, here, mpegts_service_id="9", mpegts_start_pid="0x200")
    with flowing([here, there], there) as url:
        runner = start(url=url)

        def replaced() -> bool:
            runner.tick()
            return runner.figures().connects >= 2

        rig.wait(replaced)
        rig.wait(lambda: runner.figures().frames >= 50)
        runner.let_go()


@contextmanager
def flowing(first: Sequence[bytes], later: bytes) -> Iterator[str]:
    """A live source: parts for the first who connects, then one over and over for everybody."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            parts = list(first)
            while not over.is_set():
                with suppress(OSError), listener.accept()[0] as link:
                    for one in parts:
                        link.sendall(one)
                    parts.clear()
                    while not over.wait(0.05):
                        link.sendall(later)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_fault_of_ours_is_survived_and_counted(
    rig: Rig, start: Callable[..., StreamRunner], caplog: pytest.LogCaptureFixture
) -> None:
    runner = start(ZeroDivisionError("bug"), playing(_endless()))
    rig.wait_state(StreamState.RETRYING, "InternalError")
    rig.wait_state(StreamState.RECEIVING)

    assert runner.figures().internal_errors == 1
    assert "bug" in caplog.text


def test_a_scheme_that_is_not_allowed_is_not_tried_again(
    rig: Rig, start: Callable[..., StreamRunner]
) -> None:
    runner = start(url="file:///etc/passwd")
    rig.wait_state(StreamState.FAILED, "SchemeNotAllowed")
    runner.configure(Stream(name="a", url="http://h/b"), DETECTORS, None)
    rig.wait_state(StreamState.RETRYING, "Timeout")

    assert set(rig.opened) == {"http://h/b"}


def test_another_url_keeps_the_incident_that_is_open(
    rig: Rig, start: Callable[..., StreamRunner]
) -> None:
    runner = start(playing(_endless(level=16)), playing(_endless(level=16)))
    rig.wait(lambda: bool(rig.events))
    runner.configure(Stream(name="a", url="http://h/b"), DETECTORS, None)
    rig.wait(lambda: rig.opened == ["http://h/a", "http://h/b"])
    rig.wait(lambda: runner.figures().connects == 2)
    runner.finish(EndReason.REMOVED)

    assert {event.incident.id for event in rig.events} == {rig.events[0].incident.id}
    assert rig.events[-1].incident.end_reason is EndReason.REMOVED


def test_a_rotated_secret_opens_the_source_anew_and_a_lost_one_does_not(
    rig: Rig, start: Callable[..., StreamRunner], tmp_path: Path
) -> None:
    key = tmp_path / "origin" / "token"
    key.parent.mkdir()
    key.write_text("first")
    token = {"name": "token", "secretKeyRef": {"name": "origin", "key": "token"}}
    runner = start(playing(_endless()), playing(_endless()), playing(_endless()), query=[token])
    rig.wait_state(StreamState.RECEIVING)
    key.write_text("second")
    rig.wait(lambda: runner.figures().connects == 2)
    key.unlink()
    seen = runner.figures().frames
    rig.wait(lambda: runner.figures().frames > seen + 500)

    assert rig.opened == ["http://h/a?token=first", "http://h/a?token=second"]


def test_a_rotated_key_of_media_opens_the_source_anew(rig: Rig, tmp_path: Path) -> None:
    key = tmp_path / "keys" / "default"
    key.parent.mkdir()
    key.write_text("x")
    spec = {
        "name": "a",
        "url": "http://h/a",
        "decryption": {"keysFrom": {"secretRef": {"name": "keys"}}},
    }
    rig.sources = [playing(_endless()), playing(_endless())]
    runner = StreamRunner(Stream.model_validate(spec), DETECTORS, rig.around)
    runner.start()
    try:
        rig.wait_state(StreamState.RETRYING, "SecretInvalid")
        key.write_text(f"{1:032}")
        rig.wait(lambda: runner.figures().connects == 1)
        key.write_text(f"{2:032}")
        rig.wait(lambda: runner.figures().connects == 2)
    finally:
        runner.let_go()
        assert runner.join(10)

    assert [keys.of(b"", "").value[-1] for keys in rig.keys] == [1, 2]
    assert not any(f"{turn:032}" in repr(rig.statuses) for turn in (1, 2))


def test_an_interrupted_incident_says_when_it_expires(
    rig: Rig, start: Callable[..., StreamRunner]
) -> None:
    runner = start(playing(_endless(level=16)))
    rig.wait(lambda: bool(rig.events))
    runner.finish(EndReason.INTERRUPTED)
    runner.finish(EndReason.INTERRUPTED)

    last: Incident = rig.events[-1].incident
    assert [event.kind for event in rig.events].count(EventKind.ENDED) == 1
    assert last.expires_at is not None
    assert last.end_reason is EndReason.INTERRUPTED


def test_a_stream_that_is_let_go_ends_nothing(rig: Rig, start: Callable[..., StreamRunner]) -> None:
    runner = start(playing(_endless(level=16)))
    rig.wait(lambda: bool(rig.events))
    runner.let_go()
    runner.join(10)

    assert EventKind.ENDED not in {event.kind for event in rig.events}


def test_a_detector_without_its_media_is_the_streams_problem(
    rig: Rig, start: Callable[..., StreamRunner]
) -> None:
    runner = start(playing(_endless()))
    rig.wait_state(StreamState.RECEIVING)
    rig.sources = [playing(_endless())]
    runner.configure(runner.stream, {"black": {}, "silence": {}}, None)
    rig.wait_state(StreamState.RECEIVING, "NoAudio")

    assert "'silence'" in (runner.status.message or "")


OVERRIDDEN = Stream(
    name="a",
    url="http://h/a",
    profile="strict",
    detectors={"black": {"minDuration": "200ms"}},
    ignore_regions=[IgnoreRegion(left=0.5, top=0, width=0.5, height=0.2)],
)


def test_other_parameters_and_regions_leave_the_source_open(
    rig: Rig, start: Callable[..., StreamRunner]
) -> None:
    runner = start(playing(_endless(level=16)))
    rig.wait(lambda: bool(rig.events))
    runner.configure(OVERRIDDEN, DETECTORS, "relaxed")
    seen = runner.figures().frames
    rig.wait(lambda: runner.figures().frames > seen + 10)

    assert rig.opened == ["http://h/a"]
    assert runner.figures().connects == 1
    assert runner.stream == OVERRIDDEN
    assert {event.kind for event in rig.events} <= {EventKind.STARTED, EventKind.UPDATED}


def test_a_value_that_a_detector_refuses_is_the_streams_problem_until_it_is_corrected(
    rig: Rig, start: Callable[..., StreamRunner]
) -> None:
    runner = start(playing(_endless()))
    rig.wait_state(StreamState.RECEIVING)
    wrong = runner.stream.model_copy(update={"detectors": {"black": {"minDuration": "1ms"}}})
    runner.configure(wrong, DETECTORS, None)
    rig.wait_state(StreamState.RECEIVING, "InvalidParameter")
    assert runner.status.message == (
        "detectors.black.minDuration is '1ms': set at least 100ms: it is ignored"
    )

    runner.configure(OVERRIDDEN, DETECTORS, None)
    corrected = runner.status
    assert (corrected.reason, corrected.message) == (None, None)
