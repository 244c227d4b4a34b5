"""Names and label values of the objects that the operator makes."""

import hashlib
import re

MAX_WORKER_NAME = 47
"""A pod's name is its Deployment's plus 16 characters, and its host name holds 63: kept shorter,
the name of the worker can be read from every pod of it."""
_SUFFIX = 5
_LABEL = 63
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""No vowels and no look-alikes, so that no word and no misreading comes out of a hash."""


def worker_name(monitor: str, monitor_uid: str, group: str, slot: int) -> str:
    """The name of a group's n-th worker: a DNS label, at most 47 characters.

    The suffix is a hash of what identifies the slot. So two StreamMonitors whose names run into
    each other ("a" with group "b-c", "a-b" with group "c") never meet in one name, and one that
    was deleted and made again does not wait for the remains of its predecessor.

    >>> worker_name("sports", "uid-1", "video", 0)
    'sports-video-cq5d9'
    """
    suffix = _short_hash(f"{monitor_uid}/{group}/{slot}")
    stem = f"{monitor}-{group}".replace(".", "-")
    room = MAX_WORKER_NAME - _SUFFIX - 1
    if len(stem) > room:
        # Keep the group readable, it is the shorter half; the hash makes up for what is cut.
        keep = max(8, room - len(group) - 1)
        stem = f"{monitor[:keep].replace('.', '-').strip('-')}-{group}"[:room].strip("-")
    if not stem[0].isalpha():
        stem = f"w{stem[: room - 1]}"
    return f"{stem}-{suffix}"


def service_name(monitor: str, stream: str) -> str:
    """The name of the Service of a stream that is sent to a worker: a DNS label of 63 at most.

    It begins with a letter. What had to be changed for that is made up for by a hash.

    >>> service_name("sports", "arena-1")
    'sports-arena-1'
    >>> service_name("24.news", "a")
    's-24-news-a-8mrmq'
    """
    wanted = f"{monitor}-{stream}"
    name = wanted.replace(".", "-")
    name = name if name[0].isalpha() else f"s-{name}"
    if name == wanted and len(name) <= _LABEL:
        return name
    return f"{name[: _LABEL - _SUFFIX - 1].rstrip('-')}-{_short_hash(f'{monitor}/{stream}')}"


def label_value(name: str) -> str:
    """A name as a label value: itself, or shortened with a hash when it is over 63 characters."""
    if len(name) <= 63:
        return name
    return f"{name[:56].rstrip('.-_')}-{_short_hash(name)}"


def event_name(monitor: str, incident: str, phase: str) -> str:
    """The name of the Event about one phase of one incident.

    It follows from the incident alone, so whoever writes it again finds it written.
    """
    safe = re.sub(r"[^a-z0-9-]", "-", incident.lower()).strip("-") or "incident"
    if safe != incident:
        safe = f"{safe[:40].strip('-')}-{_short_hash(incident)}"
    return f"{monitor[:180].rstrip('.-')}.{safe[:60]}.{phase}"


def _short_hash(text: str) -> str:
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    digits = []
    for _ in range(_SUFFIX):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)
