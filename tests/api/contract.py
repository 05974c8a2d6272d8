"""The Engine API's specification as JSON Schema: what an answer must look like.

Go leaves `null` where a field is nil, so every property may be null. Objects whose properties the specification lists may
have no others, but for `UNLISTED`: fields that the real daemon answers with and the specification forgot.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import yaml

_NAME = Path("shared", "specs", "engine-api-v1.51.yaml")
# Beside the repository, or beside the directory that holds its work trees.
SPECIFICATION = next((up / _NAME for up in Path(__file__).parents[3:] if (up / _NAME).is_file()), Path("..") / _NAME)
METHODS = ("get", "head", "post", "put", "delete")
# `UnpackedSize` is required and described nowhere: the real daemon has `Size.Unpacked` in its place.
NEVER_REQUIRED = frozenset(("UnpackedSize",))
UNLISTED = {
    # EventMessage of moby also carries the fields from before 1.22.
    "EventMessage": {"status", "id", "from"},
    "SystemDataUsageResponse": {"BuilderSize"},
}


class Contract:
    """The specification, loaded."""

    def __init__(self, path: Path = SPECIFICATION) -> None:
        with path.open() as source:
            self.document: dict[str, Any] = yaml.load(source, Loader=yaml.CSafeLoader)

    def operations(self) -> list[tuple[str, str, list[str]]]:
        """(method, path, tags) of everything it names."""
        return [
            (method.upper(), path, operation.get("tags", []))
            for path, methods in self.document["paths"].items()
            for method, operation in methods.items()
            if method in METHODS
        ]

    def responses(self, method: str, path: str) -> dict[int, dict[str, Any]]:
        found: dict[int, dict[str, Any]] = self.document["paths"][path][method.lower()]["responses"]
        return found

    def schema(self, method: str, path: str, status: int) -> dict[str, Any] | None:
        """The JSON Schema of an answer's body; None where the specification gives none."""
        response = self.responses(method, path)[status]
        return self._nullable(response["schema"]) if "schema" in response else None

    def definition(self, name: str) -> dict[str, Any]:
        return self._nullable({"$ref": f"#/definitions/{name}"})

    def check(self, value: object, schema: dict[str, Any]) -> None:
        """Raises with every place where `value` does not fit."""
        validator = jsonschema.Draft202012Validator(schema)
        wrong = [
            f"{'.'.join(map(str, error.absolute_path)) or 'the answer'}: {error.message[:300]}"
            for error in validator.iter_errors(value)
        ]
        assert not wrong, "\n".join(wrong)

    def _nullable(self, schema: dict[str, Any], name: str = "") -> dict[str, Any]:
        schema, name = self._flat(schema, name)
        converted = {key: schema[key] for key in ("type", "enum", "pattern") if key in schema}
        converted["required"] = sorted(set(schema.get("required", ())) - NEVER_REQUIRED)
        if "properties" in schema:
            converted["properties"] = {
                key: _or_null(self._nullable(value)) for key, value in schema["properties"].items()
            }
            for extra in UNLISTED.get(name, ()):
                converted["properties"].setdefault(extra, {})
            converted["additionalProperties"] = False
        further = schema.get("additionalProperties")
        if isinstance(further, dict):
            converted["additionalProperties"] = _or_null(self._nullable(further))
        elif further is True:
            converted["additionalProperties"] = True
        if "items" in schema:
            converted["items"] = self._nullable(schema["items"])
        return converted

    def _flat(self, schema: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
        """The schema with its references followed and `allOf` merged, and the name of its definition."""
        while "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            schema = self.document["definitions"][name]
        if "allOf" in schema:
            merged: dict[str, Any] = {"properties": {}, "required": []}
            for part in schema["allOf"]:
                flat, _ = self._flat(part, name)
                if flat.get("type", "object") != "object":
                    return flat, name
                merged["properties"] |= flat.get("properties", {})
                merged["required"] += flat.get("required", [])
            merged["properties"] |= schema.get("properties", {})
            return merged, name
        return schema, name


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    if "type" in schema:
        schema["type"] = [schema["type"], "null"]
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    return schema
