"""The indicators of ETSI TR 101 290 (V1.4.1, clause 5.2), first and second priority.

Time is the stream's own, by its program clock reference: a stream that is read from a file or in
segments is judged as one that arrives. An indicator that cannot be judged is left out: tables and
clock of a stream in segments come once a segment (RFC 8216 clause 3.2), not every 0.5 s.
"""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from streammonitor_worker.mpegts.clock import MAX_LATE_S, WRAP_S, Clock, Step, ahead_s
from streammonitor_worker.mpegts.counters import Counters
from streammonitor_worker.mpegts.indicators import Fault, Indicator, Limits
from streammonitor_worker.mpegts.packets import NULL_PID, PACKET_BYTES, SYNC_BYTE, Framer, Packets
from streammonitor_worker.mpegts.sections import (
    CAT_PID,
    CAT_TABLE,
    PAT_PID,
    PAT_TABLE,
    PMT_TABLE,
    SPLICE_TYPE,
    ElementaryStream,
    Gatherer,
    Section,
    program_map,
    programs,
)

_SPARSE = {0x05, 0x06, 0x0B, 0x0C, 0x0D, 0x15, SPLICE_TYPE}
"""Stream types that have the right to be silent: sections, private data, metadata, SCTE 35."""


class TransportMonitor:
    """Counts what is wrong with one transport stream.

    Args:
        limits: How often what must be repeated comes.
        segmented: The stream comes in segments of a playlist; `segment` says where they begin.

    Attributes:
        counts: Errors so far, by indicator.
        pts_s: The presentation time of what comes now, in seconds; None before the first one.
        begins_s: The first one since this was set to None.
    """

    def __init__(self, limits: Limits | None = None, *, segmented: bool = False) -> None:
        self.counts: Counter[Indicator] = Counter()
        self.pts_s: float | None = None
        self.begins_s: float | None = None
        self._limits = limits or Limits()
        self._segmented = segmented
        self._framer = Framer()
        self._counters = Counters()
        self._gatherers: dict[int, Gatherer] = {PAT_PID: Gatherer(), CAT_PID: Gatherer()}
        self._programs: dict[int, int] = {}
        self._streams: dict[int, tuple[ElementaryStream, ...]] = {}
        self._clocks: dict[int, Clock] = {}
        self._now_s: float | None = None
        self._clock_pid: int | None = None
        self._pts_pid: int | None = None
        self._seen_s: dict[tuple[Indicator, int], float] = {}
        self._conditional_access = False
        self._filled = False
        self._faults: list[Fault] = []

    @property
    def synchronised(self) -> bool | None:
        """Whether packets are found in the bytes; None if none ever was."""
        return self._framer.synchronised

    def feed(self, data: bytes) -> list[Fault]:
        """Take the next bytes; return what is wrong with them, in its order."""
        packets, framing = self._framer.feed(data)
        for _ in range(framing.sync_losses):
            self._fault(Indicator.SYNC_LOSS)
        for _ in range(framing.sync_byte_errors):
            self._fault(Indicator.SYNC_BYTE)
        if len(packets):
            # Only a stream of constant rate is filled up.
            self._filled |= bool((packets.pid == NULL_PID).any())
            broken = self._counters.follow(packets)
            for index in self._noteworthy(packets, broken):
                if index in broken:
                    self._broken(int(packets.pid[index]), announced=broken[index])
                if packets.raw[index, 0] == SYNC_BYTE:
                    self._look(packets, index)
        faults, self._faults = self._faults, []
        return faults

    def segment(self, *, continues: bool) -> None:
        """A new segment begins.

        Args:
            continues: It follows upon the last one, and no discontinuity was announced; otherwise
                counters and clock may start anew.
        """
        self._framer = Framer(self._framer.offset)
        for gatherer in self._gatherers.values():
            gatherer.reset()
        self._counters.segment(continues=continues)
        if not continues:
            self._clocks.clear()
            self._seen_s.clear()
            self._now_s = None

    def _fault(self, indicator: Indicator) -> None:
        self.counts[indicator] += 1
        self._faults.append(Fault(indicator, self.pts_s))

    def _noteworthy(self, packets: Packets, broken: dict[int, bool]) -> Iterator[int]:
        """Packets that must be looked at one by one, in their order."""
        pid = packets.pid
        wanted = packets.has_pcr | packets.transport_error
        wanted |= packets.unit_start & (pid != NULL_PID)
        wanted |= np.isin(pid, list(self._gatherers))
        # Nothing is believed of what is not in its place.
        in_place = packets.raw[:, 0] == SYNC_BYTE
        wanted &= in_place
        wanted[list(broken)] = True
        if not self._conditional_access:
            # The first one says it: a stream that is scrambled has thousands of them.
            wanted[np.flatnonzero(packets.scrambled & in_place)[:1]] = True
        yield from np.flatnonzero(wanted).tolist()

    def _broken(self, pid: int, *, announced: bool) -> None:
        """The counter of a PID does not go on (1.4)."""
        if not announced:
            self._fault(Indicator.CONTINUITY)
        # Bytes are missing: they no longer tell the time.
        self._clocks.clear()
        if pid in self._gatherers:
            self._gatherers[pid].reset()

    def _look(self, packets: Packets, index: int) -> None:
        pid = int(packets.pid[index])
        if packets.transport_error[index]:
            # Nothing in it can be trusted, its PID least.
            self._fault(Indicator.TRANSPORT)
            return
        if packets.has_pcr[index]:
            self._clock(packets, index, pid)
        start = bool(packets.unit_start[index])
        if packets.scrambled[index]:
            self._scrambled(pid)
        elif pid in self._gatherers:
            for section in self._gatherers[pid].feed(packets.payload(index), start):
                self._section(pid, section)
        elif start:
            self._pes(pid, packets.payload(index))
        if start:
            self._seen(Indicator.PID, pid)

    def _pes(self, pid: int, payload: bytes) -> None:
        pts_s = _pts_s(payload)
        if pts_s is None:
            return
        self._seen(Indicator.PTS, pid)
        if self._pts_pid is None or pid == self._clock_pid:
            # Pictures, if they carry the clock, as they mostly do.
            self._pts_pid = pid
        if pid == self._pts_pid:
            self.pts_s = pts_s
            self.begins_s = pts_s if self.begins_s is None else self.begins_s

    def _scrambled(self, pid: int) -> None:
        # Its times cannot be read.
        self._seen(Indicator.PTS, pid)
        if pid == PAT_PID:
            self._fault(Indicator.PAT)
        elif pid in self._programs.values():
            self._fault(Indicator.PMT)
        elif not self._conditional_access:
            self._fault(Indicator.CAT)

    def _section(self, pid: int, section: Section) -> None:
        if not section.intact:
            self._fault(Indicator.CRC)
        elif pid == CAT_PID:
            self._conditional_access |= section.table == CAT_TABLE
            if section.table != CAT_TABLE:
                self._fault(Indicator.CAT)
        elif pid == PAT_PID and section.table != PAT_TABLE:
            self._fault(Indicator.PAT)
        elif pid == PAT_PID and section.current:
            self._association(section)
        elif section.table == PMT_TABLE and section.current and pid in self._programs.values():
            self._seen(Indicator.PMT, pid)
            self._map(pid, section)

    def _association(self, pat: Section) -> None:
        self._seen(Indicator.PAT, PAT_PID)
        self._programs = programs(pat)
        self._streams = {p: self._streams.get(p, ()) for p in self._programs.values()}
        self._gather()

    def _map(self, pid: int, pmt: Section) -> None:
        self._streams[pid] = program_map(pmt).streams
        self._gather()

    def _gather(self) -> None:
        """Look for sections, and wait for streams, where the tables say that there are some."""
        wanted = {PAT_PID, CAT_PID, *self._programs.values()}
        self._gatherers = {pid: self._gatherers.get(pid) or Gatherer() for pid in wanted}
        known = {PAT_PID, *self._programs.values(), *self._expected()}
        self._seen_s = {key: seen for key, seen in self._seen_s.items() if key[1] in known}

    def _expected(self) -> set[int]:
        """PIDs that must not be silent."""
        every = (one for streams in self._streams.values() for one in streams)
        return {one.pid for one in every if one.stream_type not in _SPARSE}

    def _clock(self, packets: Packets, index: int, pid: int) -> None:
        now = (packets.pcr_s(index), packets.offset + index * PACKET_BYTES)
        announced = bool(packets.discontinuity[index])
        if announced:
            self._clocks.pop(pid, None)
        clock = self._clocks.setdefault(pid, Clock())
        step = clock.step(now, self._limits.pcr_s)
        if step is Step.BREAK:
            self._fault(Indicator.PCR_DISCONTINUITY)
        elif step is Step.LATE and not self._segmented:
            self._fault(Indicator.PCR_REPETITION)
        if step is not Step.BREAK:
            exactly_s = self._limits.pcr_accuracy_s if self._filled else None
            if not clock.fits(now, exactly_s):
                self._fault(Indicator.PCR_ACCURACY)
        self._clock_pid = pid if self._clock_pid is None else self._clock_pid
        if pid == self._clock_pid:
            passed_s = 0.0 if self._now_s is None else ahead_s(now[0], self._now_s)
            if announced or step is Step.BREAK or not 0 <= passed_s <= MAX_LATE_S:
                self._seen_s.clear()
            self._now_s = now[0]
            self._overdue()

    def _seen(self, indicator: Indicator, pid: int) -> None:
        if self._now_s is not None and (indicator, pid) in self._seen_s:
            self._seen_s[indicator, pid] = self._now_s

    def _overdue(self) -> None:
        """1.3, 1.5, 1.6 and 2.5: what should have come by now and did not."""
        if self._now_s is None:
            return
        limits = self._limits
        for indicator, pids, limit_s in (
            (Indicator.PAT, {PAT_PID}, limits.table_s),
            (Indicator.PMT, set(self._programs.values()), limits.table_s),
            (Indicator.PID, self._expected(), limits.pid_s),
            (Indicator.PTS, self._expected(), limits.pts_s),
        ):
            if self._segmented and indicator in (Indicator.PAT, Indicator.PMT):
                continue
            for pid in pids:
                seen_s = self._seen_s.setdefault((indicator, pid), self._now_s)
                waited_s = (self._now_s - seen_s) % WRAP_S
                # A clock value is as exact as the time since the one before it.
                if limit_s + limits.pcr_s < waited_s < WRAP_S / 2:
                    self._fault(indicator)
                    self._seen_s[indicator, pid] = self._now_s


def _pts_s(payload: bytes) -> float | None:
    """The presentation time of the PES packet that begins here, in seconds (2.4.3.6)."""
    if len(payload) < 14 or payload[:3] != b"\x00\x00\x01" or not payload[7] & 0x80:
        return None
    high, middle, low = payload[9] >> 1 & 0x07, payload[10:12], payload[12:14]
    ticks = high << 30 | int.from_bytes(middle) >> 1 << 15 | int.from_bytes(low) >> 1
    return ticks / 90_000
