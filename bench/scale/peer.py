"""A minimal Kopf operator that writes the same objects: `python -m bench.scale.peer`.

As the handbook shows it: one handler of creations, the status through Kopf's `patch`.
"""

import asyncio
import json
import os
from typing import Any

import kopf

from bench.scale.client import connect
from bench.scale.monitors import DEPLOYMENTS_PATH, MAPS_PATH, NAMESPACE, objects
from streammonitor_api import names


async def main() -> None:
    """Run for ever."""
    status: dict[str, Any] = json.loads(os.environ["STATUS"])
    async with connect(os.environ["KUBECONFIG"]) as api:

        @kopf.on.create(names.GROUP, names.VERSION, names.PLURAL)
        async def created(name: str, uid: str, patch: kopf.Patch, **_: Any) -> None:
            found = objects(name, uid, status)
            await api.send("POST", MAPS_PATH, found.map_text)
            await api.send("POST", DEPLOYMENTS_PATH, found.deployment_text)
            patch.status.update(status)

        @kopf.on.startup()
        def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
            settings.posting.enabled = False

        await kopf.operator(standalone=True, namespaces=[NAMESPACE])


if __name__ == "__main__":
    asyncio.run(main())
