"""Audio dropout: sound is interrupted for a moment, or clicks."""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple

from pydantic import Field

from streammonitor_api.durations import Duration
from streammonitor_worker.detectors.base import (
    DetectorParams,
    HopDetector,
    Kind,
    Measurement,
    Profiles,
    Trace,
    Units,
    Verdict,
)
from streammonitor_worker.measures.clicks import LOOK_S, clicks
from streammonitor_worker.measures.gaps import GapFinder, GapRules
from streammonitor_worker.measures.hops import Hop
from streammonitor_worker.measures.recent import Recent, Stretch
from streammonitor_worker.measures.repeats import RepeatFinder

LONGEST_MISSING_S = 1.0
"""Samples that are missing for longer belong to a stream that jumped."""
CLICK_S = 0.02
"""A click is reported as this long, so that `minDuration` tells clicks from longer gaps."""
GUARD_S = 0.006
"""So close to a gap or to a repetition, a click is its edge."""


CRACKLES, CRACKLE_S, CRACKLE_DB = 3, 0.25, 4.0
"""So many clicks within so short a time may each be lower by so much: sticks and keys do not rattle
like that, while a single one may sound like a click."""
REMEMBERED = 8
"""Clicks are told later than gaps: so many of these are remembered, as their edges click."""


class _Damage(NamedTuple):
    """One thing that was found: a gap, a repetition, or a click, which has neither length."""

    start_s: float
    end_s: float
    gap_ms: float = 0.0
    repeat_ms: float = 0.0

    def covers(self, time_s: float) -> bool:
        """Whether what clicks there is an edge of it."""
        return self.start_s - GUARD_S <= time_s <= self.end_s + GUARD_S


class AudioDropoutParams(DetectorParams):
    """Parameters of the audioDropout detector."""

    min_duration: Duration = Field(default=0.003, ge=0.002, le=3.5)
    """How long sound must be interrupted before an incident is raised; a click counts as 20 ms."""
    clear_duration: Duration = Field(default=1.0, ge=0.1, le=3600)
    """How long sound must go on before the incident ends; dropouts in between belong to it."""
    critical_after: Duration = Field(default=5.0, ge=0.01, le=86400)
    """How long dropouts must recur for their incident to become critical."""
    max_gap: Duration = Field(default=3.5, ge=0.05, le=10)
    """The longest interruption that is a dropout; what lasts longer is silence."""
    threshold: float = Field(default=-35.0, ge=-100.0, le=-20.0)
    """Level in dBFS at or below which every channel must be within a gap."""
    depth: float = Field(default=20.0, ge=10.0, le=90.0)
    """How far, in dB, sound must fall for a gap."""
    click_height: float = Field(default=13.0, ge=6.0, le=80.0)
    """How far, in dB, a click must stand out of the sound before and after it."""

    units: ClassVar[Units] = {"threshold": "dBFS", "depth": "dB", "clickHeight": "dB"}
    profiles: ClassVar[Profiles] = {
        "strict": {"criticalAfter": "2s"},
        "relaxed": {"minDuration": "100ms", "clearDuration": "5s", "criticalAfter": "30s"},
    }


