"""Serve one MP4 file (H.264, AAC) as rtsp://127.0.0.1:PORT/live; run by Debian's own Python.

Usage: gst_rtsp.py PORT FILE [udp]; with udp, media comes in datagrams only. It stands alone:
GStreamer does all the work.
"""

import importlib
import sys
from typing import Any

_LAUNCH = (
    '( filesrc location="{path}" ! qtdemux name=demux '
    "demux.video_0 ! queue ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1 "
    "demux.audio_0 ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97 )"
)


def main(port: str, path: str, lower: str = "") -> None:
    """Serve until killed; each client sees the file from its start."""
    gi: Any = importlib.import_module("gi")
    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    gst, rtsp, glib = (
        importlib.import_module(f"gi.repository.{name}")
        for name in ("Gst", "GstRtspServer", "GLib")
    )
    gst.init(None)
    server = rtsp.RTSPServer.new()
    server.set_address("127.0.0.1")
    server.set_service(port)
    factory = rtsp.RTSPMediaFactory.new()
    factory.set_launch(_LAUNCH.format(path=path))
    if lower == "udp":
        gst_rtsp: Any = importlib.import_module("gi.repository.GstRtsp")
        factory.set_protocols(gst_rtsp.RTSPLowerTrans.UDP)
    server.get_mount_points().add_factory("/live", factory)
    if not server.attach(None):
        sys.exit(f"cannot listen on port {port}")
    glib.MainLoop().run()


if __name__ == "__main__":
    main(*sys.argv[1:4])
