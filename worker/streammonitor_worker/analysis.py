"""One stream's analysis: from views to incident events. Pure: no thread, no clock, no I/O."""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

from streammonitor_api.incident import EndReason, Incident
from streammonitor_api.worker_status import DetectorState
from streammonitor_worker.ad_breaks import AdBreaks
from streammonitor_worker.checks import check_detector
from streammonitor_worker.deliveries import AdCue
from streammonitor_worker.detectors import causes_of, registry
from streammonitor_worker.detectors.base import DetectorParams, Kind, Verdict
from streammonitor_worker.evidence import Archive, Evidence
from streammonitor_worker.frames import (
    AudioView,
    Discontinuity,
    FormatChange,
    FrameView,
    MediaItem,
    TransportView,
)
from streammonitor_worker.incidents import EventKind, IncidentEvent, IncidentMachine, Subject
from streammonitor_worker.measures.picture import PictureMeter
from streammonitor_worker.measures.sound import SoundMeter
from streammonitor_worker.onlookers import Onlooker
from streammonitor_worker.parameters import RawParameters
from streammonitor_worker.programme import ProgrammeClock
from streammonitor_worker.regions import PictureRegions
from streammonitor_worker.runners import (
    STARVED_S,
    DetectorFigures,
    DetectorRunner,
    Listener,
    MediaClock,
    causes_first,
)
from streammonitor_worker.severity import Scale
from streammonitor_worker.thumbnails import Thumbnail

__all__ = [
    "DetectorFigures",
    "EventKind",
    "IncidentEvent",
    "ParameterError",
    "StreamAnalysis",
    "parse_parameters",
]

_REASONS = {Kind.VIDEO: "NoVideo", Kind.AUDIO: "NoAudio"}


class ParameterError(ValueError):
    """A detector or a parameter is not what it may be. The text has one sentence a line."""


def parse_parameters(detectors: RawParameters) -> dict[str, DetectorParams]:
    """Parse what a user set; keys that a detector does not have are left to `check_detector`.

    Raises:
        ParameterError: A detector does not exist or a value is out of bounds; the text names field,
            value, limit and remedy.
    """
    refused = [text for name, params in detectors.items() for text in _fatal(name, params)]
    if refused:
        raise ParameterError("\n".join(refused))
    return {
        name: registry[name].params_type.model_validate(dict(params or {}))
        for name, params in detectors.items()
    }


def _fatal(name: str, params: Mapping[str, Any] | None) -> list[str]:
    return check_detector(name, params or {}).fatal


