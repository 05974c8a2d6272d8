"""What is told when a build is done: the image's ID, the files for programs, what has changed since the last build."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from typing import Any

from dockwright.cli.building.events import Warning
from dockwright.cli.building.rawjson import warning
from dockwright.cli.flags import Options
from dockwright.cli.session import Session
from dockwright.client.config import write_whole

EXPLAINED = "dockwright.explain"
_MESSAGE = "frontend.result.inlinemessage"


def forget(options: Options) -> None:
    """Take away the ID of a former build: a build that fails leaves none."""
    if (path := options.text("iidfile")) and os.path.exists(path):
        os.unlink(path)


def image_id(answer: dict[str, str]) -> str:
    """The image as the engine calls it: its own digest, where it keeps that; empty where none was made."""
    return answer.get("containerimage.digest") or answer.get("containerimage.config.digest", "")


def tell(session: Session, options: Options, answer: dict[str, str], warnings: Sequence[Warning]) -> None:
    """Print and write what the options ask for."""
    if options.on("explain"):
        session.out(explained(answer.get(EXPLAINED, "")))
    if options.on("quiet") or options.text("progress") == "quiet":
        session.line(image_id(answer))
    if path := options.text("iidfile"):
        write_whole(os.path.realpath(path), image_id(answer).encode(), 0o644)
    if path := options.text("metadata-file"):
        document = metadata(answer)
        if warnings and os.environ.get("BUILDX_METADATA_WARNINGS", "").lower() in ("1", "true"):
            document["buildx.build.warnings"] = [warning(one) for one in warnings]
        write_whole(os.path.realpath(path), json.dumps(document, indent=2, sort_keys=True).encode(), 0o644)
    if message := answer.get(_MESSAGE):
        session.line(f"\n{message}")


def metadata(answer: dict[str, str]) -> dict[str, Any]:
    """The exporters' answers; those that hold JSON in base64 as that JSON."""
    return {key: _decoded(value) for key, value in answer.items() if key != EXPLAINED}


def _decoded(text: str) -> Any:
    try:
        found = json.loads(base64.b64decode(text, validate=True))
    except ValueError:
        return text
    return found if isinstance(found, dict | list) and found else text


def explained(text: str) -> str:
    """For each step that was not taken from the cache, the first input that differs from when it was last built."""
    try:
        found = json.loads(text) if text else []
    except ValueError:
        found = []
    if not found:
        return "Every step was taken from the cache.\n"
    return "".join(f"{one.get('step', '')}\n    {one.get('reason', '')}\n" for one in found)
