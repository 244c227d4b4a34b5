from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
import pytest

from streammonitor_api.incident import EndReason
from streammonitor_api.worker_status import AudioFormat, DetectorState, VideoFormat
from streammonitor_worker.analysis import IncidentEvent, ParameterError, StreamAnalysis
from streammonitor_worker.detectors.base import Kind
from streammonitor_worker.frames import AudioView, Discontinuity, FormatChange, FrameView, MediaItem
from tests.contract.material import BOTH, buffers, flat, hold, pan, scene, silent, tone, views

ALL: dict[str, dict[str, object]] = {"black": {}, "freeze": {}, "silence": {}}
STILL = scene()[:180, :320]
NO_STILLS: dict[str, object] = {"stillAfter": "500ms"}
"""Whatever stands still is a freeze, also what a cut brought."""
VIDEO_ONLY = FormatChange(video=BOTH.video, audio=None)
AUDIO_ONLY = FormatChange(video=None, audio=BOTH.audio)


def analysis(detectors: dict[str, dict[str, object]] | None = None) -> StreamAnalysis:
    return StreamAnalysis(
        monitor_uid="uid",
        stream="arena",
        worker="worker-1",
        detectors=ALL if detectors is None else detectors,
    )


def feed(subject: StreamAnalysis, items: Iterable[MediaItem]) -> list[IncidentEvent]:
    return [event for item in items for event in subject.feed(item)]


def interleaved(
    pictures: Iterable[FrameView], sound: Iterable[AudioView]
) -> Iterator[FrameView | AudioView]:
    both: list[FrameView | AudioView] = [*pictures, *sound]
    yield from sorted(both, key=lambda view: view.time_s)


def summary(events: Iterable[IncidentEvent]) -> list[tuple[str, str, float | None]]:
    return [
        (
            event.kind.value,
            event.incident.defect,
            round(
                event.incident.start_s if event.incident.active else event.incident.end_s or 0, 2
            ),
        )
        for event in events
        if event.kind.value != "updated"
    ]


def test_finds_each_defect_where_it_is() -> None:
    pictures = views(
        chain(pan(100), flat(75, 16), pan(75, seed=1), hold(STILL, 100), pan(50, seed=1))
    )
    sound = np.concatenate([tone(2), silent(11), tone(3)], axis=1)
    subject = analysis({**ALL, "freeze": NO_STILLS})
    events = feed(subject, [BOTH, *interleaved(pictures, buffers(sound))])
    assert sorted(summary(events), key=lambda one: one[2] or 0) == [
        ("started", "silence", 2.0),
        ("started", "black", 4.0),
        ("ended", "black", 7.0),
        ("started", "freeze", 10.0),
        ("ended", "silence", 13.0),
        ("ended", "freeze", 14.0),
    ]
    assert subject.finish(EndReason.EOF) == []


def test_clean_material_raises_nothing() -> None:
    subject = analysis()
    events = feed(subject, [BOTH, *interleaved(views(pan(250)), buffers(tone(10)))])
    assert events == []
    assert set(subject.detector_states().values()) == {DetectorState.OK}
    assert subject.warm


def test_black_is_not_also_a_freeze() -> None:
    subject = analysis({"black": {}, "freeze": NO_STILLS})
    events = feed(subject, views(chain(pan(50), flat(250, 16), pan(100, seed=1))))
    assert {event.incident.defect for event in events} == {"black"}
    assert events[-1].incident.consequences == ["freeze"]


def test_a_standstill_that_soon_turns_black_is_no_freeze() -> None:
    subject = analysis({"black": {}, "freeze": {"minDuration": "1s", **NO_STILLS}})
    events = feed(subject, views(chain(pan(5), hold(STILL, 22), flat(60, 16), pan(30, seed=1))))
    assert {event.incident.defect for event in events} == {"black"}


def test_black_is_no_freeze_even_where_nobody_looks_for_black() -> None:
    subject = analysis({"freeze": NO_STILLS})
    events = feed(subject, views(chain(pan(50), flat(250, 16), pan(100, seed=1))))
    assert events == []
    assert list(subject.detector_states()) == ["freeze"]
    assert subject.figures()["freeze"].unknown_s == pytest.approx(10.0, abs=0.1)


def test_a_freeze_that_turns_black_stays_one_incident_until_it_moves() -> None:
    subject = analysis({"black": {}, "freeze": NO_STILLS})
    events = feed(subject, views(chain(pan(50), hold(STILL, 100), flat(100, 16), pan(50, seed=1))))
    assert summary(events) == [
        ("started", "freeze", 2.0),
        ("started", "black", 6.0),
        ("ended", "black", 10.0),
        ("ended", "freeze", 10.0),
    ]


