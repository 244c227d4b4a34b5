from typing import Any

import pytest
from pydantic import ValidationError

from streammonitor_api.model import unknown_keys
from streammonitor_api.spec import DEFAULT_GROUP, Stream, StreamMonitorSpec, Template
from streammonitor_api.streams_from import StreamsFrom


def spec(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "streams": [{"name": "arena-1", "url": "https://origin.example/1.m3u8"}],
        "detectors": {"black": {}, "silence": {"threshold": -50}},
    }
    return {**base, **changes}


def test_without_groups_one_group_has_every_detector() -> None:
    (group,) = StreamMonitorSpec.model_validate(spec()).groups
    assert group.name == DEFAULT_GROUP
    assert group.detectors == ["black", "silence"]


@pytest.mark.parametrize(
    ("workers", "sentence"),
    [
        ([{"name": "a", "detectors": ["black"]}], "'silence' is in no worker group"),
        (
            [
                {"name": "a", "detectors": ["black", "silence"]},
                {"name": "b", "detectors": ["black"]},
            ],
            "'black' is in a and b",
        ),
        (
            [{"name": "a", "detectors": ["black", "silence", "freeze"]}],
            "names detector 'freeze', which spec.detectors does not declare",
        ),
        (
            [{"name": "a", "detectors": ["black"]}, {"name": "a", "detectors": ["silence"]}],
            "two worker groups are named 'a'",
        ),
    ],
    ids=["homeless", "two homes", "undeclared", "same name"],
)
def test_groups_that_do_not_fit_are_refused_with_a_sentence(
    workers: list[dict[str, Any]], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        StreamMonitorSpec.model_validate(spec(workers=workers))


def test_some_streams_must_be_named() -> None:
    source = {"configMap": {"name": "channels", "key": "list"}}
    listed = StreamMonitorSpec.model_validate({"streamsFrom": source, "detectors": {"black": {}}})
    assert listed.streams == []
    with pytest.raises(ValueError, match=r"names no streams: set spec\.streams, spec\.streamsFrom"):
        StreamMonitorSpec.model_validate({"detectors": {"black": {}}})


def test_a_list_is_asked_for_and_doubted_by_default() -> None:
    source = StreamsFrom.model_validate({"http": {"url": "https://lists.example/sports"}})
    assert (source.interval_s, source.tolerated_ratio, source.hold_s) == (30, 0.3, 300)
    source = StreamsFrom.model_validate(
        {
            "http": {"url": "https://lists.example/sports", "interval": "5s"},
            "maxLossRatio": 0,
            "lossHold": "0s",
        }
    )
    assert (source.interval_s, source.tolerated_ratio, source.hold_s) == (5, 0, 0)


@pytest.mark.parametrize(
    "url",
    ["ftp://h/", "http://", "https://user:secret@h/", "http://h\\@other/", "http://h/a b", "/list"],
)
def test_a_list_is_asked_for_at_a_plain_url(url: str) -> None:
    with pytest.raises(ValueError, match="should match pattern"):
        StreamsFrom.model_validate({"http": {"url": url}})


@pytest.mark.parametrize(
    "sources",
    [{}, {"configMap": {"name": "a", "key": "k"}, "http": {"url": "http://h/"}}],
    ids=["none", "both"],
)
def test_a_list_comes_from_one_place(sources: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="name exactly one of configMap and http"):
        StreamsFrom.model_validate(sources)


@pytest.mark.parametrize(
    "sources",
    [{}, {"configMap": {"name": "a"}, "persistentVolumeClaim": {"claimName": "b"}}],
    ids=["none", "both"],
)
def test_models_come_from_one_place(sources: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="name exactly one of persistentVolumeClaim and configMap"):
        Template.model_validate({"modelVolume": sources})


def test_two_streams_of_one_name_are_refused() -> None:
    twins = [{"name": "a", "url": "http://h/1"}, {"name": "a", "url": "http://h/2"}]
    with pytest.raises(ValueError, match="two streams are named 'a'"):
        StreamMonitorSpec.model_validate(spec(streams=twins))


def stream(**more: Any) -> dict[str, Any]:
    return {"name": "a", "url": "http://h/", **more}


def test_a_stream_that_overrides_an_undeclared_detector_is_refused_with_a_sentence() -> None:
    declared = stream(detectors={"black": {"minDuration": "5s"}})
    assert StreamMonitorSpec.model_validate(spec(streams=[declared]))
    with pytest.raises(ValueError, match=r"stream 'a': detectors.blur is set, but spec.detectors"):
        StreamMonitorSpec.model_validate(spec(streams=[stream(detectors={"blur": {}})]))


def test_regions_that_do_not_fit_are_refused_with_their_stream() -> None:
    wide = [{"left": 0.5, "top": 0, "width": 0.6, "height": 0.1}]
    with pytest.raises(ValueError, match=r"stream 'a': ignoreRegions\[0\] reaches beyond"):
        StreamMonitorSpec.model_validate(spec(streams=[stream(ignoreRegions=wide)]))


def test_what_a_stream_does_not_set_is_absent_on_the_wire() -> None:
    # An older worker would report each of these keys as one that it does not know.
    wire = StreamMonitorSpec.model_validate(spec(streams=[stream()])).streams[0].to_json_object()
    assert wire.keys() == {"name", "url", "headersFrom"}


@pytest.mark.parametrize("name", ["", "Arena", "a_b", "-a", "a" * 64, "a\n"])
def test_a_stream_name_is_a_dns_label(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        StreamMonitorSpec.model_validate(spec(streams=[{"name": name, "url": "http://h/"}]))


def test_unknown_keys_are_kept_and_named_by_their_path() -> None:
    parsed = StreamMonitorSpec.model_validate(
        spec(
            streams=[{"name": "a", "url": "http://h/", "headersFrom": [], "colour": 1}],
            workers=[{"name": "a", "detectors": ["black", "silence"], "template": {"x": {}}}],
        )
    )
    assert sorted(unknown_keys(parsed)) == ["streams[0].colour", "workers[0].template.x"]


def test_a_document_survives_the_round_trip() -> None:
    document = spec(
        suspend=True,
        workers=[
            {
                "name": "all",
                "detectors": ["black", "silence"],
                "scaling": {"maxStreamsPerWorker": 7},
                "template": {"resources": {"requests": {"cpu": 1, "memory": "1Gi"}}},
            }
        ],
    )
    parsed = StreamMonitorSpec.model_validate(document)
    written = parsed.to_json_object()
    assert written["workers"] == document["workers"]
    assert written["detectors"] == document["detectors"]
    assert StreamMonitorSpec.model_validate(written) == parsed


@pytest.mark.parametrize("program", [{}, {"number": 1, "service": "a"}, {"number": 0}])
def test_a_program_is_named_in_one_way(program: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Stream.model_validate({"name": "a", "url": "udp://@:1", "program": program})


@pytest.mark.parametrize(("url", "fits"), [("srt://h:1", True), ("rtmp://h/a", False)])
def test_programs_are_of_transport_streams(url: str, fits: bool) -> None:
    stream = {"name": "a", "url": url, "program": {"number": 1}}
    spec = {"streams": [stream], "detectors": {"black": {}}}
    if fits:
        StreamMonitorSpec.model_validate(spec)
    else:
        with pytest.raises(ValidationError, match="program is set, but the URL is of no MPEG-TS"):
            StreamMonitorSpec.model_validate(spec)
