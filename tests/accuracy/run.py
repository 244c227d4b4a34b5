"""Make the clips, run the detectors and ffmpeg's filters over them, and count."""

import hashlib
import math
import multiprocessing
import os
import pickle
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar

import av
import cv2
import numpy as np

import streammonitor_api
import streammonitor_worker
from streammonitor_worker.analyze import analyze
from streammonitor_worker.detectors.base import Kind
from tests.accuracy import rivals
from tests.accuracy.cache import made
from tests.accuracy.cases import Case, Role
from tests.accuracy.defects import benches
from tests.accuracy.inject import Manifest
from tests.accuracy.rivals import rival_alarms
from tests.accuracy.score import Alarm, Event, match

OURS, RIVAL = "StreamMonitor", "ffmpeg"


@dataclass(frozen=True)
class Outcome:
    """What was reported of one clip."""

    case: Case
    manifest: Manifest
    duration_s: float
    alarms: dict[str, dict[str, list[Alarm]]]
    """By who reported (OURS or RIVAL), then by defect."""
    unknown_s: dict[str, float]
    """Media of which our detector could not tell, by defect."""


def examine(case: Case) -> Outcome:
    """Make one clip and run everything over it.

    What the same product found in the same clip before is not looked for again: a bench that was
    interrupted goes on, and one of a few defects is a part of the whole.

    Raises:
        RuntimeError: The clip cannot be read to its end: the bench itself is wrong.
    """
    clip, manifest = made(case)
    known = clip.with_name(f"{clip.stem}-{product_digest()}.outcome")
    if known.exists():
        outcome: Outcome = pickle.loads(known.read_bytes())  # noqa: S301 - our own cache
        return outcome
    outcome = _examined(case, clip, manifest)
    fresh = known.with_suffix(f".{os.getpid()}")
    fresh.write_bytes(pickle.dumps(outcome))
    fresh.rename(known)
    return outcome


def _examined(case: Case, clip: Path, manifest: Manifest) -> Outcome:
    wanted = [name for name, bench in benches.items() if bench.kind is case.kind]
    (report,) = analyze([str(clip)], {name: {} for name in wanted})
    if not report.readable:
        raise RuntimeError(f"{clip}: {'; '.join(report.notes)}")
    ours: dict[str, list[Alarm]] = {name: [] for name in wanted}
    for one in report.incidents:
        end_s = one.start_s if one.end_s is None else one.end_s
        ours[one.defect].append(Alarm(one.start_s, end_s, one.detected_s))
    figures = report.document["detectors"]
    return Outcome(
        case=case,
        manifest=manifest,
        duration_s=float(report.document["duration"]),
        alarms={OURS: ours, RIVAL: _rivals(case, clip, wanted)},
        unknown_s={name: float(figures[name]["unknown"]) for name in wanted},
    )


@cache
def product_digest() -> str:
    """Changes with whatever decides what is found in a clip."""
    digest = hashlib.sha256(f"{av.__version__} {cv2.__version__} {np.__version__}".encode())
    roots = (streammonitor_worker, streammonitor_api)
    files = [path for root in roots for path in Path(root.__path__[0]).rglob("*.py")]
    files += [Path(__file__), Path(rivals.__file__)]
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _rivals(case: Case, clip: Path, wanted: Sequence[str]) -> dict[str, list[Alarm]]:
    looking = [name for name in wanted if case.role is Role.CLEAN or name == case.defect]
    filters = [(name, rival) for name in looking if (rival := benches[name].rival)]
    found = rival_alarms(clip, [rival for _, rival in filters], case.kind)
    return dict(zip([name for name, _ in filters], found, strict=True))


def run(cases: Sequence[Case], *, jobs: int | None = None) -> list[Outcome]:
    """Examine every case, on every core, and return the outcomes in the order of the cases."""
    return _on_every_core(examine, cases, jobs)


def make(cases: Sequence[Case], *, jobs: int | None = None) -> None:
    """Make the clips of every case, so that `run` finds them."""
    _on_every_core(made, cases, jobs)


Result = TypeVar("Result")


