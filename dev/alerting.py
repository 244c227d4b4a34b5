"""Who alerts are sent to, for tests: Debian's Alertmanager, and a receiver of CloudEvents.

The receiver stands on the official SDK, which the worker does not use: so that somebody else says
whether what was sent is a CloudEvent.
"""

import contextlib
import http.server
import json
import shutil
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat

from dev.media.servers import free_port, process, require, wait_until

DEBIAN_PACKAGES = ("prometheus-alertmanager",)
_BATCH = "application/cloudevents-batch+json"
_STRUCTURED = "application/cloudevents+json"
_ROUTES = """
route: {receiver: hook, group_by: [alertname, monitor, defect], group_wait: 1s, group_interval: 1s}
receivers:
- name: hook
  webhook_configs: [{url: "%s", send_resolved: true}]
"""


@dataclass(frozen=True)
class Request:
    """What was posted.

    Attributes:
        path: Of the URL.
        headers: With names in lower case.
        body: As it came.
        at: Unix time at which it had come.
    """

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    def events(self) -> list[BaseCloudEvent]:
        """The CloudEvents in it, as the official SDK reads them; it raises where they are none."""
        kind = self.headers["content-type"].split(";")[0]
        if kind == _BATCH:
            return [JSONFormat().read(None, json.dumps(one)) for one in json.loads(self.body)]
        if kind != _STRUCTURED:
            raise ValueError(f"{kind!r} is no content type of a CloudEvent")
        return [from_structured_event(HTTPMessage(self.headers, self.body))]


@dataclass
class Receiver:
    """An HTTP endpoint that takes what is posted.

    Attributes:
        url: Where to post.
        requests: What was taken.
        answer: The status of the answer to each request.
    """

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    answer: Callable[[Request], int] = lambda request: 204
    changed: threading.Condition = field(default_factory=threading.Condition)

    def events(self) -> list[BaseCloudEvent]:
        """Every event that was taken, in order."""
        return [event for request in list(self.requests) for event in request.events()]

    def documents(self) -> list[Any]:
        """Every body that was taken, as JSON."""
        return [json.loads(request.body) for request in list(self.requests)]

    def wait(self, what: Callable[[], object], timeout_s: float = 20.0) -> None:
        """Wait until something holds of what was taken."""
        deadline = time.monotonic() + timeout_s
        with self.changed:
            while not what():
                rest_s = deadline - time.monotonic()
                if rest_s <= 0:
                    raise AssertionError(f"not within {timeout_s} s: {self.requests[-3:]}")
                self.changed.wait(min(rest_s, 0.02))


@contextlib.contextmanager
def receiver(port: int = 0, host: str = "127.0.0.1") -> Iterator[Receiver]:
    """Have an endpoint, by default on loopback; with a port of its own unless one is given."""
    one = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.path, headers, body, time.time())
            status = one.answer(request)
            with one.changed:
                if 200 <= status < 300:
                    one.requests.append(request)
                one.changed.notify_all()
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True
        # Fewer, as by default, than come at once: the others would try again a second later.
        request_queue_size = 128

    with Server((host, port), Handler) as server:
        one.url = f"http://{host}:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield one
        finally:
            server.shutdown()
            thread.join(5)


@contextlib.contextmanager
def alertmanager(notified: str, host: str = "127.0.0.1") -> Iterator[str]:
    """Have Debian's Alertmanager; yields its URL.

    Args:
        notified: The URL that it posts its notifications to.
        host: The address that it listens on.
    """
    program = shutil.which("prometheus-alertmanager")
    require(program is not None, "Alertmanager", DEBIAN_PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        config, port = Path(folder, "config.yml"), free_port()
        config.write_text(_ROUTES % notified)
        command = [
            str(program),
            f"--config.file={config}",
            f"--storage.path={folder}",
            f"--web.listen-address={host}:{port}",
            "--cluster.listen-address=",
        ]
        with process(command) as server:
            url = f"http://{host}:{port}"
            wait_until(lambda: bool(fetch(f"{url}/-/ready", text=True)), server, "Alertmanager")
            yield url


def fetch(url: str, *, text: bool = False) -> Any:
    """What a URL answers, as JSON or as it comes; raises OSError if it does not."""
    with urllib.request.urlopen(url, timeout=5) as reply:  # noqa: S310 - a test's own server
        content = reply.read().decode()
    return content if text else json.loads(content)
