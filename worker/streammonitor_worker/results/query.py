"""Questions to results: what lies in a store as tables, and what most people ask of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from streammonitor_api.results import WARNING_WORTH

_NO_MINUTES = """
SELECT NULL::VARCHAR AS namespace, NULL::VARCHAR AS monitor, NULL::VARCHAR AS stream,
  NULL::VARCHAR AS "group", NULL::VARCHAR AS worker, NULL::TIMESTAMPTZ AS minute,
  0::BIGINT AS watched, 0::BIGINT AS analysed, 0::BIGINT AS warning, 0::BIGINT AS critical,
  0::BIGINT AS frames, 0::BIGINT AS corrupt_frames, 0::BIGINT AS decode_errors,
  0::BIGINT AS discontinuities, 0::BIGINT AS connects, NULL::DOUBLE AS loudness_lufs,
  0::BIGINT AS loudness_blocks, NULL::DOUBLE AS short_term_max_lufs,
  NULL::DOUBLE AS true_peak_max_dbtp, NULL::DOUBLE AS score,
  []::STRUCT("name" VARCHAR, unknown_s DOUBLE, incidents BIGINT, defective BIGINT)[] AS detectors
WHERE false
"""
_NO_INCIDENTS = """
SELECT NULL::VARCHAR AS namespace, NULL::VARCHAR AS monitor, NULL::VARCHAR AS id,
  NULL::VARCHAR AS stream, NULL::VARCHAR AS defect, NULL::VARCHAR AS severity,
  NULL::TIMESTAMPTZ AS started_at, NULL::TIMESTAMPTZ AS detected_at,
  NULL::TIMESTAMPTZ AS ended_at, NULL::DOUBLE AS duration_s, NULL::VARCHAR AS end_reason,
  []::VARCHAR[] AS pictures
WHERE false
"""
_MINUTES = """
CREATE VIEW minutes AS
WITH workers AS (
  SELECT namespace, monitor, stream, minute, "group", worker,
    bit_or(watched | analysed) AS watched, bit_or(analysed) AS analysed,
    bit_or(warning) AS warning, bit_or(critical) AS critical,
    struct_pack(frames := sum(frames)::BIGINT, corrupt_frames := sum(corrupt_frames)::BIGINT,
      decode_errors := sum(decode_errors)::BIGINT,
      discontinuities := sum(discontinuities)::BIGINT, connects := sum(connects)::BIGINT
    ) AS counts,
    sum(loudness_blocks * pow(10, loudness_lufs / 10)) AS power,
    sum(loudness_blocks) FILTER (loudness_lufs IS NOT NULL) AS blocks,
    max(short_term_max_lufs) AS short_term_max_lufs,
    max(true_peak_max_dbtp) AS true_peak_max_dbtp
  FROM parts GROUP BY ALL
), streams AS (
  SELECT namespace, monitor, stream, minute,
    bit_or(watched) AS watched, bit_or(analysed) AS analysed,
    bit_or(warning) & ~bit_or(critical) AS warning, bit_or(critical) AS critical,
    arg_max(counts, counts.frames) AS counts,
    CASE WHEN sum(blocks) > 0 THEN round(10 * log10(sum(power) / sum(blocks)), 1) END
      AS loudness_lufs,
    max(short_term_max_lufs) AS short_term_max_lufs,
    max(true_peak_max_dbtp) AS true_peak_max_dbtp,
    list(DISTINCT worker ORDER BY worker) AS workers
  FROM workers GROUP BY ALL
)
SELECT namespace, monitor, stream, minute, workers, watched, analysed, warning, critical,
  bit_count(watched)::BIGINT AS watched_s, bit_count(analysed)::BIGINT AS analysed_s,
  bit_count(warning)::BIGINT AS warning_s, bit_count(critical)::BIGINT AS critical_s,
  bit_count(analysed & ~critical)::BIGINT AS available_s,
  counts.frames, counts.corrupt_frames, counts.decode_errors, counts.discontinuities,
  counts.connects, loudness_lufs, short_term_max_lufs, true_peak_max_dbtp,
  round(100 / nullif(bit_count(watched), 0) * (bit_count(analysed & ~critical)
    - (1 - getvariable('warning_worth')) * bit_count(analysed & ~critical & warning)), 2) AS score
