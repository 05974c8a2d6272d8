"""The builder's part of the Engine API."""

from __future__ import annotations

import json

from dockwright.client.call import Call, encode_filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


def build(body: bytes | Iterable[bytes] | None, *, auth: str = "", **parameters: Any) -> Call:
    """`body` is a tar of the context, None where `remote` names one. Lists repeat, mappings are sent as JSON."""
    query = tuple((name, _encoded(value)) for name, value in parameters.items() if value)
    headers = [("Content-Type", "application/x-tar")]
    if auth:
        headers.append(("X-Registry-Config", auth))
    return Call("POST", "/build", query, body=body, headers=headers)


def prune(*, all: bool = False, keep_bytes: int = 0, filters: Mapping[str, Iterable[str]] | None = None) -> Call:
    query = (("all", all), ("keep-storage", keep_bytes or ""), ("filters", encode_filters(filters)))
    return Call("POST", "/build/prune", query)


def _encoded(value: Any) -> Any:
    if isinstance(value, dict):
        return json.dumps(value)
    return value
