"""Debian's Prometheus, for tests: scrapes what it is told to, and loads the chart's rules."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from dev.alerting import fetch
from dev.host import REPOSITORY
from dev.media.servers import free_port, process, require, wait_until

DEBIAN_PACKAGES = ("prometheus",)
RULES = REPOSITORY / "charts/streammonitor/rules"
Sample = dict[str, Any]


@contextlib.contextmanager
def prometheus(targets: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Have a Prometheus that scrapes every second; yields its URL.

    Args:
        targets: Labels by HOST:PORT; labels that are exported win over them.
    """
    program = shutil.which("prometheus")
    require(program is not None, "Prometheus", DEBIAN_PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        config, port = Path(folder, "prometheus.yml"), free_port()
        config.write_text(yaml.safe_dump(_configuration(targets)))
        command = [
            str(program),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with process(command) as server:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: bool(fetch(f"{url}/-/ready", text=True)), server, "Prometheus")
            yield url


def _configuration(targets: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    static = [{"targets": [target], "labels": dict(labels)} for target, labels in targets.items()]
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES / "*.yaml")],
        "scrape_configs": [
            {"job_name": "streammonitor", "honor_labels": True, "static_configs": static}
        ],
    }


def query(url: str, expression: str) -> list[Sample]:
    """What an expression gives now; raises if Prometheus does not understand it."""
    answer = fetch(f"{url}/api/v1/query?{urlencode({'query': expression})}")
    result: list[Sample] = answer["data"]["result"]
    return result
