"""Whose an object is, and what says so on it."""

from dataclasses import dataclass

from streammonitor_api import names
from streammonitor_operator.kube import Manifest
from streammonitor_operator.naming import label_value


@dataclass(frozen=True, slots=True)
class Owner:
    """The StreamMonitor that an object belongs to."""

    namespace: str
    name: str
    uid: str

    def reference(self) -> Manifest:
        """An owner reference: the garbage collector deletes what the owner leaves behind.

        It does not block the owner's deletion: nothing here needs to be gone first.
        """
        return {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "name": self.name,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": False,
        }


def labels(owner: Owner, group: str, worker: str) -> dict[str, str]:
    """The labels of everything that makes up one worker."""
    return {
        names.LABEL_NAME: "streammonitor-worker",
        names.LABEL_MANAGED_BY: "streammonitor",
        names.LABEL_MONITOR: label_value(owner.name),
        names.LABEL_GROUP: group,
        names.LABEL_WORKER: worker,
    }


def metadata(owner: Owner, group: str, worker: str) -> Manifest:
    """The metadata of an object of one worker."""
    return {
        "name": worker,
        "namespace": owner.namespace,
        "labels": labels(owner, group, worker),
        "annotations": {names.ANNOTATION_MONITOR: owner.name},
        "ownerReferences": [owner.reference()],
    }
