"""What is learnt of a stream's channels: the last seconds block by block, and what is usual."""

import numpy as np
import numpy.typing as npt

from streammonitor_worker.measures.channels import BANDS, ChannelMeasures, correlation
from streammonitor_worker.measures.sound import FLOOR_DBFS, Levels

HISTORY_BLOCKS = 500
"""Blocks that are remembered one by one: 10 s."""
LEARN_S = 8.0
"""So much sound must be heard before it is known what is usual."""
MEMORY_S = 30.0
"""What is usual is what was heard in about so many seconds."""
_OFTEN = 0.9
_LAG_BLOCKS = 75

Flags = npt.NDArray[np.bool_]


class History:
    """The last ten seconds of a stream's channels, oldest block first.

    Attributes:
        at_s: Shape (blocks,): media time at which each block begins.
        level_dbfs: Shape (channels, blocks): RMS; -200 before there was sound.
        cross: Shape (3, bands, blocks): as in `ChannelMeasures`.
    """

    def __init__(self, channels: int) -> None:
        self.at_s: Levels = np.full(HISTORY_BLOCKS, -np.inf)
        self.level_dbfs: Levels = np.full((channels, HISTORY_BLOCKS), FLOOR_DBFS)
        self.cross: Levels = np.zeros((3, BANDS, HISTORY_BLOCKS))

    def take(self, found: ChannelMeasures, start_s: float, block_s: float) -> int:
        """Append the blocks of a hop; return how many there are."""
        count: int = found.level_dbfs.shape[1]
        for kept, new in (
            (self.at_s, start_s + block_s * np.arange(count)),
            (self.level_dbfs, found.level_dbfs),
            (self.cross, found.cross),
        ):
            kept[..., :-count] = kept[..., count:]
            kept[..., -count:] = new
        return count


class Usage:
    """Which channels nearly always sound when any does.

    The surround channels of a film are silent for minutes; those of a concert never are.
    """

    def __init__(self, channels: int) -> None:
        self._heard_s: Levels = np.zeros(channels)
        self._active_s = 0.0

    def learn(self, sounding: Flags, active: Flags, block_s: float) -> None:
        """Take blocks: which channels sound, shape (channels, blocks), and whether any does."""
        seconds = float(active.sum()) * block_s
        keep = np.exp(-seconds / MEMORY_S)
        self._heard_s = self._heard_s * keep + (sounding & active).sum(axis=1) * block_s
        self._active_s = self._active_s * keep + seconds

    def in_use(self) -> Flags:
        """Which channels must sound, shape (channels,): left, right, and what always did."""
        learnt = self._active_s >= LEARN_S
        used = learnt & (self._heard_s >= _OFTEN * max(self._active_s, 1e-9))
        used[:2] = True
        return used


class Usual:
    """How left and right usually relate to each other, band by band.

    It follows at a distance of 1.5 s, so that a defect is noticed before it is learnt as usual.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Another programme began."""
        self._cross: Levels = np.zeros((3, BANDS))
        self._active_s = self._side_s = 0.0
        self._wait = 0

    def hold(self) -> None:
        """Do not learn what is heard now, nor what was heard just before."""
        self._wait = _LAG_BLOCKS

    @property
    def known(self) -> bool:
        """Whether enough was heard."""
        return self._active_s >= LEARN_S

    def learn(self, history: History, active: Flags, count: int, block_s: float) -> None:
        """Take as many blocks as are new, from where they lie back by now."""
        if self._wait > 0:
            self._wait -= count
            return
        last = HISTORY_BLOCKS - _LAG_BLOCKS
        heard = active[last - count : last]
        cross = history.cross[:, :, last - count : last][:, :, heard]
        seconds = heard.sum() * block_s
        keep = np.exp(-seconds / MEMORY_S)
        # Loud and soft moments count alike: a programme is stereo in its soft ones, too.
        weight = 1 / np.maximum(cross[:2].sum(axis=(0, 1)), 1e-12)
        self._cross = self._cross * keep + (cross * weight).sum(axis=2)
        self._active_s = self._active_s * keep + seconds

    def correlation(self) -> Levels:
        """Of left and right, shape (bands,)."""
        return correlation(self._cross)


def change_point(values: Levels, active: Flags, reach: int) -> int:
    """Which of the last `reach` blocks that sound is the first after the values fell below zero.

    The likeliest one if what is above and below is independent noise: where the sum up to it is
    greatest (Page 1954).
    """
    where = np.flatnonzero(active)[-reach:]
    total = np.concatenate(([0.0], np.cumsum(values[where])))[:-1]
    return int(where[len(total) - 1 - int(np.argmax(total[::-1]))])
