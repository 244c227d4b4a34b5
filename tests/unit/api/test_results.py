"""Where results are kept, and what contributions to a minute say together."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from streammonitor_api.results import DetectorMinute, Minute, Results, merged, score_of

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def seconds(first: int, last: int) -> int:
    return sum(1 << one for one in range(first, last))


def part(worker: str, **more: object) -> Minute:
    return Minute.model_validate(
        {"stream": "arena-1", "group": "all", "worker": worker, "minute": NOON, **more}
    )


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("s3://quality", True),
        ("gs://quality/a/b", True),
        ("az://quality/", True),
        ("s3://key:secret@quality", False),
        ("s3://quality/a?b", False),
        ("file:///etc", False),
        ("https://quality.example/", False),
    ],
)
def test_results_go_to_a_bucket(url: str, fits: bool) -> None:
    if fits:
        assert Results(url=url).url == url
    else:
        with pytest.raises(ValidationError, match="url"):
            Results(url=url)


@pytest.mark.parametrize(
    ("watched", "analysed", "warning", "critical", "score"),
    [
        (seconds(0, 60), seconds(0, 60), 0, 0, 100.0),
        (seconds(0, 60), 0, 0, 0, 0.0),
        (seconds(0, 30), seconds(0, 30), 0, 0, 100.0),
        (seconds(0, 60), seconds(0, 60), 0, seconds(0, 15), 75.0),
        (seconds(0, 60), seconds(0, 60), seconds(0, 60), 0, 50.0),
        # A second that is lost anyway counts once.
        (seconds(0, 60), seconds(0, 45), seconds(30, 60), seconds(40, 60), 58.33),
        # What was analysed was watched.
        (0, seconds(0, 60), 0, 0, 100.0),
        (0, 0, 0, 0, None),
    ],
)
def test_the_score_is_the_mean_worth_of_the_watched_seconds(
    watched: int, analysed: int, warning: int, critical: int, score: float | None
) -> None:
    found = score_of(watched=watched, analysed=analysed, warning=warning, critical=critical)
    assert found == score


def test_the_workers_of_a_hand_over_say_one_minute_together() -> None:
    old = part("w-1", watched=seconds(0, 25), analysed=seconds(0, 25), frames=625)
    new = part("w-2", watched=seconds(20, 60), analysed=seconds(20, 60), frames=1000)
    late = part("w-1", warning=seconds(5, 15), critical=seconds(10, 20))
    whole = merged([old, new, late])
    assert whole.watched == whole.analysed == seconds(0, 60)
    assert (whole.warning, whole.critical) == (seconds(5, 10), seconds(10, 20))
    # Both counted the pictures of seconds 20 to 25: those of one of them are told.
    assert whole.frames == 1000
    assert whole.score == pytest.approx(100 * (60 - 10 - 2.5) / 60, abs=0.01)


def test_loudness_is_put_together_by_its_blocks() -> None:
    quiet = part("w-1", loudness_lufs=-30.0, loudness_blocks=300, true_peak_max_dbtp=-9.0)
    loud = part("w-2", loudness_lufs=-20.0, loudness_blocks=300, true_peak_max_dbtp=-3.0)
    whole = merged([quiet, loud, part("w-3")])
    assert whole.loudness_lufs == -22.6  # the mean of the powers, 10 lg ((0.001 + 0.01) / 2)
    assert (whole.loudness_blocks, whole.true_peak_max_dbtp) == (600, -3.0)


def test_what_one_worker_could_judge_is_known() -> None:
    blind = DetectorMinute(name="black", unknown_s=60.0)
    found = DetectorMinute(name="black", unknown_s=2.0, incidents=1, defective=seconds(3, 6))
    (black,) = merged([part("w-1", detectors=[blind]), part("w-2", detectors=[found])]).detectors
    assert black == found