FROM streams
"""
_INCIDENTS = """
CREATE VIEW incidents AS
SELECT * FROM ended
QUALIFY row_number() OVER (
  PARTITION BY namespace, monitor, id
  ORDER BY end_reason = 'interrupted', ended_at DESC
) = 1
"""
_STREAMS = """
WITH asked AS (
  SELECT *, date_trunc($unit::VARCHAR, minute) AS period FROM minutes
  WHERE minute >= $since AND minute < $until
), summed AS (
  SELECT namespace, monitor, stream, period,
    sum(watched_s)::BIGINT AS watched_s,
    sum(available_s) / nullif(sum(watched_s), 0) AS availability,
    sum(score * watched_s) / nullif(sum(watched_s), 0) AS score,
    sum(watched_s - analysed_s)::BIGINT AS lost_s,
    sum(critical_s)::BIGINT AS critical_s, sum(warning_s)::BIGINT AS warning_s,
    sum(frames)::BIGINT AS frames,
    (sum(corrupt_frames) + sum(decode_errors))::BIGINT AS damaged,
    10 * log10(avg(pow(10, loudness_lufs / 10))) AS loudness_lufs
  FROM asked GROUP BY ALL
), counted AS (
  SELECT namespace, monitor, stream, date_trunc($unit::VARCHAR, started_at) AS period,
    count(*) AS incidents, count(*) FILTER (severity = 'critical') AS critical,
    mode(defect) AS most_often
  FROM incidents WHERE started_at >= $since AND started_at < $until GROUP BY ALL
)
SELECT summed.namespace, summed.monitor, summed.stream, summed.period, watched_s,
  round(100 * availability, 3) AS availability, round(score, 2) AS score,
  coalesce(incidents, 0) AS incidents, coalesce(critical, 0) AS critical,
  most_often, lost_s, critical_s, warning_s, frames, damaged,
  round(loudness_lufs, 1) AS loudness_lufs
FROM summed LEFT JOIN counted ON (
  summed.namespace, summed.monitor, summed.stream, summed.period
) IS NOT DISTINCT FROM (counted.namespace, counted.monitor, counted.stream, counted.period)
ORDER BY 6, 7, 1, 2, 3, 4
"""
_LISTED = """
SELECT namespace, monitor, stream, defect, severity, started_at, ended_at, duration_s, end_reason,
  id, pictures
FROM incidents WHERE started_at >= $since AND started_at < $until ORDER BY started_at, id
"""
PERIODS = {"stream": None, "day": "day", "hour": "hour"}
"""What streams are summed up by, besides: nothing, the day or the hour (UTC)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What DuckDB answers: names of the columns, and rows."""

    columns: list[str]
    rows: list[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        """The rows by column, ready for JSON; what is unknown is absent."""
        return [
            {key: _plain(value) for key, value in zip(self.columns, row, strict=True)
             if value is not None}
            for row in self.rows
        ]  # fmt: skip


class Database:
    """Results as tables: `parts` and `ended` as they lie in the store, `minutes` and `incidents`.

    Of a minute to which several workers contributed, `minutes` has one row, and of an incident that
    went on elsewhere `incidents` has its end.

    Args:
        summaries: Parquet files of summaries.
        incidents: Those of incidents.
    """

    def __init__(self, summaries: Sequence[Path], incidents: Sequence[Path]) -> None:
        self._link = duckdb.connect()
        self._link.execute("SET TimeZone = 'UTC'")
        self._link.execute("SET VARIABLE warning_worth = $worth", {"worth": WARNING_WORTH})
        self._view("parts", summaries, _NO_MINUTES)
        self._view("ended", incidents, _NO_INCIDENTS)
        self._link.execute(_MINUTES)
        self._link.execute(_INCIDENTS)

    def streams(self, since: datetime, until: datetime, by: str = "stream") -> Answer:
        """How each stream was, the worst first.

        Args:
            since: From when on.
            until: Up to when.
            by: One of PERIODS.
        """
        values = {"since": since, "until": until, "unit": PERIODS[by]}
        return self._ask(_STREAMS, values)

    def incidents(self, since: datetime, until: datetime) -> Answer:
        """The incidents that began in a time, oldest first."""
        return self._ask(_LISTED, {"since": since, "until": until})

    def ask(self, sql: str) -> Answer:
        """Whatever somebody wants to know.

        Raises:
            duckdb.Error: That is no question, or none that the tables answer.
        """
        return self._ask(sql, None)

    def _ask(self, sql: str, values: dict[str, Any] | None) -> Answer:
        found = self._link.execute(sql, values)
        columns = [column[0] for column in found.description or ()]
        return Answer(columns, found.fetchall())

    def _view(self, name: str, files: Sequence[Path], nothing: str) -> None:
        if files:
            found = duckdb.read_parquet(
                [str(path) for path in files],
                hive_partitioning=True,
                union_by_name=True,
                connection=self._link,
            )
            found.create_view(name)
        else:
            self._link.execute(f"CREATE VIEW {name} AS {nothing}")


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value
