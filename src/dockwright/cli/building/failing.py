"""Why a build failed, as the engine says it: a message, the lines of the Dockerfile, and what was kept of the step."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grpclib.exceptions import GRPCError, StreamTerminatedError

from dockwright import errors
from dockwright.buildkit.errors import Detail
from dockwright.excerpts import excerpt


@dataclass(frozen=True)
class Kept:
    """The files of a step that failed, as an image."""

    image: str


class BuildFailed(errors.HostFailure):
    """The engine did not build. `excerpts` are lines of the Dockerfile; `in_step` says that a step failed, of which `kept`
    is what is left."""

    def __init__(
        self, message: str, excerpts: Sequence[str] = (), kept: Kept | None = None, *, in_step: bool = False
    ) -> None:
        super().__init__(f"failed to build: failed to solve: {message}")
        self.excerpts, self.kept, self.in_step = excerpts, kept, in_step


def failure(
    error: GRPCError | StreamTerminatedError | ConnectionError, shown: dict[str, str] | None = None
) -> BuildFailed:
    """What a call that failed comes to. `shown` are names of files as people know them, by the engine's."""
    if not isinstance(error, GRPCError):
        return BuildFailed("the engine has gone")
    details = [one for one in error.details or () if isinstance(one, Detail)]
    excerpts = [text for one in details if (text := _source(one, shown or {}))]
    kept = next((found for one in details if (found := _kept(one)) is not None), None)
    message = error.message or error.status.name.lower().replace("_", " ")
    return BuildFailed(message, excerpts, kept, in_step=any(_document(one, "Vertex") for one in details))


def _source(one: Detail, shown: dict[str, str]) -> str:
    found = _document(one, "Source")
    info = found.get("info") or {}
    lines = [
        line
        for place in found.get("ranges") or ()
        for line in range(_line(place, "start"), max(_line(place, "start"), _line(place, "end")) + 1)
    ]
    name = str(info.get("filename", ""))
    text = base64.b64decode(info.get("data") or "").decode(errors="replace")
    return excerpt(shown.get(name, name), text, lines)


def _line(place: dict[str, Any], side: str) -> int:
    return int((place.get(side) or {}).get("line", 0))


def _kept(one: Detail) -> Kept | None:
    image = _document(one, "Kept").get("image")
    return Kept(image) if isinstance(image, str) and image else None


def _document(one: Detail, kind: str) -> dict[str, Any]:
    if not one.url.endswith(f".{kind}+json"):
        return {}
    try:
        found = json.loads(one.value)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
