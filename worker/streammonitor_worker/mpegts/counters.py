"""Continuity counters (ISO/IEC 13818-1, 2.4.3.3; TR 101 290, 1.4), many packets at once."""

from dataclasses import dataclass

import numpy as np

from streammonitor_worker.mpegts.packets import NULL_PID, Packets

FAITHFUL_SEGMENTS = 3
"""After so many segments in a row at whose beginnings the counters went on, they must go on. Some
packagers begin anew with each segment; nothing but an announcement allows it, and no player minds.
"""


@dataclass(slots=True)
class _Pid:
    """What is known of the packets of one PID.

    Attributes:
        counter: The last one; None before the first packet.
        last: The last packet.
        doubled: It repeated the one before it.
        joining: Nothing of the segment that began came yet.
    """

    counter: int | None = None
    last: bytes = b""
    doubled: bool = False
    joining: bool = False


class Counters:
    """The counters of all PIDs of a stream."""

    def __init__(self) -> None:
        self._pids: dict[int, _Pid] = {}
        self._faithful = 0
        self._begins: bool | None = None

    def segment(self, *, continues: bool) -> None:
        """A new segment begins; see `TransportMonitor.segment`."""
        if self._begins is not None:
            self._faithful = self._faithful + 1 if self._begins else 0
        self._begins = None
        if not continues:
            self._pids.clear()
        for state in self._pids.values():
            state.joining = True

    def follow(self, packets: Packets) -> dict[int, bool]:
        """Take the next packets.

        Returns:
            Where a counter does not go on, by index in the packets, and whether it has the right
            to: at the beginning of a segment of such a packager.
        """
        broken: dict[int, bool] = {}
        counted = np.flatnonzero(packets.pid != NULL_PID)
        if not len(counted):
            return broken
        order = counted[np.argsort(packets.pid[counted], kind="stable")]
        bounds = np.flatnonzero(np.diff(packets.pid[order])) + 1
        for rows in np.split(order, bounds):
            state = self._pids.setdefault(int(packets.pid[rows[0]]), _Pid())
            self._of_one(packets, rows, state, broken)
        return broken

    def _of_one(
        self, packets: Packets, rows: np.ndarray, state: _Pid, broken: dict[int, bool]
    ) -> None:
        counter = packets.counter[rows].astype(np.int16)
        payload = packets.has_payload[rows]
        known = counter[0] if state.counter is None else state.counter
        before = np.concatenate(([known], counter[:-1]))
        step = (counter - before) & 0x0F
        fine = np.where(payload, step == 1, step == 0) | packets.discontinuity[rows]
        if state.counter is None:
            fine[0] = True
        for index in np.flatnonzero(~fine).tolist():
            here, previous = (_packet(packets, rows, index - back, state) for back in (0, 1))
            twice = step[index] == 0 and payload[index] and _same(here, previous)
            # A packet may be sent twice, and not three times.
            if twice and not self._was_doubled(packets, rows, index, state):
                continue
            broken[int(rows[index])] = self._may_begin(state, first=index == 0)
        self._joined(state, went_on=bool(fine[0]))
        last, previous = (_packet(packets, rows, len(rows) - back, state) for back in (1, 2))
        state.doubled = bool(step[-1] == 0 and payload[-1] and _same(last, previous))
        state.last, state.counter = last, int(counter[-1])

    def _may_begin(self, state: _Pid, *, first: bool) -> bool:
        return first and state.joining and self._faithful < FAITHFUL_SEGMENTS

    def _joined(self, state: _Pid, *, went_on: bool) -> None:
        if state.joining:
            self._begins = went_on and self._begins is not False
        state.joining = False

    @staticmethod
    def _was_doubled(packets: Packets, rows: np.ndarray, index: int, state: _Pid) -> bool:
        if index == 0:
            return state.doubled
        return _same(
            _packet(packets, rows, index - 1, state), _packet(packets, rows, index - 2, state)
        )


def _packet(packets: Packets, rows: np.ndarray, index: int, state: _Pid) -> bytes:
    """A packet of a PID; the one before the first is the last of before."""
    return packets.raw[rows[index]].tobytes() if index >= 0 else state.last


def _same(one: bytes, other: bytes) -> bool:
    """Whether a packet repeats another; its clock may say when it was sent."""
    if one[5:6] and one[3] & 0x20 and one[4] >= 7 and one[5] & 0x10:
        return one[:6] + one[12:] == other[:6] + other[12:]
    return one == other
