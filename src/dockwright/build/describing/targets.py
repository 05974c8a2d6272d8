"""`--call=targets`: the stages that can be built."""

from __future__ import annotations

from typing import Any

from dockwright.build.describing.places import columns, described, of_line
from dockwright.build.dockerfile import Dockerfile, Stage


def targets(dockerfile: Dockerfile) -> list[dict[str, Any]]:
    """Each stage with its name, base and description; the last is the default one."""
    last = dockerfile.stages[-1]
    return [_target(stage, default=stage is last) for stage in dockerfile.stages]


def _target(stage: Stage, *, default: bool) -> dict[str, Any]:
    found = {
        "name": stage.base.name,
        "default": default,
        "description": described(stage.base.line, stage.base.name),
        "base": stage.base.image,
        "platform": stage.base.platform,
        "location": of_line(stage.base.line),
    }
    return {key: value for key, value in found.items() if value}


def text(found: list[dict[str, Any]]) -> str:
    """For people."""
    rows = [["TARGET", "DESCRIPTION"]]
    for one in found:
        name = one.get("name", "")
        mark = "(default)" if one.get("default") else ""
        rows.append([f"{name} {mark}".strip(), one.get("description", "")])
    return columns(rows, 1)
