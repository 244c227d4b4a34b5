"""Splice information, by the examples of the standard itself, and what is made of it."""

from base64 import b64decode

import pytest

from streammonitor_worker.ad_breaks import MAX_BREAK_S, MAX_BREAKS, AdBreaks
from streammonitor_worker.mpegts.scte35 import Cue, cues
from streammonitor_worker.mpegts.sections import crc32

# ANSI/SCTE 35 2023, clause 14: sample messages.
OPPORTUNITY_START = "/DA0AAAAAAAA///wBQb+cr0AUAAeAhxDVUVJSAAAjn/PAAGlmbAICAAAAAAsoKGKNAIAmsnRfg=="
SPLICE_INSERT = "/DAvAAAAAAAA///wFAVIAACPf+/+c2nALv4AUsz1AAAAAAAKAAhDVUVJAAABNWLbowo="
OPPORTUNITY_END = "/DAvAAAAAAAA///wBQb+dGKQoAAZAhdDVUVJSAAAjn+fCAgAAAAALKChijUCAKnMZ1g="


def signed(section: bytes) -> bytes:
    return section + crc32(section).to_bytes(4)


def changed(text: str, at: int, value: int) -> bytes:
    """A message in which one byte is another, with the right checksum."""
    section = bytearray(b64decode(text)[:-4])
    section[at] = value
    return signed(bytes(section))


@pytest.mark.parametrize(
    ("text", "cue"),
    [
        (
            OPPORTUNITY_START,
            Cue(0x34, 0x4800008E, leaves=True, pts_s=0x072BD0050 / 90_000, duration_s=307.0),
        ),
        (
            SPLICE_INSERT,
            Cue(0, 0x4800008F, True, pts_s=0x07369C02E / 90_000, duration_s=0x52CCF5 / 90_000),
        ),
        (OPPORTUNITY_END, Cue(0x34, 0x4800008E, leaves=False, pts_s=0x0746290A0 / 90_000)),
    ],
)
def test_reads_the_messages_of_the_standard(text: str, cue: Cue) -> None:
    assert cues(b64decode(text)) == [cue]


def test_an_adjustment_is_added_and_wraps() -> None:
    section = bytearray(b64decode(SPLICE_INSERT)[:-4])
    section[4:9] = (2**33 - 90_000).to_bytes(5)
    (cue,) = cues(signed(bytes(section)))
    assert cue.pts_s == pytest.approx(0x07369C02E / 90_000 - 1)


@pytest.mark.parametrize("size", range(0, 49, 3))
def test_what_is_cut_off_says_nothing(size: int) -> None:
    assert cues(b64decode(SPLICE_INSERT)[:size]) == []
    assert isinstance(cues(signed(b64decode(SPLICE_INSERT)[:size])), list)


def test_what_is_damaged_or_encrypted_says_nothing() -> None:
    damaged = bytearray(b64decode(SPLICE_INSERT))
    damaged[20] ^= 1
    assert cues(bytes(damaged)) == []
    assert cues(changed(SPLICE_INSERT, 4, 0x80)) == []


def test_a_cancelled_event_is_told() -> None:
    (cue,) = cues(changed(SPLICE_INSERT, 18, 0xFF))
    assert cue.cancelled
    assert cue.event == 0x4800008F


def test_a_break_lasts_as_long_as_it_was_announced() -> None:
    breaks = AdBreaks()
    breaks.leave(0, 7, at_s=10, duration_s=30)
    assert [breaks.covers(at) for at in (9.9, 10, 39.9, 40)] == [False, True, True, False]


def test_a_break_ends_early_where_the_programme_comes_back() -> None:
    breaks = AdBreaks()
    breaks.leave(0, 7, at_s=10, duration_s=30)
    breaks.leave(0x34, 7, at_s=10, duration_s=30)
    breaks.come_back(0, at_s=20)
    assert breaks.covers(25)
    breaks.come_back(0x34, at_s=22)
    assert [breaks.covers(at) for at in (21.9, 22)] == [True, False]


def test_a_break_that_is_announced_again_is_the_same_one() -> None:
    breaks = AdBreaks()
    for _ in range(3):
        breaks.leave(0, 7, at_s=10, duration_s=30)
    breaks.cancel(0, 7)
    breaks.cancel(0, 8)
    assert not breaks.covers(20)


def test_a_break_without_an_end_is_over_some_time() -> None:
    breaks = AdBreaks()
    breaks.leave(0, 7, at_s=10)
    assert breaks.covers(10 + MAX_BREAK_S - 1)
    assert not breaks.covers(10 + MAX_BREAK_S)


def test_only_the_last_breaks_are_remembered() -> None:
    breaks = AdBreaks()
    for event in range(MAX_BREAKS + 1):
        breaks.leave(0, event, at_s=event * 100, duration_s=10)
    assert not breaks.covers(5)
    assert breaks.covers(MAX_BREAKS * 100 + 5)
