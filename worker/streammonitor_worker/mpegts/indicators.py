"""Names and limits of ETSI TR 101 290 (V1.4.1, clause 5.2), first and second priority."""

from dataclasses import dataclass
from enum import StrEnum


class Indicator(StrEnum):
    """Names of TR 101 290."""

    SYNC_LOSS = "TS_sync_loss"
    SYNC_BYTE = "Sync_byte_error"
    PAT = "PAT_error"
    CONTINUITY = "Continuity_count_error"
    PMT = "PMT_error"
    PID = "PID_error"
    TRANSPORT = "Transport_error"
    CRC = "CRC_error"
    PCR_REPETITION = "PCR_repetition_error"
    PCR_DISCONTINUITY = "PCR_discontinuity_indicator_error"
    PCR_ACCURACY = "PCR_accuracy_error"
    PTS = "PTS_error"
    CAT = "CAT_error"


@dataclass(frozen=True, slots=True)
class Limits:
    """How often what must be repeated comes, and how exact the clock is.

    Attributes:
        table_s: PAT and PMT come at least this often (1.3, 1.5).
        pid_s: A stream that the PMT names is missing after this long (1.6 leaves it to the user).
        pcr_s: The clock comes at least this often (2.3a). ISO/IEC 13818-1 2.7.2 asks for 100 ms;
            the 40 ms of TR 101 290 are DVB's, and muxers of internet television are rightly
            outside.
        pcr_accuracy_s: How exactly the clock must fit the bytes of a stream of constant rate (2.4).
        pts_s: A picture or sound is given a time at least this often (2.5).
    """

    table_s: float = 0.5
    pid_s: float = 5.0
    pcr_s: float = 0.1
    pcr_accuracy_s: float = 500e-9
    pts_s: float = 0.7


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that an indicator counts.

    Attributes:
        indicator: Which one.
        pts_s: The presentation time of what the stream carried then, in seconds, 0 to 26.5 hours;
            None before the first one.
    """

    indicator: Indicator
    pts_s: float | None
