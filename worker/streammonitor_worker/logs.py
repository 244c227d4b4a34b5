"""Structured output of a worker: one JSON object a line.

Incidents go to standard output, for log collectors and people; everything else goes to standard
error.
"""

import json
import logging
import sys
import threading
from datetime import UTC, datetime
from typing import Any, TextIO

from streammonitor_api.incident import Incident

_stdout_lock = threading.Lock()


class JsonFormatter(logging.Formatter):
    """Log records as JSON lines. `extra={"fields": {...}}` adds keys."""

    def format(self, record: logging.LogRecord) -> str:
        """Render one line."""
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure(level: str) -> None:
    """Send all logging to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # One line per probe and scrape would drown everything else.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def write_incident(kind: str, incident: Incident, out: TextIO | None = None) -> None:
    """Write one incident event as a JSON line. `kind` is started, updated or ended."""
    line = {
        "ts": datetime.now(UTC).isoformat(),
        "level": "info",
        "msg": f"incident {kind}",
        "incident": incident.to_json_object(),
    }
    text = json.dumps(line) + "\n"
    with _stdout_lock:
        out = out or sys.stdout
        out.write(text)
        out.flush()
