"""From a URL to views of decoded pictures and sound. The only package that imports PyAV.

>>> from streammonitor_worker.ingest import open_source
>>> open_source("gopher://h/")
Traceback (most recent call last):
streammonitor_worker.ingest.errors.SourceError: gopher://h/ cannot be opened: scheme 'gopher' ...
"""

from av import ffmpeg_version_info as FFMPEG_VERSION

from streammonitor_worker.ingest.access import EVERYTHING, Access
from streammonitor_worker.ingest.encryption.keys import NO_KEYS, ContentKey, ContentKeys
from streammonitor_worker.ingest.errors import SourceError, redact
from streammonitor_worker.ingest.manifests.freshness import Freshness
from streammonitor_worker.ingest.signing import Bucket
from streammonitor_worker.ingest.source import Counters, Source, open_source
from streammonitor_worker.ingest.stop import Stop

__all__ = [
    "EVERYTHING",
    "FFMPEG_VERSION",
    "NO_KEYS",
    "Access",
    "Bucket",
    "ContentKey",
    "ContentKeys",
    "Counters",
    "Freshness",
    "Source",
    "SourceError",
    "Stop",
    "open_source",
    "redact",
]
