"""Where results are kept: the `results` of a StreamMonitor, and the summary of a minute.

A summary is a contribution: several of the same stream and minute, by the workers of a hand-over or
by one worker that learnt more later, are put together by `merged`. Which seconds something is true
of is a number whose bit i stands for second i of the minute, so that a union is an OR.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from math import log10
from operator import or_
from typing import Annotated

from pydantic import Field, StringConstraints

from streammonitor_api.durations import Duration
from streammonitor_api.incident import Incident
from streammonitor_api.model import Model
from streammonitor_api.source import ObjectStore

EVERY_S = (60.0, 3600.0)
"""The least and the greatest time between two uploads of a worker."""
DEFAULT_EVERY_S = 600.0
RETENTION_S = (86_400.0, 315_360_000.0)
"""The least and the greatest time that results are kept: a day and ten years."""
DEFAULT_PICTURES_PER_DAY = 300
WARNING_WORTH = 0.5
"""What a second is worth in which nothing worse than a warning lasts; a good one is worth 1."""

Seconds = Annotated[int, Field(ge=0, lt=2**60)]
"""Some seconds of a minute: bit i is set if second i is one of them."""


class EvidencePictures(Model):
    """Which pictures of incidents are kept."""

    pictures_per_day: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """The most pictures of a stream that are kept of a day (UTC). They are JPEGs of at most 320
    pixels, some 15 kB each. Default: 300."""


class Results(Model):
    """Where summaries of every minute and the incidents are kept, as Parquet."""

    url: Annotated[
        str,
        StringConstraints(
            min_length=1, max_length=1024, pattern=r"^(s3|gs|az)://[^/?#@\\\s]+(/[^?#\\\s]*)?$"
        ),
    ]
    """Bucket or container, and a path in it, as in s3://BUCKET/PATH, gs://BUCKET/PATH or
    az://CONTAINER/PATH. The platform team allows the store's host (worker.sinks.allowedHosts)."""
    object_store: ObjectStore | None = None
    """Where the bucket is, and the credentials to write there. Default: the store's own place, and
    no credentials."""
    every: Annotated[Duration, Field(ge=EVERY_S[0], le=EVERY_S[1])] | None = None
    """How often each worker uploads what it has: seldom makes fewer and larger objects.
    Default: 10m."""
    retention: Annotated[Duration, Field(ge=RETENTION_S[0], le=RETENTION_S[1])] | None = None
    """What is older is deleted, by whole days (UTC). Default: nothing is; the bucket may have rules
    of its own."""
    evidence: EvidencePictures | None = None
    """Presence keeps small pictures of where incidents began, were worst and ended. Default: no
    pictures."""

    @property
    def every_s(self) -> float:
        """How often a worker uploads, in seconds."""
        return DEFAULT_EVERY_S if self.every is None else self.every

    @property
    def secret_name(self) -> str | None:
        """The Secret that it needs."""
        held = self.object_store.credentials_from if self.object_store else None
        return held.secret_ref.name if held else None


class DetectorMinute(Model):
    """What one detector did in a minute."""

    name: str
    """Name of the detector."""
    unknown_s: float = 0.0
    """Media that it could not judge, in seconds."""
    incidents: int = 0
    """Incidents that began."""
    defective: Seconds = 0
    """The seconds in which an incident lasted."""


class Minute(Model):
    """What one worker knows of one stream in one minute (UTC)."""

    stream: str
    """Name of the stream."""
    group: str = ""
    """The worker group: each looks for other defects."""
    worker: str
    """Name of the worker."""
    minute: datetime
    """Its beginning (UTC)."""
    watched: Seconds = 0
    """The seconds in which the worker was there to monitor it, whether or not anything came."""
    analysed: Seconds = 0
    """The seconds of which the worker analysed pictures, or sound where there are none."""
    warning: Seconds = 0
    """The seconds in which an incident of severity warning lasted, and none that was critical."""
    critical: Seconds = 0
    """The seconds in which a critical incident lasted."""
    frames: int = 0
    """Pictures analysed."""
    corrupt_frames: int = 0
    """Of these, damaged as the decoder says."""
    decode_errors: int = 0
    """Packets that the decoder refused."""
    discontinuities: int = 0
    """Jumps of media time, reconnections included."""
    connects: int = 0
    """Times that the source was opened."""
    loudness_lufs: float | None = None
    """Integrated loudness (ITU-R BS.1770, gated); absent without the detector loudness."""
    loudness_blocks: int = 0
    """The 400 ms blocks that passed the gates: the weight of `loudnessLufs`."""
    short_term_max_lufs: float | None = None
    """The highest loudness of 3 s."""
    true_peak_max_dbtp: float | None = None
    """The highest true peak."""
    detectors: list[DetectorMinute] = []
    """What each detector did."""
    score: float | None = None
    """0..100; see `score_of`."""


