"""The base of every model on a wire: camelCase outside, snake_case inside, unknown keys kept.

Unknown keys are kept rather than refused, so that an operator and a worker of different versions
can talk; `unknown_keys` names them for whoever wants to report or refuse them.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """An immutable wire model."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="allow",
        frozen=True,
        use_attribute_docstrings=True,
    )

    def to_json_object(self) -> dict[str, Any]:
        """The model as JSON-ready data: camelCase keys, absent instead of null."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def list_map(key: str) -> dict[str, Any]:
    """JSON-schema extras of a list whose items Kubernetes tells apart by `key`."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


LIST_SET: dict[str, Any] = {"x-kubernetes-list-type": "set"}
"""JSON-schema extras of a list of distinct scalars."""


def unknown_keys(value: object, path: str = "") -> Iterator[str]:
    """Yield the path of every key that the models below `value` do not declare.

    >>> from streammonitor_api.spec import Stream
    >>> list(unknown_keys(Stream.model_validate({"name": "a", "url": "http://h/", "colour": 1})))
    ['colour']
    """
    if isinstance(value, Model):
        yield from (_join(path, key) for key in value.model_extra or {})
        for field, info in type(value).model_fields.items():
            yield from unknown_keys(getattr(value, field), _join(path, info.alias or field))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from unknown_keys(item, _join(path, str(key)))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for index, item in enumerate(value):
            yield from unknown_keys(item, f"{path}[{index}]")


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
