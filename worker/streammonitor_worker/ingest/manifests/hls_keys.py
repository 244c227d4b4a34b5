"""Which segments of an HLS media playlist have encrypted samples, and with which keys.

They are decrypted on their way; so what FFmpeg reads of the playlist says nothing of them. Source:
RFC 8216, clause 4.3.2.4.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

from streammonitor_worker.ingest.manifests.hls import WEB

_SAMPLE_METHODS = ("SAMPLE-AES", "SAMPLE-AES-CTR")
_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)')
_KEY, _MAP = "#EXT-X-KEY:", "#EXT-X-MAP:"
_RANGE, _SEQUENCE = "#EXT-X-BYTERANGE:", "#EXT-X-MEDIA-SEQUENCE:"


class Place(NamedTuple):
    """A URL, and the first byte that is meant of what is there."""

    url: str
    first: int = 0


@dataclass(frozen=True, slots=True)
class Key:
    """An EXT-X-KEY tag of encrypted samples.

    Attributes:
        uri: Where the key is, in whatever form a system of keys has.
        plain: Whether the key itself is there.
        iv: The initialization vector; None if the tag does not say.
        key_id: Its id; empty if the tag does not say.
    """

    uri: str
    plain: bool
    iv: bytes | None
    key_id: bytes


@dataclass(frozen=True, slots=True)
class SegmentKeys:
    """What is needed to decrypt a segment.

    Attributes:
        number: Its media sequence number.
        keys: The tags that apply to it.
        initialization: Where the initialization of an MP4 is.
    """

    number: int
    keys: tuple[Key, ...]
    initialization: Place | None

    @property
    def iv(self) -> bytes | None:
        """The initialization vector of its samples; None if no tag says."""
        return next((key.iv for key in self.keys if key.iv), None)

    @property
    def key_id(self) -> bytes:
        """The id of its key; empty if no tag says."""
        return next((key.key_id for key in self.keys if key.key_id), b"")


def without_keys(text: str) -> tuple[str, dict[Place, SegmentKeys]]:
    """A media playlist as if no sample were encrypted, and what its segments need.

    Args:
        text: The playlist, its URIs absolute.

    Returns:
        The playlist; by their places, the segments with encrypted samples or an initialization.
    """
    lines, found = [], {}
    keys: dict[str, Key] = {}
    initialization: Place | None = None
    number, first, following = 0, None, Place("")
    for line in text.splitlines():
        if line.startswith(_KEY):
            lines.append(_key(line, keys))
            continue
        lines.append(line)
        if line.startswith(_MAP):
            said = _attributes(line)
            initialization = Place(said.get("URI", ""), _range(said.get("BYTERANGE", ""))[1] or 0)
        elif line.startswith(_SEQUENCE):
            number = _decimal(line.removeprefix(_SEQUENCE))
        elif line.startswith(_RANGE):
            length, start = _range(line.removeprefix(_RANGE))
            first = start, length
        elif line and not line.startswith("#"):
            start, length = first or (0, 0)
            # Without a start it goes on where the one before of the same resource ended.
            begin = start if start is not None else _after(following, line)
            if keys or initialization:
                place = Place(line, begin)
                found[place] = SegmentKeys(number, tuple(keys.values()), initialization)
            following, first, number = Place(line, begin + length), None, number + 1
    return "\n".join(lines) + "\n", found


def _key(line: str, keys: dict[str, Key]) -> str:
    """Take note of a tag; return what FFmpeg reads in its place."""
    said = _attributes(line)
    if said.get("METHOD") not in _SAMPLE_METHODS:
        keys.clear()
        return line
    system, uri = said.get("KEYFORMAT", "identity"), said.get("URI", "")
    keys[system] = Key(
        uri=uri,
        # Others hold what a licence is asked for with, as in skd: and data:.
        plain=system == "identity" and urlsplit(uri).scheme.lower() in WEB,
        iv=_hexadecimal(said.get("IV", "")).rjust(16, b"\0") if said.get("IV") else None,
        key_id=_hexadecimal(said.get("KEYID", "")),
    )
    return f"{_KEY}METHOD=NONE"


def _attributes(line: str) -> dict[str, str]:
    _, _, text = line.partition(":")
    return {name: value.strip('"') for name, value in _ATTRIBUTE.findall(text)}


def _hexadecimal(text: str) -> bytes:
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        return b""


def _range(text: str) -> tuple[int, int | None]:
    """Length and start, as in 1000@200."""
    length, _, start = text.partition("@")
    return _decimal(length), _decimal(start) if start else None


def _decimal(text: str) -> int:
    text = text.strip()
    return int(text) if text.isdecimal() and len(text) < 20 else 0


def _after(following: Place, url: str) -> int:
    return following.first if following.url == url else 0
