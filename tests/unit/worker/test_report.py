import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammonitor_worker.detectors import registry
from streammonitor_worker.detectors.base import DetectorParams, Measurement, Verdict
from streammonitor_worker.report import Chapter, Recorder, render_page
from streammonitor_worker.report.drawings import MAX_PEAKS, picture, strip
from streammonitor_worker.report.lines import FIRST_BIN_S, MAX_BINS, MAX_SPANS, Line, Spans
from streammonitor_worker.report.recorder import MAX_SHOWN, Exhibit, Record, Shot
from streammonitor_worker.waveform import Waveform

NOW = datetime(2030, 1, 1, tzinfo=UTC)
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&\u2028"
PARAMS: dict[str, DetectorParams] = {name: kind.params_type() for name, kind in registry.items()}
JPEG = bytes(range(256)) * 60


class Page(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)


def incident(identity: str = "a", **more: Any) -> dict[str, Any]:
    return {
        "id": identity,
        "defect": "black",
        "severity": "critical",
        "start": 1.0,
        "end": 4.0,
        "detectedAt": 3.0,
        "endReason": "cleared",
        "confidence": 0.9,
        "measurements": {"darkRatio": 0.99},
        **more,
    }


def document(name: str = "a.ts", *incidents: dict[str, Any], **more: Any) -> dict[str, Any]:
    figures = {"observed": 9.0, "unknown": 1.0, "cpuSeconds": 0.1}
    return {
        "input": name,
        "duration": 10.0,
        "endReason": "eof",
        "video": None,
        "audio": None,
        "incidents": list(incidents),
        "detectors": dict.fromkeys(registry, figures),
        "cpuSeconds": 1.0,
        "wallSeconds": 2.0,
        **more,
    }


def record(**exhibits: Exhibit) -> Record:
    recorder = Recorder()
    for index in range(100):
        values = {"darkRatio": index / 100}
        verdict = Verdict.UNKNOWN if 20 <= index < 30 else Verdict.GOOD
        measurement = Measurement(index / 10, (index + 1) / 10, 0.0, verdict, values=values)
        recorder.heard("black", measurement)
    made = recorder.record(PARAMS, 10.0)
    return Record(made.lanes, exhibits, {"a": ["freeze"]})


def shot(tiles: Any = None) -> Shot:
    return Shot("worst", 2.0, 320, 180, JPEG, tiles)


def data_of(page: Page) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.texts["script"][0])
    return found


def test_the_page_holds_what_was_found() -> None:
    text = render_page([Chapter(document("a.ts", incident()), record(), ["a note"])], NOW)
    data = data_of(Page(text))
    assert data["duration"] == 10.0
    assert data["incidents"][0]["start"] == 1.0
    black = next(lane for lane in data["lanes"] if lane["name"] == "black")
    assert black["unknown"] == [[2.0, 3.0]]
    (graph,) = black["graphs"]
    assert graph["name"] == "darkRatio"
    assert {limit["raises"]: limit["value"] for limit in graph["limits"]} == {
        True: 0.98,
        False: pytest.approx(0.95),
    }
    assert max(graph["high"]) == pytest.approx(0.99)
    silence = next(lane for lane in data["lanes"] if lane["name"] == "silence")
    assert silence["unknown"] == [[0.0, 10.0]]
    assert silence["graphs"] == []
    for words in ("0:00:01.000", "3.00 s", "explains freeze", "darkRatio 0.99", "a note", "2030"):
        assert words in text
    assert "minDuration: 2s" in text


def test_what_came_with_the_input_is_only_text() -> None:
    bad = incident(HOSTILE, defect=HOSTILE, endReason=HOSTILE, measurements={HOSTILE: 1.0})
    chapter = Chapter(
        document(HOSTILE, bad), record(**{HOSTILE: Exhibit((shot(),), None)}), [HOSTILE]
    )
    page = Page(render_page([chapter], NOW))
    assert data_of(page)["incidents"][0]["defect"] == HOSTILE
    assert len([tag for tag, _ in page.tags if tag == "script"]) == 2
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert {tag for tag, attributes in page.tags if "src" in attributes} == {"img"}


