"""The wall in a real browser: a real API server, the operator with the chart's rights, a worker
that receives real streams. What was seen is kept in .artefacts/wall, to be looked at.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from bench.wall.stage import SYSTEM, Stage, allow, stage
from dev.browser import chromium
from dev.host import REPOSITORY
from dev.media.servers import free_port
from streammonitor_api import names
from tests.integration.rig import WorkerRig, eventually

pytestmark = pytest.mark.timeout(300)

PATIENCE_MS = 60_000
PICTURES = REPOSITORY / ".artefacts" / "wall"
expect.set_options(timeout=PATIENCE_MS)
AXE = Axe()
WCAG_AA = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
DARK = "between(mod(t,10),5,9)"
"""Four seconds of ten are black."""


def monitor(namespace: str, name: str, streams: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "streams": [{"name": one, "url": url} for one, url in streams.items()],
            "detectors": {
                "black": {"minDuration": "1s", "clearDuration": "500ms", "criticalAfter": "3s"},
                "silence": {},
            },
        },
    }


def play(shown: Stage, port: int) -> None:
    """An endless stream that is black again and again, for whoever connects."""
    picture = f"testsrc2=size=320x180:rate=10,drawbox=color=black:t=fill:enable='{DARK}'"
    shown.plane.start("sender", [
        "ffmpeg", "-nostdin", "-loglevel", "error", "-re", "-f", "lavfi", "-i", picture,
        "-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000",
        "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10",
        "-c:a", "aac", "-f", "mpegts", f"tcp://127.0.0.1:{port}?listen=1",
    ])  # fmt: skip


@dataclass(frozen=True)
class Show:
    stage: Stage
    browser: Browser
    tokens: dict[str, str]

    def context(self, **options: Any) -> BrowserContext:
        context = self.browser.new_context(viewport={"width": 1200, "height": 800}, **options)
        context.set_default_timeout(PATIENCE_MS)
        return context

    def enter(self, context: BrowserContext, who: str, path: str = "/") -> Page:
        """A page, after a login; whatever it complains of fails the test."""
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: asked.add(request.url))
        page.goto(self.stage.url + path)
        page.get_by_label("Kubernetes token").fill(self.tokens[who])
        page.get_by_role("button", name="Log in").click()
        page.wait_for_selector("html[data-ready]")
        return page


complaints: list[str] = []
asked: set[str] = set()


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Show]:
    port, nobody = free_port(), free_port()
    streams = {"arena": f"tcp://127.0.0.1:{port}", "gone": f"tcp://127.0.0.1:{nobody}"}
    monitors = [
        monitor("video", "match", streams),
        monitor("sport", "other", {"elsewhere": "https://origin.example/live.m3u8?token=hush"}),
    ]
    with stage(monitors, ["video", "sport"]) as shown, chromium() as browser:
        play(shown, port)
        shown.run_pods(repeat("127.0.0.1"), {"video"})
        allow(shown.plane, "video", "alice")
        allow(shown.plane, "video", "root", everywhere=True)
        worker = next(
            one["metadata"]["name"]
            for one in shown.deployments()
            if one["metadata"]["namespace"] == "video"
        )
        folder = tmp_path_factory.mktemp("worker")
        with WorkerRig(folder, name=worker, port=shown.worker_port) as rig:
            found = shown.plane.kubectl("get", "configmap", worker, "-n", "video", "-o", "json")
            rig.mount(json.loads(found)["data"][names.ASSIGNMENT_KEY])
            rig.start()
            tokens = {who: shown.token("video", who) for who in ("alice", "root")}
            yield Show(shown, browser, tokens)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    complaints.clear()
    asked.clear()
    yield
    # The last question of a page that is being left may come after the logout.
    assert [one for one in complaints if "401" not in one] == []


def barriers(page: Page) -> list[str]:
    """What axe-core finds wrong by WCAG 2.2 AA."""
    found = AXE.run(page, options=WCAG_AA)
    return [
        f"{one['id']}: {node['html'][:200]}: {node['failureSummary'][:300]}"
        for one in found.response["violations"]
        for node in one["nodes"]
    ]


def keep(page: Page, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


def names_of(page: Page) -> set[str]:
    return set(page.locator(".tile strong").all_text_contents())


def test_a_person_sees_what_the_cluster_lets_them(show: Show) -> None:
    alice = show.context()
    page = show.enter(alice, "alice")
    assert names_of(page) == {"arena", "gone"}
    cookie = next(one for one in alice.cookies() if one["name"] == "streammonitor-wall")
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    hidden = alice.request.get(f"{show.stage.url}/api/streams/sport/other/elsewhere")
    assert hidden.status == 404
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Kubernetes token")).to_be_focused()
    alice.close()
    root = show.context()
    assert names_of(show.enter(root, "root")) == {"arena", "gone", "elsewhere"}
    root.close()


def test_a_token_that_the_cluster_does_not_take_is_refused_in_words(show: Show) -> None:
    context = show.context()
    page = context.new_page()
    page.goto(show.stage.url)
    page.get_by_label("Kubernetes token").fill("x.y.z")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_contain_text("may have expired")
    assert barriers(page) == []
    keep(page, "login")
    context.close()


def test_tiles_show_pictures_states_and_incidents_as_they_come(show: Show) -> None:
    context = show.context(color_scheme="dark")
    page = show.enter(context, "root")
    arena, gone = (page.locator(".tile", has_text=one) for one in ("arena", "gone"))
    expect(arena.locator("img")).to_be_visible()
    expect(arena.locator(".state")).to_have_text("320\u00d7180 10")
    expect(gone.locator(".state")).to_have_text("connection refused")
    expect(gone.locator(".chip.lost")).to_contain_text("not received")
    chip = arena.locator(".chip", has_text="black")
    expect(chip).to_have_count(0)
    expect(chip).to_be_visible()
    assert barriers(page) == []
    keep(page, "wall-dark")
    page.emulate_media(color_scheme="light")
    assert barriers(page) == []
    keep(page, "wall-light")
    expect(page.locator("#news")).to_contain_text("arena: black")
    assert all(one.startswith((show.stage.url, "blob:")) for one in asked)
    context.close()


def test_it_is_used_by_keyboard_and_filtered(show: Show) -> None:
    context = show.context(reduced_motion="reduce")
    page = show.enter(context, "root", "/?order=name")
    expect(page.locator(".tile")).to_have_count(3)
    page.keyboard.press("/")
    expect(page.get_by_label("Find")).to_be_focused()
    page.keyboard.type("match refused")
    expect(page.locator(".tile")).to_have_count(1)
    assert names_of(page) == {"gone"}
    assert "text=match+refused" in page.url
    page.keyboard.press("Escape")
    expect(page.locator(".tile")).to_have_count(3)
    page.get_by_label("Namespace").select_option("sport")
    assert names_of(page) == {"elsewhere"}
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert names_of(page) == {"elsewhere"}, "the address says what is shown"
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(".tile")).to_have_count(3)
    page.get_by_role("button", name=re.compile("not received")).click()
    assert names_of(page) == {"gone", "elsewhere"}
    page.get_by_role("button", name="Show all").click()
    links = page.locator(".tile a")
    links.first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(links.last).to_be_focused()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    tabbable = links.evaluate_all("all => all.filter(one => one.tabIndex === 0).length")
    assert tabbable == 1, "a thousand tiles are one stop of the tabulator"
    page.keyboard.press("Home")
    first = links.first.get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{first}")
    context.close()


def test_a_stream_has_a_page_with_timeline_evidence_and_traces(show: Show) -> None:
    context = show.context(color_scheme="dark")
    page = show.enter(context, "alice", "/streams/video/match/arena")
    expect(page.get_by_role("heading", level=1)).to_have_text("arena")
    expect(page.locator(".head img")).to_be_visible()
    expect(page.locator(".timeline")).to_contain_text("score")
    bar = page.get_by_role("link", name=re.compile("^black, (warning|critical), from")).first
    expect(bar).to_be_visible()
    bar.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".incident[open] .shots img").first).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("^black: .* now "))).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("^silence: .* now .*dBFS"))).to_be_visible()
    expect(page.get_by_role("list", name="Detectors").get_by_role("listitem")).to_have_count(2)
    expect(page.locator(".facts")).to_contain_text("h264 320\u00d7180, 10 fps")
    page.get_by_role("button", name="1 h", exact=True).click()
    expect(page.get_by_role("group", name="Timeline of the last 1 hours")).to_be_visible()
    assert barriers(page) == []
    keep(page, "stream")
    page.goto(f"{show.stage.url}/streams/video/match/gone")
    expect(page.locator(".why")).to_contain_text("nothing listens there")
    keep(page, "stream-gone")
    assert all(one.startswith((show.stage.url, "blob:", "data:")) for one in asked)
    context.close()


def test_the_service_is_led_to_the_replica_that_leads(show: Show) -> None:
    def labelled() -> bool:
        text = show.stage.plane.kubectl("get", "pod", "operator", "-n", SYSTEM, "-o", "json")
        return bool(json.loads(text)["metadata"].get("labels", {}).get(names.LABEL_LEADER))

    eventually("the label of the leader", labelled)
    service = (REPOSITORY / "charts/streammonitor/templates/wall.yaml").read_text()
    assert f'{names.LABEL_LEADER}: "true"' in service
