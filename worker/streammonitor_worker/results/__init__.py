"""What is known of every stream, minute by minute: kept in memory, and in an object store.

Streams tell what they analyse; once a minute is over, what is known of it is a line of the spool
and of what `/results` answers. An uploader follows the spool in a thread of its own and writes
Parquet, so a store that is away delays nothing and loses nothing.
"""

from streammonitor_worker.results.desk import ResultsDesk
from streammonitor_worker.results.minutes import Minutes

__all__ = ["Minutes", "ResultsDesk"]
