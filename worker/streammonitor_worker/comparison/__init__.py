"""A stream beside a reference feed of the same programme: how late its pictures are, and its sound.

Arrows point one way: `signatures` (what is kept of pictures and sound) <- `feed` (of one feed, at
any steady rate) <- `lags` (where a stretch is found in a series) <- `alignment` (of one track, over
time) <- `comparison` (of both). Nothing in here reads a file or a network.
"""

from streammonitor_worker.comparison.comparison import Comparison

__all__ = ["Comparison"]