class StreamAnalysis:
    """The detectors of one stream and their incidents.

    Args:
        monitor_uid: UID of the StreamMonitor; empty outside a cluster.
        stream: Name of the stream.
        worker: Name of the worker.
        detectors: Detectors by name, with the parameters that a user set.
        regions: What of a picture is looked at. Default: all of it.
        reproducible: The same media give the same incident ids, whenever they are analysed.
        evidence: Keep small pictures and the peaks of the sound, and tell them with incidents.
        heard: Is told of every measurement by the detector's name.

    Attributes:
        frames: Pictures seen.
        corrupt_frames: Those among them that the decoder flagged as damaged.
        programme: Media time on the clock that workers share; whoever feeds the analysis sets it.

    Raises:
        ParameterError: See `parse_parameters`.
    """

    def __init__(
        self,
        *,
        monitor_uid: str,
        stream: str,
        worker: str,
        detectors: RawParameters,
        regions: PictureRegions | None = None,
        reproducible: bool = False,
        evidence: bool = True,
        heard: Listener | None = None,
    ) -> None:
        self.frames = 0
        self.corrupt_frames = 0
        self._subject = Subject(monitor_uid, stream, "", worker, reproducible)
        self._hush_s = float("inf")
        self.programme = ProgrammeClock()
        self._runners: dict[str, DetectorRunner] = {}
        self._regions = regions or PictureRegions()
        self._pictures = PictureMeter()
        self._sound = SoundMeter()
        self._format: FormatChange | None = None
        self._media = MediaClock()
        self._archive = Archive() if evidence else None
        self._heard = heard
        self._breaks = AdBreaks()
        self._comparison: Onlooker | None = None
        self._onlookers: list[tuple[DetectorRunner, Onlooker]] = []
        self.set_parameters(detectors)

    @property
    def kinds_needed(self) -> frozenset[Kind]:
        """What is looked at; what runs unreported looks only at what is there anyway."""
        runners = self._runners.values()
        looked_at = {Kind.VIDEO, Kind.AUDIO} if self._onlookers else set()
        return frozenset(
            one.detector.kind for one in runners if one.reported or one.detector.kind.decoded
        ).union(looked_at)

    @property
    def wants_reference(self) -> bool:
        """Whether a detector looks at what comparing with a reference feed brings."""
        return any(runner.detector.compares for runner in self._reported())

    def compare_with(self, comparison: Onlooker | None) -> None:
        """Compare the stream with its reference, which somebody else feeds; None: with nothing."""
        self._comparison = comparison
        self._invite()

    def mute(self, hush_s: float) -> None:
        """Tell nobody of what is found after a moment of media time: another worker does."""
        self._hush_s = hush_s
        for runner in self._reported():
            runner.mute(hush_s)

    def speak(self, from_s: float, incidents: Iterable[Incident]) -> list[IncidentEvent]:
        """Tell again: of what is found, or was found while muted, after a moment of media time.

        Args:
            from_s: The moment; infinity: now.
            incidents: What was open elsewhere then; those of other detectors are ignored.
        """
        self._hush_s = float("inf")
        open_ones, events = list(incidents), []
        for runner in self._reported():
            mine = [one for one in open_ones if one.defect == runner.name]
            events += runner.speak(from_s, mine)
        return self._kept(events)

    @property
    def until_s(self) -> float:
        """How far the media came."""
        return self._media.until_s

    @property
    def told_s(self) -> float:
        """Up to where every detector has judged; those that are blind have nothing to judge."""
        blind = self.blind_spots()
        judged = [r.until_s or 0.0 for r in self._reported() if r.name not in blind]
        return min(judged, default=self._media.until_s)

    def settled(self, since_s: float) -> bool:
        """Whether nothing is in the balance that began before a moment of media time."""
        return not any(runner.machine.undecided_since(since_s) for runner in self._reported())

    @property
    def warm(self) -> bool:
        """Whether every detector that can tell anything on this stream has told something."""
        blind = self.blind_spots()
        return bool(self._media.until_s) and all(
            runner.primed or runner.name in blind for runner in self._reported()
        )

    def feed(self, item: MediaItem) -> list[IncidentEvent]:
        """Take the next item of the source and return what happened because of it."""
        if isinstance(item, FrameView):
            return self._kept(self._feed_picture(item))
        if isinstance(item, AudioView):
            return self._kept(self._feed_sound(item))
        if isinstance(item, FormatChange):
            return self._kept(self._change_format(item))
        if isinstance(item, TransportView):
            return self._kept(self._feed_fact(item))
        return self._kept(self._jump(item))

    def finish(self, reason: EndReason) -> list[IncidentEvent]:
        """Nothing more will come: end every open incident."""
        events = self._finish_sound()
        for runner in self._reported():
            for measurement in runner.detector.flush():
                # That the last pictures cannot be judged does not undo what was seen before them.
                if measurement.verdict is not Verdict.UNKNOWN:
                    events += runner.take(measurement, self._media.arrived_at)
                else:
                    runner.figures.unknown_s += measurement.end_s - measurement.start_s
            events += runner.finish(reason)
            runner.detector.reset()
        return self._kept(events)

    def set_parameters(self, detectors: RawParameters) -> list[IncidentEvent]:
        """Change which detectors run, and how; those whose parameters stay go on undisturbed.

        An open incident outlives a change of its detector's parameters; with its detector taken
        away, it ends.

        Raises:
            ParameterError: See `parse_parameters`. Nothing was changed then.
        """
        wanted = parse_parameters(detectors)
        events: list[IncidentEvent] = []
        for runner in self._reported():
            if runner.name not in wanted:
                events += self._kept(runner.finish(EndReason.REMOVED))
        self._runners = {
            name: self._runner(name, wanted.get(name)) for name in causes_first(wanted)
        }
        self._invite()
        return events

    def parameters(self) -> dict[str, DetectorParams]:
        """With which parameters each detector runs."""
        return {runner.name: runner.machine.params for runner in self._reported()}

    @property
    def picture(self) -> Thumbnail | None:
        """The latest picture that is kept; None without one."""
        return None if self._archive is None else self._archive.gallery.last

    def evidence(self, incident_id: str) -> Evidence | None:
        """What can be shown of an incident that is open or among the last that ended."""
        for runner in self._reported():
            incident = runner.machine.incident
            if incident is not None and incident.id == incident_id and runner.witness is not None:
                return runner.witness.tell()
        return None if self._archive is None else self._archive.of(incident_id)

    def set_regions(self, regions: PictureRegions) -> list[IncidentEvent]:
        """Look at other parts of the pictures. They are not comparable with those before."""
        self._regions = regions
        events = self._interrupt(Kind.VIDEO, self._media.until_s)
        # What is a bar beside one part of the picture may be all there is of another.
        self._pictures = PictureMeter()
        return events

    def detector_states(self) -> dict[str, DetectorState]:
        """What each detector knows now."""
        return {runner.name: runner.machine.state for runner in self._reported()}

    def blind_spots(self) -> dict[str, tuple[str, str]]:
        """Detectors that cannot tell anything, with the reason and a sentence.

        The stream lacks what they look at (NoVideo, NoAudio), or they say themselves what is wrong.
        """
        found: dict[str, tuple[str, str]] = {}
        for runner in self._reported():
            kind, trouble = runner.detector.kind, runner.detector.trouble()
            if kind in self._media.blind:
                found[runner.name] = _REASONS[kind], self._media.blind[kind]
            elif trouble is not None:
                found[runner.name] = trouble.reason, trouble.message
        return found

    def figures(self) -> dict[str, DetectorFigures]:
        """What each detector did so far."""
        return {runner.name: replace(runner.figures) for runner in self._reported()}

    def unknown_seconds(self) -> dict[str, float]:
        """Media of which each detector could not tell, in seconds."""
        return {runner.name: runner.figures.unknown_s for runner in self._reported()}

    def _kept(self, events: list[IncidentEvent]) -> list[IncidentEvent]:
        """The same events with their context; the evidence of what ended is kept."""
        events = [self._breaks.explain(event) for event in events]
        for event in events:
            if event.evidence is not None and not event.incident.active and self._archive:
                self._archive.keep(event.incident.id, event.evidence)
        return events

    def _invite(self) -> None:
        """Let those look at pictures and sound of whom a detector wants to be told."""
        self._onlookers = [
            (runner, one)
            for runner in self._reported()
            for one in (runner.onlooker, self._comparison if runner.detector.compares else None)
            if one is not None
        ]

    def _reported(self) -> list[DetectorRunner]:
        return [runner for runner in self._runners.values() if runner.reported]

    def _runner(self, name: str, params: DetectorParams | None) -> DetectorRunner:
        """The runner that is there if it can stay; `params` is None if nobody asked for it."""
        reported = params is not None
        kind = registry[name]
        params = params or kind.params_type()
        old = self._runners.get(name)
        if old is None or old.reported is not reported:
            scale = Scale(kind.traces, kind.area)
            subject = replace(self._subject, defect=name)
            machine = IncidentMachine(subject, params, scale, self.programme)
            machine.muted = not reported
            archive = self._archive if reported else None
            witness = archive.witness(kind.kind) if archive and kind.kind.decoded else None
            heard = self._heard if reported else None
            runner = DetectorRunner(kind(params), machine, reported, witness, heard)
            if reported and self._hush_s < float("inf"):
                runner.mute(self._hush_s)
            return runner
        if old.machine.params != params:
            old.change(kind(params))
            old.machine.params = params
        return old

    def _feed_picture(self, view: FrameView) -> list[IncidentEvent]:
        self.frames += 1
        self.corrupt_frames += view.corrupt
        events = self._advance(Kind.VIDEO, view)
        runners = self._of(Kind.VIDEO)
        if runners or self._onlookers:
            before = time.thread_time()
            measures = self._pictures.measure(self._regions.apply(view))
            archive = self._archive
            with nullcontext() if archive is None else archive.gallery.showing(measures):
                for payer in runners[:1]:
                    payer.figures.cpu_s += time.thread_time() - before
                for runner in runners:
                    events += self._observe(runner, measures, view.arrived_at)
            events += self._look(view, lambda one: one.show(measures))
        return events

    def _feed_sound(self, view: AudioView) -> list[IncidentEvent]:
        events = self._advance(Kind.AUDIO, view)
        runners = self._of(Kind.AUDIO)
        if runners:
            before = time.thread_time()
            measures = self._sound.measure(view)
            if self._archive is not None:
                self._archive.tape.take(measures)
            runners[0].figures.cpu_s += time.thread_time() - before
            for runner in runners:
                events += self._observe(runner, measures, view.arrived_at)
        return events + self._look(view, lambda one: one.play(view))

    def _look(
        self, view: FrameView | AudioView, take: Callable[[Onlooker], None]
    ) -> list[IncidentEvent]:
        """Let onlookers take a view, and pass on what they tell."""
        events: list[IncidentEvent] = []
        for runner, onlooker in self._onlookers:
            before = time.thread_time()
            take(onlooker)
            fact = onlooker.tell(self._media.until_s)
            runner.figures.cpu_s += time.thread_time() - before
            if fact is not None:
                told = TransportView(self._media.until_s, view.arrived_at, fact)
                events += self._feed_fact(told)
        return events

    def _feed_fact(self, view: TransportView) -> list[IncidentEvent]:
        media = self._media
        media.until_s = max(media.until_s, view.time_s)
        if isinstance(view.fact, AdCue):
            self._breaks.take(view.fact, view.time_s)
        runners = self._of(Kind.TRANSPORT)
        return [one for runner in runners for one in self._observe(runner, view, view.arrived_at)]

    def _finish_sound(self) -> list[IncidentEvent]:
        """Let the detectors see the last moment of sound, which filled no hop."""
        measures, events = self._sound.finish(), []
        for runner in self._of(Kind.AUDIO) if measures.hops else ():
            events += self._observe(runner, measures, measures.arrived_at)
        return events

    def _observe(
        self, runner: DetectorRunner, measures: Any, arrived_at: float
    ) -> list[IncidentEvent]:
        causes = [self._runners[name] for name in causes_of(type(runner.detector))]
        events: list[IncidentEvent] = []
        before = time.thread_time()
        for measurement in runner.detector.observe(measures):
            events += runner.take(measurement, arrived_at, causes)
        runner.figures.cpu_s += time.thread_time() - before
        return events

    def _of(self, kind: Kind) -> list[DetectorRunner]:
        return [runner for runner in self._runners.values() if runner.detector.kind is kind]

    def _advance(self, kind: Kind, view: FrameView | AudioView) -> list[IncidentEvent]:
        """Note how far the media came, for those who see nothing of it."""
        media = self._media
        returned = media.blind.pop(kind, None) is not None
        events = self._interrupt(kind, media.until_s) if returned else []
        passed_s = media.advance(kind, view)
        for other in self.kinds_needed - {kind, Kind.TRANSPORT}:
            if other not in media.blind and media.starved(other):
                media.blind[other] = f"no {other} has arrived for {STARVED_S:g} s of media"
                events += self._interrupt(other, media.until_s)
            elif other in media.blind:
                for runner in self._of(other):
                    runner.figures.unknown_s += passed_s
                    runner.until_s = media.until_s
        return events

    def _interrupt(self, kind: Kind, end_s: float, gap_s: float = 0.0) -> list[IncidentEvent]:
        events = self._finish_sound() if kind is Kind.AUDIO else []
        (self._pictures if kind is Kind.VIDEO else self._sound).reset()
        for runner in self._of(kind):
            start_s = end_s - gap_s if runner.until_s is None else runner.until_s
            events += runner.interrupt(min(start_s, end_s), end_s, self._media.arrived_at)
        return events

    def _change_format(self, item: FormatChange) -> list[IncidentEvent]:
        before, self._format = self._format, item
        media, events = self._media, []
        for kind, had, has in (
            (Kind.VIDEO, before and before.video, item.video),
            (Kind.AUDIO, before and before.audio, item.audio),
        ):
            if has is None:
                media.blind[kind] = f"the stream has no {kind}: take the detector off it or add it"
            else:
                media.blind.pop(kind, None)
                media.seen_s[kind] = media.until_s
            if before is not None and had != has:
                events += self._interrupt(kind, media.until_s)
        return events

    def _jump(self, item: Discontinuity) -> list[IncidentEvent]:
        events: list[IncidentEvent] = []
        for kind in (Kind.VIDEO, Kind.AUDIO):
            events += self._interrupt(kind, item.time_s, item.gap_s)
            self._media.seen_s[kind] = item.time_s
        for _, onlooker in self._onlookers:
            onlooker.jumped()
        self._media.until_s = max(self._media.until_s, item.time_s)
        return events