class AudioDropoutDetector(HopDetector[AudioDropoutParams]):
    """Finds gaps of 4 ms to 3.5 s with abrupt edges, missing packets, repeated ones, and clicks.

    Input: hops of 100 ms of any number of channels. A gap must be in all of them at once; a click
    may be in any. Time stamps that leave up to a second without samples are a gap too, whatever
    sounds beside it. Until there was any sound, the detector is unknown.

    Values: `gapMilliseconds` (0 for a click), `repeatMilliseconds` (how long a packet was played
    again; 0 for anything else), `levelDbfs` (loudest 1.25 ms of the hop), `clickHeightDb` (how far
    the highest click stands out; 0 where there is none).

    Source: gaps after Essentia's GapsDetector (energy before the gap, silence inside); clicks after
    Vaseghi and Rayner (1990), with models forwards and backwards as in Godsill and Rayner (1998).

    Blind spots: gaps that a decoder filled or faded; packets that are missing without a trace in
    the time stamps, which a decoder blends over; gaps of less than 5 ms, and clicks and splices
    that the sound around them masks; a gap in one channel of several; softer sound than -40 dBFS.
    Speech synthesis and music with cuts of less than a millisecond count, and so does the crackle
    of an old record.
    """

    name: ClassVar[str] = "audioDropout"
    kind: ClassVar[Kind] = Kind.AUDIO
    summary: ClassVar[str] = "Audio has short gaps, repeated packets or clicks."
    params_type: ClassVar[type[DetectorParams]] = AudioDropoutParams
    cost: ClassVar[float] = 0.03
    traces: ClassVar[tuple[Trace, ...]] = (
        Trace(("gapMilliseconds", "repeatMilliseconds"), "ms", lambda p: p.min_duration * 1000),
        Trace(("clickHeightDb",), "dB", lambda p: p.click_height),
    )

    def flush(self) -> Iterator[Measurement]:
        """Judge what is left: a gap that did not end is none."""
        yield from self._give_up()

    def _forget(self) -> None:
        params = self.params
        rules = GapRules(params.threshold, params.depth, params.min_duration, params.max_gap)
        self._recent = Recent()
        self._gaps = GapFinder(rules)
        self._repeats = RepeatFinder()
        self._heard = False
        self._told_s: float | None = None
        self._until_s = 0.0
        self._arrived_at = 0.0
        self._found: list[_Damage] = []
        self._spans: list[_Damage] = []
        self._clicks: list[float] = []
        self._height_db = 0.0

    def _give_up(self) -> Iterator[Measurement]:
        if self._told_s is not None and self._told_s < self._until_s:
            yield Measurement(self._told_s, self._until_s, self._arrived_at, Verdict.UNKNOWN)
        self._told_s = None

    def _take(self, hop: Hop) -> Iterator[Measurement]:
        if not hop.adjoins or not hop.finite:
            yield from self._give_up()
            yield from self._missing(hop)
        if not hop.finite:
            yield Measurement(hop.start_s, hop.end_s, hop.arrived_at, Verdict.UNKNOWN)
            return
        if self._told_s is None:
            self._told_s, self._arrived_at = hop.start_s, hop.arrived_at
        self._until_s = hop.end_s
        self._look(self._recent.take(hop))
        level_dbfs = self._gaps.loudest_dbfs
        self._heard |= level_dbfs > self.params.threshold - self.params.depth
        if self._gaps.pending_s is None:
            yield from self._tell(
                hop,
                {
                    "levelDbfs": round(level_dbfs, 1),
                    "clickHeightDb": round(self._height_db, 1),
                    "gapMilliseconds": 0.0,
                    "repeatMilliseconds": 0.0,
                },
            )

    def _missing(self, hop: Hop) -> Iterator[Measurement]:
        """What the time stamps say is missing, if that was not a jump of the stream."""
        heard, until_s = self._heard, self._until_s
        self._forget()
        missing_s = min(hop.missing_s, hop.start_s - until_s)
        if heard and self.params.min_duration <= missing_s <= LONGEST_MISSING_S:
            self._heard = True
            values = {"gapMilliseconds": round(missing_s * 1000, 1), "repeatMilliseconds": 0.0}
            begins_s = hop.start_s - missing_s
            yield Measurement(begins_s, hop.start_s, hop.arrived_at, Verdict.BAD, 1.0, values)

    def _look(self, stretch: Stretch) -> None:
        """Note what is found in the newest sound."""
        for start_s, end_s in self._gaps.take(stretch):
            self._found.append(_Damage(start_s, end_s, gap_ms=(end_s - start_s) * 1000))
        for repeat in self._repeats.take(stretch):
            start_s, end_s = stretch.time_s(repeat.first), stretch.time_s(repeat.end)
            self._found.append(_Damage(start_s, end_s, repeat_ms=(end_s - start_s) * 1000))
        self._height_db = 0.0
        self._spans = [*self._spans, *self._found][-REMEMBERED:]
        for click in clicks(stretch, max(9.0, self.params.click_height - CRACKLE_DB)):
            start_s = stretch.time_s(click.number)
            self._clicks = [at for at in self._clicks if at > start_s - CRACKLE_S] + [start_s]
            alone = len(self._clicks) < CRACKLES and click.height_db < self.params.click_height
            if not alone and not any(one.covers(start_s) for one in self._spans):
                self._found.append(_Damage(start_s, start_s + CLICK_S))
                self._height_db = max(self._height_db, click.height_db)

    def _tell(self, hop: Hop, values: dict[str, float]) -> Iterator[Measurement]:
        """What was interrupted and what went on, as far as clicks can be told by now."""
        until_s = hop.end_s - LOOK_S
        told_s = self._told_s if self._told_s is not None else hop.start_s
        arrived_at = self._arrived_at
        usual = Verdict.GOOD if self._heard else Verdict.UNKNOWN
        least_ms = self.params.min_duration * 1000
        for one in sorted(self._found):
            if 0 < one.repeat_ms < least_ms:
                continue
            if one.start_s > told_s:
                yield Measurement(told_s, one.start_s, arrived_at, usual, 1.0, values)
            told_s = max(told_s, one.end_s)
            damage = {
                **values,
                "gapMilliseconds": round(one.gap_ms, 1),
                "repeatMilliseconds": round(one.repeat_ms, 1),
            }
            yield Measurement(one.start_s, told_s, arrived_at, Verdict.BAD, 0.9, damage)
        self._found = []
        if told_s < until_s:
            yield Measurement(told_s, until_s, arrived_at, usual, 1.0, values)
        self._told_s, self._arrived_at = max(told_s, until_s), hop.arrived_at