def test_a_still_dark_picture_with_something_in_it_is_a_freeze() -> None:
    dim = np.clip(STILL // 3, 16, 255).astype(np.uint8)
    subject = analysis({"black": {}, "freeze": NO_STILLS})
    events = feed(subject, views(chain(pan(50), hold(dim, 100))))
    assert summary(events) == [("started", "freeze", 2.0)]


def test_without_sound_silence_is_unknown() -> None:
    subject = analysis()
    assert feed(subject, [VIDEO_ONLY, *views(pan(250))]) == []
    assert subject.detector_states()["silence"] is DetectorState.UNKNOWN
    reason, message = subject.blind_spots()["silence"]
    assert reason == "NoAudio"
    assert "no audio" in message
    assert subject.unknown_seconds()["silence"] == pytest.approx(10.0)
    assert subject.warm


def test_without_pictures_black_and_freeze_are_unknown() -> None:
    subject = analysis()
    feed(subject, [AUDIO_ONLY, *buffers(tone(3))])
    assert {name: reason for name, (reason, _) in subject.blind_spots().items()} == {
        "black": "NoVideo",
        "freeze": "NoVideo",
    }


def test_sound_that_stops_coming_is_not_silence() -> None:
    subject = analysis()
    events = feed(subject, [BOTH, *interleaved(views(pan(500)), buffers(tone(2)))])
    assert events == []
    assert subject.blind_spots()["silence"][0] == "NoAudio"
    feed(subject, interleaved(views(pan(50), start_s=20), buffers(tone(2), start_s=20)))
    assert subject.blind_spots() == {}
    assert subject.detector_states()["silence"] is DetectorState.OK
    figures = subject.figures()["silence"]
    assert figures.observed_s == pytest.approx(4.0, abs=0.1)
    assert figures.unknown_s == pytest.approx(18.0, abs=0.5)


def test_a_jump_in_time_ends_a_suspicion() -> None:
    subject = analysis({"black": {}})
    events = feed(
        subject,
        chain(
            views(flat(49, 16)),
            [Discontinuity(time_s=10.0, gap_s=8.04)],
            views(flat(49, 16), start_s=10.0),
        ),
    )
    assert events == []
    assert subject.unknown_seconds()["black"] == pytest.approx(8.04)


def test_a_jump_in_time_keeps_an_incident_open() -> None:
    subject = analysis({"black": {}})
    events = feed(
        subject,
        chain(
            views(flat(75, 16)),
            [Discontinuity(time_s=30.0, gap_s=27.0)],
            views(chain(flat(25, 16), pan(50)), start_s=30.0),
        ),
    )
    assert summary(events) == [("started", "black", 0.0), ("ended", "black", 31.0)]


def test_a_change_of_format_ends_a_suspicion() -> None:
    hd = FormatChange(
        video=VideoFormat(codec="h264", width=640, height=360, frame_rate=25), audio=BOTH.audio
    )
    subject = analysis({"freeze": {}})
    events = feed(
        subject,
        chain(
            [BOTH],
            views(hold(STILL, 60)),
            [hd],
            views(hold(scene(640, 360)[:360, :640], 60), start_s=2.4),
        ),
    )
    assert events == []


def test_the_same_format_again_changes_nothing() -> None:
    subject = analysis({"freeze": NO_STILLS})
    items: list[MediaItem] = [BOTH, *views(hold(STILL, 40)), BOTH]
    events = feed(subject, [*items, *views(hold(STILL, 40), start_s=1.6)])
    assert summary(events) == [("started", "freeze", 0.0)]


def test_more_channels_are_another_format() -> None:
    surround = FormatChange(
        video=None, audio=AudioFormat(codec="aac", sample_rate=48_000, channels=6)
    )
    subject = analysis({"silence": {"minDuration": "1s"}})
    feed(subject, [AUDIO_ONLY, *buffers(silent(0.9)), surround])
    assert feed(subject, buffers(silent(0.9, channels=6), start_s=0.9)) == []


def test_end_of_file_ends_what_is_open() -> None:
    subject = analysis({"black": {}})
    feed(subject, views(flat(60, 16)))
    (event,) = subject.finish(EndReason.EOF)
    assert event.incident.end_reason is EndReason.EOF
    assert event.incident.end_s == pytest.approx(2.4)


def test_end_of_file_while_it_clears() -> None:
    subject = analysis({"freeze": NO_STILLS})
    feed(subject, views(chain(hold(STILL, 100), pan(15, seed=1))))
    assert subject.finish(EndReason.EOF)[0].incident.end_s == pytest.approx(4.0)


def test_black_that_completes_its_duration_with_the_last_frame() -> None:
    subject = analysis({"black": {}})
    assert summary(feed(subject, views(flat(50, 16)))) == [("started", "black", 0.0)]


def test_adoption() -> None:
    first = analysis({"black": {}})
    (started,) = feed(first, views(flat(50, 16)))
    second = analysis({"black": {}, "freeze": {}})
    assert second.speak(float("inf"), [started.incident]) == []
    (ended,) = feed(second, views(pan(50)))
    assert ended.kind.value == "ended"
    assert ended.incident.id == started.incident.id


def test_incidents_of_other_detectors_are_not_adopted() -> None:
    (started,) = feed(analysis({"black": {}}), views(flat(50, 16)))
    other = analysis({"freeze": {}})
    assert other.speak(float("inf"), [started.incident]) == []
    assert other.finish(EndReason.REMOVED) == []


def test_muted_tells_nobody() -> None:
    subject = analysis()
    subject.mute(float("-inf"))
    assert feed(subject, views(flat(100, 16))) == []
    assert subject.warm is False  # no sound came yet, and nobody said that none will
    subject.speak(float("inf"), [])
    assert summary(feed(subject, views(flat(1, 16), start_s=4.0))) == [("started", "black", 0.0)]


def test_changing_one_detector_leaves_the_others_alone() -> None:
    subject = analysis({"freeze": NO_STILLS, "black": {}})
    feed(subject, views(hold(STILL, 70)))
    assert subject.set_parameters({"freeze": NO_STILLS, "black": {"minDuration": "5s"}}) == []
    events = feed(subject, views(hold(STILL, 10), start_s=2.8))
    assert summary(events) == [("started", "freeze", 0.0)]


def test_changing_a_threshold_keeps_the_incident() -> None:
    subject = analysis({"black": {}})
    (started,) = feed(subject, views(flat(60, 16)))
    assert subject.set_parameters({"black": {"clearDuration": "100ms"}}) == []
    (ended,) = feed(subject, views(pan(3), start_s=2.4))
    assert ended.incident.id == started.incident.id


def test_removing_a_detector_ends_its_incident() -> None:
    subject = analysis({"black": {}, "silence": {}})
    feed(subject, views(flat(60, 16)))
    (ended,) = subject.set_parameters({"silence": {}})
    assert ended.incident.end_reason is EndReason.REMOVED
    assert subject.kinds_needed == {Kind.AUDIO}


def test_needs_only_what_its_detectors_look_at() -> None:
    assert analysis({"freeze": {}}).kinds_needed == {Kind.VIDEO}
    assert analysis().kinds_needed == {Kind.VIDEO, Kind.AUDIO}


@pytest.mark.parametrize(
    ("detectors", "words"),
    [
        ({"blakc": {}}, ["blakc", "audioDropout, avSync, black"]),
        ({"black": {"threshold": 0.9}}, ["black.threshold", "0.9", "0.5"]),
        ({"black": {"minDuration": "1ms"}}, ["black.minDuration", "1ms", "100ms"]),
        ({"silence": {"minDuration": 10}}, ["silence.minDuration", "10s"]),
    ],
)
def test_refuses_what_is_not_valid(
    detectors: dict[str, dict[str, object]], words: list[str]
) -> None:
    with pytest.raises(ParameterError) as refusal:
        analysis(detectors)
    assert all(word in str(refusal.value) for word in words)


def test_a_refused_change_changes_nothing() -> None:
    subject = analysis({"black": {}})
    with pytest.raises(ParameterError):
        subject.set_parameters({"black": {"threshold": 7.0}})
    assert list(subject.detector_states()) == ["black"]


def test_counts_frames_and_time() -> None:
    subject = analysis({"black": {}, "freeze": {}})
    feed(subject, views(pan(100)))
    subject.finish(EndReason.EOF)
    assert subject.frames == 100
    assert subject.corrupt_frames == 0
    for figures in subject.figures().values():
        assert figures.observed_s + figures.unknown_s == pytest.approx(4.0)
        assert figures.cpu_s > 0


def test_the_same_media_give_the_same_ids_when_asked_to() -> None:
    ids = []
    for _ in range(2):
        subject = StreamAnalysis(
            monitor_uid="", stream="a", worker="", detectors={"black": {}}, reproducible=True
        )
        ids += [event.incident.id for event in feed(subject, views(flat(60, 16)))]
    assert ids[0] == ids[1]