def test_a_browser_may_load_nothing_and_run_only_what_is_in_the_page() -> None:
    exhibit = Exhibit(
        (shot(np.ones((2, 2), bool)),), Waveform(0.0, 0.01, np.ones((2, 9), np.float32))
    )
    text = render_page([Chapter(document("a", incident()), record(a=exhibit), [])], NOW)
    page = Page(text)
    (policy,) = [
        attributes["content"] or ""
        for tag, attributes in page.tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; img-src data:;")
    for tag, key in (("style", "style-src"), ("script", "script-src")):
        digest = hashlib.sha256(max(page.texts[tag], key=len).encode()).digest()
        assert f"{key} 'sha256-{base64.b64encode(digest).decode()}'" in policy
    assert "http:" not in text
    assert "https:" not in text
    for _, attributes in page.tags:
        assert "style" not in attributes
        assert "href" not in attributes
        assert (attributes.get("src") or "data:").startswith("data:")


def test_an_input_that_could_not_be_read_says_so() -> None:
    broken = document("x.ts", duration=0.0, endReason="error")
    text = render_page([Chapter(broken, Recorder().record(PARAMS, 0.0), ["no such file"])], NOW)
    assert "not read to its end" in text
    assert "no such file" in text
    assert 'class="data"' not in text


def test_the_page_of_three_hours_is_small() -> None:
    hours_s, step_s = 3 * 3600.0, 20.0
    recorder, rng = Recorder(), np.random.default_rng(0)
    for name, kind in registry.items():
        names = {value for trace in kind.traces for value in trace.values}
        for start_s in np.arange(0.0, hours_s, step_s):
            values = {value: float(rng.normal(-30, 10)) for value in names}
            found = Measurement(start_s, start_s + step_s, 0.0, Verdict.GOOD, values=values)
            recorder.heard(name, found)
    made = recorder.record(PARAMS, hours_s)
    exhibits = {str(index): Exhibit((shot(),) * 3, None) for index in range(MAX_SHOWN)}
    incidents = [incident(str(index)) for index in range(MAX_SHOWN)]
    whole = document("a", *incidents, duration=hours_s)
    assert len(render_page([Chapter(whole, Record(made.lanes, exhibits, {}), [])])) < 10_000_000


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=50), st.sampled_from([0.04, 9.0])
)
def test_a_line_keeps_every_extreme(values: list[float], step_s: float) -> None:
    line = Line()
    for index, value in enumerate(values):
        line.take(index * step_s, (index + 1) * step_s, value)
    curve = line.curve()
    assert len(curve.low) == len(curve.high) <= MAX_BINS
    assert float(np.nanmax(curve.high)) == max(values)
    assert float(np.nanmin(curve.low)) == min(values)
    assert curve.bin_s >= FIRST_BIN_S
    for index, value in enumerate(values):
        at = int((index + 0.5) * step_s / curve.bin_s)
        assert curve.low[at] <= value <= curve.high[at]


def test_where_nothing_was_measured_a_line_has_a_hole() -> None:
    line = Line()
    line.take(0.0, 1.0, 5.0)
    line.take(2.0, 3.0, 6.0)
    curve = line.curve()
    assert np.isnan(curve.low[55:95]).all()
    assert not np.isnan(curve.low[:50]).any()


def test_spans_are_few() -> None:
    spans = Spans()
    for index in range(MAX_SPANS * 2):
        spans.add(index * 10.0, index * 10.0 + (9.0 if index % 2 else 5.0))
    gaps = spans.rest(MAX_SPANS * 20.0)
    assert len(gaps) <= MAX_SPANS + 1
    # The wide gaps are still there.
    assert [end_s - start_s for start_s, end_s in gaps[1:3]] == [5.0, 5.0]


def test_spans_that_touch_are_one() -> None:
    spans = Spans()
    for span in ((1.0, 2.0), (2.05, 3.0), (5.0, 6.0), (2.5, 6.5)):
        spans.add(*span)
    assert spans.rest(10.0) == [(0.0, 1.0), (6.5, 10.0)]


def test_damaged_tiles_lie_over_the_picture() -> None:
    tiles = np.array([[False, True, True], [True, False, False]])
    text = picture(shot(tiles))
    assert 'viewBox="0 0 3 2"' in text
    assert 'd="M1 0h2v1h-2zM0 1h1v1h-1z"' in text
    assert "<svg" not in picture(shot(np.zeros((2, 2), bool)))


def test_a_strip_marks_the_incident() -> None:
    peaks = np.full((1, 100), 0.5, np.float32)
    peaks[:, 40:60] = np.nan
    text = strip(Waveform(10.0, 0.01, peaks), 10.2, 10.5)
    assert re.findall(r'class="mark" d="M([\d.]+) ', text) == ["20.0", "50.0"]
    assert '<rect class="gap" x="40" width="20"' in text


def test_a_long_strip_is_drawn_coarsely() -> None:
    peaks = np.zeros((1, 1200), np.float32)
    peaks[0, 777] = 1.0
    coarse = Waveform(0.0, 0.01, peaks).within(MAX_PEAKS)
    assert coarse.peaks.shape[1] <= MAX_PEAKS
    assert coarse.peaks.max() == 1.0
    loudest = int(coarse.peaks.argmax())
    assert loudest * coarse.bin_s <= 7.77 < (loudest + 1) * coarse.bin_s