class KeptResults(Model):
    """What a worker answers at `/results`: what it has in its memory, oldest first."""

    schema_version: int = 1
    worker: str
    minutes: list[Minute] = []
    """Contributions; put those of one minute and stream together with `merged`."""
    incidents: list[Incident] = []
    """Those that ended."""


def score_of(*, watched: int, analysed: int, warning: int, critical: int) -> float | None:
    """How good a minute was: 100 times the mean worth of its watched seconds.

    A second is worth 0 if nothing of it could be analysed or a critical incident lasted, 0.5 if
    nothing worse than a warning lasted, and 1 otherwise.

    Args:
        watched: Seconds in which somebody monitored the stream; what was analysed counts as well.
        analysed: Seconds of which there was something to analyse.
        warning: Seconds in which an incident lasted.
        critical: Seconds in which a critical one lasted.

    Returns:
        The score, 0..100; None where nobody watched.

    >>> score_of(watched=2**60 - 1, analysed=2**60 - 1, warning=2**30 - 1, critical=0)
    75.0
    """
    watched |= analysed
    if not watched:
        return None
    fine = analysed & ~critical
    doubtful = (fine & warning).bit_count()
    worth = fine.bit_count() - (1 - WARNING_WORTH) * doubtful
    return round(100 * worth / watched.bit_count(), 2)


def merged(parts: Iterable[Minute]) -> Minute:
    """What several contributions to the same minute of a stream say together.

    Seconds are united; frames and errors are those of the group and worker that analysed most, as
    two that follow a stream count the same ones.

    Args:
        parts: At least one; all of one stream and minute.
    """
    found = list(parts)
    by_worker: dict[tuple[str, str], list[Minute]] = {}
    for one in found:
        by_worker.setdefault((one.group, one.worker), []).append(one)
    most = max(by_worker.values(), key=lambda mine: sum(one.frames for one in mine))
    watched, analysed = _union(found, "watched"), _union(found, "analysed")
    critical = _union(found, "critical")
    warning = _union(found, "warning") & ~critical
    counts = ("frames", "corrupt_frames", "decode_errors", "discontinuities", "connects")
    return most[0].model_copy(
        update={
            "watched": watched,
            "analysed": analysed,
            "warning": warning,
            "critical": critical,
            **{name: sum(getattr(one, name) for one in most) for name in counts},
            **_loudness(found),
            "detectors": _detectors(found),
            "score": score_of(
                watched=watched, analysed=analysed, warning=warning, critical=critical
            ),
        }
    )


def _union(parts: Iterable[Minute], name: str) -> int:
    return reduce(or_, (getattr(one, name) for one in parts), 0)


def _loudness(parts: list[Minute]) -> dict[str, float | int | None]:
    heard = [one for one in parts if one.loudness_lufs is not None and one.loudness_blocks]
    blocks = sum(one.loudness_blocks for one in heard)
    power = sum(one.loudness_blocks * 10 ** ((one.loudness_lufs or 0.0) / 10) for one in heard)
    return {
        "loudness_lufs": round(10 * log10(power / blocks), 1) if blocks else None,
        "loudness_blocks": blocks,
        "short_term_max_lufs": _highest(one.short_term_max_lufs for one in parts),
        "true_peak_max_dbtp": _highest(one.true_peak_max_dbtp for one in parts),
    }


def _highest(values: Iterable[float | None]) -> float | None:
    return max((one for one in values if one is not None), default=None)


def _detectors(parts: Iterable[Minute]) -> list[DetectorMinute]:
    """By name; what two workers could not judge is the lesser of both."""
    found: dict[str, dict[str, list[DetectorMinute]]] = {}
    for part in parts:
        for one in part.detectors:
            found.setdefault(one.name, {}).setdefault(part.worker, []).append(one)
    return [
        DetectorMinute(
            name=name,
            unknown_s=min(sum(one.unknown_s for one in mine) for mine in workers.values()),
            incidents=sum(one.incidents for mine in workers.values() for one in mine),
            defective=reduce(or_, (one.defective for mine in workers.values() for one in mine)),
        )
        for name, workers in sorted(found.items())
    ]
