import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dev.browser import Visit, visit
from dev.media.clips import Defect, write_clip
from streammonitor_worker.analyze import analyze
from streammonitor_worker.report import Chapter, render_page

# A file may be called anything but / and NUL.
NAME = "<img src=http:%2f%2f192.0.2.1 onerror=alert(1)>&\"'.ts"
DURATION_S = 20.0


@dataclass(frozen=True)
class Report:
    path: Path
    document: dict[str, Any]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("report")
    defects = (Defect("black", 2, 5), Defect("freeze", 8, 13), Defect("silence", 4, 18))
    write_clip(folder / NAME, duration_s=DURATION_S, size=(320, 180), defects=defects)
    wanted: dict[str, dict[str, Any]] = {"black": {}, "freeze": {}, "silence": {}}
    (found,) = analyze([str(folder / NAME)], wanted, recorded=True)
    assert found.record is not None
    path = folder / "report.html"
    path.write_text(render_page([Chapter(found.document, found.record, found.notes)]))
    return Report(path, found.document)


@pytest.fixture(scope="module")
def visited(report: Report) -> Visit:
    return visit(report.path)


def elements(dom: str, tag: str, kind: str) -> list[dict[str, str]]:
    found = re.findall(rf'<{tag} class="{kind}"[^>]*>', dom)
    return [dict(re.findall(r'([\w-]+)="([^"]*)"', one)) for one in found]


def test_it_asks_nobody_for_anything_and_complains_of_nothing(visited: Visit) -> None:
    assert visited.requests == []
    assert visited.console == []
    assert 'data-ready="true"' in visited.dom


def test_a_page_that_did_would_be_seen(tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text('<img src="http://127.0.0.1:9/x"><script>console.error("oh")</script>')
    seen = visit(bad)
    assert seen.requests == ["http://127.0.0.1:9/x"]
    assert any("oh" in line for line in seen.console)


def test_bars_are_where_the_incidents_are(report: Report, visited: Visit) -> None:
    (track, *_) = elements(visited.dom, "rect", "track")
    left, width = float(track["x"]), float(track["width"])
    assert width > 800
    incidents = report.document["incidents"]
    assert sorted(one["defect"] for one in incidents) == ["black", "freeze", "silence"]
    bars = {
        bar["data-id"]: bar
        for severity in ("warning", "critical")
        for bar in elements(visited.dom, "rect", f"incident {severity}")
        if "data-id" in bar
    }
    assert set(bars) == {one["id"] for one in incidents}
    for one in incidents:
        bar = bars[one["id"]]
        start_s = (float(bar["x"]) - left) / width * report.document["duration"]
        lasted_s = float(bar["width"]) / width * report.document["duration"]
        assert start_s == pytest.approx(one["start"], abs=0.02)
        assert lasted_s == pytest.approx(one["end"] - one["start"], abs=0.02)


def test_it_shows_traces_thresholds_and_what_nobody_could_tell(visited: Visit) -> None:
    assert len(elements(visited.dom, "path", "band")) == 3
    assert all(len(one["d"]) > 100 for one in elements(visited.dom, "path", "band"))
    assert len(elements(visited.dom, "line", "limit")) == 3
    assert len(elements(visited.dom, "line", "limit clear")) == 3
    # Of a black picture, nobody can tell whether it is frozen.
    assert elements(visited.dom, "rect", "unknown")


def test_it_shows_the_evidence(visited: Visit) -> None:
    assert visited.dom.count('src="data:image/jpeg;base64,') == 6
    assert len(elements(visited.dom, "path", "mark")) == 2
    assert len(elements(visited.dom, "path", "peaks")) == 2


def test_it_fits_a_narrow_window(report: Report) -> None:
    narrow = visit(report.path, width=500, height=900)
    assert narrow.console == []
    (track, *_) = elements(narrow.dom, "rect", "track")
    assert float(track["x"]) + float(track["width"]) < 500
