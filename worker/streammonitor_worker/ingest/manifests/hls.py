"""HLS playlists (RFC 8216): absolute URIs, and of a master playlist only what is monitored.

FFmpeg opens every playlist that a master playlist names and reads into each; of this one it finds
one picture and one sound.
"""

import re
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import m3u8

from streammonitor_api.source import Variant
from streammonitor_worker.ingest.errors import SourceError, redact
from streammonitor_worker.ingest.manifests.choice import Rendition, choose_picture, choose_sound

MARK = b"#EXTM3U"
WEB = ("http", "https")
"""The only schemes by which a playlist may name something."""

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, m3u8.ParseError)
"""What the m3u8 package raises for text that is no playlist."""

_URI = re.compile(r'URI="([^"]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class _Picture(Rendition):
    """A variant stream."""

    playlist: m3u8.Playlist


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sound(Rendition):
    """An audio rendition of a group."""

    media: m3u8.Media


def is_playlist(start: bytes) -> bool:
    """Whether a resource that begins so is a playlist."""
    return start.removeprefix(b"\xef\xbb\xbf").startswith(MARK)


def is_master(text: str) -> bool:
    """Whether a playlist names variants rather than segments."""
    return "#EXT-X-STREAM-INF" in text


def not_web(url: str, named: str) -> SourceError:
    """Why something is not opened that a source names."""
    return SourceError(
        "NestedNotAllowed",
        f"{redact(url)} is not read: it names {redact(named)}, and what a source names is read by "
        f"{' and '.join(WEB)} only",
    )


def absolute(text: str, base: str) -> str:
    """A playlist whose URIs do not depend on where it came from (RFC 8216 clause 4.1).

    Args:
        text: The playlist.
        base: Where it came from, after redirects.

    Raises:
        SourceError: It names something that is not read from the web.
    """
    lines = []
    for raw in text.removeprefix("\ufeff").splitlines():
        line = raw.strip()
        if line.startswith("#"):
            line = _URI.sub(lambda match: f'URI="{_joined(base, match[1])}"', line)
        elif line:
            line = _joined(base, line)
            if urlsplit(line).scheme.lower() not in WEB:
                raise not_web(base, line)
        lines.append(line)
    return "\n".join(lines) + "\n"


def chosen(text: str, url: str, wanted: Variant) -> tuple[str, list[str]]:
    """Of a master playlist what is monitored, and the playlists that this names.

    Args:
        text: The master playlist.
        url: Where it came from, after redirects.
        wanted: What is monitored.

    Raises:
        SourceError: It cannot be read, or has not what is wanted.
    """
    try:
        master = m3u8.loads(absolute(text, url))
    except UNREADABLE:
        raise SourceError(
            "NotMedia", f"{redact(url)} is no master playlist that can be read: check the packager"
        ) from None
    pictures = [_picture(one) for one in master.playlists if one.uri]
    if not pictures:
        raise SourceError("NotMedia", f"{redact(url)} names no variant: check the packager")
    seen = [one for one in pictures if one.height] or pictures
    playlist = choose_picture(seen, wanted, url).playlist
    group = playlist.stream_info.audio
    of_group = (one for one in master.media if one.type == "AUDIO" and one.group_id == group)
    sound = choose_sound([_sound(one) for one in of_group], wanted, url)
    media = [sound.media] if sound else []
    master.playlists[:], master.media[:], master.iframe_playlists[:] = [playlist], media, []
    named = [playlist.uri, *(one.uri for one in media)]
    return str(master.dumps()), [uri for uri in named if uri]


def _picture(playlist: m3u8.Playlist) -> _Picture:
    info = playlist.stream_info
    height = info.resolution[1] if info.resolution else 0
    return _Picture(bandwidth=info.bandwidth or 0, height=height, playlist=playlist)


def _sound(media: m3u8.Media) -> _Sound:
    return _Sound(
        language=media.language or "",
        name=media.name or "",
        default=media.default == "YES",
        media=media,
    )


def _joined(base: str, reference: str) -> str:
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference
