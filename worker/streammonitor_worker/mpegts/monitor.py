"""The indicators of ETSI TR 101 290 (V1.4.1, clause 5.2), first and second priority.

Time is the stream's own, by its program clock reference: a stream that is read from a file or in
segments is judged as one that arrives. An indicator that cannot be judged is left out: tables and
clock of a stream in segments come once a segment (RFC 8216 clause 3.2), not every 0.5 s.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from streammonitor_worker.mpegts.packets import NULL_PID, PACKET_BYTES, Framer, Packets
from streammonitor_worker.mpegts.sections import (
    CAT_PID,
    CAT_TABLE,
    PAT_PID,
    PAT_TABLE,
    PMT_TABLE,
    Gatherer,
    Section,
    program_map,
    programs,
)

TABLE_INTERVAL_S = 0.5
"""PAT and PMT come at least this often (1.3, 1.5)."""
PID_INTERVAL_S = 5.0
"""A stream that the PMT names is missing after this long (1.6 leaves the period to the user)."""
PCR_INTERVAL_S = 0.1
"""The clock comes at least this often (2.3a). ISO/IEC 13818-1 2.7.2 asks for 100 ms; the 40 ms of
TR 101 290 are DVB's, and muxers of internet television are rightly outside."""
PCR_STEP_S = 0.1
"""The clock must not step by more than this (2.3b)."""
PTS_INTERVAL_S = 0.7
"""A picture or sound is given a time at least this often (2.5)."""
PCR_ACCURACY_S = 500e-9
"""How exactly the clock must fit the bytes of a stream of constant rate (2.4)."""
CONSTANT_RATE = 1e-4
"""The rate of a constant one differs by less than this from one clock value to the next."""
RATE_CLOCKS = 12
"""Clock values by which the rate is judged."""
MAX_MISFITS = 3
"""So many clock values in a row that do not fit are a new clock."""
CLOCK_WRAP_S = 2**33 / 90_000

_SPARSE = {0x05, 0x06, 0x0B, 0x0D, 0x15, 0x86}
"""Stream types that have the right to be silent: sections, private data, metadata, SCTE 35."""


class Indicator(StrEnum):
    """Names of TR 101 290."""

    SYNC_LOSS = "TS_sync_loss"
    SYNC_BYTE = "Sync_byte_error"
    PAT = "PAT_error"
    CONTINUITY = "Continuity_count_error"
    PMT = "PMT_error"
    PID = "PID_error"
    TRANSPORT = "Transport_error"
    CRC = "CRC_error"
    PCR_REPETITION = "PCR_repetition_error"
    PCR_DISCONTINUITY = "PCR_discontinuity_indicator_error"
    PCR_ACCURACY = "PCR_accuracy_error"
    PTS = "PTS_error"
    CAT = "CAT_error"


FIRST_PRIORITY = (
    Indicator.SYNC_LOSS,
    Indicator.SYNC_BYTE,
    Indicator.PAT,
    Indicator.CONTINUITY,
    Indicator.PMT,
    Indicator.PID,
)
"""Those without which a stream cannot be decoded."""


@dataclass(slots=True)
class _Pid:
    """What is known of the packets of one PID."""

    counter: int | None = None
    last: bytes = b""
    doubled: bool = False


@dataclass(slots=True)
class _Clock:
    """The clock of one PID.

    Attributes:
        last: The last value in seconds, and its position in bytes.
        values: The last ones that agree on the rate.
        misfits: How many in a row did not.
    """

    last: tuple[float, int] | None = None
    values: list[tuple[float, int]] = field(default_factory=list)
    misfits: int = 0


