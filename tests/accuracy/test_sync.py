"""avSync against a reference, on encoded media: what it finds, how exactly, and how soon."""

from pathlib import Path

import pytest

from streammonitor_worker.analyze import examine
from streammonitor_worker.detectors.base import Kind
from streammonitor_worker.options import Task
from tests.accuracy.encode import Encoding
from tests.accuracy.feeds import Change, write_feed
from tests.accuracy.sources import Source

LENGTH_S = 24.0
BETWEEN = Encoding("h264", 35, 2.0, b_frames=2)
"""What a distribution makes of it."""


@pytest.fixture(scope="module")
def sources() -> tuple[Source, Source]:
    return Source("montage", 1, Kind.VIDEO), Source("news with music", 1, Kind.AUDIO)


@pytest.fixture(scope="module")
def reference(sources: tuple[Source, Source], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("feeds") / "reference.ts"
    write_feed(path, sources, LENGTH_S, Encoding(crf=20))
    return path


@pytest.mark.parametrize(
    ("skew_s", "from_s"), [(0.0, 0.0), (-0.3, 12.0), (0.08, 0.0)], ids=["none", "step", "early"]
)
def test_sound_that_moved_on_its_way_is_found(
    sources: tuple[Source, Source], reference: Path, tmp_path: Path, skew_s: float, from_s: float
) -> None:
    feed = tmp_path / "feed.ts"
    change = Change(skew_s, from_s, behind_frames=35, size=(480, 270), gain=2.0, logo=True)
    write_feed(feed, sources, LENGTH_S, BETWEEN, change)

    (report,) = examine([Task(str(feed), {"avSync": {}}, reference=str(reference))])

    assert report.readable
    assert report.document["detectors"]["avSync"]["observed"] > LENGTH_S / 3
    found = [one.measurements["skewMilliseconds"] for one in report.incidents]
    assert found == pytest.approx([1000 * skew_s] if skew_s else [], abs=20)
    assert all(one.detected_s <= from_s + 10.0 for one in report.incidents)
