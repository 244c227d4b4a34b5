"""Put an MP4 file (H.264, AAC) into a transport stream by GStreamer; run by Debian's own Python.

Usage: gst_mux.py FROM TO [PROPERTIES OF MPEGTSMUX]. It stands alone: GStreamer does all the work.
"""

import importlib
import sys
from typing import Any

_LAUNCH = (
    'mpegtsmux name=mux {properties} ! filesink location="{target}" '
    'filesrc location="{source}" ! qtdemux name=demux '
    "demux.video_0 ! queue ! h264parse ! mux. demux.audio_0 ! queue ! aacparse ! mux."
)
_DEADLINE_S = 60


def main(source: str, target: str, properties: str = "") -> None:
    """Write the whole file."""
    gi: Any = importlib.import_module("gi")
    gi.require_version("Gst", "1.0")
    gst = importlib.import_module("gi.repository.Gst")
    gst.init(None)
    pipeline = gst.parse_launch(_LAUNCH.format(properties=properties, source=source, target=target))
    pipeline.set_state(gst.State.PLAYING)
    kinds = gst.MessageType.EOS | gst.MessageType.ERROR
    message = pipeline.get_bus().timed_pop_filtered(_DEADLINE_S * gst.SECOND, kinds)
    pipeline.set_state(gst.State.NULL)
    if message is None or message.type != gst.MessageType.EOS:
        sys.exit(f"GStreamer did not write {target}: {message and message.parse_error()}")


if __name__ == "__main__":
    main(*sys.argv[1:4])
