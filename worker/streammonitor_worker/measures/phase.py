"""Tells that one channel is upside down."""

import numpy as np

from streammonitor_worker.measures.channels import correlation
from streammonitor_worker.measures.sound import Levels
from streammonitor_worker.measures.stereo import Flags, History, Usual, change_point

RELATED = 0.3
"""Channels that correlate less sound the same when one of them is turned over."""
OPPOSITE, BACK = -0.7, -0.2
"""Correlation relative to what is usual at or below which a channel is inverted, or is not."""
_APART = 0.3
_LEAST = 20
_WINDOW, _REACH = 50, 200


class Phase:
    """Follows the correlation of the first two channels, band by band.

    Attributes:
        correlation: Of the last second in which there was sound, all bands together, -1..1.
        since_s: Media time from which on a channel is inverted; None while none is.
        back_s: Media time from which on it last was not any more; None while it is.
    """

    def __init__(self, threshold: float) -> None:
        self.correlation = 0.0
        self.since_s: float | None = None
        self.back_s: float | None = None
        self._threshold = threshold

    def take(self, history: History, active: Flags, usual: Usual) -> None:
        """Take what was appended to the history; `active` tells of all blocks that sound."""
        heard = active.copy()
        heard[:-_WINDOW] = False
        if heard.sum() < _LEAST:
            return
        cross = history.cross[:, :, heard].sum(axis=2)
        self.correlation = float(correlation(cross.sum(axis=1)))
        likeness, template = _likeness(cross, usual)
        if self.since_s is None:
            if self.correlation <= self._threshold or likeness <= OPPOSITE:
                self.since_s = _turned_s(history, active, -template)
        elif likeness > BACK and self.correlation > self._threshold + RELATED:
            self.back_s = _turned_s(history, active, template)
            self.since_s = None


def _likeness(cross: Levels, usual: Usual) -> tuple[float, Levels]:
    """How much the correlation of the bands is as usual (1), or the opposite (-1).

    Also returns what is usual; of sound whose channels are not related, or not known, nothing is.
    """
    expected = usual.correlation()
    power = float(np.mean(expected**2))
    if not usual.known or power < RELATED**2:
        return 0.0, np.ones(len(expected))
    found = correlation(cross)
    apart = np.abs(found + expected).mean() / np.abs(expected).mean()
    likeness = float(np.mean(found * expected)) / power
    # A stereo widener also turns some of the sound over, but not the same in all bands.
    return (likeness if likeness > 0 or apart <= _APART else 0.0), expected


def _turned_s(history: History, active: Flags, template: Levels) -> float:
    """Media time since which blocks correlate as in the template."""
    weight = template / np.abs(template).sum()
    score = (correlation(history.cross) * weight[:, None]).sum(axis=0)
    turn = change_point(-score, active, _REACH)
    # Between two sounds, in noise that has no phase, nobody can tell: it is where sound shows it.
    shows = np.flatnonzero(active[turn:] & (score[turn:] > 0.5 * np.abs(template).mean()))
    return float(history.at_s[turn + int(shows[0]) if len(shows) else turn])
