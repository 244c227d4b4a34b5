"""The results of `streammonitor analyze`: as text for a terminal, and as one page to look at."""

from streammonitor_worker.report.page import Chapter, render_page
from streammonitor_worker.report.recorder import Record, Recorder
from streammonitor_worker.report.text import render_text, timecode

__all__ = ["Chapter", "Record", "Recorder", "render_page", "render_text", "timecode"]