class TransportMonitor:
    """Counts what is wrong with one transport stream.

    Args:
        segmented: The stream comes in segments of a playlist; `segment` says where they begin.

    Attributes:
        counts: Errors so far, by indicator.
    """

    def __init__(self, *, segmented: bool = False) -> None:
        self.counts: Counter[Indicator] = Counter()
        self._segmented = segmented
        self._framer = Framer()
        self._pids: dict[int, _Pid] = {}
        self._gatherers: dict[int, Gatherer] = {PAT_PID: Gatherer(), CAT_PID: Gatherer()}
        self._programs: dict[int, int] = {}
        self._streams: dict[int, list[int]] = {}
        self._clocks: dict[int, _Clock] = {}
        self._now_s: float | None = None
        self._clock_pid: int | None = None
        self._seen_s: dict[tuple[Indicator, int], float] = {}
        self._conditional_access = False
        self._filled = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        packets, framing = self._framer.feed(data)
        self.counts[Indicator.SYNC_LOSS] += framing.sync_losses
        self.counts[Indicator.SYNC_BYTE] += framing.sync_byte_errors
        if len(packets):
            # Only a stream of constant rate is filled up.
            self._filled |= bool((packets.pid == NULL_PID).any())
            self._continuity(packets)
            for index in self._noteworthy(packets):
                self._look(packets, index)

    def segment(self) -> None:
        """A new segment begins: counters and clock may start anew."""
        self._framer = Framer()
        self._pids.clear()
        self._clocks.clear()
        self._seen_s.clear()
        self._now_s = None

    def _noteworthy(self, packets: Packets) -> Iterator[int]:
        """Packets that must be looked at one by one, in their order."""
        pid = packets.pid
        wanted = packets.has_pcr | packets.transport_error | packets.scrambled
        wanted |= packets.unit_start & (pid != NULL_PID)
        wanted |= np.isin(pid, list(self._gatherers))
        yield from np.flatnonzero(wanted).tolist()

    def _continuity(self, packets: Packets) -> None:
        """1.4, for each PID by itself: all its packets of this piece at once."""
        order = np.argsort(packets.pid, kind="stable")
        bounds = np.flatnonzero(np.diff(packets.pid[order])) + 1
        for rows in np.split(order, bounds):
            pid = int(packets.pid[rows[0]])
            if pid != NULL_PID:
                self._follow(packets, rows, self._pids.setdefault(pid, _Pid()))

    def _follow(self, packets: Packets, rows: np.ndarray, state: _Pid) -> None:
        counter = packets.counter[rows].astype(np.int16)
        payload = packets.has_payload[rows]
        before = np.concatenate(
            ([counter[0] if state.counter is None else state.counter], counter[:-1])
        )
        step = (counter - before) & 0x0F
        fine = np.where(payload, step == 1, step == 0) | packets.discontinuity[rows]
        if state.counter is None:
            fine[0] = True
        for index in np.flatnonzero(~fine):
            row = rows[index]
            whole = packets.raw[row].tobytes()
            previous = packets.raw[rows[index - 1]].tobytes() if index else state.last
            twice = step[index] == 0 and payload[index] and _same(whole, previous)
            # A packet may be sent twice, and not three times (ISO/IEC 13818-1, 2.4.3.3).
            if not twice or self._was_doubled(packets, rows, int(index), state):
                self.counts[Indicator.CONTINUITY] += 1
                # Bytes are missing: they no longer tell the time.
                self._clocks.clear()
                if int(packets.pid[row]) in self._gatherers:
                    self._gatherers[int(packets.pid[row])].reset()
        last = packets.raw[rows[-1]].tobytes()
        previous = packets.raw[rows[-2]].tobytes() if len(rows) > 1 else state.last
        state.doubled = bool(step[-1] == 0 and payload[-1] and _same(last, previous))
        state.last, state.counter = last, int(counter[-1])

    @staticmethod
    def _was_doubled(packets: Packets, rows: np.ndarray, index: int, state: _Pid) -> bool:
        if index == 0:
            return state.doubled
        here = packets.raw[rows[index - 1]].tobytes()
        there = packets.raw[rows[index - 2]].tobytes() if index > 1 else state.last
        return _same(here, there)

    def _look(self, packets: Packets, index: int) -> None:
        pid = int(packets.pid[index])
        if packets.transport_error[index]:
            # Nothing in it can be trusted, its PID least.
            self.counts[Indicator.TRANSPORT] += 1
            return
        if packets.has_pcr[index]:
            self._clock(packets, index, pid)
        if packets.scrambled[index]:
            self._scrambled(pid)
        elif pid in self._gatherers:
            gatherer = self._gatherers[pid]
            start = bool(packets.unit_start[index])
            for section in gatherer.feed(packets.payload(index), start):
                self._section(pid, section)
        elif packets.unit_start[index] and _has_pts(packets.payload(index)):
            self._seen(Indicator.PTS, pid)
        if packets.unit_start[index]:
            self._seen(Indicator.PID, pid)

    def _scrambled(self, pid: int) -> None:
        if pid == PAT_PID:
            self.counts[Indicator.PAT] += 1
        elif pid in self._programs.values():
            self.counts[Indicator.PMT] += 1
        elif not self._conditional_access:
            self.counts[Indicator.CAT] += 1

    def _section(self, pid: int, section: Section) -> None:
        if not section.intact:
            self.counts[Indicator.CRC] += 1
        elif pid == CAT_PID:
            self._conditional_access |= section.table == CAT_TABLE
            self.counts[Indicator.CAT] += section.table != CAT_TABLE
        elif pid == PAT_PID and section.table != PAT_TABLE:
            self.counts[Indicator.PAT] += 1
        elif pid == PAT_PID and section.current:
            self._association(section)
        elif section.table == PMT_TABLE and section.current and pid in self._programs.values():
            self._seen(Indicator.PMT, pid)
            self._streams[pid] = [
                stream.pid
                for stream in program_map(section).streams
                if stream.stream_type not in _SPARSE
            ]

    def _association(self, pat: Section) -> None:
        self._seen(Indicator.PAT, PAT_PID)
        self._programs = programs(pat)
        for pid in self._programs.values():
            self._gatherers.setdefault(pid, Gatherer())

    def _clock(self, packets: Packets, index: int, pid: int) -> None:
        now = (packets.pcr_s(index), packets.offset + index * PACKET_BYTES)
        clock = self._clocks.setdefault(pid, _Clock())
        goes_on = not packets.discontinuity[index]
        if goes_on and clock.last is not None:
            half_s = CLOCK_WRAP_S / 2
            step_s = (now[0] - clock.last[0] + half_s) % CLOCK_WRAP_S - half_s
            goes_on = self._step(clock, step_s, now)
        if not goes_on:
            clock = self._clocks[pid] = _Clock()
        clock.last = now
        if goes_on and self._fits(clock, now):
            clock.values = [*clock.values, now][-RATE_CLOCKS:]
        self._clock_pid = pid if self._clock_pid is None else self._clock_pid
        if pid == self._clock_pid:
            if not goes_on:
                self._seen_s.clear()
            self._now_s = now[0]
            self._overdue()

    def _step(self, clock: _Clock, step_s: float, now: tuple[float, int]) -> bool:
        """Judge a step of a clock; False if it does not go on from there (2.3)."""
        if 0 < step_s <= PCR_INTERVAL_S:
            return True
        late = 0 < step_s <= PID_INTERVAL_S and self._carried(clock, step_s, now)
        if not late:
            self.counts[Indicator.PCR_DISCONTINUITY] += 1
        elif not self._segmented:
            self.counts[Indicator.PCR_REPETITION] += 1
        return late

    def _fits(self, clock: _Clock, now: tuple[float, int]) -> bool:
        """Judge how exactly a clock value fits the rate of the stream (2.4)."""
        error_s = _inaccuracy_s(clock.values, now) if self._filled else None
        if error_s is None or error_s <= PCR_ACCURACY_S:
            clock.misfits = 0
            return True
        self.counts[Indicator.PCR_ACCURACY] += 1
        clock.misfits += 1
        if clock.misfits > MAX_MISFITS:
            # Not one value is wrong: the clock, or the rate, is another from here on.
            clock.values, clock.misfits = [], 0
        return False

    @staticmethod
    def _carried(clock: _Clock, step_s: float, now: tuple[float, int]) -> bool:
        """Whether the stream carried about as much as the time that passed: the clock came late.

        If it did not, the clock itself stepped.
        """
        values, last = clock.values, clock.last
        if last is None or len(values) < 2 or values[-1][0] <= values[0][0]:
            return True
        rate = (values[-1][1] - values[0][1]) / (values[-1][0] - values[0][0])
        return now[1] - last[1] > 0.5 * rate * step_s

    def _seen(self, indicator: Indicator, pid: int) -> None:
        if self._now_s is not None:
            self._seen_s[indicator, pid] = self._now_s

    def _expect(self, indicator: Indicator, pid: int) -> None:
        if self._now_s is not None:
            self._seen_s.setdefault((indicator, pid), self._now_s)

    def _overdue(self) -> None:
        """1.3, 1.5, 1.6 and 2.5: what should have come by now and did not."""
        if self._now_s is None:
            return
        self._expect(Indicator.PAT, PAT_PID)
        for map_pid in self._programs.values():
            self._expect(Indicator.PMT, map_pid)
            for pid in self._streams.get(map_pid, ()):
                self._expect(Indicator.PID, pid)
        for (indicator, pid), seen_s in self._seen_s.items():
            limit_s = _LIMITS_S[indicator]
            if self._segmented and indicator in (Indicator.PAT, Indicator.PMT):
                continue
            waited_s = (self._now_s - seen_s) % CLOCK_WRAP_S
            # A clock value is as exact as the time since the one before it.
            if limit_s + PCR_INTERVAL_S < waited_s < CLOCK_WRAP_S / 2:
                self.counts[indicator] += 1
                self._seen_s[indicator, pid] = self._now_s


