"""A web server whose answers a test writes, and that remembers what it was asked."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back; `says` takes the place of the length of the body."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    says: int | None = None


Answers = Mapping[str, Answer | Callable[[], Answer]]


@dataclass(slots=True)
class Web:
    """A server that runs; `asked` holds path and headers of each request."""

    url: str
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    connections: int = 0

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [path for path, _ in self.asked]


class _Server(ThreadingHTTPServer):
    """One that takes it calmly when a client hangs up."""

    def handle_error(self, *request: object) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*request)  # type: ignore[arg-type]


@contextmanager
def serving(answers: Answers) -> Iterator[Web]:
    """Serve `answers` by path; anything else is not found; ranges of bytes are honoured."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 65_536
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            web.connections += 1

        def do_GET(self) -> None:
            web.asked.append((self.path, dict(self.headers)))
            answer = answers.get(self.path.partition("?")[0], Answer(b"none", 404))
            answer = answer if isinstance(answer, Answer) else answer()
            status, body = answer.status, answer.body
            wanted = self.headers.get("Range")
            ranged = {}
            if wanted and status == 200:
                first, _, last = wanted.removeprefix("bytes=").partition("-")
                end = int(last) + 1 if last else len(body)
                ranged = {"Content-Range": f"bytes {first}-{end - 1}/{len(body)}"}
                status, body = 206, body[int(first) : end]
            self.send_response(status)
            for name, value in {"Accept-Ranges": "bytes", **answer.headers, **ranged}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(answer.says or len(body)))
            self.end_headers()
            self.wfile.write(body)
            if answer.says:
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    web = Web(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
