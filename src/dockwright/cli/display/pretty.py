"""JSON indented by four blanks, as `inspect` prints it."""

from __future__ import annotations

from dockwright.client import wirejson

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_STEP = "    "


def indented(value: Any, margin: str = "") -> str:
    inner = margin + _STEP
    if isinstance(value, dict) and value:
        lines = [f"{inner}{wirejson.encode(key)}: {indented(one, inner)}" for key, one in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{margin}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(inner + indented(one, inner) for one in value) + f"\n{margin}]"
    return wirejson.encode(value)
