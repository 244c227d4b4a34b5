"""Turn pydantic's JSON schema into a Kubernetes structural schema.

Kubernetes prunes what a schema does not declare and reads only a subset of JSON schema. Rather than
drop silently what it would ignore, `structural` raises on every keyword that is not known here.
"""

from typing import Any

from dev.gen.limits import bounds, default, limits
from streammonitor_api.durations import PATTERN, format_duration, is_duration
from streammonitor_api.model import Model

Schema = dict[str, Any]

_KEPT = {
    "x-kubernetes-int-or-string",
    "type", "description", "enum", "format", "items", "maxItems", "maxLength", "maxProperties",
    "maximum", "minItems", "minLength", "minProperties", "minimum", "pattern", "required",
    "x-kubernetes-list-map-keys", "x-kubernetes-list-type",
    "x-kubernetes-validations",
}  # fmt: skip
_DROPPED = {"title", "default", "$defs"}
_MAX_DURATION_CHARACTERS = 32
_CEL_PATTERN = PATTERN.replace("\\", "\\\\")  # as CEL writes it in a string


def structural(model: type[Model]) -> Schema:
    """The structural schema of a model: references inlined, optional fields merely not required."""
    schema = model.model_json_schema(by_alias=True)
    return _convert(schema, schema.get("$defs", {}))


def _convert(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    schema = _resolved(schema, definitions)
    result: Schema = {}
    for key, value in schema.items():
        if key not in _DROPPED and not (key == "additionalProperties" and value is True):
            result[key] = _converted(key, value, schema, definitions)
    if result.get("format") == "duration":
        # Kubernetes' own format would accept "2 days"; `parameters` adds a rule with a sentence.
        del result["format"], result["pattern"]
        result["maxLength"] = _MAX_DURATION_CHARACTERS
    return result


def _converted(key: str, value: Any, schema: Schema, definitions: dict[str, Schema]) -> Any:
    if key == "properties":
        return {name: _convert(item, definitions) for name, item in value.items()}
    if key in ("items", "additionalProperties"):
        return _convert(value, definitions)
    if key == "description":
        return " ".join(value.split())
    if key in _KEPT or (key == "anyOf" and schema.get("x-kubernetes-int-or-string")):
        return value
    raise ValueError(f"{key}: {value!r} has no place in a structural schema")


def _resolved(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Follow a reference and strip the null of an optional field; outer keywords win."""
    if "$ref" in schema:
        target = definitions[schema["$ref"].rsplit("/", 1)[1]]
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return _resolved({**target, **rest}, definitions)
    if "anyOf" in schema and "x-kubernetes-int-or-string" not in schema:
        variants = [item for item in schema["anyOf"] if item != {"type": "null"}]
        if len(variants) != 1:
            raise ValueError(f"a union has no place in a structural schema: {schema['anyOf']!r}")
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        return _resolved({**_resolved(variants[0], definitions), **rest}, definitions)
    return schema


def overrides(params: type[Model]) -> Schema:
    """The schema of a detector's parameters where a stream sets them: as everywhere, but brief.

    Every word is there twice otherwise, in a resource that is sent around whole.
    """
    schema = parameters(params)
    for name, info in params.model_fields.items():
        prop = schema["properties"][info.alias or name]
        prop["description"] = _sentence(limits(info, prop))
    return schema


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def parameters(params: type[Model]) -> Schema:
    """The schema of a detector's parameters, which carries no defaults.

    A default that the apiserver wrote into a resource would look like the user's own choice and
    would undo what a broader setting says, so defaults and bounds go into the descriptions, and
    the bounds of durations into rules.
    """
    schema = structural(params)
    schema.pop("required", None)
    for name, info in params.model_fields.items():
        alias = info.alias or name
        prop = schema["properties"][alias]
        told = limits(info, prop)
        prop["description"] = (
            f"{prop.get('description', '')} Default: {default(info)}. {_sentence(told)}"
        )
        if is_duration(info):
            prop["x-kubernetes-validations"] = [duration_rule(alias, *bounds(info))]
        elif rule := _fraction_rule(alias, prop, told):
            prop["x-kubernetes-validations"] = [rule]
    return schema


def _fraction_rule(name: str, prop: Schema, told: str) -> Schema | None:
    """What the apiserver does not hold: it compares an integer with a bound rounded towards 0.

    So 0 would pass a minimum of 0.5 and a maximum of -0.5.
    """
    low, high = prop.get("minimum", 0.0), prop.get("maximum", 0.0)
    parts = [f"self >= {float(low)!r}"] if low > 0 and low % 1 else []
    parts += [f"self <= {float(high)!r}"] if high < 0 and high % 1 else []
    if not parts:
        return None
    return {
        "rule": " && ".join(parts),
        # To name the value costs more than the apiserver allows.
        "message": f"{name}: use a number {told}",
    }


def duration_rule(name: str, low_s: float | None, high_s: float | None) -> Schema:
    """Hold the form and the bounds of a duration, with a sentence that names what was found."""
    if low_s is None or high_s is None:
        raise ValueError(f"the duration {name} needs bounds: Field(ge=..., le=...)")
    low, high = format_duration(low_s), format_duration(high_s)
    return {
        "rule": (
            f"self.matches('{_CEL_PATTERN}') && "
            f"duration(self) >= duration('{low}') && duration(self) <= duration('{high}')"
        ),
        "messageExpression": (
            f"'{name} is ' + self + ': use a duration from {low} to {high}, as in 1m30s'"
        ),
    }
