"""docs/bench-ingest.md."""

import os
import platform
import statistics
from collections.abc import Sequence

from bench.ingest import replay
from bench.ingest.disconnects import Outcome, Recovery
from dev.host import REPOSITORY
from streammonitor_worker.ingest import FFMPEG_VERSION

PAGE = REPOSITORY / "docs" / "bench-ingest.md"
BAR_P95_S = 2.0
BAR_GROWTH = 0.05


def p95(values: Sequence[float]) -> float:
    """Of 100, the fifth from the top."""
    return statistics.quantiles(values, n=20, method="inclusive")[-1] if values[1:] else values[0]


def took(recoveries: Sequence[Recovery]) -> list[float]:
    """Of those that came back."""
    return [one.took_s for one in recoveries if one.took_s is not None]


def growth(outcome: Outcome) -> float:
    """Of memory, as a ratio."""
    return outcome.late.memory_mib / outcome.early.memory_mib - 1


def good(outcome: Outcome) -> bool:
    """Whether every bar is met."""
    times = took(outcome.recoveries)
    return (
        len(times) == len(outcome.recoveries)
        and p95(times) <= BAR_P95_S
        and growth(outcome) <= BAR_GROWTH
        and outcome.late.threads <= outcome.early.threads
        and outcome.late.files <= outcome.early.files
    )


def calm(day: replay.Outcome) -> bool:
    """Whether nothing was told of, and the process did not grow."""
    return not day.incidents and day.memory_mib[-1] <= day.memory_mib[0] * (1 + BAR_GROWTH)


def _day(day: replay.Outcome) -> str:
    told = ", ".join(day.incidents) or "none"
    return (
        "\n## A day as fast as it can be read\n\n"
        f"One clip without defects over and over, {day.media_s / 3600:.1f} h of media time. Its "
        "clock wraps at 33 bits after a minute, and jumps back to there every 20 min: "
        f"{day.jumps} jumps, "
        "announced by the discontinuity indicator. Detectors: "
        f"{', '.join(f'`{one}`' for one in replay.DETECTORS)}."
        f"\n\nFalse incidents: {told}. Resident memory after a tenth: {day.memory_mib[0]:.1f} MiB, "
        f"at the end: {day.memory_mib[-1]:.1f} MiB.\n"
    )


def written(outcome: Outcome, day: replay.Outcome) -> str:
    """The page."""
    return (
        "# How ingest stands faults of the network\n\n"
        "Written by `make bench-ingest`; do not edit. One worker process with one stream of every "
        "protocol, from the ffmpeg command, nginx and GStreamer, through ports that fail on "
        "demand. From the moment that the source is back to the first picture of it that is "
        "analysed; outages of 0.2 to 4 s.\n\n"
        f"{_table(outcome)}\n\n"
        f"Bars: every source is analysed again, p95 at most {BAR_P95_S:g} s; no more threads and "
        f"files, and at most {BAR_GROWTH:.0%} more memory, at the end than after the first "
        f"faults.\n\n"
        f"| held by the process | after {outcome.first} | after {len(outcome.recoveries)} |\n"
        "| --- | ---: | ---: |\n"
        f"| threads | {outcome.early.threads} | {outcome.late.threads} |\n"
        f"| files and sockets | {outcome.early.files} | {outcome.late.files} |\n"
        f"| resident memory, MiB | {outcome.early.memory_mib:.1f} | {outcome.late.memory_mib:.1f} "
        f"({growth(outcome):+.1%}) |\n\n"
        f"Drawn with INGEST_SEED={outcome.seed}. FFmpeg {FFMPEG_VERSION}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores ({platform.machine()}) that run the "
        "worker and all servers; load average at the end "
        f"{os.getloadavg()[1]:.1f}.\n" + _day(day)
    )


def _table(outcome: Outcome) -> str:
    rows = ["| what | times | came back | median s | p95 s | worst s |"]
    rows.append("| --- | ---: | ---: | ---: | ---: | ---: |")
    by: dict[str, list[Recovery]] = {}
    for recovery in outcome.recoveries:
        by.setdefault(recovery.strike.fault.value, []).append(recovery)
    of_peer: dict[str, list[Recovery]] = {}
    for recovery in outcome.recoveries:
        of_peer.setdefault(f"`{recovery.strike.peer}`", []).append(recovery)
    groups = {
        "**all**": outcome.recoveries,
        **dict(sorted(by.items())),
        **dict(sorted(of_peer.items())),
    }
    for name, recoveries in groups.items():
        times = took(recoveries)
        figures = [statistics.median(times), p95(times), max(times)] if times else []
        shown = " | ".join(f"{value:.2f}" for value in figures) or "- | - | -"
        rows.append(f"| {name} | {len(recoveries)} | {len(times)} | {shown} |")
    return "\n".join(rows)
