import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streammonitor_operator.naming import (
    MAX_WORKER_NAME,
    event_name,
    label_value,
    service_name,
    worker_name,
)

LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
NAMES = st.from_regex(r"\A[a-z0-9]([-a-z0-9]{0,60}[a-z0-9])?(\.[a-z0-9]{1,20}){0,3}\Z")
GROUPS = st.from_regex(r"\A[a-z0-9]([-a-z0-9]{0,28}[a-z0-9])?\Z")


@settings(max_examples=30, deadline=None)
@given(NAMES, GROUPS, st.integers(0, 500))
def test_a_worker_name_is_a_dns_label_that_fits_a_host_name(
    monitor: str, group: str, slot: int
) -> None:
    name = worker_name(monitor, "uid", group, slot)
    assert LABEL.fullmatch(name)
    assert len(name) <= MAX_WORKER_NAME


def test_names_that_run_into_each_other_stay_apart() -> None:
    assert worker_name("a", "1", "b-c", 0) != worker_name("a-b", "2", "c", 0)
    assert worker_name("a", "1", "b", 0) != worker_name("a", "2", "b", 0)
    assert worker_name("a", "1", "b", 0) != worker_name("a", "1", "b", 1)


@settings(max_examples=30, deadline=None)
@given(NAMES, GROUPS, GROUPS)
def test_a_service_name_is_a_dns_label_of_one_stream(monitor: str, stream: str, other: str) -> None:
    name = service_name(monitor, stream)
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", name)
    assert (name == service_name(monitor, other)) is (stream == other)


@pytest.mark.parametrize("length", [1, 63, 64, 253])
def test_a_label_value_fits(length: int) -> None:
    value = label_value("a" * length)
    assert len(value) <= 63
    assert (value == "a" * length) == (length <= 63)


@settings(max_examples=30, deadline=None)
@given(NAMES, st.text(min_size=1, max_size=80))
def test_an_event_name_is_valid_whatever_a_worker_says(monitor: str, incident: str) -> None:
    name = event_name(monitor, incident, "started")
    assert SUBDOMAIN.fullmatch(name)
    assert len(name) <= 253
