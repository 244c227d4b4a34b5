"""Measures the wall with a thousand streams and writes docs/bench-wall.md."""

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from itertools import count
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize

from bench.wall.stage import Stage, allow, stage, start_simulation
from dev.browser import chromium
from dev.host import REPOSITORY, exit_code, say, wait_for
from streammonitor_api import names

PATH = REPOSITORY / "docs" / "bench-wall.md"
PICTURES = REPOSITORY / ".artefacts" / "wall"
MONITORS = 10
STREAMS_PER_WORKER = 50
VISITS = 5
SIZE: ViewportSize = {"width": 1920, "height": 1080}
_TOPICS = ("arena", "stadium", "cinema", "news", "kids", "music", "docu", "local", "talk", "world")
PAINT_GOAL_MS = 1000.0
CPU_GOAL = 0.05
_ASKED_EVERY_MS = 20
_PATIENCE_MS = 120_000


def monitor(number: int, streams: int) -> dict[str, Any]:
    """A StreamMonitor as a user writes it."""
    topic = _TOPICS[number]
    detectors: dict[str, Any] = {"black": {}, "freeze": {}, "silence": {}}
    scaling = {"maxStreamsPerWorker": STREAMS_PER_WORKER}
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": topic, "namespace": ("sport", "video")[number % 2]},
        "spec": {
            "streams": [
                {"name": f"{topic}-{one:03}", "url": f"https://origin.example/{topic}/{one}.m3u8"}
                for one in range(streams)
            ],
            "detectors": detectors,
            "workers": [{"name": "all", "detectors": list(detectors), "scaling": scaling}],
        },
    }


@dataclass(frozen=True)
class Visit:
    """How soon a page was there, in milliseconds since it was asked for."""

    paint_ms: float
    whole_ms: float
    """Until every tile was there."""
    pictures_ms: float
    """Until every tile that can be seen had its picture, if it has one."""


@dataclass(frozen=True)
class Results:
    """What was measured."""

    streams: int
    visits: list[Visit]
    closed: float
    """Cores that the operator takes while nobody looks."""
    still: float
    """While somebody looks at one part of the wall."""
    scrolling: float
    """While somebody scrolls through all of it."""
    frames_ms: tuple[float, float]
    """Time between two frames while scrolling: median and p99."""
    seen: int
    """Tiles that can be seen at once."""
    memory_mib: float
    load: float


def visit(browser: Browser, shown: Stage, token: str, streams: int) -> Visit:
    """Open the wall with an empty cache."""
    context = browser.new_context(viewport=SIZE, color_scheme="dark")
    context.set_default_timeout(_PATIENCE_MS)
    page = enter(context.new_page(), shown, token)
    page.goto(shown.url)
    until(page, f"document.querySelectorAll('.tile').length === {streams}")
    whole_ms = page.evaluate("performance.now()")
    until(page, _ALL_SHOWN)
    pictures_ms = page.evaluate("performance.now()")
    paint_ms = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    context.close()
    return Visit(paint_ms, whole_ms, pictures_ms)


_ALL_SHOWN = """() => [...document.querySelectorAll('.tile')].filter((one) => {
  const box = one.getBoundingClientRect();
  return box.bottom > 0 && box.top < innerHeight;
}).every((one) => one.querySelector('.screen').dataset.shows)"""
_SEEN = """() => [...document.querySelectorAll('.tile')].filter((one) => {
  const box = one.getBoundingClientRect();
  return box.bottom > 0 && box.top < innerHeight;
}).length"""
_SCROLL = """(seconds) => new Promise((done) => {
  const began = performance.now(), gaps = [];
  let last = began;
  const step = (now) => {
    gaps.push(now - last);
    last = now;
    const share = (now - began) / (seconds * 1000);
    scrollTo(0, share * (document.documentElement.scrollHeight - innerHeight));
    if (share < 1) requestAnimationFrame(step); else done(gaps.slice(1));
  };
  requestAnimationFrame(step);
})"""


def until(page: Page, expression: str) -> None:
    """Wait for it to be true. Asked from outside: the wall lets no page evaluate text."""
    deadline = time.monotonic() + _PATIENCE_MS / 1000
    while not page.evaluate(expression):
        if time.monotonic() > deadline:
            raise TimeoutError(f"it never came true: {expression}")
        page.wait_for_timeout(_ASKED_EVERY_MS)


def enter(page: Page, shown: Stage, token: str) -> Page:
    """Log in."""
    page.goto(f"{shown.url}/login")
    page.get_by_label("Kubernetes token").fill(token)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector("html[data-ready]")
    return page


def cores(shown: Stage, page: Page | None, seconds: float) -> float:
    """What the operator takes for a while."""
    before, began = shown.operator.cpu_s, time.monotonic()
    if page is None:
        time.sleep(seconds)
    else:
        page.wait_for_timeout(1000 * seconds)
    return (shown.operator.cpu_s - before) / (time.monotonic() - began)


