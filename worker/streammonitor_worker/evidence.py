"""Evidence of incidents: pictures of where they began, were worst and ended, or their sound.

Copies are small and few (see `thumbnails` and `waveform`), and are encoded by whoever wants to
show them. Evidence shows what was watched, so a stream whose pictures must not leave the worker is
analysed without.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from streammonitor_worker.detectors.base import Kind, Measurement, Verdict
from streammonitor_worker.severity import Course
from streammonitor_worker.thumbnails import Gallery, Thumbnail, with_tiles
from streammonitor_worker.waveform import Strip, Tape, Waveform

MAX_ENDED = 4
"""Of so many ended incidents of a stream, the evidence is still there: at most 1.2 MB."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What can be shown of an incident.

    Attributes:
        start: The first defective picture, or one at most a quarter of a second later. None if it
            was on another worker or is too long ago, and for defects of sound.
        worst: The picture of the worst measurement that was made here, with the map of its
            defective parts.
        end: The first picture without the defect; the last one of all where the stream ended. None
            while the defect lasts.
        waveform: For defects of sound: from a second before the defect on.
    """

    start: Thumbnail | None = None
    worst: Thumbnail | None = None
    end: Thumbnail | None = None
    waveform: Waveform | None = None


class Witness(Protocol):
    """Gathers the evidence of one detector's defects, one after the other."""

    def follow(self, course: Course | None, gone_s: float | None, found: Measurement) -> None:
        """Something was measured; the defect that is suspected or open went so since.

        Args:
            course: How it went; None without one.
            gone_s: Since when it seems to be gone, in media time; None if it lasts.
            found: The measurement.
        """

    def tell(self, ended_s: float | None = None) -> Evidence:
        """What there is by now; `ended_s` is where it was found to have ended, in media time."""


class PictureWitness:
    """Keeps three pictures of a defect."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._course: Course | None = None
        self._start_s = 0.0
        self._start: Thumbnail | None = None
        self._worst: Thumbnail | None = None
        self._end: Thumbnail | None = None

    def follow(self, course: Course | None, gone_s: float | None, found: Measurement) -> None:
        """Copy the picture if it is the first, the worst or the last."""
        if course is not self._course:
            self._course, self._start, self._worst, self._end = course, None, None, None
            self._start_s = float("inf")
        if course is None:
            return
        if course.start_s < self._start_s:
            # What was adopted began long before any picture that is known here.
            elsewhere = self._start_s == float("inf") and course.start_s < found.start_s
            self._start = None if elsewhere else self._gallery.first(course.start_s)
            self._start_s = course.start_s
        here = found.verdict is Verdict.BAD and self._worst is None
        if course.worst is found or here:
            shown = self._gallery.between(found.start_s, found.end_s)
            self._worst = with_tiles(shown, found.tiles)
        if gone_s is None:
            self._end = None
        elif self._end is None:
            self._end = self._gallery.first(gone_s)

    def tell(self, ended_s: float | None = None) -> Evidence:
        """The pictures."""
        end = None
        if ended_s is not None:
            end = self._end or self._gallery.first(ended_s) or self._gallery.last
        return Evidence(start=self._start, worst=self._worst, end=end)


class SoundWitness:
    """Keeps the peaks of the sound around a defect."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self._course: Course | None = None
        self._start_s = 0.0
        self._strip: Strip | None = None

    def follow(self, course: Course | None, gone_s: float | None, found: Measurement) -> None:
        """Take what was heard."""
        if course is None:
            self._course = self._strip = None
            return
        if self._strip is None or course is not self._course or course.start_s < self._start_s:
            self._course, self._start_s = course, course.start_s
            self._strip = Strip(self._tape, max(course.start_s, found.start_s - 1.0))
        else:
            self._strip.follow()

    def tell(self, ended_s: float | None = None) -> Evidence:
        """The sound."""
        return Evidence(waveform=None if self._strip is None else self._strip.waveform())


class Archive:
    """What can be shown of one stream: its recent pictures and sound, and its latest incidents.

    Attributes:
        gallery: The recent pictures.
        tape: The recent sound.
    """

    def __init__(self) -> None:
        self.gallery = Gallery()
        self.tape = Tape()
        self._ended: OrderedDict[str, Evidence] = OrderedDict()

    def witness(self, kind: Kind) -> Witness:
        """Somebody who gathers evidence for a detector of this kind."""
        return PictureWitness(self.gallery) if kind is Kind.VIDEO else SoundWitness(self.tape)

    def keep(self, incident_id: str, evidence: Evidence) -> None:
        """Keep the evidence of an incident that ended, and forget that of the oldest."""
        self._ended[incident_id] = evidence
        while len(self._ended) > MAX_ENDED:
            self._ended.popitem(last=False)

    def of(self, incident_id: str) -> Evidence | None:
        """The evidence of an ended incident; None if there is none any more."""
        return self._ended.get(incident_id)
