"""Requests by name, and their results as metadata: `result.json`, `result.txt`, `version`, for lint `result.statuscode`."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from dockwright.build.describing import lint, outline, targets
from dockwright.build.describing.places import columns
from dockwright.build.dockerfile import parse
from dockwright.build.dockerfile.checks import Known
from dockwright.build.planning.plan import Options
from dockwright.errors import Invalid, Unsupported
from dockwright.ignoring import Patterns

VERSION = "1.0.0"
DESCRIBE, OUTLINE, TARGETS, LINT = (
    "frontend.subrequests.describe",
    "frontend.outline",
    "frontend.targets",
    "frontend.lint",
)
REQUESTS = {
    OUTLINE: "List all parameters current build target supports",
    TARGETS: "List all targets current build supports",
    LINT: "Lint a Dockerfile",
    DESCRIBE: "List available subrequest types",
}


def answer(
    request: str,
    dockerfile: bytes,
    *,
    name: str = "Dockerfile",
    options: Options | None = None,
    ignored: Patterns | None = None,
    bases: Sequence[Known] = (),
) -> dict[str, bytes]:
    """The metadata of a request's result.

    `dockerfile` is the file's content (not looked at by `DESCRIBE`), `name` what messages call it, `ignored` the context's
    ignore file, `bases` are the base images that are known: some checks need them. Raises `Unsupported` for another request,
    `DockerfileError` and `Invalid` for what is wrong with the file (lint tells it in its result instead).
    """
    options = options or Options()
    if request == DESCRIBE:
        return _result(_described(), _described_text())
    if request not in REQUESTS:
        raise Unsupported(f"unsupported request {request}: this frontend knows {', '.join(REQUESTS)}")
    source = base64.b64encode(dockerfile).decode()
    if request == LINT:
        return _lint(dockerfile, name, options, ignored, bases)
    parsed = parse(dockerfile, name)
    if request == TARGETS:
        stages = targets.targets(parsed)
        return _result({"targets": stages, "sources": [source]}, targets.text(stages))
    found = outline.outline(parsed, options).as_json(source)
    return _result(found, outline.text(found))


def _lint(
    dockerfile: bytes,
    name: str,
    options: Options,
    ignored: Patterns | None,
    bases: Sequence[Known],
) -> dict[str, bytes]:
    try:
        found = lint.lint(parse(dockerfile, name), options, ignored, bases)
    except Invalid as error:
        found = lint.failed(error, dockerfile)
    data = base64.b64encode(dockerfile).decode()
    found["sources"] = [{"filename": name, "language": "Dockerfile", "data": data}]
    status = b"1" if found["warnings"] or "buildError" in found else b"0"
    text = lint.text(found, name, dockerfile.decode(errors="replace"))
    return {**_result(found, text), "result.statuscode": status}


def _result(found: Any, text: str) -> dict[str, bytes]:
    document = json.dumps(found, indent=2, ensure_ascii=False)
    return {"result.json": document.encode(), "result.txt": text.encode(), "version": VERSION.encode()}


def _described() -> list[dict[str, Any]]:
    return [
        {
            "name": request,
            "version": VERSION,
            "type": "rpc",
            "description": about,
            "opts": [{"name": "target", "description": "Target build stage"}] if request == OUTLINE else [],
            "inputs": None,
            "metadata": [{"name": name, "description": ""} for name in _names(request)],
            "refs": None,
        }
        for request, about in REQUESTS.items()
    ]


def _names(request: str) -> list[str]:
    return ["result.json", "result.txt", *(["result.statuscode"] if request == LINT else [])]


def _described_text() -> str:
    rows = [[request.removeprefix("frontend."), VERSION, about] for request, about in REQUESTS.items()]
    return columns([["NAME", "VERSION", "DESCRIPTION"], *rows], 1)