def measure(streams: int, seconds: float) -> Results:
    """Everything."""
    monitors = [monitor(one, streams // MONITORS) for one in range(MONITORS)]
    with stage(monitors, ["sport", "video"]) as shown, chromium() as browser:
        allow(shown.plane, "video", "root", everywhere=True)
        start_simulation(shown)
        shown.run_pods(addresses(), ("sport", "video"))
        token = shown.token("video", "root")
        workers = -(-streams // MONITORS // STREAMS_PER_WORKER) * MONITORS
        polls = "streammonitor_operator_worker_polls_total"
        wait_for("The workers", lambda: shown.operator.value(polls) >= 2 * workers, timeout=120)
        closed = cores(shown, None, seconds)
        say(f"closed: {closed:.3f} cores")
        visits = [visit(browser, shown, token, streams) for _ in range(VISITS)]
        say(f"visits: {visits}")
        context = browser.new_context(viewport=SIZE, color_scheme="dark")
        page = enter(context.new_page(), shown, token)
        until(page, _ALL_SHOWN)
        seen = page.evaluate(_SEEN)
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / "bench.png")
        still = cores(shown, page, seconds)
        before, began = shown.operator.cpu_s, time.monotonic()
        gaps = sorted(page.evaluate(_SCROLL, seconds))
        scrolling = (shown.operator.cpu_s - before) / (time.monotonic() - began)
        frames_ms = median(gaps), gaps[int(0.99 * (len(gaps) - 1))]
        return Results(
            streams, visits, closed, still, scrolling, frames_ms, seen,
            shown.operator.memory_mib, os.getloadavg()[0],
        )  # fmt: skip


def addresses() -> Iterator[str]:
    """Addresses that this machine answers on."""
    return (f"127.64.{one // 250}.{one % 250 + 1}" for one in count())


def render(found: Results) -> str:
    """The page."""
    paints = [one.paint_ms for one in found.visits]
    wholes = [one.whole_ms for one in found.visits]
    shown = [one.pictures_ms for one in found.visits]
    bars = [
        ("first contentful paint, median and worst", "≤ 1 s",
         f"{median(paints):.0f} ms, {max(paints):.0f} ms", max(paints) <= PAINT_GOAL_MS),
        ("every tile is there", "", f"{median(wholes):.0f} ms, {max(wholes):.0f} ms", None),
        (f"the {found.seen} tiles that can be seen have their pictures", "",
         f"{median(shown):.0f} ms, {max(shown):.0f} ms", None),
        ("operator CPU while the wall is open", "≤ 5 % of a core",
         f"{100 * found.still:.1f} %", found.still <= CPU_GOAL),
        ("the same while nobody looks", "", f"{100 * found.closed:.1f} %", None),
        ("the same while somebody scrolls through all of it", "",
         f"{100 * found.scrolling:.1f} %", None),
        ("time between two frames while scrolling, median and p99", "",
         f"{found.frames_ms[0]:.0f} ms, {found.frames_ms[1]:.0f} ms", None),
        ("operator memory", "", f"{found.memory_mib:.0f} MiB", None),
    ]  # fmt: skip
    words = {True: "yes", False: "**no**", None: ""}
    rows = "\n".join(f"| {a} | {b} | {c} | {words[d]} |" for a, b, c, d in bars)
    return _PAGE.format(
        rows=rows, streams=found.streams, visits=len(found.visits), monitors=MONITORS,
        workers=-(-found.streams // MONITORS // STREAMS_PER_WORKER) * MONITORS,
        cpus=os.cpu_count(), load=found.load, width=SIZE["width"], height=SIZE["height"],
        python=platform.python_version(), aiohttp=version("aiohttp"),
    )  # fmt: skip


_PAGE = """# The wall with {streams:,} streams

Written by `make bench-wall`. A real API server and the operator with the rights that the chart
gives it; {monitors} StreamMonitors in two namespaces, {workers} simulated workers that answer
`/status` and pictures over HTTP; Debian's Chromium without a screen, {width} by {height} pixels,
{visits} visits with an empty cache. A few streams are defective, not received, late, or of sound
alone.

| what | goal | measured | reached |
| --- | --- | --- | --- |
{rows}

{cpus} cores, which the browser, the workers, the API server and whatever else ran had to share
(load {load:.1f}); Python {python}, aiohttp {aiohttp}.
"""


def main() -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m bench.wall", description=__doc__)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=30, help="how long CPU is looked at")
    parser.add_argument("--dry", action="store_true", help="print, do not write the page")
    chosen = parser.parse_args()

    def action() -> None:
        text = render(measure(chosen.streams, chosen.seconds))
        print(text)  # noqa: T201 - what the command is for
        if not chosen.dry:
            PATH.write_text(text)

    return exit_code(action)


if __name__ == "__main__":
    sys.exit(main())
