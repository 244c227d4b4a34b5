"""Who looks at pictures and sound together, and tells detectors of transport what that brings."""

from typing import Protocol

from streammonitor_worker.facts import Fact
from streammonitor_worker.frames import AudioView
from streammonitor_worker.measures.picture import PictureMeasures


class Onlooker(Protocol):
    """Looks at one stream, in order."""

    def show(self, measures: PictureMeasures) -> None:
        """Take a picture."""

    def play(self, view: AudioView) -> None:
        """Take sound."""

    def jumped(self) -> None:
        """The stream does not continue."""

    def tell(self, until_s: float) -> Fact | None:
        """What there is to tell by now, if there is anything new.

        Args:
            until_s: How far the stream came, in seconds of media time.
        """
