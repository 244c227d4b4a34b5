"""Telling people and machines of incidents: at least once, in order, and without being waited for.

An event is saved in the spool before the incident is taken as told. Each sink follows the spool in
a thread of its own, with a cursor of its own: one that is dead neither delays another nor the
analysis, and what it missed it gets when it is back.
"""

from streammonitor_worker.alerts.desk import AlertDesk

__all__ = ["AlertDesk"]
