from dataclasses import replace
from itertools import chain

import cv2
import numpy as np
import pytest

from streammonitor_api.incident import EndReason
from streammonitor_worker.analysis import EventKind, IncidentEvent, StreamAnalysis
from streammonitor_worker.detectors.base import Kind, Measurement, Verdict
from streammonitor_worker.evidence import MAX_ENDED, Archive
from streammonitor_worker.frames import Chroma, FrameView, Matrix
from streammonitor_worker.measures.picture import PictureMeter
from streammonitor_worker.measures.sound import SoundMeter
from streammonitor_worker.severity import Course
from streammonitor_worker.thumbnails import EVERY_S, KEPT, Gallery, Thumbnail, thumbnail
from streammonitor_worker.waveform import LEAD_S, MAX_BINS, TAPE_S, Strip, Tape, Waveform
from tests.contract.material import (
    EPOCH_S,
    SAMPLE_RATE,
    buffers,
    deep,
    flat,
    hold,
    pan,
    scene,
    silent,
    tone,
    views,
)

SMALL = (64, 48)
STILL = scene(*SMALL)[:48, :64]


def analysis(detectors: dict[str, dict[str, object]], *, evidence: bool = True) -> StreamAnalysis:
    return StreamAnalysis(
        monitor_uid="uid", stream="arena", worker="w", detectors=detectors, evidence=evidence
    )


def ended(events: list[IncidentEvent]) -> IncidentEvent:
    (event,) = [event for event in events if event.kind is EventKind.ENDED]
    return event


def brightness(picture: Thumbnail | None) -> float:
    assert picture is not None
    decoded = cv2.imdecode(np.frombuffer(picture.jpeg(), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert decoded is not None
    assert decoded.shape == picture.view.luma.shape
    return float(decoded.mean())


def test_pictures_show_where_it_began_and_what_came_after() -> None:
    subject = analysis({"black": {"minDuration": "1s", "clearDuration": "1s"}})
    pictures = views(chain(pan(12, *SMALL), flat(38, 16, *SMALL), pan(30, *SMALL, seed=1)))
    events = [event for view in pictures for event in subject.feed(view)]
    event = ended(events)
    assert event.evidence is not None
    start, worst, end = event.evidence.start, event.evidence.worst, event.evidence.end
    assert start is not None
    assert end is not None
    assert start.time_s == pytest.approx(event.incident.start_s)
    assert end.time_s == pytest.approx(event.incident.end_s)
    assert brightness(start) < 5
    assert brightness(worst) < 5
    assert brightness(end) > 60
    assert subject.evidence(event.incident.id) == event.evidence


def test_while_it_lasts_there_is_no_end() -> None:
    subject = analysis({"black": {"minDuration": "1s"}})
    events = [event for view in views(flat(40, 16, *SMALL)) for event in subject.feed(view)]
    (started,) = events
    found = subject.evidence(started.incident.id)
    assert found is not None
    assert found.start is not None
    assert found.end is None
    event = ended(subject.finish(EndReason.EOF))
    assert event.evidence is not None
    assert event.evidence.end is not None
    assert 1.6 - EVERY_S - 0.04 <= event.evidence.end.time_s < 1.6


def test_a_detector_that_finds_out_late_still_shows_the_beginning() -> None:
    subject = analysis({"freeze": {"minDuration": "1s"}})
    moving = list(pan(25, *SMALL))
    pictures = views(chain(moving, hold(moving[-1], 50)))
    (started,) = [event for view in pictures for event in subject.feed(view)]
    assert started.evidence is not None
    assert started.evidence.start is not None
    late_s = started.evidence.start.time_s - started.incident.start_s
    assert 0 <= late_s <= EVERY_S


def test_evidence_can_be_switched_off() -> None:
    subject = analysis({"black": {"minDuration": "1s"}}, evidence=False)
    (started,) = [event for view in views(flat(30, 16, *SMALL)) for event in subject.feed(view)]
    assert started.evidence is None
    assert subject.evidence(started.incident.id) is None


def test_what_began_elsewhere_has_no_first_picture() -> None:
    first = analysis({"black": {"minDuration": "1s"}})
    (started,) = [event for view in views(flat(30, 16, *SMALL)) for event in first.feed(view)]
    second = analysis({"black": {"minDuration": "1s"}})
    second.speak(float("inf"), [started.incident])
    for view in views(flat(5, 16, *SMALL), start_s=20.0):
        second.feed(view)
    found = second.evidence(started.incident.id)
    assert found is not None
    assert found.start is None
    assert found.worst is not None


def test_only_the_last_incidents_are_kept() -> None:
    subject = analysis({"black": {"minDuration": "100ms", "clearDuration": "100ms"}})
    one = [*flat(4, 16, *SMALL), *pan(4, *SMALL)]
    events = [event for view in views(one * (MAX_ENDED + 2)) for event in subject.feed(view)]
    ids = [event.incident.id for event in events if event.kind is EventKind.ENDED]
    assert len(ids) == MAX_ENDED + 2
    assert [subject.evidence(one) is not None for one in ids] == [False] * 2 + [True] * MAX_ENDED


def test_the_worst_picture_carries_its_tiles() -> None:
    archive, meter = Archive(), PictureMeter()
    witness = archive.witness(Kind.VIDEO)
    tiles = np.array([[True, False], [False, False]])
    course = Course(0.0, 0.0)
    for view in views(pan(3, *SMALL)):
        with archive.gallery.showing(meter.measure(view)):
            found = Measurement(view.time_s, view.time_s + 0.04, 0.0, Verdict.BAD, tiles=tiles)
            if view.time_s == pytest.approx(0.04):
                course.worst = found
            witness.follow(course, None, found)
    told = witness.tell()
    assert told.worst is not None
    assert told.worst.time_s == pytest.approx(0.04)
    assert told.worst.tiles is tiles
    assert told.start is not None
    assert told.start.tiles is None


def test_a_gallery_is_small() -> None:
    gallery, meter = Gallery(), PictureMeter()
    for view in views(pan(200, *SMALL)):
        with gallery.showing(meter.measure(view)):
            pass
    kept = gallery.first(0.0)
    assert kept is not None
    assert gallery.last is not None
    assert gallery.last.time_s - kept.time_s <= KEPT * (EVERY_S + 0.04)
    assert gallery.first(100.0) is None


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(1920, 1080, (320, 180)), (320, 240, (320, 240)), (90, 640, (45, 320)), (8, 6, (8, 6))],
)
def test_thumbnails_are_at_most_320_pixels(width: int, height: int, size: tuple[int, int]) -> None:
    luma = np.full((height, width), 235, np.uint8)
    measures = PictureMeter().measure(FrameView(0.0, 0.04, EPOCH_S, luma))
    found = thumbnail(measures)
    assert found.size == size
    assert brightness(found) > 250


