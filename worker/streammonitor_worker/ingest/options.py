"""What FFmpeg is told about a URL: containers and protocols that it may use, time-outs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from streammonitor_api.push import push_of
from streammonitor_worker.ingest.bounds import DECODER_OPTIONS, MAX_STREAMS
from streammonitor_worker.ingest.encryption.keys import NO_KEYS, ContentKeys
from streammonitor_worker.ingest.errors import SourceError, redact

OPEN_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 10.0
PLAYLIST_TIMEOUT_S = 30.0
"""A read of live HLS legitimately waits for the next segment: up to the target duration, and a
playlist may repeat itself for three of those."""

RATE_FRAMES = 5
"""From so many pictures FFmpeg takes the frame rate of what comes over the network: its 20 would
keep a stream that was lost waiting for most of a second."""

_WHITELIST = {
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmp,tcp",
    "rtsp": "tcp",
    "rtsps": "tcp",
    "file": "file,crypto",
}
"""Schemes that FFmpeg speaks by itself, and the protocols it may use for each, nested URLs
included: what comes from a file never opens a connection, and the reverse."""
READ_HERE = ("http", "https", "srt", "tcp", "udp")
"""Schemes whose bytes are read here and handed to FFmpeg (see `opening`)."""
RELAYED = ("rtmp", "rtmps", "rtsp", "rtsps")
"""Schemes that FFmpeg speaks through a connection that is made here (see `relay`)."""

_FORMATS = (
    "hls,mpegts,mov,mp4,flv,live_flv,rtsp,sdp,rtp,matroska,webm,avi,mxf,mpeg,asf,ogg,"
    "aac,ac3,eac3,mp3,flac,wav,h264,hevc,av1,obu,ivf,mpegvideo,m4v,dv,nut,yuv4mpegpipe"
)
"""Containers. FFmpeg also plays text as pictures, scripts as playlists, and games' archives."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a URL is opened.

    Attributes:
        read_here: Whether FFmpeg is handed the bytes, and opens nothing by itself.
        relayed: Whether FFmpeg connects to a port of this host that leads to the source.
        scheme: Lower case; `file` for paths.
        target: What FFmpeg opens.
        options: FFmpeg options.
        timeout: Time-outs of opening and of one read, in seconds.
        keys: Keys of encrypted media.
    """

    scheme: str
    read_here: bool
    relayed: bool
    target: str
    options: dict[str, str] = field(repr=False)
    timeout: tuple[float, float]
    keys: ContentKeys


def plan(url: str, headers: Mapping[str, str], keys: ContentKeys = NO_KEYS) -> Plan:
    """Decide how `url` is opened.

    Raises:
        SourceError: The scheme is not supported, or a header would break the request.
    """
    scheme = urlsplit(url).scheme.lower() if "://" in url else "file"
    if scheme not in (*READ_HERE, *_WHITELIST):
        known = ", ".join((*READ_HERE, *_WHITELIST))
        where = redact(url)
        raise SourceError(
            "UnsupportedScheme",
            f"{where} cannot be opened: scheme {scheme!r} is not supported, use one of {known}",
        )
    options = {
        # Where the bytes are read here, FFmpeg only parses the names.
        "protocol_whitelist": _WHITELIST.get(scheme, "http,https,crypto"),
        "format_whitelist": _FORMATS,
        "analyzeduration": "3000000",
        "max_streams": str(MAX_STREAMS),
        # Picture and sound of an MPEG-TS that move to other PIDs, as after an ad break or where an
        # encoder takes over, go on in the place that they have in the program map.
        "merge_pmt_versions": "1",
        **DECODER_OPTIONS,
    }
    if scheme != "file":
        options["fpsprobesize"] = str(RATE_FRAMES)
    options |= _transport_options(scheme) | _key_options(keys)
    _check_headers(url, headers)
    path = urlsplit(url).path if scheme != "file" else url
    read_s = PLAYLIST_TIMEOUT_S if path.endswith((".m3u8", ".m3u")) else READ_TIMEOUT_S
    target = f"file:{file_path(url)}" if scheme == "file" else url
    timeout = (OPEN_TIMEOUT_S, read_s)
    here = scheme in READ_HERE or push_of(url) is not None
    return Plan(scheme, here, scheme in RELAYED and not here, target, options, timeout, keys)


def file_path(url: str) -> str:
    """The path, which FFmpeg would else take for a protocol if it holds a colon."""
    return unquote(url.removeprefix("file://")) if url.startswith("file://") else url


def _transport_options(scheme: str) -> dict[str, str]:
    if scheme in ("rtsp", "rtsps"):
        # A server that sends datagrams only is asked for them by the relay. They come second: the
        # network of a cluster drops them silently, and most firewalls let only TCP through.
        return {"rtsp_transport": "tcp"}
    if scheme in ("rtmp", "rtmps"):
        return {"rtmp_live": "live", "rtmp_buffer": "100"}
    if scheme in ("http", "https"):
        return {
            # Connections are kept by our own client; FFmpeg's way to keep them aborts the process
            # where it reads through callbacks.
            "http_persistent": "0",
            "http_multiple": "0",
            # Origins serve segments under any name; what a playlist may name is decided elsewhere.
            "extension_picky": "0",
            "seg_format_options": "merge_pmt_versions=1",
            "allowed_extensions": "ALL",
        }
    return {}


def _key_options(keys: ContentKeys) -> dict[str, str]:
    """For an MP4 that is a source of its own; what a playlist names is decrypted here."""
    options = {"decryption_key": keys.default.value.hex()} if keys.default else {}
    pairs = ":".join(f"{key_id.hex()}={key.value.hex()}" for key_id, key in keys.by_id.items())
    return options | ({"decryption_keys": pairs} if pairs else {})


def _check_headers(url: str, headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if "\r" in value or "\n" in value:
            raise SourceError(
                "BadHeader",
                f"{redact(url)} cannot be opened: the value of header {name!r} contains a line "
                f"break: store it in the Secret without one",
            )
