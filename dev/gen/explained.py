"""The output of `streammonitor explain` on the page that describes it: what the product says."""

import re
import tempfile
from pathlib import Path

from streammonitor_worker.explain import sections
from streammonitor_worker.monitor_file import load_monitor
from streammonitor_worker.options import select_stream

_EXAMPLE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHOWN = re.compile(
    r"(^```console\n\$ streammonitor explain -f monitor.yaml --stream (\S+)\n).*?^```$",
    re.MULTILINE | re.DOTALL,
)


def explained(page: str) -> str:
    """A page whose first YAML block is a StreamMonitor, with what explain says of it filled in.

    Raises:
        MonitorFileError: The example is not valid.
        ValueError: There is no example, or no place for what is said of it.
    """
    example, shown = _EXAMPLE.search(page), _SHOWN.search(page)
    if example is None or shown is None:
        raise ValueError("the page lacks an example, or a place for what explain says of it")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "monitor.yaml"
        path.write_text(example[1])
        spec = load_monitor(path).spec
    (text,) = sections(spec, [select_stream(spec, shown[2])])
    return page[: shown.start()] + shown[1] + text + "\n```" + page[shown.end() :]
