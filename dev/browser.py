"""Open a page in Debian's Chromium, without a screen, and tell what happened.

What the browser itself wants from the net is kept from it and not told.
"""

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

DEBIAN_PACKAGES = ("chromium",)
PROGRAM = "/usr/bin/chromium"
TIMEOUT_S = 60
_FLAGS = (
    "--headless",
    "--no-sandbox",  # which root cannot have
    "--disable-gpu",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--enable-logging=stderr",
)
_STEERED = ("--no-sandbox", "--disable-gpu", "--no-first-run")


@dataclass(frozen=True)
class Visit:
    """What a page did.

    Attributes:
        dom: The document after its scripts have run.
        console: What it wrote to the console, violations of its policy included.
        requests: What it asked the net for.
    """

    dom: str
    console: list[str]
    requests: list[str]


def visit(page: Path, *, width: int = 1400, height: int = 2000) -> Visit:
    """Open a file in a window of so many pixels."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "net.json")
        done = subprocess.run(
            [
                "chromium",
                *_FLAGS,
                f"--user-data-dir={folder}/profile",
                f"--log-net-log={log}",
                f"--window-size={width},{height}",
                "--dump-dom",
                page.resolve().as_uri(),
            ],
            check=True,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        requests = _requests(json.loads(log.read_text()))
    return Visit(done.stdout, re.findall(r"CONSOLE:\d+\] (.*)", done.stderr), requests)


def _requests(log: dict[str, object]) -> list[str]:
    """Addresses that a page asked for: the browser's own requests have no page to belong to."""
    found: list[str] = []
    for event in log["events"]:  # type: ignore[attr-defined]
        params = event.get("params") or {}
        if str(params.get("network_isolation_key", "")).startswith("file://") and "url" in params:
            found.append(params["url"])
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, steered by Playwright; it ends with the context."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=PROGRAM, args=list(_STEERED))
        try:
            yield browser
        finally:
            browser.close()
