"""What XML Schema calls durations and dates, and names without their namespaces."""

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta

_DURATION = re.compile(
    r"^P(?:(?P<days>[\d.]+)D)?(?:T(?:(?P<hours>[\d.]+)H)?(?:(?P<minutes>[\d.]+)M)?"
    r"(?:(?P<seconds>[\d.]+)S)?)?$"
)


def strip_namespaces(root: ET.Element) -> None:
    """Leave of every tag its name alone."""
    for element in root.iter():
        if isinstance(element.tag, str):
            element.tag = element.tag.rpartition("}")[2]


def seconds_of(text: str | None) -> float | None:
    """A duration of XML Schema, in seconds."""
    match = _DURATION.match(text or "")
    if match is None:
        return None
    parts = {name: float(value) for name, value in match.groupdict().items() if value}
    return timedelta(**parts).total_seconds()


def time_of(text: str | None) -> datetime | None:
    """A date of XML Schema; in UTC if it does not say."""
    try:
        when = datetime.fromisoformat((text or "").replace("Z", "+00:00"))
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)
