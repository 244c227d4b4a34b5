"""Whether live playlists still change, across connections: whoever comes anew sees old segments."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from streammonitor_worker.ingest.manifests.listing import Listing

STALE_TARGETS = 3.0
"""A server adds a segment within one and a half target durations (RFC 8216 clause 6.2.2), and a
player is at most three of them behind (6.3.3): then the last one runs dry."""
SHORTEST_S = 6.0
"""However short the segments, a playlist may stay as it is for this long."""
MAX_PLAYLISTS = 16


@dataclass(slots=True)
class _Known:
    newest: str
    since_s: float


class Freshness:
    """Since when the playlists of one stream are as they are.

    Args:
        clock: Monotonic clock in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def stale_s(self, name: str, listed: Listing) -> float | None:
        """Take a playlist as it was fetched.

        Args:
            name: Which one; the same in every connection.
            listed: What it lists.

        Returns:
            For how long it has not changed, in seconds, if that is too long; else None.
        """
        newest = listed.segments[-1].identity if listed.segments else ""
        known = self._known.get(name)
        if known is None or known.newest != newest or not listed.live:
            self._known.pop(name, None)
            self._known[name] = _Known(newest, self._clock())
            if len(self._known) > MAX_PLAYLISTS:
                del self._known[next(iter(self._known))]
            return None
        unchanged_s = self._clock() - known.since_s
        limit_s = max(SHORTEST_S, STALE_TARGETS * listed.target_s)
        return unchanged_s if unchanged_s > limit_s else None