_LIMITS_S = {
    Indicator.PAT: TABLE_INTERVAL_S,
    Indicator.PMT: TABLE_INTERVAL_S,
    Indicator.PID: PID_INTERVAL_S,
    Indicator.PTS: PTS_INTERVAL_S,
}


def _same(one: bytes, other: bytes) -> bool:
    """Whether a packet repeats another; its clock may say when it was sent (2.4.3.3)."""
    if one[5:6] and one[3] & 0x20 and one[4] >= 7 and one[5] & 0x10:
        return one[:6] + one[12:] == other[:6] + other[12:]
    return one == other


def _has_pts(payload: bytes) -> bool:
    """Whether a PES packet with a presentation time begins here (2.4.3.6)."""
    return len(payload) > 8 and payload[:3] == b"\x00\x00\x01" and bool(payload[7] & 0x80)


def _inaccuracy_s(values: list[tuple[float, int]], now: tuple[float, int]) -> float | None:
    """How far a clock value is from where the bytes put it; None if their rate is not constant."""
    if len(values) < RATE_CLOCKS:
        return None
    times = np.array([value for value, _ in values])
    positions = np.array([position for _, position in values], float)
    rates = np.diff(positions) / np.diff(times)
    middle = float(np.median(rates))
    if middle <= 0 or float(np.median(np.abs(rates - middle))) > CONSTANT_RATE * middle:
        return None
    slope, start = np.polyfit(positions - positions[0], times - times[0], 1)
    expected_s = start + slope * (now[1] - positions[0])
    return abs(float(now[0] - times[0] - expected_s))
