"""Lists of streams: what is read, what is refused, and in which words."""

import json
from typing import Any

import pytest

from streammonitor_api.spec import MAX_STREAMS, Stream, StreamMonitorSpec
from streammonitor_operator.entries import Examined, ListError, examine, read_list


def spec(*declared: str, **more: Any) -> StreamMonitorSpec:
    return StreamMonitorSpec.model_validate(
        {
            "streamsFrom": {"configMap": {"name": "c", "key": "k"}, "secrets": ["origin"]},
            "detectors": {"black": {}},
            **({"streams": [entry(name) for name in declared]} if declared else {}),
            **more,
        }
    )


def entry(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "url": f"https://origin.example/{name}.m3u8", **more}


def names(examined: Examined) -> list[str]:
    return [stream.name for stream in examined.streams]


def secret(name: str) -> list[dict[str, Any]]:
    return [{"name": "Authorization", "secretKeyRef": {"name": name, "key": "token"}}]


def test_a_list_may_be_yaml_or_json() -> None:
    entries = [{"name": "a", "url": "http://h/"}]
    assert read_list("- {name: a, url: 'http://h/'}", allow_yaml=True) == entries
    assert read_list(json.dumps(entries), allow_yaml=True) == entries
    assert read_list(json.dumps(entries), allow_yaml=False) == entries


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("- [", "is not readable as YAML"),
        ("a: 1", "holds a mapping: write a list of streams"),
        ("", "holds nothing: write a list"),
        ("- 1\n" * 1001, "holds 1001 entries, and a StreamMonitor has 500 streams at most"),
        ("- &a {x: 1}\n- *a", "it has an alias"),
        ("- 2026-01-02", "is not readable as YAML"),
        ("- .nan", "is not readable as YAML"),
        ('["\\ud800"]', "is not readable as YAML"),
        ("[" * 50000, "it is nested too deeply"),
        ("- " * 5000, "it is nested too deeply"),
        (f"[{'0,' * 100_001}]", "it has too many parts"),
        ("- !!python/object:os.system {}", "is not readable as YAML"),
    ],
)
def test_what_is_no_list_is_refused_whole(text: str, sentence: str) -> None:
    with pytest.raises(ListError, match=sentence):
        read_list(text, allow_yaml=True)


def test_json_that_is_nested_deeply_is_refused() -> None:
    with pytest.raises(ListError, match="is not readable as JSON"):
        read_list("[" * 50000, allow_yaml=False)


def test_json_is_not_read_as_yaml() -> None:
    with pytest.raises(ListError, match="is not readable as JSON"):
        read_list("- a", allow_yaml=False)


def test_good_entries_come_in_the_order_of_their_names() -> None:
    found = examine([entry("b"), entry("a", headersFrom=secret("origin"))], spec("z"), {})
    assert names(found) == ["a", "b"]
    assert found.refused == ()


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ("a", "it is a text: write a mapping with name and url"),
        ({"name": "x"}, "url is missing: add it"),
        ({"name": "A b", "url": "http://h/"}, "name is 'A b': should match pattern"),
        (entry("x") | {"url": "file:///etc/passwd"}, "url begins with file, which cannot be"),
        (entry("x", colour=1), "colour is not known: remove it or correct its name"),
        (entry("x", profile="lax"), "profile is lax: use one of strict, broadcast, relaxed"),
        (entry("x", detectors={"blur": {}}), "detectors.blur is set, but spec.detectors does not"),
        (entry("x", headersFrom=secret("admin")), "names the Secret admin, which"),
        (entry("good"), "name is good, as an entry before it, which counts: give it another"),
        (entry("mine"), "name is mine, as one in spec.streams, which counts: take it out"),
        (entry("x", detectors={"black": {"a": [[[[[[1]]]]]]}}), "it is nested too deeply"),
    ],
    ids=str,
)
def test_a_bad_entry_is_refused_alone_with_a_sentence(bad: Any, sentence: str) -> None:
    found = examine([entry("good"), bad, entry("last")], spec("mine"), {})
    assert names(found) == ["good", "last"]
    [refusal] = found.refused
    assert refusal.message.startswith("entry 2 of the list: ")
    assert sentence in refusal.message


def test_a_refused_url_is_not_repeated() -> None:
    found = examine(
        [{"name": "x", "url": "ftp://user:hidden@h/"}, entry("y", url=["hidden"])], spec(), {}
    )
    assert len(found.refused) == 2
    assert "hidden" not in str(found.refused)


def test_a_bad_entry_leaves_its_stream_as_it_was() -> None:
    before = Stream.model_validate(entry("a"))
    found = examine([{"name": "a", "url": "htp://h/"}], spec(), {"a": before})
    assert found.streams == (before,)
    [refusal] = found.refused
    assert (refusal.name, refusal.stream) == ("entry 1", "a")


def test_a_bad_entry_does_not_keep_what_may_not_be_used_any_more() -> None:
    bad = entry("a", headersFrom=secret("admin"))
    found = examine([bad], spec(), {"a": Stream.model_validate(bad)})
    assert found.streams == ()
    [refusal] = found.refused
    assert (refusal.name, refusal.stream) == ("a", "")


def test_a_bad_entry_does_not_keep_what_the_specification_declares_by_now() -> None:
    known = Stream.model_validate(entry("mine"))
    found = examine([{"name": "mine", "url": "htp://h/"}], spec("mine"), {"mine": known})
    assert found.streams == ()
    assert [refusal.stream for refusal in found.refused] == ["mine"]


def test_a_name_that_is_too_long_stands_for_no_other() -> None:
    known = Stream.model_validate(entry("a" * 63))
    found = examine([entry("a" * 64)], spec(), {known.name: known})
    assert found.streams == ()
    assert [refusal.name for refusal in found.refused] == ["entry 1"]


def test_there_may_be_so_many_and_those_that_are_there_stay() -> None:
    entries = [entry(f"s{number}") for number in range(MAX_STREAMS)]
    known = {"s499": Stream.model_validate(entry("s499"))}
    found = examine(entries, spec("mine"), known)
    assert len(found.streams) == MAX_STREAMS - 1
    assert "s499" in names(found)
    [refusal] = found.refused
    assert refusal.name == "s498"
    assert "500 streams at most, 1 of them in spec.streams" in refusal.message
