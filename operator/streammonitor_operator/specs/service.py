"""The Service of one stream that is sent to a worker: the address that its sender knows.

It selects the pods of the worker that holds the stream, by their labels: so it goes on leading to
that worker's next pod also while no operator runs, and nobody needs the right to write endpoints.
"""

from streammonitor_api import names
from streammonitor_api.push import Push, PushService
from streammonitor_operator.kube import SERVICES, Manifest
from streammonitor_operator.naming import label_value, service_name
from streammonitor_operator.specs.identity import Owner

LABEL_LED = names.LABEL_MANAGED_BY
"""Without it, a pod of the worker is left out."""


def build_service(
    owner: Owner,
    stream: str,
    push: Push,
    wanted: PushService,
    *,
    worker: str,
    target_port: int,
) -> Manifest:
    """The Service of a stream.

    Args:
        owner: The StreamMonitor.
        stream: Name of the stream.
        push: What is listened for.
        wanted: What the user asks of such Services.
        worker: The worker that it leads to.
        target_port: The port that this worker listens on.
    """
    return {
        "apiVersion": SERVICES.api_version,
        "kind": "Service",
        "metadata": {
            "name": service_name(owner.name, stream),
            "namespace": owner.namespace,
            "labels": {
                names.LABEL_NAME: "streammonitor-worker",
                names.LABEL_MANAGED_BY: "streammonitor",
                names.LABEL_MONITOR: label_value(owner.name),
                names.LABEL_STREAM: stream,
            },
            "annotations": {**(wanted.annotations or {}), names.ANNOTATION_MONITOR: owner.name},
            "ownerReferences": [owner.reference()],
        },
        "spec": {
            "type": wanted.type or "ClusterIP",
            "ipFamilyPolicy": "PreferDualStack",
            "ports": [
                {
                    "name": push.scheme,
                    "protocol": push.transport,
                    "port": push.port,
                    "targetPort": target_port,
                }
            ],
            "selector": {names.LABEL_WORKER: worker, LABEL_LED: "streammonitor"},
        },
    }
