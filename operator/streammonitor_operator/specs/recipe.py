"""What a group's pods are asked to be, and where that is kept: with every worker made of it.

So a worker of an earlier revision can be made again, by whatever operator, when a later one turns
out worse.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from functools import cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError

from streammonitor_api import names
from streammonitor_api.spec import Stream, StreamMonitorSpec, Template, WorkerGroup
from streammonitor_operator.kube import Manifest
from streammonitor_operator.settings import WorkerSettings

ANNOTATION_RECIPE = f"{names.GROUP}/recipe"
"""What the user and the platform team asked for when a worker was made."""
ANNOTATION_REVISION = f"{names.GROUP}/revision"
"""A short name for that."""
_BUILT_IN = WorkerSettings(image="")
_SETTINGS = TypeAdapter(WorkerSettings)


@dataclass(frozen=True)
class Recipe:
    """What pods are asked to be.

    Attributes:
        template: The group's.
        secrets: The Secrets that are mounted, sorted.
        settings: What every worker has unless the template says otherwise.
    """

    template: Template | None
    secrets: tuple[str, ...]
    settings: WorkerSettings

    @property
    def document(self) -> dict[str, Any]:
        """What was asked for; what is built in is left out.

        It says nothing of the manifest that is made of it: so another version of the operator,
        which may make it otherwise, leaves the workers alone.
        """
        return {
            "template": self.template.to_json_object() if self.template else {},
            "secrets": list(self.secrets),
            "settings": _chosen(self.settings, _BUILT_IN),
        }

    @cached_property
    def revision(self) -> str:
        """A short name; other pods have another."""
        text = json.dumps(self.document, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def annotations(self) -> dict[str, str]:
        """What a worker made of it bears."""
        text = json.dumps(self.document, sort_keys=True, separators=(",", ":"))
        return {ANNOTATION_RECIPE: text, ANNOTATION_REVISION: self.revision}


def _chosen(settings: Any, built_in: Any) -> dict[str, Any]:
    """What is not built in, so that a setting that is new changes nothing for who does not use it.

    Args:
        settings: A dataclass, which may hold others.
        built_in: The same with its defaults.
    """
    pairs = {
        field.name: (getattr(settings, field.name), getattr(built_in, field.name))
        for field in fields(settings)
    }
    return {
        name: _chosen(value, default) if is_dataclass(value) else value
        for name, (value, default) in pairs.items()
        if value != default
    }


def recipe_of(group: WorkerGroup, secrets: Iterable[str], settings: WorkerSettings) -> Recipe:
    """What a group's pods are asked to be now."""
    return Recipe(group.template, tuple(sorted(set(secrets))), settings)


def revision_of(manifest: Manifest) -> str:
    """The revision of a Deployment; empty if it bears none."""
    annotations = manifest["metadata"].get("annotations") or {}
    return str(annotations.get(ANNOTATION_REVISION, ""))


def read_recipe(manifest: Manifest) -> Recipe | None:
    """What a Deployment was made of; None if it does not say, or not in a way that can be read."""
    annotations = manifest["metadata"].get("annotations") or {}
    try:
        document = json.loads(annotations.get(ANNOTATION_RECIPE, ""))
        template = document["template"]
        return Recipe(
            Template.model_validate(template) if template else None,
            tuple(document["secrets"]),
            _SETTINGS.validate_python(document["settings"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError):
        return None


def secret_names(streams: Iterable[Stream]) -> list[str]:
    """The Secrets that streams name, each once, sorted."""
    return sorted({name for stream in streams for name in stream.secret_names})


def all_secret_names(spec: StreamMonitorSpec) -> list[str]:
    """The Secrets that streams, sinks and results of a specification name, each once, sorted."""
    named = {one.name for one in spec.alerts.secrets} if spec.alerts else set()
    if spec.results is not None and spec.results.secret_name is not None:
        named.add(spec.results.secret_name)
    return sorted({*secret_names(spec.streams), *named})
