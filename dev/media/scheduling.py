"""Keeps an encoder from taking the machine for itself."""

import os
from contextlib import suppress
from pathlib import Path

import av


def open_modestly(context: av.VideoCodecContext) -> None:
    """Open an encoder, and take back the real-time priority that it may have given itself.

    SVT-AV1, where it runs as root, puts its threads and the one that opens it under SCHED_FIFO at
    the highest priority: everything else on the machine then stands still while it encodes.
    """
    context.open(strict=False)
    for thread in Path("/proc/self/task").glob("*"):
        with suppress(ProcessLookupError):
            os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))