@pytest.mark.parametrize("bit_depth", [8, 10])
def test_colours_are_kept(bit_depth: int) -> None:
    # BT.601 red in limited range.
    y, u, v = (
        np.full(shape, code, np.uint8)
        for shape, code in (((240, 640), 81), ((120, 320), 90), ((120, 320), 240))
    )
    if bit_depth == 8:
        view = FrameView(0.0, 0.04, EPOCH_S, y, chroma=Chroma(u, v), matrix=Matrix.BT601)
    else:
        chroma = Chroma(deep(u, bit_depth), deep(v, bit_depth))
        view = FrameView(0.0, 0.04, EPOCH_S, deep(y, bit_depth), bit_depth, chroma=chroma)
        view = replace(view, matrix=Matrix.BT601)
    found = thumbnail(PictureMeter().measure(view))
    decoded = cv2.imdecode(np.frombuffer(found.jpeg(), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    blue, green, red = decoded.reshape(-1, 3).mean(axis=0)
    assert red > 240
    assert max(blue, green) < 15


def test_a_strip_shows_the_sound_before_during_and_after() -> None:
    subject = analysis({"silence": {"minDuration": "1s", "clearDuration": "500ms"}})
    sound = np.concatenate([tone(2.0), silent(1.5), tone(1.0)], axis=1)
    event = ended([event for view in buffers(sound) for event in subject.feed(view)])
    assert event.evidence is not None
    waveform = event.evidence.waveform
    assert waveform is not None
    assert waveform.start_s == pytest.approx(event.incident.start_s - LEAD_S, abs=0.03)
    assert waveform.end_s >= (event.incident.end_s or 0.0)
    assert waveform.peaks.shape[0] == 2
    at = waveform.start_s + (np.arange(waveform.peaks.shape[1]) + 0.5) * waveform.bin_s
    quiet = (at > 2.02) & (at < 3.48)
    assert waveform.peaks[:, quiet].max() == 0.0
    assert waveform.peaks[:, at < 1.98].min() > 0.05
    assert waveform.peaks[:, at > 3.52].min() > 0.05


def test_a_strip_of_hours_has_no_more_peaks_than_one_of_seconds() -> None:
    tape, meter = Tape(), SoundMeter()
    (buffer,) = buffers(tone(1.0), size=SAMPLE_RATE)
    tape.take(meter.measure(buffer))
    strip = Strip(tape, 0.5)
    (loudest,) = [chunk.peaks.max() for chunk in tape.since(0.0)]
    for second in range(1, 200):
        (quiet,) = buffers(silent(1.0), size=SAMPLE_RATE, start_s=second)
        tape.take(meter.measure(quiet))
        strip.follow()
    waveform = strip.waveform()
    assert waveform is not None
    assert MAX_BINS / 2 < waveform.peaks.shape[1] <= MAX_BINS
    assert waveform.start_s == pytest.approx(0.0)
    assert waveform.end_s == pytest.approx(200.0, abs=2 * waveform.bin_s)
    assert waveform.peaks.max() == loudest
    assert sum(chunk.peaks.shape[1] for chunk in tape.since(0.0)) <= (TAPE_S + 2) * 100


def test_missing_sound_leaves_a_hole() -> None:
    tape, meter = Tape(), SoundMeter()
    for start_s in (0.0, 3.0, 100_000.0):
        (buffer,) = buffers(tone(1.0), size=SAMPLE_RATE, start_s=start_s)
        tape.take(meter.measure(buffer))
        if start_s == 0.0:
            strip = Strip(tape, 0.0)
        strip.follow()
        if start_s == 3.0:
            waveform = strip.waveform()
            assert waveform is not None
            assert waveform.end_s == pytest.approx(4.0, abs=0.02)
            assert np.isnan(waveform.peaks[:, 105:295]).all()
            assert not np.isnan(waveform.peaks[:, 305:]).any()
    waveform = strip.waveform()
    assert waveform is not None
    assert waveform.peaks.shape[1] <= MAX_BINS


def test_another_layout_leaves_a_strip_as_it_is() -> None:
    tape, meter = Tape(), SoundMeter()
    shapes: list[Waveform | None] = []
    strip: Strip | None = None
    for start_s, channels in ((0.0, 2), (1.0, 6)):
        (buffer,) = buffers(tone(1.0, channels=channels), size=SAMPLE_RATE, start_s=start_s)
        tape.take(meter.measure(buffer))
        strip = strip or Strip(tape, 0.0)
        strip.follow()
        shapes.append(strip.waveform())
    assert shapes[0] is not None
    assert shapes[1] is not None
    assert shapes[0].peaks.shape == shapes[1].peaks.shape == (2, 100)
