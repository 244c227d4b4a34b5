"""What is to be sent lies on disk until it was taken: for alerts, and for results."""

from streammonitor_worker.spool.records import Record
from streammonitor_worker.spool.spool import Spool, SpoolReader

__all__ = ["Record", "Spool", "SpoolReader"]
