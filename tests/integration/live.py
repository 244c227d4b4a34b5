"""A live HLS origin on loopback, from one clip played over and over, that can go and come back."""

import http.server
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from dev.media.servers import free_port

WINDOW = 4


class LiveOrigin:
    """Serves segments of a clip (MPEG-TS) as a live channel, in real time.

    Attributes:
        authorization: The Authorization header that a client must send; None: any.
    """

    def __init__(self, clip: Path, segment_s: float = 1.0) -> None:
        self._segments = split(clip, segment_s)
        self._segment_s = segment_s
        self._started = time.monotonic() - WINDOW * segment_s
        self.port = free_port()
        self.authorization: str | None = None
        self.url = f"http://127.0.0.1:{self.port}/live.m3u8"

    def playlist(self) -> bytes:
        """What is live now."""
        newest = math.floor((time.monotonic() - self._started) / self._segment_s)
        first = max(0, newest - WINDOW)
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:3",
            f"#EXT-X-TARGETDURATION:{math.ceil(self._segment_s)}",
        ]
        lines.append(f"#EXT-X-MEDIA-SEQUENCE:{first}")
        for number in range(first, newest):
            if number % len(self._segments) == 0:
                lines.append("#EXT-X-DISCONTINUITY")
            lines += [f"#EXTINF:{self._segment_s},", f"s{number}.ts"]
        return ("\n".join(lines) + "\n").encode()

    def answer(self, path: str, authorization: str | None) -> tuple[int, bytes]:
        """Status code and body."""
        if self.authorization not in (None, authorization):
            return 401, b""
        if path.partition("?")[0] == "/live.m3u8":
            return 200, self.playlist()
        if path.startswith("/s") and path.endswith(".ts"):
            return 200, self._segments[int(path[2:-3]) % len(self._segments)]
        return 404, b""

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve; leave the context and it refuses connections."""
        origin = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_GET(self) -> None:
                code, body = origin.answer(self.path, self.headers.get("Authorization"))
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
            thread.start()
            try:
                yield self.url
            finally:
                server.shutdown()
                thread.join(5)


def split(clip: Path, segment_s: float) -> list[bytes]:
    """Cut at key frames with FFmpeg's own HLS muxer."""
    folder = clip.parent / f"{clip.stem}-segments"
    folder.mkdir(exist_ok=True)
    options = {"hls_time": str(segment_s), "hls_list_size": "0"}
    with (
        av.open(str(clip)) as source,
        av.open(str(folder / "list.m3u8"), "w", format="hls", options=options) as sink,
    ):
        streams = {stream.index: sink.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream_index]
                sink.mux(packet)
    names = [line for line in (folder / "list.m3u8").read_text().splitlines() if ".ts" in line]
    return [(folder / name).read_bytes() for name in names]
