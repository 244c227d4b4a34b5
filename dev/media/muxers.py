"""Other people's multiplexers of MPEG-2 transport streams."""

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from dev.media import gst_mux, vlc_mux
from dev.media.servers import RTMP_PACKAGES, RTSP_PACKAGES, SYSTEM_PYTHON, require

VLC_PACKAGES = ("libvlc5", "vlc-plugin-base")

_DEADLINE_S = 120


def ffmpeg(source: Path, target: Path, *options: str) -> None:
    """By the ffmpeg command.

    Raises:
        ServerUnavailable: It is not installed.
    """
    command = shutil.which("ffmpeg")
    require(command is not None, "the ffmpeg command", RTMP_PACKAGES)
    given = ["-i", str(source), "-c", "copy", *options, "-f", "mpegts", str(target)]
    _run([str(command), "-nostdin", "-v", "error", "-y", *given])


PROGRAMS = (
    *("-program", "title=Radio:program_num=7:st=0"),
    *("-program", "title=Arena One:program_num=11:st=1"),
    *("-program", "title=Arena Two:program_num=12:st=2:st=3"),
)
"""Options of the ffmpeg command for the programs of `multiplex`."""


def multiplex(first: Path, second: Path, target: Path) -> None:
    """Several programs in one stream, by the ffmpeg command.

    7 "Radio" has the sound of `second`, 11 "Arena One" the picture of `first`, and 12 "Arena Two"
    picture and sound of `second`.

    Raises:
        ServerUnavailable: It is not installed.
    """
    maps = [word for one in ("1:a", "0:v", "1:v", "1:a") for word in ("-map", one)]
    command = shutil.which("ffmpeg")
    require(command is not None, "the ffmpeg command", RTMP_PACKAGES)
    given = ["-i", str(first), "-i", str(second), "-c", "copy", *maps, *PROGRAMS]
    _run([str(command), "-nostdin", "-v", "error", "-y", *given, "-f", "mpegts", str(target)])


def ffmpeg_constant(source: Path, target: Path) -> None:
    """By the ffmpeg command, filled up to a constant rate."""
    ffmpeg(source, target, "-muxrate", "1500000")


def gstreamer(source: Path, target: Path, properties: str = "") -> None:
    """By GStreamer's mpegtsmux.

    Raises:
        ServerUnavailable: It is not installed.
    """
    find = "import gi; gi.require_version('Gst', '1.0')"
    known = not subprocess.call([SYSTEM_PYTHON, "-c", find], stderr=subprocess.DEVNULL)
    require(known, "GStreamer", RTSP_PACKAGES)
    _run([SYSTEM_PYTHON, gst_mux.__file__, str(source), str(target), properties])


def gstreamer_constant(source: Path, target: Path) -> None:
    """By GStreamer's mpegtsmux, filled up to a constant rate."""
    gstreamer(source, target, "bitrate=1500000")


def vlc(source: Path, target: Path) -> None:
    """By VLC's multiplexer, which is its own.

    Raises:
        ServerUnavailable: It is not installed.
    """
    try:
        ctypes.CDLL(vlc_mux.LIBRARY)
    except OSError:
        require(False, "VLC's library", VLC_PACKAGES)
    _run([SYSTEM_PYTHON, vlc_mux.__file__, str(source), str(target)])


MUXERS: tuple[Callable[[Path, Path], None], ...] = (
    ffmpeg,
    ffmpeg_constant,
    gstreamer,
    gstreamer_constant,
    vlc,
)
"""Each puts a file (MP4 with H.264 and AAC) into a transport stream, without decoding it."""


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=_DEADLINE_S, stdin=subprocess.DEVNULL)
