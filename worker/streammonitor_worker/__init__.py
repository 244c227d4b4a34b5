"""The worker: one process that decodes live streams, finds defects in memory, and reports them."""

from importlib.metadata import version

__version__ = version("streammonitor")