def _on_every_core(
    do: Callable[[Case], Result], cases: Sequence[Case], jobs: int | None
) -> list[Result]:
    jobs = jobs or os.cpu_count() or 1
    if jobs == 1:
        return [do(case) for case in cases]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        futures = {pool.submit(do, case): number for number, case in enumerate(cases)}
        results: dict[int, Result] = {}
        for future in as_completed(futures):
            if error := future.exception():
                pool.shutdown(cancel_futures=True)
                raise RuntimeError(f"{cases[futures[future]]}") from error
            results[futures[future]] = future.result()
            if sys.stderr.isatty() or len(results) % 10 == 0 or len(results) == len(cases):
                print(f"bench-accuracy: {len(results)} of {len(cases)} clips", file=sys.stderr)  # noqa: T201
    return [results[number] for number in range(len(cases))]


@dataclass(frozen=True)
class Found:
    """One event of the truth, or one false alarm, and where it was."""

    outcome: Outcome
    event: Event | None
    alarm: Alarm | None

    @property
    def onset_error_s(self) -> float:
        """By how much the alarm's start is off."""
        if self.event is None or self.alarm is None:
            return math.nan
        return abs(self.alarm.start_s - self.event.start_s)


@dataclass
class Tally:
    """How one of the two did at one defect."""

    hits: list[Found] = field(default_factory=list)
    misses: list[Found] = field(default_factory=list)
    false: list[Found] = field(default_factory=list)
    """Alarms that match no event: in its own clips, its hard negatives, and clean ones."""
    crossed: list[Found] = field(default_factory=list)
    """Alarms in clips of other defects; they do not count towards precision."""
    negatives: Counter[str] = field(default_factory=Counter)
    """Hard negatives by their name: how many there were."""
    deceived: Counter[str] = field(default_factory=Counter)
    """Those of them that overlap an alarm."""
    clean_s: float = 0.0
    clean_alarms: int = 0
    clean_unknown_s: float = 0.0
    unknown_s: float = 0.0
    observed_s: float = 0.0

    @property
    def events(self) -> int:
        """How many there were."""
        return len(self.hits) + len(self.misses)


def tally(defect: str, who: str, outcomes: Sequence[Outcome]) -> Tally:
    """Compare every report of a defect with the truth."""
    total = Tally()
    for outcome in outcomes:
        if defect not in outcome.alarms[who]:
            continue
        if who == OURS:
            total.unknown_s += outcome.unknown_s[defect]
            total.observed_s += outcome.duration_s
        _count(total, defect, who, outcome)
    return total


def _count(total: Tally, defect: str, who: str, outcome: Outcome) -> None:
    case, alarms = outcome.case, outcome.alarms[who][defect]
    if case.role is not Role.CLEAN and case.defect != defect:
        total.crossed += [Found(outcome, None, alarm) for alarm in alarms]
        return
    truths = outcome.manifest.truths
    counted = [one for one in truths if not one.negative and not one.neutral]
    events = [Event(one.start_s, one.end_s, one.variant) for one in counted]
    neutral = [Event(one.start_s, one.end_s, one.variant) for one in truths if one.neutral]
    matching = match(events, alarms, neutral, benches[defect].onset_tolerance_s)
    total.hits += [Found(outcome, events[e], alarms[a]) for e, a in matching.pairs]
    total.misses += [Found(outcome, events[e], None) for e in matching.missed]
    total.false += [Found(outcome, None, alarms[a]) for a in matching.false]
    for truth in truths:
        if truth.negative and not truth.neutral:
            total.negatives[truth.variant] += 1
            total.deceived[truth.variant] += any(
                alarm.start_s < truth.end_s and truth.start_s < alarm.end_s for alarm in alarms
            )
    if case.role is Role.CLEAN:
        total.clean_s += outcome.duration_s
        total.clean_alarms += len(alarms)
        total.clean_unknown_s += outcome.unknown_s[defect] if who == OURS else 0.0


def clean_sources(outcomes: Sequence[Outcome], kind: Kind) -> dict[str, float]:
    """Seconds of clean material, by source."""
    seconds: dict[str, float] = {}
    for outcome in outcomes:
        if outcome.case.role is Role.CLEAN and outcome.case.kind is kind:
            name = outcome.case.source
            seconds[name] = seconds.get(name, 0.0) + outcome.duration_s
    return seconds
