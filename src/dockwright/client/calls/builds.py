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


def prune(
    *,
    all: bool = False,
    filters: Mapping[str, Iterable[str]] | None = None,
    reserved_bytes: int = 0,
    max_used_bytes: int = 0,
    min_free_bytes: int = 0,
) -> Call:
    """`reserved_bytes` are left in any case; engines before API 1.48 know that amount alone, by another name."""
    amounts = (
        ("keep-storage", reserved_bytes),
        ("reserved-space", reserved_bytes),
        ("max-used-space", max_used_bytes),
        ("min-free-space", min_free_bytes),
    )
    query = (("all", all), *((name, amount or "") for name, amount in amounts), ("filters", encode_filters(filters)))
    return Call("POST", "/build/prune", query)


def _encoded(value: Any) -> Any:
    if isinstance(value, dict):
        return json.dumps(value)
    return value
