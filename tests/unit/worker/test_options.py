"""What `analyze` is asked for: inputs as streams of a monitor, with their parameters."""

from pathlib import Path

import pytest

from streammonitor_worker.options import Request, Task, UsageError, resolve

ONE = """
apiVersion: streammonitor.io/v1alpha1
kind: StreamMonitor
metadata: {name: sports}
spec:
  profile: relaxed
  streams:
  - name: arena-1
    url: http://h/1
    detectors: {black: {minDuration: 5s}}
    ignoreRegions: [{left: 0.8, top: 0.1, width: 0.15, height: 0.1}]
"""
TWO = ONE + "  - {name: arena-2, url: http://h/2}\n"
DETECTORS = "  detectors: {black: {minDuration: 4s, threshold: 0.2}, freeze: {}}\n"


@pytest.fixture
def one(tmp_path: Path) -> Path:
    path = tmp_path / "one.yaml"
    path.write_text(ONE + DETECTORS)
    return path


@pytest.fixture
def two(tmp_path: Path) -> Path:
    path = tmp_path / "two.yaml"
    path.write_text(TWO + DETECTORS)
    return path


def black(task: Task) -> object:
    return task.detectors["black"].get("minDuration")


def test_without_an_input_every_stream_is_examined_as_it_is_monitored(two: Path) -> None:
    first, second = resolve(Request(monitor=two)).tasks
    assert (first.name, second.name) == ("http://h/1", "http://h/2")
    assert (black(first), black(second)) == ("5s", "4s")
    assert (len(first.ignored), len(second.ignored)) == (1, 0)
    assert first.detectors["freeze"]["minDuration"] == "10s"  # the profile's


def test_without_an_input_a_stream_may_be_chosen(two: Path) -> None:
    (task,) = resolve(Request(monitor=two, stream="arena-2")).tasks
    assert task.name == "http://h/2"


def test_streams_that_are_listed_elsewhere_cannot_be_examined(tmp_path: Path) -> None:
    path = tmp_path / "listed.yaml"
    path.write_text(ONE + DETECTORS + "  streamsFrom: {configMap: {name: channels, key: list}}\n")
    with pytest.raises(UsageError, match=r"spec\.streamsFrom is read in a cluster only"):
        resolve(Request(monitor=path))
    (task,) = resolve(Request(["a.ts"], monitor=path)).tasks
    assert task.name == "a.ts"


def test_an_input_is_examined_as_the_chosen_stream(two: Path) -> None:
    work = resolve(Request(["a.ts", "b.ts"], monitor=two, stream="arena-1"))
    assert [task.name for task in work.tasks] == ["a.ts", "b.ts"]
    assert {black(task) for task in work.tasks} == {"5s"}
    assert all(len(task.ignored) == 1 for task in work.tasks)
    assert work.notes == []


def test_an_input_is_examined_as_the_only_stream(one: Path) -> None:
    (task,) = resolve(Request(["a.ts"], monitor=one)).tasks
    assert black(task) == "5s"


def test_an_input_that_might_be_any_stream_is_examined_as_none_of_them(two: Path) -> None:
    work = resolve(Request(["a.ts"], monitor=two))
    assert black(work.tasks[0]) == "4s"
    assert work.tasks[0].ignored == ()
    assert work.notes == [
        "of the monitor's streams, arena-1 set parameters or regions of their own, which do not "
        "count here: choose one with --stream"
    ]


def test_the_command_line_is_stronger_than_everything(one: Path) -> None:
    (task,) = resolve(
        Request(monitor=one, settings=["black.minDuration=7s"], profile="strict")
    ).tasks
    assert black(task) == "7s"
    assert task.detectors["black"]["threshold"] == 0.2
    assert task.detectors["freeze"]["minDuration"] == "2s"
    assert black(resolve(Request(monitor=one, settings=["black.min_duration=7s"])).tasks[0]) == "7s"


def test_detectors_that_are_not_chosen_do_not_run_whatever_the_stream_says(one: Path) -> None:
    (task,) = resolve(Request(monitor=one, detectors="freeze")).tasks
    assert task.detectors.keys() == {"freeze"}


def test_a_profile_needs_no_monitor() -> None:
    (task,) = resolve(Request(["a.ts"], detectors="black", profile="relaxed")).tasks
    assert black(task) == "10s"


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request(["a.ts"], stream="a"), "--stream names one of a StreamMonitor: name its file"),
        (Request(["a.ts"], profile="lax"), "--profile is 'lax': use one of strict, broadcast"),
        (Request(["a.ts"], detectors="blakc"), "there is no detector 'blakc'"),
        (Request(["a.ts"], settings=["black.threshold=7"]), "black.threshold is 7: set at most"),
        (Request(["a.ts"], settings=["black.treshold=1"]), "black has no parameter 'treshold'"),
    ],
)
def test_what_is_not_valid_is_refused_with_a_sentence(request_: Request, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        resolve(request_)
