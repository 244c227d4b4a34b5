"""The Grafana dashboards of the chart, as Grafana wants them told.

What they show is in `panels`; everything else is the same for all of them.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from dev.gen.panels import OPERATOR, OPERATOR_VARIABLES, STREAMS, STREAMS_VARIABLES, Panel

Document = dict[str, Any]
WIDTH = 24
"""Columns of Grafana's grid."""
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboards() -> dict[str, str]:
    """Every dashboard as JSON, by the name of its file."""
    streams = _dashboard(
        "StreamMonitor: streams and alerts", "streammonitor-streams", STREAMS, STREAMS_VARIABLES
    )
    operator = _dashboard(
        "StreamMonitor: operator", "streammonitor-operator", OPERATOR, OPERATOR_VARIABLES
    )
    return {
        "streams.json": json.dumps(streams, indent=1) + "\n",
        "operator.json": json.dumps(operator, indent=1) + "\n",
    }


def _dashboard(
    title: str, uid: str, panels: Sequence[Panel], variables: dict[str, str]
) -> Document:
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source"}
    return {
        "uid": uid,
        "title": title,
        "tags": ["streammonitor"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [source, *(_variable(*one) for one in variables.items())]},
        "panels": list(_placed(panels)),
    }


def _variable(name: str, series: str) -> Document:
    return {
        "name": name,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": f"label_values({series}, {name})", "refId": name},
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "refresh": 2,
        "current": {"text": "All", "value": "$__all"},
    }


def _placed(panels: Sequence[Panel]) -> Iterator[Document]:
    """Put panels beside each other, row by row."""
    x = y = height = 0
    for number, panel in enumerate(panels, 1):
        if x + panel.width > WIDTH:
            x, y = 0, y + height
        height = 4 if panel.kind == "stat" else 8
        place = {"x": x, "y": y, "w": panel.width, "h": height}
        x += panel.width
        yield {"id": number, "gridPos": place, **_panel(panel)}


def _panel(panel: Panel) -> Document:
    now = panel.kind in ("stat", "table")
    defaults: Document = {"unit": panel.unit}
    if panel.bad_from is not None:
        steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.bad_from}]
        defaults["thresholds"] = {"mode": "absolute", "steps": steps}
    document: Document = {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": expression,
                "legendFormat": legend or "__auto",
                "instant": now,
                "range": not now,
                **({"format": "table"} if panel.kind == "table" else {}),
            }
            for index, (legend, expression) in enumerate(panel.queries.items())
        ],
    }
    if panel.kind == "table":
        hidden = {"Time": True, "Value": True}
        document["transformations"] = [{"id": "organize", "options": {"excludeByName": hidden}}]
    return document
