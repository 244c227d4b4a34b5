"""Splice information that comes with the pictures and the sound (ANSI/SCTE 35)."""

from av.container import InputContainer
from av.stream import DataStream

from streammonitor_worker.deliveries import AdCue
from streammonitor_worker.mpegts.clock import ahead_s
from streammonitor_worker.mpegts.scte35 import Cue

MAX_STREAMS = 8
"""A program has one; a multiplex of several programs a few."""


def splice_streams(container: InputContainer) -> list[DataStream]:
    """The streams of a container that carry splice information."""
    return [one for one in container.streams.data if one.name == "scte_35"][:MAX_STREAMS]


def ad_cue(cue: Cue, tied: tuple[float, float] | None, told_s: float) -> AdCue:
    """A cue on media time.

    Args:
        cue: As it was read.
        tied: A moment of media time, and the timestamp that belongs to it; None if none is known.
        told_s: Media time at which it is told.
    """
    in_s = 0.0
    if tied is not None and cue.pts_s is not None:
        in_s = tied[0] + ahead_s(cue.pts_s, tied[1]) - told_s
    return AdCue(cue.kind, cue.event, cue.leaves, in_s, cue.duration_s, cue.cancelled)
