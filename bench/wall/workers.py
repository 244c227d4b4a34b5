"""Simulated workers with something to see: `python -m bench.wall.workers PORT`.

Of the streams, some are defective, not received, late, or of sound alone; all others are fine.
"""

import asyncio
import json
import math
import os
import sys
import time
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import cv2
import numpy as np
from aiohttp import web

from bench.scale.client import connect
from bench.scale.workers import SimulatedWorker, Simulation
from streammonitor_worker.live import PICTURE_EVERY_S

_SIZE = (320, 180)
_DEFECTS = ("freeze", "blockCorruption", "black", "silence", "stutter", "loudness")


def chance(name: str) -> int:
    """A number from 0 to 999 that is always the same for a name."""
    return zlib.crc32(name.encode()) // 7919 % 1000


def _ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


@dataclass
class ShownWorker(SimulatedWorker):
    """A worker whose streams differ."""

    def read(self, assignment: dict[str, Any]) -> None:
        """Carry out an assignment."""
        super().read(assignment)
        for one in self.streams:
            self._make(one, chance(one["name"]))
        self.incidents = [
            _incident(one["name"], chance(one["name"]))
            for one in self.streams
            if chance(one["name"]) < 25
        ]

    def _make(self, one: dict[str, Any], luck: int) -> None:
        one |= {
            "since": _ago(4000 + luck),
            "lagS": 0,
            "detectors": dict.fromkeys(("black", "freeze", "silence"), "ok"),
            "audio": {"codec": "aac", "sampleRate": 48000, "channels": 2},
            "video": {"codec": "h264", "width": 1920, "height": 1080, "frameRate": 50.0},
        }
        if 25 <= luck < 35:
            why = "http://origin.example/live.m3u8 cannot be opened: nobody listens"
            one |= {"state": "retrying", "reason": "ConnectionRefused", "message": why}
            one["video"] = None
        elif 35 <= luck < 45:
            one["lagS"] = 3
        elif 45 <= luck < 60:
            one["video"] = None


def _incident(name: str, luck: int) -> dict[str, Any]:
    began = _ago(8 * luck + 5)
    return {
        "id": f"{zlib.crc32(name.encode()):016x}", "monitorUid": "", "stream": name, "episode": "1",
        "defect": _DEFECTS[luck % len(_DEFECTS)], "startedAt": began, "detectedAt": began,
        "severity": "critical" if luck % 3 == 0 else "warning", "startS": 0.0, "detectedS": 2.0,
    }  # fmt: skip


def picture(name: str, at_s: float) -> bytes:
    """A landscape by a lake, which drifts, as JPEG."""
    luck = chance(name)
    width, height = _SIZE
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    hue = luck / 1000
    shift = at_s / 60 + hue * 7
    colours = [0.5 + 0.5 * math.cos(2 * math.pi * (hue + third / 3)) for third in range(3)]
    sky = np.stack([0.35 + 0.5 * (1 - y) * one + 0.25 * y for one in colours], axis=-1)
    for depth in range(3):
        ridge = (
            0.42 + 0.14 * depth + 0.07 * np.sin(9 * x / (depth + 1) + shift * (depth + 1) + luck)
        )
        shade = np.array(colours[::-1]) * (0.55 - 0.16 * depth) + 0.05
        sky = np.where((y > ridge)[..., None], shade, sky)
    sun = np.exp(-(((x - 0.3 - hue / 3) * 1.78) ** 2 + (y - 0.28) ** 2) * 140)[..., None]
    made = np.clip((sky + 0.8 * sun) * 255, 0, 255).astype(np.uint8)
    encoded = cv2.imencode(".jpg", made, [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return bytes(encoded.tobytes())


class Studio(Simulation):
    """All workers, with pictures."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._made: dict[str, tuple[float, bytes]] = {}
        self.shown = 0

    async def picture(self, request: web.Request) -> web.Response:
        """A stream's picture."""
        name = request.match_info["stream"]
        worker = self.asked_for(request)
        known = [one for one in worker.streams if one["name"] == name] if worker else []
        if not known or known[0]["video"] is None:
            return web.Response(status=404)
        self.shown += 1
        at_s, made = self._made.get(name, (-math.inf, b""))
        if time.time() - at_s > PICTURE_EVERY_S:
            at_s, made = time.time(), picture(name, time.time())
            self._made[name] = at_s, made
        return web.Response(body=made, content_type="image/jpeg")

    async def traces(self, request: web.Request) -> web.Response:
        """Some values of the last minutes."""
        random = np.random.default_rng(chance(request.match_info["stream"]))
        noise = np.abs(np.cumsum(random.normal(0, 0.01, 600))) % 0.6
        graphs = [
            {"detector": detector, "name": name, "unit": unit, "low": (scale * noise).tolist(),
             "high": (scale * noise + abs(scale) * 0.05).tolist(),
             "limits": [{"value": limit, "raises": True, "below": scale < 0}]}
            for detector, name, unit, scale, limit in (
                ("black", "darkArea", "", 1.0, 0.98), ("freeze", "stillArea", "", 1.0, 0.9),
                ("silence", "levelDbfs", "dBFS", -90.0, -60.0),
            )
        ]  # fmt: skip
        states = dict.fromkeys(("black", "freeze", "silence"), "ok")
        known = {"from": int(time.time()) - 600, "binSeconds": 1, "detectors": states, "lagMs": 80}
        return web.json_response({**known, "graphs": graphs})


async def main(port: int) -> None:
    """Answer for ever."""
    async with connect(os.environ["KUBECONFIG"]) as api:
        studio = Studio(api, ShownWorker)
        app = web.Application()
        app.router.add_get("/status", studio.status)
        app.router.add_get("/live/{stream}/picture", studio.picture)
        app.router.add_get("/live/{stream}/traces", studio.traces)
        app.router.add_get("/shown", lambda _: _number(studio))
        app.router.add_route("*", "/incident/{namespace}/{worker}", studio.incident)
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=75)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", port, backlog=4096).start()
        await asyncio.gather(studio.follow_assignments(), studio.follow_pods())


async def _number(studio: Studio) -> web.Response:
    return web.Response(text=json.dumps(studio.shown))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
