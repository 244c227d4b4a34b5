"""`streammonitor analyze`: examine files or URLs once, and say what was found.

The JSON document is a contract with other tools. It goes to standard output, and everything else to
standard error.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from streammonitor_api.incident import EndReason, Incident, Severity
from streammonitor_api.spec import PROFILES
from streammonitor_api.worker_status import AudioFormat, VideoFormat
from streammonitor_worker.analysis import (
    DetectorFigures,
    IncidentEvent,
    StreamAnalysis,
)
from streammonitor_worker.comparison import Comparison
from streammonitor_worker.detectors.base import Kind
from streammonitor_worker.frames import AudioView, Discontinuity, FormatChange, FrameView
from streammonitor_worker.ingest import Source, SourceError, open_source, redact
from streammonitor_worker.models import store
from streammonitor_worker.options import (
    BY_DEFAULT,
    Format,
    Request,
    Task,
    UsageError,
    resolve,
)
from streammonitor_worker.parameters import RawParameters
from streammonitor_worker.progress import Bars, Told
from streammonitor_worker.reference import Companion
from streammonitor_worker.regions import PictureRegions
from streammonitor_worker.report import Chapter, Record, Recorder, render_page, render_text

SCHEMA_VERSION = 1
FAILED_ON, USAGE, UNREADABLE = 1, 2, 3
"""Exit codes, beside 0."""


@dataclass(frozen=True, slots=True)
class InputReport:
    """What was found in one input.

    Attributes:
        document: What the contract says of it.
        incidents: The incidents, in order of their start.
        notes: Sentences for people: what could not be told, and why reading failed.
        readable: It was read to its end.
        record: What a page shows beside the document; None if none was asked for.
    """

    document: dict[str, Any]
    incidents: list[Incident]
    notes: list[str]
    readable: bool
    record: Record | None = None


def analyze(
    inputs: Sequence[str], detectors: RawParameters, *, recorded: bool = False
) -> list[InputReport]:
    """Examine inputs one after the other, all with the same parameters.

    Args:
        inputs: Paths or URLs.
        detectors: Detectors by name, with the parameters that the user set.
        recorded: Gather what a page shows: traces and evidence.

    Raises:
        ParameterError: A detector or a parameter is not valid.
    """
    return examine([Task(one, detectors) for one in inputs], recorded=recorded)


def examine(
    tasks: Iterable[Task], *, told: Callable[[str], Told] | None = None, recorded: bool = False
) -> list[InputReport]:
    """Examine inputs one after the other.

    Args:
        tasks: The inputs, and what to look for in each.
        told: Is given each input and returns what to tell of its progress.
        recorded: Gather what a page shows: traces and evidence.

    Raises:
        ParameterError: A detector or a parameter is not valid.
    """
    return [
        _Examination(one, Recorder() if recorded else None).run(told(one.name) if told else None)
        for one in tasks
    ]


def contract(reports: Iterable[InputReport]) -> dict[str, Any]:
    """The document that other tools parse."""
    return {"schemaVersion": SCHEMA_VERSION, "inputs": [report.document for report in reports]}


class _Examination:
    """One input on its way through the analysis."""

    def __init__(self, task: Task, recorder: Recorder | None = None) -> None:
        self._name, self._program = task.name, task.program
        self._reference = task.reference
        self._recorder = recorder
        self._analysis = StreamAnalysis(
            monitor_uid="",
            stream=task.name,
            worker="",
            detectors=task.detectors,
            regions=PictureRegions(task.region, task.ignored),
            reproducible=True,
            evidence=recorder is not None,
            heard=None if recorder is None else recorder.heard,
        )
        self._incidents: dict[str, Incident] = {}
        self._duration_s = 0.0
        self._video: VideoFormat | None = None
        self._audio: AudioFormat | None = None
        self._notes: list[str] = []

    def run(self, told: Told | None) -> InputReport:
        """Read the input to its end."""
        wall_s, cpu_s = time.monotonic(), time.process_time()
        readable = True
        try:
            with self._beside() as companion, self._opened() as source:
                self._read(source, companion, told)
        except SourceError as error:
            readable = False
            self._notes.append(error.message)
        self._collect(self._analysis.finish(EndReason.EOF if readable else EndReason.INTERRUPTED))
        self._notes += [f"{name}: {text}" for name, (_, text) in self._blind_spots()]
        incidents = sorted(self._incidents.values(), key=lambda one: (one.start_s, one.defect))
        document = self._document(incidents, readable)
        document["cpuSeconds"] = round(time.process_time() - cpu_s, 3)
        document["wallSeconds"] = round(time.monotonic() - wall_s, 3)
        recorder, params = self._recorder, self._analysis.parameters()
        record = None if recorder is None else recorder.record(params, self._duration_s)
        return InputReport(document, incidents, self._notes, readable, record)

    def _blind_spots(self) -> Iterable[tuple[str, tuple[str, str]]]:
        return self._analysis.blind_spots().items() if self._duration_s else ()

    def _opened(self) -> Source:
        kinds = self._analysis.kinds_needed
        return open_source(
            self._name,
            video=Kind.VIDEO in kinds,
            audio=Kind.AUDIO in kinds,
            watch=Kind.TRANSPORT in kinds,
            program=self._program,
            live=False,
        )

    def _beside(self) -> AbstractContextManager[Companion | None]:
        """The reference to read in step, if there is one."""
        if self._reference is None or not self._analysis.wants_reference:
            return nullcontext()
        comparison = Comparison()
        self._analysis.compare_with(comparison)
        return Companion(self._reference, comparison)

    def _read(self, source: Source, companion: Companion | None, told: Told | None) -> None:
        for item in source:
            if companion is not None and isinstance(item, FrameView | AudioView):
                companion.read_to(item.time_s)
            if isinstance(item, FormatChange):
                self._video, self._audio = item.video or self._video, item.audio or self._audio
            elif isinstance(item, FrameView | AudioView):
                self._duration_s = max(self._duration_s, item.time_s + item.duration_s)
            elif isinstance(item, Discontinuity):
                self._duration_s = max(self._duration_s, item.time_s)
            self._collect(self._analysis.feed(item))
            if told is not None:
                told(self._duration_s, source.duration_s)

    def _collect(self, events: Iterable[IncidentEvent]) -> None:
        for event in events:
            self._incidents[event.incident.id] = event.incident
            if self._recorder is not None:
                self._recorder.told(event)

    def _document(self, incidents: list[Incident], readable: bool) -> dict[str, Any]:
        return {
            "input": redact(self._name),
            "duration": round(self._duration_s, 3),
            "endReason": "eof" if readable else "error",
            "video": self._video_document(),
            "audio": self._audio_document(),
            "incidents": [_incident_document(incident) for incident in incidents],
            "detectors": {
                name: _figures_document(figures)
                for name, figures in sorted(self._analysis.figures().items())
            },
        }

    def _video_document(self) -> dict[str, Any] | None:
        video = self._video
        if video is None:
            return None
        return {
            "codec": video.codec,
            "width": video.width,
            "height": video.height,
            "frameRate": round(video.frame_rate, 3),
            "frames": self._analysis.frames,
            "corruptFrames": self._analysis.corrupt_frames,
        }

    def _audio_document(self) -> dict[str, Any] | None:
        audio = self._audio
        if audio is None:
            return None
        return {
            "codec": audio.codec,
            "sampleRate": audio.sample_rate,
            "channels": audio.channels,
        }


def _incident_document(incident: Incident) -> dict[str, Any]:
    end_s = incident.start_s if incident.end_s is None else incident.end_s
    context = {"adBreak": True} if incident.ad_break else {}
    return context | {
        "id": incident.id,
        "defect": incident.defect,
        "severity": str(incident.severity),
        "start": round(incident.start_s, 3),
        "end": round(end_s, 3),
        "detectedAt": round(incident.detected_s, 3),
        "endReason": str(incident.end_reason),
        "confidence": round(incident.confidence, 3),
        "measurements": {name: round(value, 6) for name, value in incident.measurements.items()},
    }


def _figures_document(figures: DetectorFigures) -> dict[str, float]:
    return {
        "observed": round(figures.observed_s, 3),
        "unknown": round(figures.unknown_s, 3),
        "cpuSeconds": round(figures.cpu_s, 3),
    }


def analyze_command(
    inputs: Annotated[
        list[str] | None, typer.Argument(metavar="INPUT...", help="Files or URLs.")
    ] = None,
    *,
    detectors: Annotated[
        str | None,
        typer.Option(help=f"Which, separated by commas. Default: {','.join(BY_DEFAULT)}."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="DETECTOR.PARAMETER=VALUE", help="A detector's parameter."),
    ] = None,
    monitor: Annotated[
        Path | None,
        typer.Option(
            "--file", "-f", help="A StreamMonitor: its detectors, and without INPUT its streams."
        ),
    ] = None,
    stream: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Examine INPUT as this stream of the StreamMonitor, with its own parameters and "
            "regions; without INPUT, only this stream. Default: the only one, if there is one.",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(metavar="|".join(PROFILES), help="Default: the StreamMonitor's."),
    ] = None,
    program: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER|NAME",
            help="Of an MPEG-TS with several programs. Default: the stream's, else the first one "
            "with a picture.",
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="INPUT",
            help="A feed of the same programme to compare with: what came out of sync since then. "
            "Default: the stream's, if it names one.",
        ),
    ] = None,
    models: Annotated[
        Path | None,
        typer.Option(help="Folder of ONNX models. Default: the StreamMonitor's, else this one."),
    ] = None,
    output: Annotated[Format, typer.Option("--format", help="How results are written.")] = (
        Format.TEXT
    ),
    page: Annotated[
        Path | None,
        typer.Option(
            "--report",
            help="Write a page there: timeline, traces, evidence; it opens offline.",
        ),
    ] = None,
    fail_on: Annotated[
        Severity | None,
        typer.Option(help="Exit with 1 if there is an incident of this severity or worse."),
    ] = None,
) -> None:
    """Examine files or URLs for defects, and report."""
    try:
        work = resolve(
            Request(
                inputs or [],
                detectors,
                settings or [],
                monitor,
                stream,
                profile,
                program,
                reference,
            )
        )
    except UsageError as error:
        _refuse(str(error))
    store.shared.use(models or (monitor.parent if monitor else Path.cwd()), patient=True)
    if page is not None:
        _prepare(page)
    with Bars() as bars:
        reports = examine(work.tasks, told=bars.begin, recorded=page is not None)
    if page is not None:
        page.write_text(render_page(_chapters(reports)), encoding="utf-8")
    if output is Format.JSON:
        typer.echo(json.dumps(contract(reports), indent=1))
    else:
        render_text([report.document for report in reports], _console())
    for note in [*work.notes, *(note for report in reports for note in report.notes)]:
        typer.echo(note, err=True)
    raise typer.Exit(_exit_code(reports, fail_on))


def _prepare(page: Path) -> None:
    """Find out before hours of analysis whether the page can be written."""
    try:
        page.touch()
    except OSError as error:
        _refuse(f"{page} cannot be written ({error.strerror}): name another file with --report")


def _chapters(reports: Iterable[InputReport]) -> list[Chapter]:
    return [
        Chapter(report.document, report.record, report.notes)
        for report in reports
        if report.record is not None
    ]


def _console() -> Console:
    # A pipe has no width: a table that is wrapped at 80 columns is of no use to grep.
    return Console() if sys.stdout.isatty() else Console(width=160)


def _exit_code(reports: Sequence[InputReport], fail_on: Severity | None) -> int:
    if not all(report.readable for report in reports):
        return UNREADABLE
    found = [incident for report in reports for incident in report.incidents]
    if fail_on is not None and any(one.severity.rank >= fail_on.rank for one in found):
        return FAILED_ON
    return 0


def _refuse(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(USAGE)
